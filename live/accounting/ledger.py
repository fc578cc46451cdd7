"""Ledger: energy and footprints of the accounting period so far, by slot and region.

Three accounts beside each other: what was estimated when a slot was planned, what meters said of it later,
and what sending all requests to the nearest region with room would have come to. Every entry is in the store
before it is here, so that a service which starts again has the same books.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from eglb.foundation.arrays import Array
from eglb.live.storage.store import Entry, Store

ACCOUNTS = ("estimate", "meter", "baseline")


class Ledger:
    """The books of one period of T slots, N regions and the quantities of `quantities`.

    Parameters
    ----------
    kinds : names of the footprints. first : start of the first slot, UTC. slot_seconds : length of a slot.
    slots : T.
    """

    def __init__(
        self,
        store: Store,
        regions: Sequence[str],
        kinds: Sequence[str],
        first: np.datetime64,
        slot_seconds: float,
        slots: int,
    ) -> None:
        self.store = store
        self.regions, self.kinds = tuple(regions), tuple(kinds)
        self.quantities = ("load_mw", "energy_mwh", "cost_usd", *(f"footprint:{kind}" for kind in kinds))
        self.first = first.astype("datetime64[s]")
        self.slot_seconds = slot_seconds
        self.slots = slots
        self._row = {name: i for i, name in enumerate(self.regions)}
        self._column = {name: q for q, name in enumerate(self.quantities)}
        shape = (slots, len(self.regions))
        # Sums are over slots of one quantity: these lie side by side.
        self._account = {
            what: np.moveaxis(np.full((len(self.quantities), *shape), np.nan), 0, -1) for what in ACCOUNTS
        }
        self._latency = np.full(shape, np.nan)
        self.changes = 0
        """Counts up with everything that is entered."""
        for what in ACCOUNTS:
            self._enter(what, kept := store.read(what, self.first, self.start_of(slots)))
            if what == "meter":
                self._enter(what, self._charged(kept))

    def start_of(self, slot: int) -> np.datetime64:
        """When a slot starts, UTC."""
        return self.first + np.timedelta64(round(slot * self.slot_seconds), "s")

    def slot_at(self, time: np.datetime64) -> int:
        """The slot that `time` is in; below zero before the period, T and more after it."""
        passed = (time.astype("datetime64[s]") - self.first).astype(np.int64)
        return int(passed // round(self.slot_seconds))

    def account(self, what: str) -> Array:
        """(T, N, Q) of ``estimate``, ``meter`` or ``baseline``; NaN where unknown. Only to be read."""
        return self._account[what]

    def by_kind(self, what: str = "actual") -> Array:
        """(T, N, K) footprints of an account, or ``actual``: metered where meters have spoken, else as
        estimated; NaN where unknown.
        """
        return self._values(what, slice(len(self.quantities) - len(self.kinds), None))

    @property
    def latency_ms(self) -> Array:
        """(T, N) as metered; NaN where it was not."""
        return self._latency

    def footprints(self, what: str = "actual") -> Array:
        """(N, K) totals of the period so far; `what` is an account, or ``actual``."""
        return np.asarray(np.nansum(self.by_kind(what), axis=0))

    def total(self, quantity: str, what: str = "actual") -> Array:
        """(N,) totals of the period so far."""
        return np.asarray(np.nansum(self._values(what, self._column[quantity]), axis=0))

    def record(self, what: str, slot: int, values: Array) -> None:
        """Enter what a slot is estimated, or by the baseline would be, to come to: (N, Q).

        Raises
        ------
        StoreError : it could not be kept; nothing has changed.
        """
        start = self.start_of(slot)
        self.write(
            what,
            [
                Entry(start, region, quantity, float(values[i, q]))
                for i, region in enumerate(self.regions)
                for q, quantity in enumerate(self.quantities)
                if np.isfinite(values[i, q])
            ],
        )

    def write(self, what: str, entries: Sequence[Entry]) -> None:
        """Keep entries, then enter those of this period.

        A meter that tells energy but no cost is charged what the estimate of its slot paid for a MWh.

        Raises
        ------
        StoreError : they could not be kept; nothing has changed.
        """
        if what == "meter":
            entries = [*entries, *self._charged(entries)]
        self.store.write(what, entries)
        self._enter(what, entries)

    def heard(self, entries: Sequence[Entry]) -> None:
        """Enter what meters say, that another process has kept.

        Raises
        ------
        StoreError : what they are charged could not be kept.
        """
        self._enter("meter", entries)
        charged = self._charged(entries)
        self.store.write("meter", charged)
        self._enter("meter", charged)

    def metered(self) -> Array:
        """(T, N) of bool: all footprints of that slot and region have been metered."""
        return np.asarray(~np.isnan(self.by_kind("meter")).any(2))

    def drift(self, slots: int, until: int) -> Array:
        """(N, K): metered over estimated footprints in the last `slots` before slot `until`, as far as both
        are known; NaN where there is nothing to compare.
        """
        window = slice(max(until - slots, 0), max(until, 0))
        estimate, meter = (self.by_kind(what)[window] for what in ("estimate", "meter"))
        both = ~np.isnan(estimate) & ~np.isnan(meter)
        estimated = np.where(both, estimate, 0.0).sum(0)
        metered = np.where(both, meter, 0.0).sum(0)
        return np.divide(metered, estimated, out=np.full_like(metered, np.nan), where=estimated > 0.0)

    def _values(self, what: str, of: slice | int) -> Array:
        if what != "actual":
            return np.asarray(self._account[what][:, :, of])
        estimate, meter = (self._account[each][:, :, of] for each in ("estimate", "meter"))
        return np.where(np.isnan(meter), estimate, meter)

    def _charged(self, entries: Iterable[Entry]) -> list[Entry]:
        told = {(e.slot, e.place) for e in entries if e.quantity == "cost_usd"}
        estimate, charged = self._account["estimate"], []
        energy, cost = self._column["energy_mwh"], self._column["cost_usd"]
        for each in entries:
            place = self._place(each)
            if each.quantity != "energy_mwh" or place is None or (each.slot, each.place) in told:
                continue
            estimated = estimate[place]
            if estimated[energy] > 0.0:
                price = float(estimated[cost] / estimated[energy])
                charged.append(each._replace(quantity="cost_usd", value=price * each.value))
        return charged

    def _place(self, entry: Entry) -> tuple[int, int] | None:
        slot, row = self.slot_at(entry.slot), self._row.get(entry.place)
        return (slot, row) if row is not None and 0 <= slot < self.slots else None

    def _enter(self, what: str, entries: Iterable[Entry]) -> None:
        for each in entries:
            place = self._place(each)
            if place is None:
                continue
            if each.quantity in self._column:
                self._account[what][(*place, self._column[each.quantity])] = each.value
            elif each.quantity == "latency_ms" and what == "meter":
                self._latency[place] = each.value
        self.changes += 1

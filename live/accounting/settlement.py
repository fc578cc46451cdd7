"""Settlement: closes slots with what was asked for and served, what meters say, and what it costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from eglb.foundation.arrays import Array
from eglb.live.accounting.alerts import Monitor, Thresholds
from eglb.live.accounting.ledger import Ledger
from eglb.live.accounting.periods import Periods
from eglb.live.accounting.series import Series, Slot
from eglb.live.routing.fallback import FallbackPlan
from eglb.live.routing.weights import WeightTable
from eglb.live.storage.store import Store

Quantities = dict[tuple[str, str], float]
"""Metered values of a slot by place and quantity."""

_REMEMBERED_H = 4 * 7 * 24.0


@dataclass(frozen=True, eq=False)
class Settled:
    """A slot whose meters have been read: `load` (N,) MW served, `footprint` (N, K') region-weighted, of the
    priced kinds.
    """

    slot: int
    load: Array
    footprint: Array


class Settlement:
    """Keeps the series of a service and the books of its accounting periods up to date; slots count from its
    first.

    Parameters
    ----------
    projection : finds the baseline.
    patience : slots after which the estimate counts for good where a meter has not spoken.
    thresholds : of alerts. keep_days : forget what is older than so many days, once a day; never of the
    period that is open. None keeps all.
    """

    def __init__(
        self,
        series: Series,
        periods: Periods,
        store: Store,
        fallback_plan: FallbackPlan,
        patience: int,
        thresholds: Thresholds | None = None,
        keep_days: int | None = None,
    ) -> None:
        self.series, self.periods, self.store = series, periods, store
        self._fallback_plan = fallback_plan
        self._patience, self._keep_days = patience, keep_days
        self._forgot: np.datetime64 | None = None
        self._recorded: dict[int, Array] = {}
        self._no_baseline: list[tuple[int, float]] = []
        """Settled slots, and the MW that were served in them."""
        self._told_before: set[int] = set()
        """Slots whose baseline is in the store already."""
        scenario = series.parts.scenario
        self.kinds = tuple(kind.name for kind in scenario.footprints)
        weight = np.ones((len(scenario.regions), len(self.kinds)))
        for k, kind in enumerate(scenario.footprints):
            weight[:, k] = kind.region_weight
        self.ledger = self._ledger(0)
        self.monitor = Monitor(self.ledger, weight, thresholds)

    @property
    def settled(self) -> int:
        """Slots before this one have been metered."""
        return self.series.settled - self.series.begun

    def begin_period(self, slot: int) -> None:
        """Open the books of the period that `slot` belongs to."""
        self.series.reserve(self.series.begun + self.periods.of(slot)[1] + 1)
        self.ledger = self._ledger(slot)
        self.monitor.begin_period(self.ledger)

    def close(self, now: int, gone: Callable[[int], tuple[Array, Array]]) -> list[Settled]:
        """Bring the books up to the start of slot `now`; the slots that are settled from now on.

        Parameters
        ----------
        gone : by which shares (J, N) requests went in a slot, and the MW (N,) that jobs had.

        Raises
        ------
        StoreError : books cannot be read or written.
        """
        metered = self._metered(self.settled, now)
        done = []
        for slot in range(self.settled, now):
            told = metered[slot]
            demand, load, footprint = self._served(slot, told, *gone(slot))
            self._estimate(slot, load)
            up = self.series.capacity[:, self.series.begun + slot] > 0.0
            complete = np.isfinite(footprint[up]).all()
            if slot == self.settled and (complete or now - slot > self._patience):
                done.append(self._settle(slot, demand, load, footprint))
        return done

    def write_up(self) -> None:
        """What no plan waits for: account settled slots by the baseline too, forget old ones.

        The baseline serves as many MW as have been served, what is beyond the room of all regions included.

        Raises
        ------
        StoreError : books cannot be written.
        """
        series = self.series
        while self._no_baseline:
            slot, served = self._no_baseline.pop(0)
            at = series.begun + slot
            capacity = series.capacity[:, at]
            carried = self._fallback_plan.reach[:, capacity > 0.0].any(1)
            demand = np.where(carried, series.demand[:, at], 0.0)
            demand *= served / max(float(demand.sum()), 1e-300)
            load = demand @ self._fallback_plan.nearest(demand, capacity).share
            self._write("baseline", slot, load, series.metered[:, :, at])
        self._forget()

    def footprint(self) -> Array:
        """(N, K') region-weighted of the priced kinds, of the period so far."""
        return self.series.priced(self.ledger.footprints())

    def resume(self, now: int, tables: Mapping[int, WeightTable]) -> None:
        """Know again what was known of the slots before `now` when they were planned, from the store;
        `tables` by slot. Meters are read again by `close`.
        """
        series, first = self.series, self.periods.of(now)[0]
        first = max(0, first - round(_REMEMBERED_H * 3600.0 / self.periods.slot_seconds))
        series.settled = series.begun + first
        signals: dict[int, dict[tuple[str, str], float]] = defaultdict(dict)
        for row in self.store.signals(self.periods.first, self.periods.time(now)):
            signals[self.periods.slot_at(row["slot"])][row["kind"], row["region"]] = row["value"]
        for slot in range(now):
            at = series.begun + slot
            price, intensity = series.per_mw(signals[slot], at - 1)
            table, last = tables.get(slot), max(at - 1, 0)
            known = Slot(
                price,
                intensity,
                series.capacity[:, last] if table is None else table.capacity,
                series.demand[:, last] if table is None else table.demand,
            )
            series.enter(at, known)
        self.begin_period(now)
        start = self.periods.of(now)[0]
        estimate, baseline = (self.ledger.account(what)[:, :, 0] for what in ("estimate", "baseline"))
        for slot in np.flatnonzero(np.isfinite(estimate).all(1)).tolist():
            self._recorded[start + slot] = estimate[slot]
        told = np.flatnonzero(np.isfinite(baseline).all(1)).tolist()
        self._told_before = {*range(start), *(start + slot for slot in told)}

    def _served(self, slot: int, told: Quantities, share: Array, work: Array) -> tuple[Array, Array, Array]:
        """Demand (J,), load (N,) and metered footprints (N, K), NaN where no meter has spoken."""
        fleet = self.series.parts.scenario
        demand = self.series.demand[:, self.series.begun + slot].copy()
        for j, gateway in enumerate(fleet.gateways):
            demand[j] = told.get((gateway, "demand_mw"), demand[j])
        load = demand @ share + work
        for i, region in enumerate(fleet.regions):
            energy = told.get((region, "energy_mwh"))
            if (metered := told.get((region, "load_mw"))) is not None:
                load[i] = metered
            elif energy is not None:
                load[i] = energy / (fleet.pue[i] * fleet.slot_hours)
        footprint = np.array(
            [
                [told.get((region, f"footprint:{kind}"), np.nan) for kind in self.kinds]
                for region in fleet.regions
            ]
        ).reshape(len(fleet.regions), len(self.kinds))
        return demand, load, footprint

    def _estimate(self, slot: int, load: Array) -> None:
        """Account a slot for what its load is estimated to come to."""
        if slot in self._recorded and np.array_equal(self._recorded[slot], load):
            return
        self._recorded[slot] = load
        estimate = self.series.estimate[:, :, self.series.begun + slot]
        self._write("estimate", slot, load, estimate)

    def _settle(self, slot: int, demand: Array, load: Array, footprint: Array) -> Settled:
        series, at = self.series, self.series.begun + slot
        series.demand[:, at] = demand
        series.settle(at, load, footprint)
        self._recorded.pop(slot, None)
        intensity = series.metered[:, :, at]
        if slot not in self._told_before:
            self._no_baseline.append((slot, float(load.sum())))
        return Settled(slot, load, series.priced(intensity * load[:, None]))

    def _forget(self) -> None:
        now = self.periods.time(self.settled)
        if self._keep_days is None or now.astype("datetime64[D]") == self._forgot:
            return
        self._forgot = now.astype("datetime64[D]")
        self.store.prune(min(now - np.timedelta64(self._keep_days, "D"), self.ledger.first))

    def _write(self, what: str, slot: int, load: Array, intensity: Array) -> None:
        fleet, price = self.series.parts.scenario, self.series.price[:, self.series.begun + slot]
        energy = load * fleet.pue * fleet.slot_hours
        values = np.column_stack([load, energy, load * price, load[:, None] * intensity])
        self.ledger.record(what, slot - self.periods.slot_at(self.ledger.first), values)

    def _metered(self, first: int, now: int) -> dict[int, Quantities]:
        found: dict[int, Quantities] = defaultdict(dict)
        if first < now:
            since, until = self.periods.time(first), self.periods.time(now)
            for each in self.store.read("meter", since, until):
                found[self.periods.slot_at(each.slot)][each.place, each.quantity] = each.value
        return found

    def _ledger(self, slot: int) -> Ledger:
        first, last = self.periods.of(slot)
        return Ledger(
            self.store,
            self.series.parts.scenario.regions,
            self.kinds,
            self.periods.time(first),
            self.periods.slot_seconds,
            last - first + 1,
        )

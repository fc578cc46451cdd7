"""Time series of a service: signals, meters and demand of regions and gateways by slot, as they come in.

The service reads signals and meters for all its regions; from here every agent is handed its own, anew before
every slot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from eglb.agents.calibration import Calibration
from eglb.agents.forecasting import Forecaster, Past
from eglb.agents.region import Region
from eglb.agents.timeline import Timeline
from eglb.coordinator.online.slot import DemandSeries
from eglb.foundation.arrays import Array
from eglb.planning.partition import Partition
from eglb.scenarios.scenario import Scenario

_LEAST = 1e-3
"""Of its capacity: a region with less load tells nothing about its footprint per MW."""


@dataclass(frozen=True, eq=False)
class Slot:
    """What is known of one slot when it is planned.

    `price` (N,) and `intensity` (N, K) are per MW of IT load for the slot, the latter as estimated and not
    region-weighted; `capacity` (N,) MW of the regions that are up; `demand` (J,) MW, foretold.
    """

    price: Array
    intensity: Array
    capacity: Array
    demand: Array


@dataclass(eq=False)
class Series:
    """N regions, K footprint kinds and J gateways over `slots` slots; those before `begun` are history.

    All series are per MW of IT load and slot, K counts all kinds of the scenario, and intensities are not
    region-weighted. `planned` (N, T) MW is the capacity with all regions up, known ahead; `capacity` that of
    those which were. Slots before `settled` have been metered, as far as anybody ever will.
    """

    parts: Partition
    price: Array
    planned: Array
    capacity: Array
    estimate: Array
    metered: Array
    demand: Array
    begun: int
    settled: int

    def __post_init__(self) -> None:
        scenario = self.parts.scenario
        self._pue_hours = scenario.pue * scenario.slot_hours
        # To a kind's priced, region-weighted intensity from its own.
        kinds = [scenario.footprints[k] for k in self.parts.kinds]
        shape = (len(scenario.regions), 0)
        self._weight = np.stack([k.region_weight for k in kinds], axis=1) if kinds else np.zeros(shape)

    @classmethod
    def after(cls, history: Scenario | None, parts: Partition, planned: Array) -> Series:
        """Of the fleet of `parts`, for a service of `planned` capacities (N, S) right after `history`."""
        fleet = parts.scenario
        past = 0 if history is None else history.slots
        total = past + planned.shape[1]
        n, k, j = len(fleet.regions), len(fleet.footprints), len(fleet.gateways)
        before = planned[:, :0] if history is None else history.capacity
        ahead = np.concatenate([before, planned], axis=1)
        series = cls(
            parts,
            price=np.zeros((n, total)),
            planned=ahead,
            capacity=ahead.copy(),
            estimate=np.zeros((n, k, total)),
            metered=np.zeros((n, k, total)),
            demand=np.zeros((j, total)),
            begun=past,
            settled=past,
        )
        if history is not None:
            series.price[:, :past] = history.price_per_mw_slot()
            series.demand[:, :past] = history.demand
            for q, kind in enumerate(history.footprints):
                series.estimate[:, q, :past] = series.metered[:, q, :past] = history.intensity_per_mw_slot(
                    kind
                )
        return series

    @property
    def slots(self) -> int:
        """There is room for so many."""
        return self.price.shape[1]

    def reserve(self, slots: int) -> None:
        """Make room for so many slots."""
        more = slots - self.slots
        if more <= 0:
            return
        for name in ("price", "estimate", "metered", "demand"):
            array = getattr(self, name)
            setattr(self, name, np.concatenate([array, np.zeros((*array.shape[:-1], more))], axis=-1))
        self.planned, self.capacity = (
            np.concatenate([array, np.repeat(self.planned[:, -1:], more, axis=1)], axis=1)
            for array in (self.planned, self.capacity)
        )

    def per_mw(self, signals: Mapping[tuple[str, str], float], before: int) -> tuple[Array, Array]:
        """Price (N,) and intensity (N, K) per MW-slot from signals per MWh by kind and region, as scenarios
        count them; where one is missing or no number, what slot `before` had.
        """
        fleet = self.parts.scenario
        last = max(before, 0)
        price, intensity = self.price[:, last].copy(), self.estimate[:, :, last].copy()
        for i, region in enumerate(fleet.regions):
            told = signals.get(("price", region), np.nan)
            if np.isfinite(told):
                price[i] = told * self._pue_hours[i]
            for q, kind in enumerate(fleet.footprints):
                told = signals.get((kind.name, region), np.nan)
                if np.isfinite(told):
                    intensity[i, q] = told * (fleet.slot_hours if kind.per == "it" else self._pue_hours[i])
        return price, intensity

    def enter(self, slot: int, known: Slot) -> None:
        """A slot is about to be planned."""
        self.price[:, slot], self.capacity[:, slot] = known.price, known.capacity
        self.estimate[:, :, slot] = self.metered[:, :, slot] = known.intensity
        self.demand[:, slot] = known.demand

    def settle(self, slot: int, load: Array, footprint: Array) -> None:
        """Meters of `slot`, the first that is not settled: `load` (N,) MW and `footprint` (N, K), NaN where
        none has spoken. There the estimate stands for good, corrected by what meters have taught.
        """
        assert slot == self.settled
        estimate = self.estimate[:, :, slot : slot + 1]
        seen = slice(0, max(slot, 1))
        learned = Calibration(self.estimate[:, :, seen], self.metered[:, :, seen])
        told = np.isfinite(footprint) & (load >= _LEAST * self.parts.scenario.capacity[:, 0])[:, None]
        per_mw = np.divide(footprint, load[:, None], out=np.zeros_like(footprint), where=told)
        self.metered[:, :, slot] = np.where(told, per_mw, learned.correct(estimate, slot)[:, :, 0])
        self.settled = slot + 1

    def correct(self, slot: int) -> Array:
        """(N, K) intensities of an unsettled slot, as estimated and corrected by meters."""
        learned = Calibration(self.estimate[:, :, : slot + 1], self.metered[:, :, : slot + 1])
        return np.asarray(learned.correct(self.estimate[:, :, slot : slot + 1], self.settled)[:, :, 0])

    def timeline(self, now: int, ahead: int, forecaster: Forecaster, outlook: Array | None) -> Timeline:
        """What all agents together hold in slot `now`, and of their capacities for some slots ahead."""
        part, kinds = slice(0, now + ahead + 1), self.parts.kinds
        weight = self._weight[:, :, None]
        fleet = self.parts.scenario
        return Timeline(
            names=fleet.regions,
            metered=Region(
                fleet.regions,
                self.price[:, part].copy(),
                self.capacity[:, part].copy(),
                self.metered[:, kinds, part] * weight,
            ),
            estimate=self.estimate[:, kinds, part] * weight,
            calibrated=True,
            forecaster=forecaster,
            outlook=outlook,
            first=self.time(0),
            slot_hours=fleet.slot_hours,
        )

    def demand_series(
        self, now: int, forecaster: Forecaster, outlook: Array | None, asked: Array | None = None
    ) -> DemandSeries:
        """Demand (T, G) of the gateways as they were merged, as known in slot `now`, or with `asked` (J,) MW
        in that one.
        """
        fleet = self.parts.scenario
        first = np.unique(self.parts.pairs.group, return_index=True)[1]
        merged = np.ascontiguousarray(self.merged(self.demand[:, : now + 1]).T)
        if asked is not None:
            merged[now] = self.merged(asked)
        return DemandSeries(
            demand=merged,
            gateways=tuple(fleet.gateways[j] for j in first),
            forecaster=forecaster,
            outlook=outlook,
            first=self.time(0),
            slot_hours=fleet.slot_hours,
        )

    def foretell_demand(self, slot: int, forecaster: Forecaster, outlook: Array) -> Array:
        """(J,) MW of a slot from those before it; `outlook` (J, H) from this slot on. Where there is nothing
        before, what the scenario starts with.
        """
        fleet = self.parts.scenario
        if slot == 0:
            return fleet.demand[:, 0].copy()
        past = Past("demand", fleet.gateways, self.demand[:, :slot], self.time(0), fleet.slot_hours, outlook)
        return np.asarray(np.maximum(forecaster.predict(past, 1)[:, 0], 0.0))

    def signal(self, kind: str, region: str, price: Array, intensity: Array) -> float:
        """What a signal per MWh was, from `price` (N,) and `intensity` (N, K) per MW-slot."""
        fleet = self.parts.scenario
        row = fleet.regions.index(region)
        if kind == "price":
            return float(price[row] / self._pue_hours[row])
        q = [each.name for each in fleet.footprints].index(kind)
        per_mw = fleet.slot_hours if fleet.footprints[q].per == "it" else self._pue_hours[row]
        return float(intensity[row, q] / per_mw)

    def merged(self, values: Array) -> Array:
        """(J', ...) sums over the gateways that were merged of values (J, ...)."""
        group = self.parts.pairs.group
        total = np.zeros((self.parts.market.gateways, *values.shape[1:]))
        np.add.at(total, group, values)
        return total

    def share_of(self, route: Array) -> Array:
        """(J, N) of every gateway's requests, from a route (E,) of the gateways as they were merged, those of
        jobs after them.
        """
        market, group = self.parts.market, self.parts.pairs.group
        flow = np.zeros((market.gateways, market.regions))
        flow[market.edge_gateway, market.edge_region] = np.maximum(route[: len(market.edge_gateway)], 0.0)
        total = flow.sum(1, keepdims=True)
        return np.asarray(np.divide(flow, total, out=np.zeros_like(flow), where=total > 0.0)[group])

    def priced(self, footprint: Array) -> Array:
        """(N, K') region-weighted footprints of the kinds that have a price, from (N, K)."""
        return np.asarray(footprint[:, self.parts.kinds] * self._weight)

    def time(self, slot: int) -> np.datetime64:
        """Start of a slot, UTC."""
        fleet = self.parts.scenario
        step = round((slot - self.begun) * fleet.slot_hours * 3600)
        return np.datetime64(fleet.times[0] + np.timedelta64(step, "s"))

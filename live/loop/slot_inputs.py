"""Inputs of a slot: what its policy and its agents are told when it begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from eglb.agents.timeline import Timeline
from eglb.coordinator.online.slot import Slot
from eglb.foundation.arrays import Array
from eglb.live.accounting.settlement import Settled, Settlement
from eglb.live.jobs.slot_backlog import SlotBacklog
from eglb.live.loop.records import Forecasts


@dataclass(frozen=True, eq=False)
class SlotInputs:
    """From `books` and `forecasts`; `distance` (E,) of the market's pairs."""

    books: Settlement
    forecasts: Forecasts
    distance: Array

    def foretell(self, slot: int) -> Array:
        """(J,) MW that is going to be asked for in a slot."""
        series = self.books.series
        at, outlook = series.begun + slot, self.forecasts.outlooks.each_gateway
        ahead = np.empty((len(series.parts.scenario.gateways), 0)) if outlook is None else outlook[:, at:]
        return series.foretell_demand(at, self.forecasts.demand, ahead)

    def hour(
        self, slot: int, asked: Array, heard: Iterable[Settled], task: SlotBacklog | None = None
    ) -> Slot:
        """What a policy decides about, for `asked` (J,) MW and a `task`; `heard` are slots metered since the
        last.
        """
        series, periods = self.books.series, self.books.periods
        at, (first, last) = series.begun + slot, periods.of(slot)
        forecaster = self.forecasts.signals
        demand = series.demand_series(at, forecaster, self.forecasts.outlooks.gateways, asked)
        remaining = last - slot
        market = series.parts.market if task is None else task.market
        further = np.zeros(len(market.edge_region) - len(self.distance))
        return Slot(
            market=market.over(demand.at(at, np.array([at]))),
            demand=demand,
            distance=np.concatenate([self.distance, further]),
            now=at,
            meter_delay=at + 1 - series.settled,
            elapsed=slot - first,
            remaining=remaining,
            foreseen=int(min(forecaster.hours / demand.slot_hours, remaining)),
            footprint=self.books.footprint(),
            metered=[(each.slot + series.begun, each.footprint) for each in heard if each.slot >= first],
            firm=series.settled,
            backlog=None if task is None else task.backlog,
        )

    def timeline(self, hour: Slot) -> Timeline:
        """What all agents together are handed."""
        forecasts = self.forecasts
        return self.books.series.timeline(
            hour.now, hour.foreseen, forecasts.signals, forecasts.outlooks.regions
        )

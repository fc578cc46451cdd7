"""What a replay is made of: accounting periods, and what agents and coordinator hold of all series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eglb.agents.timeline import Timeline
from eglb.coordinator.online.slot import DemandSeries
from eglb.foundation.errors import InputError
from eglb.planning.partition import Partition, partition
from eglb.scenarios.scenario import Scenario
from eglb.sims.replay.estimate_errors import EstimateError, distort

if TYPE_CHECKING:
    from eglb.planning.online.forecasts import Forecast


def accounting_periods(scenario: Scenario, period: str) -> list[tuple[int, int]]:
    """First and last slot of every accounting period: ``whole``, calendar ``month`` (UTC), or a number of
    slots.

    Raises
    ------
    InputError : `period` is none of these.
    """
    slots = scenario.slots
    if period == "whole":
        firsts = [0]
    elif period == "month":
        months = scenario.times.astype("datetime64[M]")
        firsts = [0, *(np.flatnonzero(months[1:] != months[:-1]) + 1).tolist()]
    elif period.isascii() and period.isdigit() and int(period):
        firsts = list(range(0, slots, int(period)))
    else:
        raise InputError([f"period {period!r} is none of whole, month and a number of slots"])
    return list(zip(firsts, [*(f - 1 for f in firsts[1:]), slots - 1], strict=True))


def timelines(
    parts: Partition, foretold: Forecast, error: EstimateError, feedback: str
) -> tuple[Timeline, DemandSeries]:
    """What the agents and the coordinator hold of all series, forecasts and estimates included."""
    joined, region = parts.scenario, parts.region
    outlook = demand_outlook = None
    if foretold.forecaster.reads_outlook:
        told = partition(foretold.outlook(joined), merge=parts.merged)
        outlook = np.concatenate([told.region.price[:, None], told.region.intensity], axis=1)
        demand_outlook = told.market.fixed_demand
    timeline = Timeline(
        names=region.names,
        metered=region,
        estimate=None if error.kind == "exact" else distort(region.intensity, region.names, error),
        calibrated=feedback == "calibrated",
        forecaster=foretold.forecaster,
        outlook=outlook,
        first=joined.times[0],
        slot_hours=joined.slot_hours,
    )
    demand = DemandSeries(
        demand=parts.market.fixed_demand,
        gateways=tuple(joined.gateways[j] for j in np.unique(parts.pairs.group, return_index=True)[1]),
        forecaster=foretold.forecaster,
        outlook=demand_outlook,
        first=joined.times[0],
        slot_hours=joined.slot_hours,
    )
    return timeline, demand

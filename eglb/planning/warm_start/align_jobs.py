"""Where an earlier solve left its jobs, told on another scenario: by name, region and time stamp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.jobs import fit_work
from eglb.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from eglb.planning.partition import Partition


@dataclass(frozen=True, eq=False)
class EarlierJobs:
    """Plan and prices of the jobs of an earlier solve.

    Parameters
    ----------
    names, regions : of M jobs and of N regions. times : (T,) datetime64[s].
    slot, job, region, mw : indices of where and when work is done, and MW of load.
    price : (M, T) USD per MW-slot of work, zero outside windows.
    """

    names: tuple[str, ...]
    regions: tuple[str, ...]
    times: Array
    slot: Array
    job: Array
    region: Array
    mw: Array
    price: Array


def earlier_jobs(scenario: Scenario, work: Array | None, price: Array | None) -> EarlierJobs | None:
    """The jobs of a solved scenario: `work` (P, T) MW on their pairs, `price` (M, T); None without."""
    if (jobs := scenario.jobs) is None or work is None or price is None:
        return None
    pair, slot = np.nonzero(work)
    return EarlierJobs(
        names=jobs.names,
        regions=scenario.regions,
        times=scenario.times,
        slot=slot,
        job=jobs.pair_job[pair],
        region=jobs.pair_region[pair],
        mw=work[pair, slot],
        price=price,
    )


def place_jobs(
    earlier: EarlierJobs | None, parts: Partition, route: Array, demand_price: Array
) -> tuple[Array, Array]:
    """`route` (T, E) and `demand_price` (T, C) of the gateways, with what is known of jobs in their columns.

    A job, and a slot, that the earlier solve did not have is guessed: its work is spread over what power is
    left, at the mean price of demand.
    """
    scenario, job_columns = parts.scenario, parts.job_columns
    if (jobs := scenario.jobs) is None or job_columns is None:
        return route, demand_price
    work = np.zeros((len(jobs.pair_job), scenario.slots))
    price = np.repeat(demand_price.mean(axis=1)[None], len(jobs), axis=0)
    if earlier is not None:
        slot = _positions(earlier.times.tolist(), scenario.times.tolist())
        job, region = _positions(earlier.names, jobs.names), _positions(earlier.regions, scenario.regions)
        pairs = jobs.pair_job * len(scenario.regions) + jobs.pair_region
        wanted = job[earlier.job] * len(scenario.regions) + region[earlier.region]
        pair = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
        at = slot[earlier.slot]
        there = (job[earlier.job] >= 0) & (region[earlier.region] >= 0) & (at >= 0) & (pairs[pair] == wanted)
        work[pair[there], at[there]] = earlier.mw[there]
        known = np.flatnonzero(job >= 0)
        inside = np.flatnonzero(slot >= 0)
        told = earlier.price[np.ix_(known, inside)]
        cells = np.ix_(job[known], slot[inside])
        price[cells] = np.where(told != 0.0, told, price[cells])
    whole = np.zeros((scenario.slots, len(parts.market.edge_gateway)))
    whole[:, : route.shape[1]] = route
    job_columns.market_work(fit_work(jobs, scenario.times, scenario.slot_hours, work), whole)
    prices = np.zeros((scenario.slots, parts.market.gateways))
    prices[:, : demand_price.shape[1]] = demand_price
    _place_price(parts, price, prices)
    return whole, prices


def _place_price(parts: Partition, price: Array, columns: Array) -> None:
    """Put (M, T) USD per MW-slot of work into the jobs' columns of (T, C), in place."""
    job_columns = parts.job_columns
    assert job_columns is not None
    work = job_columns.work
    for m, merged in enumerate(job_columns.member):
        span = slice(work.first[merged], work.last[merged])
        for way in range(work.way_start[merged], work.way_start[merged + 1]):
            columns[span, work.way_column[way]] = price[m, span] / work.way_gain[way]


def _positions(names: Sequence[object], among: Sequence[object]) -> Array:
    place = {name: n for n, name in enumerate(among)}
    return np.array([place.get(name, -1) for name in names], np.int64)

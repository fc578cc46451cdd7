"""Jobs in the columns of a market, and back.

Jobs that are alike are one: with the same window, regions and gains and with energy and least power in the
same proportion to their most, the powers of several are those of one of their size, shared in proportion.
Jobs that may run in the same regions but never at the same time share columns (colouring of an interval
graph, by first slot), so a market has no more columns than jobs can be under way at once.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from eglb.coordinator.market.jobs import JobSet
from eglb.foundation.arrays import Array
from eglb.scenarios.jobs import Jobs
from eglb.scenarios.scenario import Scenario


@dataclass(frozen=True, eq=False)
class JobColumns:
    """Where the M jobs of a scenario are in a market.

    Parameters
    ----------
    work : the merged jobs, in the market's columns. columns : how many are theirs, after the gateways'.
    edge_column, edge_region : (E'',) their edges, sorted by column, then region; `first_edge` is the first.
    member : (M,) the merged job of each job. part : (M,) its part in it.
    pair_edge : (P,) edge of each of the jobs' pairs.
    """

    jobs: Jobs
    work: JobSet
    columns: int
    edge_column: Array
    edge_region: Array
    first_edge: int
    member: Array
    part: Array
    pair_edge: Array

    def expand_work(self, route: Array) -> Array:
        """(P, T) MW on the jobs' pairs from (T, E) on the market's."""
        out = np.zeros((len(self.pair_edge), len(route)))
        merged = self.member[self.jobs.pair_job]
        for p, (edge, job) in enumerate(zip(self.pair_edge, merged, strict=True)):
            span = slice(self.work.first[job], self.work.last[job])
            out[p, span] = route[span, edge]
        return out * self.part[self.jobs.pair_job][:, None]

    def market_work(self, work: Array, route: Array) -> None:
        """Put (P, T) MW on the jobs' pairs into `route` (T, E) on the market's, in place."""
        merged = self.member[self.jobs.pair_job]
        for p, (edge, job) in enumerate(zip(self.pair_edge, merged, strict=True)):
            span = slice(self.work.first[job], self.work.last[job])
            route[span, edge] += work[p, span]

    def expand_price(self, price: Array) -> Array:
        """(M, T) USD per MW-slot of work from (T, C) of load in the columns; zero outside windows."""
        work = self.work
        out = np.zeros((len(self.member), len(price)))
        for m, job in enumerate(self.member):
            span = slice(work.first[job], work.last[job])
            ways = slice(work.way_start[job], work.way_start[job + 1])
            out[m, span] = (price[span, work.way_column[ways]] * work.way_gain[ways]).min(1)
        return out

    def expand_unmet(self, unmet: Array) -> Array:
        """(M,) MW-slots of work from (T, C), see `Market.repair`."""
        work = self.work
        lacks = [
            unmet[a:b, column].sum()
            for a, b, column in zip(work.first, work.last, work.way_column[work.way_start[:-1]], strict=True)
        ]
        return np.array(lacks)[self.member] * self.part


def seat_jobs(
    scenario: Scenario, jobs: Jobs, first_column: int, first_edge: int, merge: bool = True
) -> JobColumns:
    """Columns from `first_column` and edges from `first_edge` on for `jobs`; `merge` those that are alike."""
    first, last = jobs.slots(scenario.times, scenario.slot_hours)
    start = np.searchsorted(jobs.pair_job, np.arange(len(jobs) + 1))
    gain = jobs.pair_gain
    ways = [ways_of(jobs.pair_region[a:b], gain[a:b]) for a, b in pairwise(start)]
    seen: dict[tuple[object, ...], int] = {}
    member = np.empty(len(jobs), np.int64)
    for m in range(len(jobs)):
        if not merge:
            member[m] = m
            continue
        shape = (jobs.energy_mwh[m] / jobs.max_mw[m], jobs.min_mw[m] / jobs.max_mw[m])
        alike = (int(first[m]), int(last[m]), ways[m], *(float(f"{each:.13g}") for each in shape))
        member[m] = seen.setdefault(alike, len(seen))
    _, chosen = np.unique(member, return_index=True)

    def added(values: Array) -> Array:
        return np.bincount(member, weights=values, minlength=len(chosen))

    most = added(jobs.max_mw)
    columns = Columns(first_column)
    edge_column: list[int] = []
    edge_region: list[int] = []
    way_start, way_column, way_gain = [0], np.zeros(0, np.int64), np.zeros(0)
    of_job: list[tuple[int, ...]] = [()] * len(chosen)
    for job in np.argsort(first[chosen], kind="stable"):
        m = chosen[job]
        of_job[job] = columns.take(ways[m], int(first[m]), int(last[m]))
    for job, m in enumerate(chosen):
        way_column = np.append(way_column, of_job[job])
        way_gain = np.append(way_gain, [each for each, _ in ways[m]])
        way_start.append(len(way_column))
    for column, regions in enumerate(columns.regions):
        edge_column += [first_column + column] * len(regions)
        edge_region += regions
    edge = {pair: first_edge + e for e, pair in enumerate(zip(edge_column, edge_region, strict=True))}
    pair_edge = np.empty(len(jobs.pair_job), np.int64)
    for p, (m, region) in enumerate(zip(jobs.pair_job, jobs.pair_region, strict=True)):
        way = next(w for w, (each, _) in enumerate(ways[m]) if each == gain[p])
        pair_edge[p] = edge[of_job[member[m]][way], region]
    return JobColumns(
        jobs=jobs,
        work=JobSet(
            first=first[chosen],
            last=last[chosen],
            energy=added(jobs.energy_mwh) / scenario.slot_hours,
            most=most,
            least=added(jobs.min_mw),
            way_start=np.array(way_start),
            way_column=way_column,
            way_gain=way_gain,
        ),
        columns=len(columns.regions),
        edge_column=np.array(edge_column, np.int64),
        edge_region=np.array(edge_region, np.int64),
        first_edge=first_edge,
        member=member,
        part=jobs.max_mw / most[member],
        pair_edge=pair_edge,
    )


Ways = tuple[tuple[float, tuple[int, ...]], ...]
"""The gains of a job, ascending, and the regions with that gain."""


def ways_of(regions: Array, gain: Array) -> Ways:
    """The ways of a job that takes `gain` in each of its `regions`."""
    return tuple((float(g), tuple(regions[gain == g].tolist())) for g in np.unique(gain))


class Columns:
    """Columns taken so far, from `first` on: their regions, and from which slot on one is free again."""

    def __init__(self, first: int) -> None:
        self.regions: list[tuple[int, ...]] = []
        self._first = first
        self._free: dict[tuple[int, ...], list[tuple[int, int]]] = {}

    def take(self, ways: Ways, first: int, last: int) -> tuple[int, ...]:
        """A column for each way of a job in slots `first` to `last`; jobs come in order of their first."""
        taken = []
        for _, regions in ways:
            free = self._free.setdefault(regions, [])
            if free and free[0][0] <= first:
                _, column = heapq.heappop(free)
            else:
                column = self._first + len(self.regions)
                self.regions.append(regions)
            taken.append(column)
        for column, (_, regions) in zip(taken, ways, strict=True):
            heapq.heappush(self._free[regions], (last, column))
        return tuple(taken)

"""What there is to do of jobs from a slot on, beside requests, and what a plan for it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from eglb.coordinator.backlog import Backlog
from eglb.coordinator.market import Market
from eglb.live.job_store import Job

Array = np.ndarray
WorkInForce = Mapping[str, Array]
"""(N,) MW of load in every region, by job."""


@dataclass(frozen=True, eq=False)
class Task:
    """What there is to do from a slot on: `jobs` that are open then, in the columns of `market`."""

    market: Market
    backlog: Backlog
    jobs: tuple[Job, ...]
    slot: int

    def work(self, route: Array) -> dict[str, Array]:
        """(N,) MW that each job has by a `route` (E,) of this slot, if any."""
        return dict(self._of_jobs(self.slot, route))

    def ahead(self) -> list[tuple[int, str, int, float]]:
        """What is committed of the slots to come: slots from now, job, region and MW."""
        return [
            (1 + q, name, int(i), float(load[i]))
            for q, route in enumerate(self.backlog.commitment)
            for name, load in self._of_jobs(self.slot + 1 + q, route)
            for i in np.flatnonzero(load)
        ]

    def _of_jobs(self, slot: int, route: Array) -> Iterator[tuple[str, Array]]:
        market, work = self.market, self.backlog.jobs
        for m, job in enumerate(self.jobs):
            if not (self.backlog.admitted[m] and work.first[m] <= slot < work.last[m]):
                continue
            load = np.zeros(market.regions)
            for column in work.way_column[work.way_start[m] : work.way_start[m + 1]]:
                edges = slice(*market.gateway_start[column : column + 2])
                load[market.edge_region[edges]] += np.maximum(route[edges], 0.0)
            if load.any():
                yield job.name, load

    def carry_on(self, flow: Array, work: WorkInForce, room: Array) -> Array:
        """The route (E,) next to a `flow` (J', N) of the gateways and the `work` in force, as far as there is
        `room` (N,) MW for it, after which all that is admitted can be done in time.
        """
        market, jobs = self.market, self.backlog.jobs
        route = np.zeros(len(market.edge_region))
        fixed = market.edge_gateway < len(flow)
        route[fixed] = flow[market.edge_gateway[fixed], market.edge_region[fixed]]
        mine = {
            m: work[job.name]
            for m, job in enumerate(self.jobs)
            if job.name in work and jobs.first[m] <= self.slot < jobs.last[m]
        }
        total = sum(mine.values(), start=np.zeros(market.regions))
        part = np.minimum(np.divide(room, total, out=np.ones_like(room), where=total > 0.0), 1.0)
        for m, load in mine.items():
            power = 0.0
            ways = range(jobs.way_start[m], jobs.way_start[m + 1])
            edges = [slice(*market.gateway_start[jobs.way_column[v] : jobs.way_column[v] + 2]) for v in ways]
            for v, each in zip(ways, edges, strict=True):
                route[each] = (load * part)[market.edge_region[each]]
                power += float(route[each].sum() / jobs.way_gain[v])
            most = min(float(jobs.most[m]), float(self.backlog.left[m]))
            for each in edges:
                route[each] *= min(1.0, most / max(power, 1e-300))
        return self.backlog.commit(route)

"""Backlog of a slot: the work of jobs from that slot on, and what a plan says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from eglb.coordinator.market.market import Market
from eglb.coordinator.online.backlog import Backlog
from eglb.foundation.arrays import Array
from eglb.live.jobs.packing import pack
from eglb.live.storage.job_store import Job

WorkInForce = Mapping[str, Array]
"""(N,) MW of load in every region, by job."""


@dataclass(frozen=True, eq=False)
class SlotBacklog:
    """What there is to do from a slot on: `jobs` that are open then, in the columns of `market`, with `gains`
    (M, N) MW of load for a MW of work.

    `so_far` tells which part of the slot has passed, and what jobs had in it.
    """

    market: Market
    backlog: Backlog
    jobs: tuple[Job, ...]
    gains: Array
    slot: int
    so_far: Callable[[], tuple[float, WorkInForce]]

    def commit(self, route: Array) -> Array:
        """The route (E,) next to `route` after which all that is admitted can be done in time."""
        part, work = self.so_far()
        ran = np.zeros(len(self.jobs))
        for m, job in enumerate(self.jobs):
            if job.name in work:
                ran[m] = part * np.nansum(work[job.name] / self.gains[m])
        return self.backlog.commit(route, ran, part)

    def work(self, route: Array, before: WorkInForce) -> dict[str, Array]:
        """(N,) MW that each job has by a `route` (E,) of this slot, if any; where it was `before`, if it can
        be.
        """
        return self._of_jobs(self.slot, route, before)

    def ahead(self, work: WorkInForce) -> list[tuple[int, str, int, float]]:
        """What is committed of the slots to come after `work` in this one: slots from now, job, region and
        MW.
        """
        found = []
        for q, route in enumerate(self.backlog.commitment):
            work = self._of_jobs(self.slot + 1 + q, route, work)
            found += [
                (1 + q, name, int(i), float(load[i]))
                for name, load in work.items()
                for i in np.flatnonzero(load)
            ]
        return found

    def _of_jobs(self, slot: int, route: Array, before: WorkInForce) -> dict[str, Array]:
        market, work = self.market, self.backlog.jobs
        alike: dict[bytes, list[tuple[str, Array]]] = {}
        for m, job in enumerate(self.jobs):
            if not (self.backlog.admitted[m] and work.first[m] <= slot < work.last[m]):
                continue
            for column in work.way_column[work.way_start[m] : work.way_start[m + 1]]:
                edges = slice(*market.gateway_start[column : column + 2])
                regions, flow = market.edge_region[edges], np.maximum(route[edges], 0.0)
                if flow.any():
                    load = np.zeros(market.regions)
                    load[regions] = flow
                    alike.setdefault(regions.tobytes(), []).append((job.name, load))
        found: dict[str, Array] = {}
        for group in alike.values():
            gathered = pack([load for _, load in group], [before.get(name) for name, _ in group])
            for (name, _), load in zip(group, gathered, strict=True):
                found[name] = found[name] + load if name in found else load
        return found

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
        return self.commit(route)

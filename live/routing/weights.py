"""Weight table: the share of each gateway's requests that goes to each region in a slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.foundation.arrays import Array

_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class WeightTable:
    """The weights of one slot, and where they come from.

    Parameters
    ----------
    version : counts the tables of a service up, over restarts too.
    start : of the slot, UTC, datetime64[s]. seconds : its length.
    gateways, regions : names. share : (J, N), of a gateway's requests to each region; rows add up to 1, or to
    0 where a gateway reaches no region that has capacity.
    demand : (J,) MW of IT power that was expected.
    capacity : (N,) MW of the regions that are alive, 0 of others.
    reach : (J, N) of bool, which pairs may be used.
    source : ``"plan"``; ``"last plan"``, moved to what is alive; ``"nearest"`` region that has room.
    note : why it is not a plan, or what of demand nobody can meet; empty if all is well.
    unmet : (J,) MW that no region has room for; they are sent in the same shares.
    jobs : names of the jobs that run in the slot. work : (M, N) MW of IT power that each has in each region,
    beside the load of requests. ahead : (Q, 4), in which later slot, counted from this one, which job has so
    many MW in which region if no other table comes: row by row slot, job, region, MW.
    """

    version: int
    start: np.datetime64
    seconds: float
    gateways: tuple[str, ...]
    regions: tuple[str, ...]
    share: Array
    demand: Array
    capacity: Array
    reach: Array
    source: str = "plan"
    note: str = ""
    unmet: Array | None = None
    jobs: tuple[str, ...] = ()
    work: Array | None = None
    ahead: Array | None = None

    @property
    def load(self) -> Array:
        """(N,) MW that every region is to get of the demand that can be met."""
        met = self.demand if self.unmet is None else self.demand - self.unmet
        return np.asarray(met @ self.share)

    @property
    def work_load(self) -> Array:
        """(N,) MW that jobs have in every region."""
        return np.zeros(len(self.regions)) if self.work is None else np.asarray(self.work.sum(0))

    def work_in(self, time: np.datetime64) -> Array:
        """(M, N) MW that each job has at a time while this table is in force.

        A table that is more than a slot old was not planned for what is asked then: work makes way for as
        much as was expected in its own slot.
        """
        passed_s = float((time.astype("datetime64[ms]") - self.start) / np.timedelta64(1, "s"))
        slot, work = int(passed_s // self.seconds), np.zeros((len(self.jobs), len(self.regions)))
        if slot <= 0 and self.work is not None:
            work += self.work
        elif slot > 0 and self.ahead is not None:
            row = self.ahead[self.ahead[:, 0] == slot]
            work[row[:, 1].astype(int), row[:, 2].astype(int)] = row[:, 3]
        if slot > 1:
            room, load = np.maximum(self.capacity - self.load, 0.0), work.sum(0)
            work *= np.minimum(np.divide(room, load, out=np.ones_like(load), where=load > room), 1.0)
        return work

    def problems(self) -> list[str]:
        """What makes it infeasible; empty for every table that may be published."""
        found = []
        if not (np.isfinite(self.share).all() and (self.share >= 0.0).all()):
            found.append("a share is below zero or no number")
        # Of a gateway that reaches nobody with capacity nothing can be sent.
        due = (self.reach & (self.capacity > 0.0)).any(1)
        if (np.abs(self.share.sum(1) - due) > _ROUNDING).any():
            found.append("shares of a gateway do not add up to 1")
        if (self.share[~self.reach] > 0.0).any():
            found.append("a share goes out of reach")
        if (self.share[:, self.capacity <= 0.0] > 0.0).any():
            found.append("a share goes to a region that has no capacity or is not alive")
        work = np.zeros((0, len(self.regions))) if self.work is None else self.work
        if work.shape != (len(self.jobs), len(self.regions)):
            found.append("jobs and their work differ")
        elif not (np.isfinite(work).all() and (work >= 0.0).all()):
            found.append("a job's power is below zero or no number")
        rounding = _ROUNDING * max(1.0, float(self.demand.max(initial=0.0)))
        if (self.load + self.work_load > self.capacity + rounding).any():
            found.append("a region gets more than its capacity")
        return found

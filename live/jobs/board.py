"""Job status, as schedulers and people read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from eglb.foundation.arrays import Array
from eglb.live.routing.weights import WeightTable
from eglb.live.storage.job_store import DONE, MISSED, OPEN, REFUSED, SUBMITTED, WITHDRAWN, Job

_HOUR = np.timedelta64(3600, "s")


@dataclass(frozen=True, eq=False)
class JobBoard:
    """Of one moment, while `table` is in force, if there is one yet, and some regions are `down`.

    Parameters
    ----------
    next_slot : when the slot after the present one begins, UTC. step : length of a slot.
    """

    table: WeightTable | None
    down: Mapping[str, str]
    next_slot: np.datetime64
    step: np.timedelta64

    def answer(self, jobs: Sequence[Job], limit: int) -> dict[str, Any]:
        """Rows of the first `limit` jobs, the table that they are of, and the present slot."""
        table = self.table
        return {
            "version": None if table is None else table.version,
            "slot_utc": None if table is None else f"{self.next_slot - self.step}Z",
            "seconds": None if table is None else table.seconds,
            "down": sorted(self.down),
            "jobs": [self.row(job) for job in jobs[:limit]],
            "more": len(jobs) > limit,
        }

    def row(self, job: Job) -> dict[str, Any]:
        """One job."""
        return {
            "job": job.name,
            "state": job.state,
            "why": job.why,
            "energy_mwh": job.energy_mwh,
            "left_mwh": job.left_mwh,
            "slack_mwh": self._slack(job) if job.state in OPEN else None,
            "release_utc": f"{job.release}Z",
            "deadline_utc": f"{job.deadline}Z",
            "max_mw": job.max_mw,
            "min_mw": job.min_mw,
            "regions": list(job.regions),
            "home_region": job.home,
            "checkpoint_cost_mwh": job.checkpoint_cost_mwh,
            "now_mw": self.now_mw(job),
        }

    def now_mw(self, job: Job) -> dict[str, float]:
        """IT power by region, in the present slot."""
        if self.table is None or job.name not in self._runs:
            return {}
        return {
            name: 0.0 if name in self.down else float(mw)
            for name, mw in zip(self.table.regions, self._runs[job.name], strict=True)
            if mw > 0.0
        }

    def reasons(self, job: Job) -> list[str]:
        """In words, how a job stands."""
        if job.state in (REFUSED, MISSED):
            return [": ".join(filter(None, [f"it was {job.state}", job.why]))]
        if job.state in (DONE, WITHDRAWN):
            return [{DONE: "it is done", WITHDRAWN: "it was withdrawn"}[job.state]]
        power = {name: mw for name, mw in self.now_mw(job).items() if mw > 0.0}
        if job.state == SUBMITTED:
            found = [f"it is admitted or refused before the slot that begins at {self._first(job)}Z"]
        elif power:
            found = ["it runs: " + ", ".join(f"{mw:.6g} MW in {name}" for name, mw in power.items())]
        else:
            found = ["it waits"]
        found += [
            ": ".join(filter(None, [f"{name} is down", self.down[name]]))
            for name in job.regions
            if name in self.down
        ]
        slots, slack = self._slots(job), self._slack(job)
        found.append(
            f"whole slots left before its deadline: {slots}; at its most power it can do "
            f"{abs(slack):.6g} MWh {'more' if slack >= 0.0 else 'less'} than is left"
        )
        return found

    @cached_property
    def _runs(self) -> dict[str, Array]:
        """(N,) MW by job."""
        if self.table is None:
            return {}
        return dict(zip(self.table.jobs, self.table.work_in(self.next_slot - self.step), strict=True))

    def _first(self, job: Job) -> np.datetime64:
        """The first slot to come that it may run in."""
        late = max(int(np.ceil((job.release - self.next_slot) / self.step)), 0)
        return self.next_slot + late * self.step

    def _slots(self, job: Job) -> int:
        """Whole slots to come, the present one not counted, until the deadline."""
        return max(int((job.deadline - self._first(job)) // self.step), 0)

    def _slack(self, job: Job) -> float:
        """MWh: most it can still do, with what it does in the present slot, less what is left."""
        gain = 1.0 + job.checkpoint_cost_mwh / job.energy_mwh
        present = sum(
            mw / (gain if job.home not in (None, name) else 1.0) for name, mw in self.now_mw(job).items()
        )
        power = present + job.max_mw * self._slots(job)
        return power * float(self.step / _HOUR) - job.left_mwh

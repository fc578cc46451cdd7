"""Job validation: all that is wrong with submitted jobs is said at once, before any is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from math import ceil, floor
from typing import Any

import numpy as np

from eglb.live.storage.job_store import Job, JobStore
from eglb.scenarios.jobs import build_jobs, job_problems

_LONGEST = np.timedelta64(366, "D")
"""Until the deadline: plans reach up to it."""


class JobsRefused(Exception):
    """Jobs that are not taken in, or cannot be withdrawn; `status` is that of HTTP."""

    def __init__(self, problems: Sequence[tuple[int, str]]) -> None:
        self.status = problems[0][0]
        self.problems = [text for _, text in problems]
        super().__init__(self.problems[0] if len(problems) == 1 else f"{len(problems)} problems")


class Intake:
    """Of a service with these regions, where slots begin every `step`, one of them at `next_slot`, which is
    the next.
    """

    def __init__(
        self, regions: tuple[str, ...], now: np.datetime64, next_slot: np.datetime64, step: np.timedelta64
    ) -> None:
        self._regions, self._now, self._next, self._step = regions, now, next_slot, step

    def submit(self, store: JobStore, asked: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
        """Keep jobs that are new; names of these, and of those that were known.

        Parameters
        ----------
        asked : `job`, `energy_mwh`, `deadline_utc`, `max_mw`, `min_mw`, `checkpoint_cost_mwh`, and
            `release_utc`, `regions` and `home_region` or None.

        Raises
        ------
        JobsRefused : something is wrong with one of them; none is kept. StoreError : they cannot be kept.
        """
        known = {job.name: job for job in store.jobs(names=[each["job"] for each in asked])}
        times = Counter(each["job"] for each in asked)
        problems = [(422, f"job {name}: is there {n} times") for name, n in times.items() if n > 1]
        fresh = []
        for each in asked:
            name = each["job"]
            strange = {*(each["regions"] or ()), each["home_region"]} - {None, *self._regions}
            if strange:
                told = ", ".join(f"{region!a}" for region in sorted(strange))
                problems.append((404, f"job {name}: no region is called {told}"))
            job, before = self._job(each), known.get(name)
            if before is None:
                fresh.append(job)
            elif not job.same(
                replace(before, release=job.release) if each["release_utc"] is None else before
            ):
                problems.append((409, f"job {name}: the name belongs to another job, {before.state}"))
        problems += [(422, text) for text in self._problems(fresh)]
        if problems:
            raise JobsRefused(sorted(problems, key=lambda each: each[0]))
        submitted, _ = store.submit(fresh)
        return submitted, [name for name in times if name in known]

    def _job(self, asked: Mapping[str, Any]) -> Job:
        release, regions = asked["release_utc"], asked["regions"]
        return Job(
            name=asked["job"],
            release=self._now if release is None else _second(release, ceil),
            deadline=_second(asked["deadline_utc"], floor),
            regions=tuple(each for each in self._regions if regions is None or each in regions),
            home=asked["home_region"],
            **{name: asked[name] for name in ("energy_mwh", "max_mw", "min_mw", "checkpoint_cost_mwh")},
        )

    def _problems(self, jobs: Sequence[Job]) -> list[str]:
        """What is wrong with new jobs; the slot that runs is over for them."""
        found, looked = [], []
        for job in jobs:
            if job.deadline <= self._now:
                found.append(f"job {job.name}: its deadline {job.deadline}Z has passed")
            elif job.deadline > self._now + _LONGEST:
                found.append(f"job {job.name}: its deadline {job.deadline}Z is more than {_LONGEST} away")
            else:
                looked.append(job)
        if not looked:
            return found
        slots = max(1, ceil((max(job.deadline for job in looked) - self._next) / self._step))
        place = {name: i for i, name in enumerate(self._regions)}
        new = build_jobs(
            [job.name for job in looked],
            np.array([job.energy_mwh for job in looked]),
            np.array([max(job.release, self._next) for job in looked]),
            np.array([job.deadline for job in looked]),
            np.array([job.max_mw for job in looked]),
            # Strange names have been told of: what is left without them stands for any.
            np.array([[not job.regions or each in job.regions for each in self._regions] for job in looked]),
            min_mw=np.array([job.min_mw for job in looked]),
            home=np.array([-1 if job.home is None else place.get(job.home, 0) for job in looked]),
            checkpoint_cost_mwh=np.array([job.checkpoint_cost_mwh for job in looked]),
        )
        times = self._next + self._step * np.arange(slots)
        wrong = job_problems(new, times, float(self._step / np.timedelta64(1, "h")))
        return found + [f"job {new.names[m]}: {text}" for m, text in wrong]


def _second(moment: datetime, rounded: Callable[[float], int]) -> np.datetime64:
    return np.datetime64(rounded(moment.timestamp()), "s")

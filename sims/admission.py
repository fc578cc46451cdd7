"""What became of the jobs of a run hour by hour, recomputed from its plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eglb.sims.jobs import ROUNDING, Jobs
from eglb.sims.scenario import Scenario

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Admission:
    """The jobs of a run: names of those `refused` at their release, and of those `missed`, which were
    admitted and not done in full by their deadline.

    `work` (P, T) MW of load is on the pairs of all jobs, `energy_mwh` the work that was done. `forced` counts
    the slots in which more had to run than the policy wanted.
    """

    jobs: Jobs
    work: Array
    admitted: Array
    refused: tuple[str, ...]
    missed: tuple[str, ...]
    energy_mwh: float
    forced: int

    def to_dict(self) -> dict[str, Any]:
        """The object ``jobs`` of ``eglb simulate --json``."""
        return {
            "admitted": int(self.admitted.sum()),
            "refused": len(self.refused),
            "missed": len(self.missed),
            "energy_mwh": self.energy_mwh,
            "refused_names": list(self.refused),
            "missed_names": list(self.missed),
            "forced_slots": self.forced,
        }

    def admitted_alone(self, scenario: Scenario) -> tuple[Scenario, Array | None]:
        """The scenario with the admitted jobs alone, and their work."""
        if not self.admitted.any():
            return replace(scenario, jobs=None), None
        kept = np.flatnonzero(self.admitted)
        return replace(scenario, jobs=self.jobs.take(kept)), self.work[self.admitted[self.jobs.pair_job]]


def what_became_of(scenario: Scenario, work: Array, admitted: Array, forced: int) -> Admission:
    """The jobs of `scenario` after `work` (P, T) MW of load on their pairs; `admitted` (M,) were."""
    jobs = scenario.jobs
    assert jobs is not None
    first, last = jobs.slots(scenario.times, scenario.slot_hours)
    slot = np.arange(scenario.slots)
    inside = (slot >= first[jobs.pair_job, None]) & (slot < last[jobs.pair_job, None])
    of_pair = np.where(inside, work, 0.0).sum(1) / jobs.pair_gain * scenario.slot_hours
    done = np.bincount(jobs.pair_job, of_pair, len(jobs))
    missed = admitted & (done < jobs.energy_mwh * (1.0 - ROUNDING))
    return Admission(
        jobs=jobs,
        work=work,
        admitted=admitted,
        refused=tuple(jobs.names[m] for m in np.flatnonzero(~admitted)),
        missed=tuple(jobs.names[m] for m in np.flatnonzero(missed)),
        energy_mwh=float(done.sum()),
        forced=forced,
    )

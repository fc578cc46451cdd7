"""What became of the jobs of a run hour by hour, recomputed from its plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.jobs import ROUNDING
from eglb.scenarios.scenario import Scenario

_SHOWN = 5
"""Names of refused or of missed jobs in the table; all are in the JSON."""


@dataclass(frozen=True, eq=False)
class Admission:
    """The jobs of a run: names of those `refused` at their release, and of those `missed`, which were
    admitted and not done in full by their deadline.

    `admitted` counts the others, `energy_mwh` is the work that was done. `forced` counts the slots in which
    more had to run than the policy wanted.
    """

    admitted: int
    refused: tuple[str, ...]
    missed: tuple[str, ...]
    energy_mwh: float
    forced: int

    def __str__(self) -> str:
        parts = [f"{self.admitted} jobs admitted"]
        for what, names in (("refused", self.refused), ("missed", self.missed)):
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            parts.append(f"{len(names)} {what}" + (f": {', '.join(names[:_SHOWN])}{more}" if names else ""))
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """The object ``jobs`` of ``eglb simulate --json``."""
        return {
            "admitted": self.admitted,
            "refused": len(self.refused),
            "missed": len(self.missed),
            "energy_mwh": self.energy_mwh,
            "refused_names": list(self.refused),
            "missed_names": list(self.missed),
            "forced_slots": self.forced,
        }


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
        admitted=int(admitted.sum()),
        refused=tuple(jobs.names[m] for m in np.flatnonzero(~admitted)),
        missed=tuple(jobs.names[m] for m in np.flatnonzero(missed)),
        energy_mwh=float(done.sum()),
        forced=forced,
    )

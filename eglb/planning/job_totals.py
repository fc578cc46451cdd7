"""What became of jobs: how much of their work was moved in time and in space.

Moved in time is the share of all work that runs in another slot than if every job ran at once: at its most
power from its release on, until it is done. Moved in space is the share that runs elsewhere than at home. A
job without a home comes from all gateways in proportion to what they ask for over its window, from each to
the nearest region that it may run in; what is moved is then the least that must have been. Capacity counts in
neither reference, so what had to make way was moved too.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.geography import great_circle_km
from eglb.scenarios.jobs import Jobs
from eglb.scenarios.scenario import Scenario


@dataclass(frozen=True)
class JobMeasures:
    """Work of all jobs: `energy_mwh` that is asked for, `unserved_mwh` that is not done, and the shares of
    what is done that were moved.
    """

    count: int
    energy_mwh: float
    share_of_energy: float
    moved_in_time: float
    moved_in_space: float
    unserved_mwh: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        undone = f"{self.unserved_mwh:,.6g} MWh undone" if self.unserved_mwh > 0.0 else "all done"
        return (
            f"{counted(self.count)}, {self.share_of_energy:.1%} of all energy, {undone}; "
            f"{self.moved_in_time:.1%} moved in time, {self.moved_in_space:.1%} in space"
        )


def counted(count: int) -> str:
    """``1 job``, ``168 jobs``."""
    return f"{count:,} job{'s' * (count != 1)}"


def measure_jobs(scenario: Scenario, work: Array, unmet_mwh: Array | None = None) -> JobMeasures:
    """Measures of the jobs of `scenario` under `work`, (P, T) MW on their pairs; `unmet_mwh` (M,) is
    left out.
    """
    jobs = _jobs(scenario)
    done = work_by_region(scenario, work).sum(axis=1)
    energy = float(jobs.energy_mwh.sum())
    inference = float(scenario.demand.sum()) * scenario.slot_hours
    whole = max(float(done.sum()), 1e-300)
    return JobMeasures(
        count=len(jobs),
        energy_mwh=energy,
        share_of_energy=energy / (energy + inference),
        moved_in_time=float(moved_in_time(scenario, work) @ done) / whole,
        moved_in_space=float(moved_in_space(scenario, work) @ done) / whole,
        unserved_mwh=0.0 if unmet_mwh is None else float(unmet_mwh.sum()),
    )


def moved_in_time(scenario: Scenario, work: Array) -> Array:
    """(M,) share of each job's work that runs in another slot than if it ran at once."""
    power = powers(_jobs(scenario), work)
    return np.asarray(0.5 * np.abs(_shares(power) - _shares(at_once(scenario))).sum(axis=1))


def moved_in_space(scenario: Scenario, work: Array) -> Array:
    """(M,) share of each job's work that runs elsewhere than at home, or where it came from."""
    done = work_by_region(scenario, work)
    return np.asarray(0.5 * np.abs(_shares(done) - origins(scenario)).sum(axis=1))


def at_once(scenario: Scenario) -> Array:
    """(M, T) MW of work if every job ran at its most power from its release on, at its least once it must."""
    jobs = _jobs(scenario)
    power = np.zeros((len(jobs), scenario.slots))
    for m, (first, last) in enumerate(zip(*jobs.slots(scenario.times, scenario.slot_hours), strict=True)):
        spare = jobs.max_mw[m] - jobs.min_mw[m]
        left = jobs.energy_mwh[m] / scenario.slot_hours - jobs.min_mw[m] * (last - first)
        power[m, first:last] = jobs.min_mw[m] + np.clip(left - spare * np.arange(last - first), 0.0, spare)
    return power


def origins(scenario: Scenario) -> Array:
    """(M, N) shares: where each job's work came from."""
    jobs, s = _jobs(scenario), scenario
    distance_km = great_circle_km(
        s.gateway_lat[:, None], s.gateway_lon[:, None], s.region_lat[None], s.region_lon[None]
    )
    origin = np.zeros((len(jobs), len(s.regions)))
    start = np.searchsorted(jobs.pair_job, np.arange(len(jobs) + 1))
    for m, (first, last) in enumerate(zip(*jobs.slots(s.times, s.slot_hours), strict=True)):
        if jobs.home[m] >= 0:
            origin[m, jobs.home[m]] = 1.0
            continue
        allowed = jobs.pair_region[start[m] : start[m + 1]]
        nearest = allowed[distance_km[:, allowed].argmin(axis=1)]
        np.add.at(origin[m], nearest, s.demand[:, first:last].sum(axis=1))
        if not origin[m].any():
            origin[m, nearest] = 1.0
    return _shares(origin)


def powers(jobs: Jobs, work: Array) -> Array:
    """(M, T) MW of work of each job from (P, T) MW of load on the pairs."""
    power = np.zeros((len(jobs), work.shape[1]))
    np.add.at(power, jobs.pair_job, work / jobs.pair_gain[:, None])
    return power


def work_by_region(scenario: Scenario, work: Array) -> Array:
    """(M, N) MWh of work that each job does in each region, from (P, T) MW of load on the pairs."""
    jobs = _jobs(scenario)
    done = np.zeros((len(jobs), len(scenario.regions)))
    done[jobs.pair_job, jobs.pair_region] = work.sum(axis=1) / jobs.pair_gain * scenario.slot_hours
    return done


def _jobs(scenario: Scenario) -> Jobs:
    assert scenario.jobs is not None
    return scenario.jobs


def _shares(amounts: Array) -> Array:
    """Rows that sum to one, or to nothing."""
    total = amounts.sum(axis=1, keepdims=True)
    return np.divide(amounts, total, out=np.zeros_like(amounts), where=total > 0.0)

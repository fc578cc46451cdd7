"""Feasibility of demand and jobs together: which work cannot be done, named before a solve begins."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InfeasibleError
from eglb.scenarios.feasibility import SLOTS_SHOWN, describe_shortages
from eglb.scenarios.jobs import ROUNDING
from eglb.scenarios.scenario import Scenario


def require_feasible(scenario: Scenario) -> None:
    """Pass if every slot has a feasible routing and all work can be done beside it.

    Raises
    ------
    InfeasibleError : names slots, gateways, the regions they reach and the MW short; or jobs and MWh.
    """
    if problems := describe_infeasibility(scenario):
        raise InfeasibleError(problems)


def describe_infeasibility(scenario: Scenario, out: Collection[str] = ()) -> list[str]:
    """What `require_feasible` says, one shortage a line: of demand, else of work; regions that are `out` are
    marked.
    """
    return describe_shortages(scenario, out) or describe_unmet_work(scenario)


def find_unmet_work(scenario: Scenario) -> Array:
    """(M,) MWh of work that cannot be done beside the demand, which can; as little as possible in all, the
    jobs in the order of the scenario. Where moving takes energy it may find too much, never too little.
    """
    # Loaded here, as whoever has no jobs needs no compiled kernels.
    from eglb.planning.partition import partition

    assert scenario.jobs is not None
    parts = partition(scenario)
    _, unmet = parts.market.repair(parts.market.spread(), np.ascontiguousarray(scenario.capacity.T))
    unmet_mwh = parts.expand_unmet_work(unmet)
    assert unmet_mwh is not None
    return np.where(unmet_mwh > ROUNDING * scenario.jobs.energy_mwh, unmet_mwh, 0.0)


def describe_unmet_work(scenario: Scenario) -> list[str]:
    """What `require_feasible` says of jobs, one a line, where demand can be met."""
    jobs = scenario.jobs
    if jobs is None:
        return []
    # As if moving took no energy: exact then, and where it takes some the solver has the last word.
    free = replace(jobs, checkpoint_cost_mwh=np.zeros(len(jobs)))
    unmet = find_unmet_work(replace(scenario, jobs=free))
    if not unmet.any():
        return []
    short = np.flatnonzero(unmet)
    problems = [
        f"{scenario.name}: job {jobs.names[m]}: {unmet[m]:.6g} of its {jobs.energy_mwh[m]:.6g} MWh cannot be "
        f"done between {jobs.release[m]}Z and {jobs.deadline[m]}Z beside demand and the other jobs"
        for m in short[: 2 * SLOTS_SHOWN]
    ]
    if len(problems) < len(short):
        problems.append(f"{scenario.name}: {len(short)} jobs are short of {unmet.sum():.6g} MWh in all")
    return problems

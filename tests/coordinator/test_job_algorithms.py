"""Deferrable jobs beside demand: every algorithm against a general solver, and what plans must not do."""

from __future__ import annotations

import numpy as np
import pytest
from job_mixes import draw_scenario_with_jobs, jobs_of, optimum_with_jobs

import eglb
from eglb.sims.scenario import Scenario
from eglb.sims.solution import Solution

GAPS = {"admm": 1e-4, "dual": 1e-4, "newton": 1e-4, "crossover": 1e-4, "subgradient": 1e-2}


def solve(scenario: Scenario, algorithm: str, **more: object) -> Solution:
    return eglb.solve(scenario, algorithm, gap=GAPS[algorithm], max_rounds=3000, address="inprocess", **more)


def check_work(done: Solution, scenario: Scenario) -> None:
    """All work is done, within windows, regions and powers, and nothing beside it is too much: by loops."""
    jobs, work = jobs_of(scenario), done.work
    assert work is not None and work.shape == (len(jobs.pair_job), scenario.slots)
    size = max(float(scenario.demand.max()), float(jobs.max_mw.max()))
    first, last = jobs.slots(scenario.times, scenario.slot_hours)
    power = np.zeros((len(jobs), scenario.slots))
    for p, (m, i) in enumerate(zip(jobs.pair_job, jobs.pair_region, strict=True)):
        away = jobs.home[m] >= 0 and i != jobs.home[m]
        gain = 1.0 + jobs.checkpoint_cost_mwh[m] / jobs.energy_mwh[m] if away else 1.0
        for t in range(scenario.slots):
            assert work[p, t] >= 0.0
            assert work[p, t] == 0.0 or first[m] <= t < last[m]
            power[m, t] += work[p, t] / gain
    for m in range(len(jobs)):
        inside = power[m, first[m] : last[m]]
        assert inside.sum() * scenario.slot_hours == pytest.approx(jobs.energy_mwh[m], abs=1e-7 * size)
        assert inside.max() <= jobs.max_mw[m] + 1e-7 * size
        assert inside.min() >= jobs.min_mw[m] - 1e-7 * size
    for i in range(len(scenario.regions)):
        load = done.route[scenario.reach_region == i].sum(0) + work[jobs.pair_region == i].sum(0)
        assert (load <= scenario.capacity[i] + 1e-7 * size).all()
    for j in range(len(scenario.gateways)):
        served = done.route[scenario.reach_gateway == j].sum(0)
        np.testing.assert_allclose(served, scenario.demand[j], atol=1e-7 * size)


@pytest.mark.parametrize("algorithm", list(GAPS))
@pytest.mark.parametrize("seed", range(25))
def test_every_algorithm_certifies_the_optimum_and_misses_no_work(seed: int, algorithm: str) -> None:
    s = draw_scenario_with_jobs(seed)
    best, done = optimum_with_jobs(s), solve(s, algorithm)
    size = abs(best) + 1e-6 * float(np.abs(s.price).max()) * float(s.demand.max())
    check_work(done, s)
    assert done.status == "converged" or algorithm == "subgradient"
    assert done.audit.lower_bound <= best + 1e-9 * size
    assert done.audit.objective >= best - 1e-7 * size
    if done.status == "converged":
        assert done.audit.objective <= best + 1.01 * GAPS[algorithm] * size

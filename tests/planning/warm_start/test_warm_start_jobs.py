"""Solves with jobs that start where another one ended: from a solution or a folder, hours that roll on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eglb.planning.audit import violations
from eglb.planning.partition import partition
from eglb.planning.solution import Solution
from eglb.planning.solve import solve
from eglb.planning.storage.folder import write_solution
from eglb.planning.warm_start.align import align, find_source
from eglb.scenarios.catalog import load
from eglb.scenarios.scenario import Scenario
from eglb.sims.sweep.sweep import sweep


@pytest.fixture(scope="module")
def whole() -> Scenario:
    return load("synthetic:6x60,jobs=0.2:8")


@pytest.fixture(scope="module")
def earlier(whole: Scenario) -> Solution:
    return solve(whole.window(0, 48), "newton", address="inprocess")


def test_the_same_problem_starts_at_its_own_plan_and_prices(earlier: Solution, tmp_path: Path) -> None:
    parts = partition(earlier.scenario)
    write_solution(earlier, tmp_path)
    for source in (find_source(earlier, earlier.scenario), find_source(tmp_path, earlier.scenario)):
        warm = align(source, parts)
        work, price = parts.expand_work(warm.route), parts.expand_work_price(warm.demand_price)
        assert earlier.work is not None and work is not None and price is not None
        assert earlier.work_price is not None
        np.testing.assert_allclose(work, earlier.work, atol=1e-9 * earlier.load.max())
        np.testing.assert_allclose(price, earlier.work_price, rtol=1e-12)
        assert violations(earlier.scenario, parts.expand_route(warm.route), work)["jobs"] < 1e-9


@pytest.mark.parametrize("algorithm", ["admm", "dual", "newton", "crossover"])
def test_hours_that_roll_on(whole: Scenario, earlier: Solution, algorithm: str) -> None:
    later = whole.window(2, 48)
    cold = solve(later, algorithm, address="inprocess")
    warm = solve(later, algorithm, address="inprocess", warm_start=earlier)
    assert warm.converged and max(warm.audit.violations.values()) < 1e-9 * whole.demand.max()
    assert warm.rounds < cold.rounds


def test_jobs_and_none_start_from_each_other(whole: Scenario, earlier: Solution) -> None:
    plain = load("synthetic:6x60").window(0, 48)
    without = solve(plain, "admm", address="inprocess", warm_start=earlier)
    assert without.converged and without.work is None
    assert solve(earlier.scenario, "admm", address="inprocess", warm_start=without).converged


def test_a_sweep_of_weights_has_jobs(earlier: Solution) -> None:
    found = sweep(earlier.scenario, factors=(0.0, 1.0), gap=1e-3)
    assert [point.solution.status for point in found.points] == ["converged"] * 2
    costs = [point.solution.audit.energy_cost_usd for point in found.points]
    assert costs[0] < costs[1]
    assert all(point.solution.work is not None for point in found.points)

"""The interior-point method end to end: with sparse slots, and started where an earlier solve ended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import eglb
from eglb.coordinator import newton
from eglb.coordinator.algorithm import WarmStart
from eglb.coordinator.fleet import Fleet, group_regions, seat
from eglb.coordinator.run import Outcome, run
from eglb.coordinator.transport import InProcess
from eglb.sims.partition import partition
from eglb.sims.scenario import Scenario
from eglb.sims.solution import Solution


def solve(scenario: Scenario, gap: float, earlier: Solution | None = None) -> Solution:
    return eglb.solve(scenario, "newton", gap=gap, max_rounds=60, address="inprocess", warm_start=earlier)


@pytest.mark.parametrize("seed", range(12))
def test_sparse_slots_reach_the_optimum_of_random_fleets(
    seed: int,
    draw: Callable[[int], Scenario],
    solve_exactly: Callable[[Scenario], float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(newton, "_FEW_GATEWAYS", 0)
    scenario = draw(seed)
    solution = solve(scenario, 1e-6)
    assert solution.status == "converged"
    optimum = solve_exactly(scenario)
    slack = 1e-9 * abs(optimum) + 1e-9
    assert solution.audit.lower_bound <= optimum + slack
    assert optimum - slack <= solution.audit.objective <= optimum + 2e-6 * abs(optimum) + slack


def test_sparse_and_dense_slots_take_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = eglb.load("synthetic:30x24")
    gaps = {}
    for few in (0, 1000):
        monkeypatch.setattr(newton, "_FEW_GATEWAYS", few)
        solution = solve(scenario, 1e-6)
        assert solution.status == "converged"
        gaps[few] = [record.gap for record in solution.trace]
    # The sparse way solves for the equity prices only as exactly as is of use.
    assert len(gaps[0]) == pytest.approx(len(gaps[1000]), abs=1)
    np.testing.assert_allclose(gaps[0][2:6], gaps[1000][2:6], rtol=0.02)


@pytest.mark.parametrize("regions", [8, 30])
def test_a_window_that_rolls_on_takes_two_or_three_rounds(regions: int) -> None:
    scenario = eglb.load(f"synthetic:{regions}x73")
    earlier = solve(scenario.window(0, 72), 1e-4)
    cold, warm = solve(scenario.window(1, 72), 1e-4), solve(scenario.window(1, 72), 1e-4, earlier)
    assert cold.status == warm.status == "converged"
    assert warm.rounds <= 3 < 2 * warm.rounds < cold.rounds
    finer = solve(scenario.window(1, 72), 1e-6, earlier)
    assert finer.status == "converged"
    assert finer.rounds < solve(scenario.window(1, 72), 1e-6).rounds


def test_a_misleading_start_is_forgotten() -> None:
    """Random routes, prices of nothing: the bound is the agents' own and the run still converges."""
    scenario = eglb.load("synthetic:10x24")
    parts = partition(scenario)
    market = parts.market
    random = np.random.default_rng(0)
    warm = WarmStart(
        route=random.random((market.slots, len(market.edge_region))),
        demand_price=1e4 * random.normal(size=market.demand.shape),
        equity_price=random.random((market.regions, market.kinds)),
        known=random.random(market.slots) < 0.5,
        equity_prices=np.zeros((0, market.regions, market.kinds)),
    )
    hosts = group_regions(parts.region, market.regions)
    method = newton.Newton(market, 1e-5, warm)
    assert run(method, Fleet(InProcess(hosts), seat(market, hosts)), max_rounds=60) is Outcome.CONVERGED
    expected = solve(scenario, 1e-6).audit
    assert method.incumbent.bound <= expected.objective * (1.0 + 1e-9)
    assert method.incumbent.objective == pytest.approx(expected.objective, rel=2e-5)

"""The interior-point method end to end: with sparse slots, and started where an earlier solve ended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import eglb
from eglb.agents.barrier import BarrierModel, BarrierStep
from eglb.coordinator.algorithms import newton
from eglb.coordinator.algorithms.admm import Admm
from eglb.coordinator.algorithms.algorithm import Finished, WarmStart
from eglb.coordinator.algorithms.crossover import Crossover
from eglb.coordinator.exchange import Broadcast, Round
from eglb.coordinator.fleet.fleet import Fleet, group_regions, host_slices
from eglb.coordinator.fleet.transport import InProcess
from eglb.coordinator.run import Outcome, run
from eglb.planning.partition import partition
from eglb.planning.solution import Solution
from eglb.scenarios.job_mix import with_jobs
from eglb.scenarios.scenario import Scenario


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


def test_steps_with_jobs_keep_to_capacities_and_take_fewer_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = with_jobs(eglb.load("synthetic:24x96,util=0.2,reach=24"), 0.2, 48)
    above = 0.0
    announce = newton.Newton._step

    def watched(self: newton.Newton, load: np.ndarray, *more: np.ndarray, near: bool = False) -> BarrierStep:
        nonlocal above
        step = announce(self, load, *more, near=near)
        above += float(np.maximum(step.load - scenario.capacity, 0.0).sum())
        return step

    monkeypatch.setattr(newton.Newton, "_step", watched)
    known = solve(scenario, 1e-4)
    above_known, above = above, 0.0
    monkeypatch.setattr(newton, "_CORRECTIONS", 0)
    unknown = solve(scenario, 1e-4)
    assert known.status == unknown.status == "converged"
    assert above_known < 0.5 * above and known.rounds < unknown.rounds


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
    assert (
        run(method, Fleet(InProcess(hosts), host_slices(market, hosts)), max_rounds=60) is Outcome.CONVERGED
    )
    expected = solve(scenario, 1e-6).audit
    assert method.incumbent.bound <= expected.objective * (1.0 + 1e-9)
    assert method.incumbent.objective == pytest.approx(expected.objective, rel=2e-5)


@pytest.mark.parametrize(
    ("name", "mix"),
    [
        ("synthetic:6x24,reach=3", None),
        ("synthetic:4x24", None),
        ("synthetic:4x24", (0.2, 6)),
        ("synthetic:4x24", (0.4, 24)),
    ],
)
def test_barriers_out_of_the_range_of_numbers_lose_no_region(
    name: str, mix: tuple[float, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Driven on after it has stalled, until rounding errors are all there is: ADMM takes over."""
    monkeypatch.setattr(newton, "_PATIENCE", 10**6)
    monkeypatch.setattr(newton, "_LOST", np.inf)
    scenario = eglb.load(name) if mix is None else with_jobs(eglb.load(name), *mix)
    parts = partition(scenario)
    hosts = group_regions(parts.region, 2)
    fleet = Fleet(InProcess(hosts), host_slices(parts.market, hosts))
    sound, taken_over = [], []

    class Driven(newton.Newton):
        def step(self, heard: Round) -> Broadcast | Finished:
            if isinstance(model := heard.replies[0], BarrierModel):
                sound.append(bool(model.sound.all()))
            return super().step(heard)

    class Next(Admm):
        def start(self) -> Broadcast:
            taken_over.append((self.incumbent.objective, self.incumbent.bound))
            return super().start()

    method = Crossover(parts.market, 0.0, first=Driven, second=Next)
    assert run(method, fleet, max_rounds=160) is Outcome.ROUND_LIMIT
    assert sound == [True] * (len(sound) - 1) + [False]
    assert not fleet.membership.events and not fleet.membership.rejected
    objective, bound = taken_over[0]
    assert 0.0 <= objective - bound <= 1e-7 * abs(objective)
    assert method.incumbent.objective <= objective and method.incumbent.bound >= bound
    best = eglb.solve(scenario, "central").audit.objective
    assert bound <= best * (1.0 + 1e-9) and objective >= best * (1.0 - 1e-9)

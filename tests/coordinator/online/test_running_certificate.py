"""The running certificate never claims more than the best plan of the slots so far, at any slot of any
run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.online_instances import draw_hours, objective_so_far

import eglb
from eglb.scenarios.scenario import Scenario
from eglb.sims.replay.simulation import simulate


@pytest.mark.parametrize("seed", range(40))
def test_bound_optimum_objective_at_every_slot(seed: int, solve_exactly: Callable[[Scenario], float]) -> None:
    scenario = draw_hours(seed, slots=10, negative=seed % 3 == 0)
    policy = ("soft", "eg", "cost", "nearest", "dmd", "adahedge")[seed % 6]
    run = simulate(scenario, policy, offline=False)
    spent = objective_so_far(scenario, run.load)
    for t, record in enumerate(run.trace):
        best = solve_exactly(scenario.window(0, t + 1))
        size = 1e-7 * (1.0 + abs(best))
        assert record.objective is not None
        assert record.lower_bound is not None
        assert record.objective == pytest.approx(spent[t], rel=1e-9, abs=1e-9)
        assert record.lower_bound <= best + size
        assert best <= record.objective + size


@pytest.mark.parametrize("seed", range(6))
def test_periods_add_up(seed: int, solve_exactly: Callable[[Scenario], float]) -> None:
    scenario = draw_hours(seed, slots=9)
    run = simulate(scenario, "eg", period="4", offline=False)
    for t, record in enumerate(run.trace):
        best = sum(solve_exactly(scenario.window(a, min(t + 1 - a, 4))) for a in (0, 4, 8) if a <= t)
        assert record.lower_bound is not None
        assert record.lower_bound <= best * (1 + 1e-7)
    assert run.trace[-1].objective == pytest.approx(run.objective, rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_wrong_estimates_do_not_touch_it(seed: int, solve_exactly: Callable[[Scenario], float]) -> None:
    """It is computed from metered values, whatever the policy was told and however late."""
    scenario = draw_hours(seed, slots=8)
    run = simulate(scenario, "soft", estimates="iid:sd=0.5", feedback="metered", meter_delay=3, offline=False)
    assert run.trace[-1].objective == pytest.approx(run.objective, rel=1e-9)
    for t, record in enumerate(run.trace):
        assert record.lower_bound is not None
        assert record.lower_bound <= solve_exactly(scenario.window(0, t + 1)) * (1 + 1e-7)


@pytest.mark.parametrize("policy", ["soft", "eg"])
def test_it_is_tight_at_the_end(policy: str) -> None:
    run = simulate(eglb.load("world10").window(0, 168), policy)
    assert run.running_gap is not None
    assert run.gap_to_offline is not None
    assert run.running_gap - run.gap_to_offline / (1 + run.gap_to_offline) <= 0.002


@pytest.mark.parametrize(
    "name", ["paper10", "paper10-partial", "world16@2023-02-01/7d,regions=14,reach=near"]
)
def test_it_is_tight_on_measured_fleets(name: str, data_directory: Path) -> None:
    run = simulate(eglb.load(name, data=data_directory), "eg")
    assert run.running_gap is not None
    assert run.gap_to_offline is not None
    assert run.running_gap - run.gap_to_offline / (1 + run.gap_to_offline) <= 0.002


def test_without_footprints_the_cheapest_plan_is_certified() -> None:
    scenario = draw_hours(3, slots=6)
    run = simulate(scenario.with_weights({kind.name: 0.0 for kind in scenario.footprints}), "cost")
    assert run.running_gap == pytest.approx(0.0, abs=1e-12)
    assert np.isclose(run.objective, run.energy_cost_usd)

"""A simulation's numbers, recomputed from the raw scenario; and what its options change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.online_instances import draw_hours, objective_so_far

import eglb
from eglb.agents.forecasting import Persistence
from eglb.coordinator.online.policies import ExponentiatedGradient
from eglb.foundation.errors import InputError
from eglb.planning.audit import plan_objective, region_load
from eglb.planning.central.central import solve_central
from eglb.scenarios.scenario import Scenario
from eglb.sims.replay.series import accounting_periods
from eglb.sims.replay.simulation import simulate


def optimum(scenario: Scenario) -> float:
    """USD, by the central solver."""
    return plan_objective(scenario, region_load(scenario, solve_central(scenario).route))


@pytest.mark.parametrize("seed", range(8))
def test_the_objective_and_its_gap(seed: int) -> None:
    scenario = draw_hours(seed, slots=12)
    run = simulate(scenario, "soft")
    best = optimum(scenario)
    assert run.objective == pytest.approx(objective_so_far(scenario, run.load)[-1], rel=1e-12)
    assert run.offline_lower_bound is not None
    assert run.gap_to_offline is not None
    assert best * (1 - 2e-6) <= run.offline_lower_bound <= best * (1 + 1e-8)
    assert run.gap_to_offline == pytest.approx(run.objective / run.offline_lower_bound - 1)
    assert max(run.violations.values()) <= 1e-9 * scenario.demand.max()


@pytest.mark.parametrize("seed", range(12))
def test_mpc_that_knows_everything_is_optimal(seed: int) -> None:
    scenario = draw_hours(seed, slots=12, negative=seed % 2 == 0)
    run = simulate(scenario, "mpc", forecast="perfect", certify=False, offline=False)
    best = optimum(scenario)
    assert run.objective <= best + 1e-4 * abs(best)


@pytest.mark.parametrize("name", ["paper10", "paper10-partial"])
def test_published_case(name: str, data_directory: Path) -> None:
    fleet = eglb.load(name, data=data_directory)
    limit = {"soft": 0.018 if name == "paper10" else 0.0155, "eg": 0.0185, "dmd": 0.0285, "adahedge": 0.031}
    for policy, most in limit.items():
        run = simulate(fleet, policy, certify=False)
        assert run.gap_to_offline is not None
        assert run.gap_to_offline <= most, policy
    run = simulate(fleet, "mpc", forecast="perfect", certify=False)
    assert run.gap_to_offline is not None
    assert run.gap_to_offline <= 1e-4


def test_periods() -> None:
    scenario = draw_hours(4, slots=80)  # from 29 January 2024: the month ends after 72 hours
    assert accounting_periods(scenario, "month") == [(0, 71), (72, 79)]
    assert accounting_periods(scenario, "30") == [(0, 29), (30, 59), (60, 79)]
    assert accounting_periods(scenario, "whole") == [(0, 79)]
    run = simulate(scenario, "eg", period="month")
    parts = [plan_objective(scenario.window(a, n), run.load[:, a : a + n]) for a, n in ((0, 72), (72, 8))]
    assert run.objective == pytest.approx(sum(parts), rel=1e-12)
    assert run.gap_to_offline is not None
    assert run.gap_to_offline >= -1e-6
    with pytest.raises(InputError, match="'week' is none of whole, month and a number"):
        simulate(scenario, "eg", period="week")


def test_footprints_balance_over_the_declared_period() -> None:
    """Whoever takes the period for much longer than it is stays unbalanced in the end."""
    fleet = eglb.load("world10").window(0, 120)
    right, wrong = (
        simulate(fleet, "soft", declared_slots=slots, certify=False, offline=False).objective
        for slots in (None, 1200)
    )
    assert wrong > right * 1.005


@pytest.mark.parametrize("policy", ["soft", "eg", "mpc"])
def test_exact_estimates_need_no_feedback(policy: str) -> None:
    scenario = draw_hours(9, slots=12)
    runs = [
        simulate(scenario, policy, feedback=feedback, meter_delay=delay, certify=False, offline=False).load
        for feedback, delay in (("open", 1), ("metered", 1), ("calibrated", 1), ("calibrated", 5))
    ]
    for run in runs[1:3]:
        np.testing.assert_allclose(run, runs[0], atol=1e-9)
    if policy != "eg":  # it learns the largest footprint from meters
        np.testing.assert_allclose(runs[3], runs[0], atol=1e-9)


def test_meters_mend_a_bias_and_calibration_does_it_better() -> None:
    fleet = eglb.load("world10")
    gaps = {
        feedback: simulate(
            fleet, "soft", estimates="bias:sd=0.2", feedback=feedback, certify=False
        ).gap_to_offline
        for feedback in ("open", "metered", "calibrated")
    }
    exact = simulate(fleet, "soft", certify=False).gap_to_offline
    assert gaps["open"] is not None
    assert gaps["metered"] is not None
    assert gaps["calibrated"] is not None
    assert exact is not None
    assert gaps["calibrated"] <= exact + 0.001
    assert gaps["calibrated"] < gaps["metered"] < gaps["open"]


def test_late_meters_lose_little_when_estimates_are_good() -> None:
    fleet = eglb.load("world10").window(0, 168)
    soon, late = (
        simulate(fleet, "soft", estimates="iid:sd=0.1", meter_delay=delay, certify=False).gap_to_offline
        for delay in (1, 24)
    )
    assert soon is not None
    assert late is not None
    assert late <= soon + 0.01


def test_where_agents_run_changes_nothing() -> None:
    scenario = draw_hours(13, slots=12)
    together = simulate(scenario, "soft", forecast="yesterday", estimates="iid:sd=0.2")
    alone = simulate(scenario, "soft", forecast="yesterday", estimates="iid:sd=0.2", regions_per_actor=1)
    np.testing.assert_array_equal(together.route, alone.route)
    assert together.trace[-1].lower_bound == alone.trace[-1].lower_bound
    assert alone.actors == len(scenario.regions)


def test_history_is_joined_and_checked() -> None:
    whole = draw_hours(21, slots=60)
    run = simulate(whole.window(48, 12), "soft", history=whole.window(0, 48), certify=False, offline=False)
    assert run.history_slots == 48
    assert run.load.shape[1] == 12
    with pytest.raises(InputError, match=r"history: .* ends at"):
        simulate(whole.window(48, 12), "soft", history=whole.window(0, 40))
    with pytest.raises(InputError, match=r"history: .* has other regions"):
        simulate(whole.window(48, 12), "soft", history=draw_hours(23, slots=48))


def test_a_policy_and_a_forecaster_of_ones_own_are_as_good_as_names() -> None:
    scenario = draw_hours(5, slots=8)
    own, forecaster = ExponentiatedGradient(), Persistence()
    named = simulate(scenario, "eg", forecast="yesterday", offline=False)
    for _ in range(2):  # a copy decides: the object is as fresh the second time
        run = simulate(scenario, own, forecast=forecaster, offline=False)
        assert np.array_equal(run.route, named.route)
        assert (run.policy, run.forecast) == ("ExponentiatedGradient", "Persistence")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "softly"}, "did you mean soft"),
        ({"policy": 3}, "neither a name nor an eglb.Policy"),
        ({"forecast": 3}, "neither a name nor an eglb.Forecaster"),
        ({"forecast": "weather"}, "forecast 'weather' is not known"),
        ({"forecast": "noisy:sd=two"}, "sd: 'two' is not a number"),
        ({"forecast": "file"}, "path is missing"),
        ({"forecast": "no.such.Thing"}, "No module named 'no'"),
        ({"forecast": "numpy.array"}, "is no eglb.agents.forecasting.Forecaster"),
        ({"estimates": "wild"}, "estimates 'wild' is not known"),
        ({"feedback": "loud"}, "feedback 'loud' is none of calibrated, metered, open"),
        ({"meter_delay": 0}, "meter_delay must be at least 1"),
        ({"address": "nowhere"}, "address 'nowhere' is none of"),
    ],
)
def test_mistakes(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        simulate(draw_hours(0, slots=4), **options)  # type: ignore[arg-type]

"""The promise of `guard`, on random fleets and whatever advice: recomputed from raw data, slot by slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from support.nightly import rest_long
from support.online_instances import draw_hours, objective_so_far

from eglb.agents.forecasting import Forecaster, Outlook, Past
from eglb.foundation.arrays import Array
from eglb.planning.online.forecasts import Forecast, parse_forecast
from eglb.scenarios.scenario import Scenario
from eglb.sims.replay.simulation import Simulation, simulate


@dataclass(frozen=True)
class Garbage(Forecaster):
    """Numbers that have nothing to do with anything, of any size."""

    seed: int
    hours: float = np.inf

    def predict(self, past: Past, slots: int) -> Array:
        random = np.random.default_rng(self.seed)
        size = np.abs(past.values).mean() + 1e-9
        values = size * 10.0 ** random.uniform(-2, 2) * random.random((len(past.names), slots))
        # Demand that the fleet cannot serve has no plan to advise.
        return np.minimum(values, past.values.min(1, keepdims=True)) if past.quantity == "demand" else values


def run(scenario: Scenario, policy: str, forecast: str | Forecast = "none", **others: object) -> Simulation:
    return simulate(scenario, policy, forecast=forecast, certify=False, offline=False, **others)  # type: ignore[arg-type]


def advice_of(seed: int) -> str | Forecast:
    kinds: list[str | Forecast] = [
        "none",
        "perfect",
        "reversed",
        f"permuted:seed={seed}",
        "noisy:sd=2,hours=100",
        Forecast(Garbage(seed)),
    ]
    return kinds[seed % len(kinds)]


@pytest.mark.parametrize("batch", rest_long(range(20), always=4))
def test_never_more_than_allowed_above_the_robust_policy(batch: int) -> None:
    """1,000 fleets, 200 of them always, prices of at least zero: J <= (1 + eps) J_B after every slot."""
    for seed in range(50 * batch, 50 * batch + 50):
        scenario = draw_hours(seed, slots=8)
        eps = (0.0, 0.02, 0.05, 0.3)[seed % 4]
        advice = ("soft:steps=4", "mpc", "cost")[seed % 3].partition(":")[0]
        guarded = objective_so_far(
            scenario, run(scenario, f"guard:eps={eps},advice={advice}", advice_of(seed)).load
        )
        robust = objective_so_far(scenario, run(scenario, "eg").load)
        assert (guarded <= (1 + eps) * robust * (1 + 1e-9)).all(), seed


@pytest.mark.parametrize("batch", range(4))
def test_with_negative_prices_the_budget_is_of_what_was_largest(batch: int) -> None:
    for seed in range(40 * batch, 40 * batch + 40):
        scenario = draw_hours(seed, slots=8, negative=True)
        guarded = objective_so_far(
            scenario, run(scenario, "guard:eps=0.05,advice=cost", advice_of(seed)).load
        )
        robust = objective_so_far(scenario, run(scenario, "eg").load)
        allowed = robust + 0.05 * np.maximum(np.maximum.accumulate(robust), 0.0)
        assert (guarded <= allowed + 1e-9 * np.abs(robust).max()).all(), seed


def test_it_is_no_empty_promise() -> None:
    """Unguarded, the same advice breaks the limit; guarded, it is used as far as the limit lets it."""
    broken = tight = 0
    for seed in range(40):
        scenario = draw_hours(seed, slots=8)
        robust = objective_so_far(scenario, run(scenario, "eg").load)
        advised = objective_so_far(scenario, run(scenario, "cost").load)
        guarded = objective_so_far(scenario, run(scenario, "guard:eps=0.05,advice=cost").load)
        broken += bool((advised > 1.05 * robust * (1 + 1e-9)).any())
        tight += bool((guarded > 1.0499 * robust).any())
    assert broken >= 10
    assert tight >= 5


@pytest.mark.parametrize("seed", range(6))
def test_a_large_budget_is_the_advice_and_none_is_the_robust_policy_or_better(seed: int) -> None:
    scenario = draw_hours(seed, slots=10)
    np.testing.assert_array_equal(run(scenario, "guard:eps=1e9,advice=soft").load, run(scenario, "soft").load)
    none = objective_so_far(scenario, run(scenario, "guard:eps=0,advice=soft").load)
    assert (none <= objective_so_far(scenario, run(scenario, "eg").load) * (1 + 1e-9)).all()


@pytest.mark.parametrize("seed", range(10))
def test_with_wrong_estimates_it_holds_for_what_is_accounted(seed: int) -> None:
    """Meters never read: both accounts are of estimates, and the limit holds for the estimated footprints."""
    from dataclasses import replace

    from eglb.sims.replay.estimate_errors import distort, parse_estimate_error

    scenario = draw_hours(seed, slots=8)
    how = {"estimates": "bias:sd=0.4", "feedback": "open"}
    error = parse_estimate_error(how["estimates"])
    intensity = np.stack([k.intensity for k in scenario.footprints], axis=1)
    wrong = distort(intensity, scenario.regions, error)
    believed = replace(
        scenario,
        footprints=tuple(replace(k, intensity=wrong[:, i]) for i, k in enumerate(scenario.footprints)),
    )
    guarded = objective_so_far(believed, run(scenario, "guard:advice=cost", **how).load)
    robust = objective_so_far(believed, run(scenario, "eg", **how).load)
    assert (guarded <= 1.05 * robust * (1 + 1e-9)).all()


def test_outlook_is_what_the_forecast_says() -> None:
    assert isinstance(parse_forecast("reversed").forecaster, Outlook)

"""Equity shapes beside the maximum: every solver against optima built backwards, and the certificate."""

from __future__ import annotations

import numpy as np
import pytest
from support.known_answers import TINY, KnownAnswer, build_backwards

from eglb.foundation.arrays import Array
from eglb.foundation.equity_shape import EquityShape
from eglb.foundation.errors import InputError
from eglb.planning.audit import audit, lower_bound, plan_objective, region_load
from eglb.planning.central.central import solve_central
from eglb.planning.solve import ALGORITHMS, solve
from eglb.scenarios.catalog import load
from eglb.scenarios.scenario import Scenario
from eglb.sims.replay.simulation import simulate

SHAPES = ["worst:2", "worst:4", "worst:99", "lq:2", "lq:4", "lq:8"]
DECENTRALISED = [name for name in ALGORITHMS if name not in ("central", "subgradient")]


def objective_as_stated(scenario: Scenario, load_mw: Array) -> float:
    """Energy cost and equity terms in loops over the raw scenario."""
    value = 0.0
    for i in range(len(scenario.regions)):
        for t in range(scenario.slots):
            value += scenario.price[i, t] * scenario.pue[i] * scenario.slot_hours * load_mw[i, t]
    for kind in scenario.footprints:
        totals = []
        for i in range(len(scenario.regions)):
            per = 1.0 if kind.per == "it" else scenario.pue[i]
            hours = sum(kind.intensity[i, t] * load_mw[i, t] for t in range(scenario.slots))
            totals.append(kind.region_weight[i] * per * scenario.slot_hours * hours)
        if kind.shape.family == "lq":
            shaped = sum(f**kind.shape.parameter for f in totals) ** (1 / kind.shape.parameter)
        else:
            count = min(kind.shape.parameter, len(totals))
            shaped = sum(sorted(totals)[-count:]) / count
        value += kind.weight * shaped
    return value


@pytest.mark.parametrize("shape", ["max", "worst:1", *SHAPES])
@pytest.mark.parametrize("seed", range(6))
def test_the_audit_prices_the_shape_and_its_bound_meets_a_known_optimum(shape: str, seed: int) -> None:
    scale = (1e-6, 1.0, 1e9)[seed % 3]
    (scenario, optimum), known = build_backwards(seed, demand_scale=scale, shape=shape)
    done = audit(scenario, known.route, known.demand_price, known.equity_price)
    size = max(abs(optimum), float(np.abs(known.demand_price * scenario.demand).sum()))
    assert done.objective == pytest.approx(optimum, abs=1e-9 * size)
    assert done.lower_bound == pytest.approx(optimum, abs=1e-9 * size)
    load_mw = region_load(scenario, known.route)
    assert plan_objective(scenario, load_mw) == pytest.approx(
        objective_as_stated(scenario, load_mw), rel=1e-9, abs=1e-9 * size
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_no_prices_whatever_prove_more_than_the_optimum(shape: str) -> None:
    for seed in range(40):
        (scenario, optimum), known = build_backwards(seed, shape=shape)
        random = np.random.default_rng(seed)
        demand_price = known.demand_price * random.uniform(0.9, 1.1, known.demand_price.shape)
        equity_price = 10.0 ** random.uniform(-3, 3) * random.normal(0.5, 1.0, known.equity_price.shape)
        size = float(np.abs(known.demand_price * scenario.demand).sum())
        for prices in ((known.demand_price, equity_price), (demand_price, known.equity_price)):
            assert lower_bound(scenario, *prices) <= optimum + 1e-9 * size


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(6))
def test_the_central_solver_finds_known_optima(shape: str, seed: int) -> None:
    (scenario, optimum), _ = build_backwards(seed, kinds=seed % 3, shape=shape)
    found = solve_central(scenario)
    done = audit(scenario, found.route, found.demand_price, found.equity_price)
    size = max(abs(optimum), float(np.abs(found.demand_price * scenario.demand).sum()))
    assert found.status == "optimal"
    assert optimum - 1e-11 * size <= done.objective <= optimum + 1e-6 * size
    assert optimum - 1e-6 * size <= done.lower_bound <= optimum + 1e-11 * size


@pytest.mark.parametrize("algorithm", DECENTRALISED)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_algorithm_certifies_known_optima(algorithm: str, shape: str) -> None:
    for seed in range(6):
        (scenario, optimum), _ = build_backwards(seed, kinds=2, shape=shape)
        done = solve(scenario, algorithm, gap=1e-3, max_rounds=600, address="inprocess")
        size = max(abs(optimum), float(np.abs(done.demand_price * scenario.demand).sum()))
        assert done.audit.lower_bound <= optimum + 1e-9 * size
        assert optimum - 1e-9 * size <= done.audit.objective
        assert max(done.audit.violations.values()) <= 1e-9 * float(scenario.demand.max())
        assert done.status == "converged", (seed, done.audit.gap)
        assert done.audit.gap <= 1e-3


@pytest.mark.parametrize("algorithm", ["admm", "dual", "newton"])
@pytest.mark.parametrize("case", TINY, ids=lambda case: case.__name__)
def test_tiny_fleets_under_other_shapes(algorithm: str, case: type[KnownAnswer]) -> None:
    for shape in ("worst:2", "lq:4"):
        scenario = case()[0].with_shape(EquityShape.parse(shape))
        found = solve_central(scenario)
        best = audit(scenario, found.route, found.demand_price, found.equity_price).objective
        done = solve(scenario, algorithm, gap=1e-4, max_rounds=600, address="inprocess")
        assert done.status == "converged"
        assert done.audit.objective == pytest.approx(best, rel=2e-4, abs=1e-9)


def test_the_subgradient_method_comes_near_under_any_shape() -> None:
    fleet = load("synthetic:6x12,seed=4,reach=3")
    for shape in SHAPES:
        done = solve(fleet.with_shape(EquityShape.parse(shape)), "subgradient", gap=1e-2, address="inprocess")
        assert done.status == "converged" and done.audit.gap <= 1e-2


def test_shapes_lie_between_the_mean_and_the_maximum() -> None:
    """At the same plan: mean <= mean of the worst m <= max <= L_Q, falling with Q."""
    fleet = load("synthetic:6x12,seed=4,reach=3")
    load_mw = region_load(fleet, solve_central(fleet).route)
    value = {
        shape: plan_objective(fleet.with_shape(EquityShape.parse(shape)), load_mw)
        for shape in ("worst:6", "worst:3", "worst:1", "max", "lq:8", "lq:4", "lq:2")
    }
    ordered = list(value.values())
    assert ordered == sorted(ordered) and value["worst:1"] == value["max"] and len(set(ordered)) == 6


@pytest.mark.parametrize("algorithm", ["admm", "dual", "newton"])
def test_a_warm_start_may_come_from_another_shape(algorithm: str) -> None:
    fleet = load("synthetic:6x12,seed=4,reach=3")
    first = solve(fleet, algorithm, address="inprocess")
    other = fleet.with_shape(EquityShape.parse("worst:3"))
    warm = solve(other, algorithm, warm_start=first, address="inprocess")
    again = solve(other, algorithm, warm_start=warm, address="inprocess")
    assert warm.converged and again.converged
    assert again.rounds <= solve(other, algorithm, address="inprocess").rounds


def test_kinds_may_have_different_shapes() -> None:
    (scenario, _), _ = build_backwards(5, kinds=3)
    from dataclasses import replace

    shapes = ("max", "lq:2", "worst:2")
    kinds = [
        replace(k, weight=10.0, shape=EquityShape.parse(s))
        for k, s in zip(scenario.footprints, shapes, strict=True)
    ]
    mixed = replace(scenario, footprints=tuple(kinds))
    best = solve(mixed, "central").audit.objective
    for algorithm in ("admm", "dual", "newton"):
        done = solve(mixed, algorithm, gap=1e-4, max_rounds=800, address="inprocess")
        assert done.converged and done.audit.objective == pytest.approx(best, rel=2e-4)


def test_online_policies_say_that_they_know_the_maximum_only() -> None:
    fleet = load("synthetic:4x6").with_shape(EquityShape.parse("lq:4"))
    with pytest.raises(InputError, match=r"water.*lq:4"):
        simulate(fleet, "soft")

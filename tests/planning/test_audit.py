"""The audit against three plain loops, against linear programs, and against optima known from elsewhere."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from support.known_answers import TINY, KnownAnswer, build_backwards, make_kind, make_scenario

from eglb.foundation.arrays import Array
from eglb.planning import audit as audit_module
from eglb.planning.audit import audit, footprint_totals, lower_bound, plan_objective, region_load
from eglb.scenarios.scenario import Scenario

SCALES = (1e-6, 1.0, 1e9)


def plain_audit(s: Scenario, route: Array, demand_price: Array, equity_price: Array) -> dict[str, float]:
    """What the audit computes, in loops over regions, gateways and slots."""
    n, j, slots = len(s.regions), len(s.gateways), s.slots
    flow = np.zeros((n, j, slots))
    for e in range(len(s.reach_region)):
        flow[s.reach_region[e], s.reach_gateway[e]] = route[e]
    price = np.zeros((n, slots))
    for i in range(n):
        for t in range(slots):
            price[i, t] = s.price[i, t] * s.pue[i] * s.slot_hours
    energy = sum(price[i, t] * flow[i, g, t] for i in range(n) for g in range(j) for t in range(slots))
    objective, cost = energy, price.copy()
    for k, kind in enumerate(s.footprints):
        worst = 0.0
        mu = np.maximum(equity_price[k], 0.0)
        mu = mu * kind.weight / mu.sum() if mu.sum() > 0 else mu
        for i in range(n):
            total = 0.0
            for t in range(slots):
                a = kind.intensity[i, t] * s.slot_hours * (1.0 if kind.per == "it" else s.pue[i])
                total += a * flow[i, :, t].sum()
                cost[i, t] += mu[i] * kind.region_weight[i] * a
            worst = max(worst, kind.region_weight[i] * total)
        objective += kind.weight * worst
    bound = (demand_price * s.demand).sum()
    reach = {(g, i) for g, i in zip(s.reach_gateway.tolist(), s.reach_region.tolist(), strict=True)}
    for i in range(n):
        for t in range(slots):
            room = s.capacity[i, t]
            gains = sorted((cost[i, t] - demand_price[g, t], g) for g in range(j) if (g, i) in reach)
            for gain, g in gains:
                if gain < 0:
                    taken = min(s.demand[g, t], room)
                    bound += gain * taken
                    room -= taken
    return {
        "objective": objective,
        "lower_bound": bound,
        "energy": energy,
        "demand": float(np.abs(flow.sum(axis=0) - s.demand).max()),
        "capacity": float(np.maximum(flow.sum(axis=1) - s.capacity, 0.0).max()),
        "reach": float(np.maximum(-flow, 0.0).max()),
    }


def random_prices(s: Scenario, seed: int, scale: float = 1.0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    demand_price = random.uniform(-20, 150, s.demand.shape) * scale
    return demand_price, random.normal(1.0, 1.0, (len(s.footprints), len(s.regions))) * scale


@pytest.mark.parametrize("price_scale", SCALES)
@pytest.mark.parametrize("demand_scale", SCALES)
@pytest.mark.parametrize("seed", range(4))
def test_equals_its_plain_twin(seed: int, demand_scale: float, price_scale: float) -> None:
    (s, _), _ = build_backwards(
        seed, kinds=seed % 3, regions=2 + seed, demand_scale=demand_scale, price_scale=price_scale
    )
    random = np.random.default_rng(seed)
    route = random.normal(0.5, 1.0, (len(s.reach_region), s.slots)) * demand_scale
    demand_price, equity_price = random_prices(s, seed, price_scale)
    done = audit(s, route, demand_price, equity_price)
    twin = plain_audit(s, route, demand_price, equity_price)
    money = 1e3 * demand_scale * price_scale
    assert done.objective == pytest.approx(twin["objective"], rel=1e-12, abs=1e-12 * money)
    assert done.lower_bound == pytest.approx(twin["lower_bound"], rel=1e-12, abs=1e-12 * money)
    assert done.energy_cost_usd == pytest.approx(twin["energy"], rel=1e-12, abs=1e-12 * money)
    for name in ("demand", "capacity", "reach"):
        assert done.violations[name] == pytest.approx(twin[name], rel=1e-12, abs=1e-12 * demand_scale)
        assert done.violations[name] > 0
    assert done.gap == (done.objective - done.lower_bound) / abs(done.objective)


def test_bound_does_not_depend_on_how_much_is_worked_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    (s, _), _ = build_backwards(1, regions=7, gateways=6, slots=9)
    prices = random_prices(s, 1)
    whole = lower_bound(s, *prices)
    for cells in (1, 7, 30):
        monkeypatch.setattr(audit_module, "CELLS_AT_ONCE", cells)
        assert lower_bound(s, *prices) == pytest.approx(whole, rel=1e-14)


@pytest.mark.parametrize("seed", range(6))
def test_bound_is_the_minimum_of_the_lagrangian(seed: int) -> None:
    (s, _), _ = build_backwards(seed, regions=4, gateways=5, slots=3)
    demand_price, equity_price = random_prices(s, seed)
    equity_price = np.abs(equity_price)
    for k, kind in enumerate(s.footprints):
        equity_price[k] *= kind.weight / equity_price[k].sum()
    inner = 0.0
    for i in range(len(s.regions)):
        reached = s.reach_gateway[s.reach_region == i]
        if not len(reached):
            continue
        for t in range(s.slots):
            cost = s.price_per_mw_slot()[i, t] + sum(
                equity_price[k, i] * kind.region_weight[i] * s.intensity_per_mw_slot(kind)[i, t]
                for k, kind in enumerate(s.footprints)
            )
            answer = linprog(
                cost - demand_price[reached, t],
                A_ub=np.ones((1, len(reached))),
                b_ub=[s.capacity[i, t]],
                bounds=[(0.0, d) for d in s.demand[reached, t]],
            )
            inner += answer.fun
    bound = lower_bound(s, demand_price, equity_price)
    assert bound == pytest.approx((demand_price * s.demand).sum() + inner, rel=1e-9, abs=1e-6)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kinds=st.integers(0, 3),
    regions=st.integers(1, 6),
    scale=st.sampled_from(SCALES),
    far=st.sampled_from([0.0, 1e-3, 0.3, 10.0]),
)
def test_bound_is_below_the_optimum_and_every_plan_above(
    seed: int, kinds: int, regions: int, scale: float, far: float
) -> None:
    (s, optimum), best = build_backwards(seed, kinds=kinds, regions=regions, price_scale=scale)
    random = np.random.default_rng(seed)
    demand_price = best.demand_price + far * scale * random.normal(size=s.demand.shape) * 30
    equity_price = best.equity_price + far * scale * random.normal(size=best.equity_price.shape) * 10
    weights = random.dirichlet(np.ones(4))
    # Feasible plans: mixtures of the optimum and of plans optimal for other prices.
    route = weights[0] * best.route
    for part, weight in enumerate(weights[1:]):
        route = route + weight * _feasible_route(s, best.route, seed + part)
    done = audit(s, route, demand_price, equity_price)
    money = 1e-11 * max(abs(optimum), scale * float(s.demand.sum()) * 100.0)
    assert max(done.violations.values()) <= 1e-12 * float(s.demand.max())
    assert done.lower_bound <= optimum + money
    assert optimum <= done.objective + money
    if far == 0.0:
        assert done.lower_bound == pytest.approx(optimum, abs=money)


def _feasible_route(s: Scenario, start: Array, seed: int) -> Array:
    """A feasible plan from a feasible one: flows moved to another region where there is room."""
    random = np.random.default_rng(seed)
    route = start.copy()
    for _ in range(20):
        g, t = int(random.integers(len(s.gateways))), int(random.integers(s.slots))
        pairs = np.flatnonzero(s.reach_gateway == g)
        a, b = random.choice(pairs, size=2)
        if a == b:
            continue
        load = route[s.reach_region == s.reach_region[b], t].sum()
        room = max(0.0, s.capacity[s.reach_region[b], t] - load) * (1 - 1e-12)
        moved = min(route[a, t], room) * random.random()
        route[a, t] -= moved
        route[b, t] += moved
    return route


@pytest.mark.parametrize("seed", range(40))
def test_certifies_a_known_optimum(seed: int) -> None:
    (s, optimum), best = build_backwards(seed, kinds=seed % 4)
    done = audit(s, *best)
    assert done.objective == pytest.approx(optimum, rel=1e-12, abs=1e-9)
    assert done.lower_bound == pytest.approx(optimum, rel=1e-12, abs=1e-9)
    assert max(done.violations.values()) < 1e-14


def test_equity_price_is_made_valid_before_use() -> None:
    (s, optimum), best = build_backwards(3)
    assert any(kind.weight > 0 for kind in s.footprints)
    for wrong in (best.equity_price * 1e3, best.equity_price * 1e-300):
        assert lower_bound(s, best.demand_price, wrong) == pytest.approx(optimum, rel=1e-12)
    # Prices whose sum is no number any more, and the smallest there are: only their proportions count.
    even = lower_bound(s, best.demand_price, np.ones_like(best.equity_price))
    for size in (1.7e308, 5e-324):
        assert lower_bound(s, best.demand_price, np.full_like(best.equity_price, size)) == even
    negative = np.where(best.equity_price > 0, best.equity_price, -1e6)
    assert lower_bound(s, best.demand_price, negative) == pytest.approx(optimum, rel=1e-12)
    assert lower_bound(s, best.demand_price, np.full_like(best.equity_price, -1.0)) <= optimum


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", ["route", "demand_price", "equity_price"])
def test_a_number_that_is_not_finite_never_passes(place: str, bad: float) -> None:
    (s, _), best = build_backwards(0)
    array = getattr(best, place).copy()
    array[1, 2] = bad
    with pytest.raises(ValueError, match=rf"{place}\[1, 2\] is -?(nan|inf)"):
        audit(s, *best._replace(**{place: array}))


@pytest.mark.parametrize("place", ["route", "demand_price", "equity_price"])
def test_an_array_of_another_shape_never_passes(place: str) -> None:
    (s, _), best = build_backwards(0)
    with pytest.raises(ValueError, match=f"{place} has shape"):
        audit(s, *best._replace(**{place: getattr(best, place)[:, :-1]}))


def test_totals_are_unweighted_and_the_objective_weighted() -> None:
    kind = make_kind([[2.0], [1.0]], 10.0, name="water", unit="m3", per="it", region_weight=[1.0, 5.0])
    price, capacity = [[10.0], [20.0]], [[9.0], [9.0]]
    s = make_scenario([[4.0]], price, capacity, footprints=[kind], pue=[1.5, 2.0], slot_hours=2)
    load = np.array([[3.0], [1.0]])
    totals = footprint_totals(s, load)["water"]
    assert totals.by_region == {"r0": 12.0, "r1": 2.0}
    assert (totals.total, totals.avg, totals.max, totals.unit) == (14.0, 7.0, 12.0, "m3")
    assert totals.par == 12.0 / 7.0
    assert plan_objective(s, load) == 10 * 1.5 * 2 * 3 + 20 * 2 * 2 * 1 + 10.0 * max(1 * 12.0, 5 * 2.0)
    assert plan_objective(s, np.array([[0.0], [4.0]])) == 20 * 2 * 2 * 4 + 10.0 * 5 * 8.0
    per_facility = dataclasses.replace(s, footprints=(dataclasses.replace(kind, per="facility"),))
    assert footprint_totals(per_facility, load)["water"].by_region == {"r0": 18.0, "r1": 4.0}


def test_no_footprint_has_no_ratio() -> None:
    s = make_scenario([[0.0]], [[1.0]], [[1.0]], footprints=[make_kind([[1.0]], 1.0)])
    totals = footprint_totals(s, np.zeros((1, 1)))["carbon"]
    assert totals.total == 0.0
    assert math.isnan(totals.par)


@pytest.mark.parametrize("case", TINY, ids=lambda case: case.__name__)
def test_no_prices_is_a_valid_bound_and_a_wrong_plan_is_reported(case: type[KnownAnswer]) -> None:
    s, optimum = case()
    nothing = np.zeros((len(s.reach_region), s.slots))
    prices = np.zeros(s.demand.shape), np.zeros((len(s.footprints), len(s.regions)))
    done = audit(s, nothing, *prices)
    assert done.lower_bound <= optimum
    assert done.violations == {"demand": s.demand.max(), "capacity": 0.0, "reach": 0.0}
    over = np.full(nothing.shape, float(s.capacity.max()) + 1.0)
    assert audit(s, over, *prices).violations["capacity"] >= 1.0
    assert audit(s, -over, *prices).violations["reach"] >= 1.0


def test_load_adds_up_by_region() -> None:
    (s, _), best = build_backwards(5)
    load = region_load(s, best.route)
    for i in range(len(s.regions)):
        assert load[i] == pytest.approx(best.route[s.reach_region == i].sum(axis=0))

"""The compiled kernels against general solvers: cheapest clearing, nearest clearing, repair."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array

SCALES = [1e-6, 1.0, 1e9]


def draw_case(seed: int, power: float = 1.0) -> tuple[Market, Array]:
    """A market of one to three slots and what regions offer; some fall short, some are exactly full."""
    random = np.random.default_rng(seed)
    regions, gateways, slots = random.integers(1, 6), random.integers(1, 6), random.integers(1, 4)
    reach = random.random((gateways, regions)) < random.uniform(0.3, 1.0)
    reach[np.arange(gateways), random.integers(regions, size=gateways)] = True
    gateway, region = np.nonzero(reach)
    route = random.exponential(1.0, (slots, len(gateway))) * (random.random((slots, len(gateway))) < 0.7)
    market = Market(np.zeros((slots, gateways)), int(regions), gateway, region, np.zeros(0))
    demand = (route[:, None, :] * (gateway == np.arange(gateways)[:, None])).sum(-1)
    quantity = (route[:, None, :] * (region == np.arange(regions)[:, None])).sum(-1)
    change = random.choice(["full", "slack", "short"], p=[0.35, 0.4, 0.25])
    if change == "slack":
        quantity *= random.uniform(1.0, 3.0, quantity.shape)
    elif change == "short":
        quantity *= random.uniform(0.3, 1.2, quantity.shape)
    market = Market(power * demand, int(regions), gateway, region, np.zeros(0))
    return market, np.ascontiguousarray(power * quantity)


def slot_program(market: Market, t: int, quantity: Array) -> dict[str, Array]:
    """Constraints of one slot in units of its largest demand, for a general linear solver."""
    edges = len(market.edge_region)
    unit = max(market.demand[t].max(), 1e-300)
    by_gateway = np.zeros((market.gateways, edges))
    by_gateway[market.edge_gateway, np.arange(edges)] = 1.0
    by_region = np.zeros((market.regions, edges))
    by_region[market.edge_region, np.arange(edges)] = 1.0
    return {
        "G": by_gateway,
        "d": market.demand[t] / unit,
        "R": by_region,
        "q": quantity[t] / unit,
        "unit": unit,
    }


def most_served(market: Market, t: int, quantity: Array) -> float:
    """Maximum flow of one slot, MW."""
    p = slot_program(market, t, quantity)
    found = linprog(
        -np.ones(len(market.edge_region)),
        A_ub=np.vstack([p["G"], p["R"]]),
        b_ub=np.concatenate([p["d"], p["q"]]),
        method="highs",
    )
    assert found.status == 0
    return float(-found.fun * p["unit"])


def loads(market: Market, route: Array) -> Array:
    out = np.zeros((market.slots, market.regions))
    for t, e in np.ndindex(*route.shape):
        out[t, market.edge_region[e]] += route[t, e]
    return out


def served(market: Market, route: Array) -> Array:
    out = np.zeros((market.slots, market.gateways))
    for t, e in np.ndindex(*route.shape):
        out[t, market.edge_gateway[e]] += route[t, e]
    return out


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(SCALES), st.sampled_from(SCALES), st.booleans())
def test_clearing_is_optimal_with_a_dual_that_proves_it(
    seed: int, price: float, power: float, ties: bool
) -> None:
    market, quantity = draw_case(seed, power)
    random = np.random.default_rng(seed)
    cost = random.normal(0.3, 1.0, quantity.shape)
    cost = price * (np.round(cost) if ties else cost)
    route, nu, unmet = market.clear(cost, quantity)
    assert (route >= 0.0).all() and (unmet >= 0.0).all()
    for t in range(market.slots):
        unit = max(market.demand[t].max(), 1e-300)
        np.testing.assert_allclose(served(market, route)[t] + unmet[t], market.demand[t], atol=1e-11 * unit)
        assert (loads(market, route)[t] <= quantity[t] + 1e-11 * unit).all()
        total = most_served(market, t, quantity)
        assert unmet[t].sum() == pytest.approx(market.demand[t].sum() - total, abs=1e-8 * unit)
        if unmet[t].any():
            continue
        # Cheapest: as the general solver says, at scale one.
        p = slot_program(market, t, quantity)
        found = linprog(
            cost[t, market.edge_region] / price,
            A_ub=p["R"],
            b_ub=p["q"] * (1 + 1e-12) + 1e-12,
            A_eq=p["G"],
            b_eq=p["d"],
            method="highs",
        )
        assert found.status == 0
        value = float(cost[t] @ loads(market, route)[t]) / (price * unit)
        assert value == pytest.approx(found.fun, abs=1e-8)
        # Lagrangian value of the demand prices: never above, and equal to it (strong duality).
        x = nu[t, market.edge_gateway] - cost[t, market.edge_region]
        rent = np.zeros(market.regions)
        np.maximum.at(rent, market.edge_region, x)
        bound = (nu[t] @ market.demand[t] - rent @ quantity[t]) / (price * unit)
        assert bound == pytest.approx(value, abs=1e-9)


def test_clearing_breaks_a_tie_and_takes_negative_costs() -> None:
    market = Market(np.array([[3.0]]), 3, np.zeros(3, int), np.arange(3), np.zeros(0))
    route, nu, unmet = market.clear(np.array([[-5.0, -5.0, 1.0]]), np.array([[2.0, 2.0, 9.0]]))
    assert route.sum() == 3.0 and route[0, 2] == 0.0 and not unmet.any()
    assert nu[0, 0] == -5.0


def test_clearing_reroutes_along_a_chain() -> None:
    """g0 reaches only the cheap region; g1 must leave it for the next, g2 likewise."""
    gateway, region = np.array([0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 2])
    market = Market(np.array([[1.0, 1.0, 1.0]]), 3, gateway, region, np.zeros(0))
    route, _, unmet = market.clear(np.array([[1.0, 2.0, 3.0]]), np.ones((1, 3)))
    assert not unmet.any()
    np.testing.assert_allclose(route, [[1.0, 0.0, 1.0, 0.0, 1.0]])


def test_nothing_to_clear() -> None:
    market = Market(np.zeros((2, 1)), 2, np.zeros(2, int), np.arange(2), np.zeros(0))
    route, nu, unmet = market.clear(np.ones((2, 2)), np.zeros((2, 2)))
    assert not route.any() and not unmet.any() and np.isfinite(nu).all()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(SCALES))
def test_repair_meets_demand_wherever_it_can_be_met(seed: int, power: float) -> None:
    market, ceiling = draw_case(seed, power)
    random = np.random.default_rng(seed)
    shape = (market.slots, len(market.edge_region))
    wild = power * random.normal(0.5, 1.0, shape) * random.choice([0.0, 1.0, 10.0])
    before = wild.copy()
    route, unmet = market.repair(wild, ceiling)
    np.testing.assert_array_equal(wild, before)
    assert (route >= 0.0).all()
    for t in range(market.slots):
        unit = max(market.demand[t].max(), 1e-300)
        assert (loads(market, route)[t] <= ceiling[t] + 1e-10 * unit).all()
        shortfall = market.demand[t].sum() - most_served(market, t, ceiling)
        assert unmet[t].sum() == pytest.approx(shortfall, abs=1e-8 * unit)
        if shortfall <= 1e-12 * unit:
            assert not unmet[t].any()
        met = unmet[t] == 0.0
        np.testing.assert_allclose(served(market, route)[t][met], market.demand[t][met], rtol=1e-13)
        np.testing.assert_allclose(
            served(market, route)[t] + unmet[t], market.demand[t], atol=1e-10 * unit, rtol=0
        )


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(SCALES))
def test_repair_leaves_a_feasible_route_alone(seed: int, power: float) -> None:
    market, ceiling = draw_case(seed, power)
    once, unmet = market.repair(market.spread(), ceiling)
    twice, _ = market.repair(once, ceiling)
    fine = ~unmet.any(1)
    np.testing.assert_allclose(twice[fine], once[fine], rtol=1e-12, atol=1e-13 * power)


def draw_projection(seed: int, price: float = 1.0, power: float = 1.0) -> tuple[Market, Array, Array]:
    market, _ = draw_case(seed, power)
    random = np.random.default_rng(seed + 1)
    target = power * random.normal(0.5, 1.5, (market.slots, market.regions))
    return market, np.ascontiguousarray(target), power / price * random.uniform(0.3, 3.0, market.regions)


def project_from(
    market: Market, target: Array, step: Array, sweeps: int, route: Array, price: Array
) -> Array:
    return market.project(target, route, price, step, sweeps)


def sweep(market: Market, target: Array, step: Array, sweeps: int) -> tuple[Array, Array, Array]:
    route, price = market.spread(), np.zeros_like(market.demand)
    return project_from(market, target, step, sweeps, route, price), route, price


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(SCALES), st.sampled_from(SCALES), st.sampled_from([1, 2, 7]))
def test_demand_is_met_after_any_number_of_sweeps(seed: int, price: float, power: float, sweeps: int) -> None:
    market, target, step = draw_projection(seed, price, power)
    load, route, nu = sweep(market, target, step, sweeps)
    assert (route >= 0.0).all() and np.isfinite(nu).all()
    np.testing.assert_allclose(served(market, route), market.demand, rtol=1e-12, atol=1e-13 * power)
    np.testing.assert_allclose(
        load, loads(market, route), atol=1e-12 * power * (1 + np.abs(target).max() / power)
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(SCALES), st.sampled_from(SCALES))
def test_many_sweeps_reach_the_optimality_conditions(seed: int, price: float, power: float) -> None:
    market, target, step = draw_projection(seed, price, power)
    load, route, nu = sweep(market, target, step, 20_000)
    pull = (
        (load - target) / step / price
    )  # region's multiplier: at least the gateways' prices, equal where used
    for t in range(market.slots):
        for e, (j, i) in enumerate(zip(market.edge_gateway, market.edge_region, strict=True)):
            if market.demand[t, j] == 0.0:
                continue
            assert pull[t, i] >= nu[t, j] / price - 1e-6
            if route[t, e] > 1e-6 * power:
                assert pull[t, i] == pytest.approx(nu[t, j] / price, abs=1e-6)


def nearest_load(market: Market, t: int, target: Array, step: Array) -> tuple[Array, bool]:
    """One slot's projection by a general solver, and whether it says it converged."""
    p = slot_program(market, t, np.zeros_like(target))
    found = minimize(
        lambda x: float((((p["R"] @ x) * p["unit"] - target[t]) ** 2 / (2 * step)).sum()),
        market.spread()[t] / p["unit"],
        bounds=[(0.0, None)] * len(market.edge_region),
        constraints={"type": "eq", "fun": lambda x: p["G"] @ x - p["d"]},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    return p["R"] @ found.x * p["unit"], found.success


def test_projection_is_that_of_a_general_solver() -> None:
    compared = 0
    for seed in range(12):
        market, target, step = draw_projection(seed)
        load, _, _ = sweep(market, target, step, 5000)
        for t in range(market.slots):
            expected, converged = nearest_load(market, t, target, step)
            compared += converged
            ours, theirs = (((y - target[t]) ** 2 / (2 * step)).sum() for y in (load[t], expected))
            assert ours <= theirs + 1e-8
            if converged:
                np.testing.assert_allclose(load[t], expected, atol=1e-3)
    assert compared >= 12


def test_warm_sweeps_stay_at_the_solution() -> None:
    market, target, step = draw_projection(4)
    load, route, nu = sweep(market, target, step, 5000)
    again = project_from(market, target, step, 1, route.copy(), nu.copy())
    np.testing.assert_allclose(again, load, atol=1e-9)


def test_slots_are_independent(draw_market: Callable[..., tuple[object, Market]]) -> None:
    _, market = draw_market(3)
    random = np.random.default_rng(0)
    quantity = market.load(market.spread()) * 1.3
    cost = random.random(quantity.shape)
    together = market.clear(cost, quantity)
    for t in range(market.slots):
        one = Market(
            market.demand[t : t + 1],
            market.regions,
            market.edge_gateway,
            market.edge_region,
            market.equity_weight,
        )
        for whole, alone in zip(together, one.clear(cost[t : t + 1], quantity[t : t + 1]), strict=True):
            np.testing.assert_array_equal(whole[t], alone[0])

"""The interior-point algebra against the same Newton system, assembled densely and solved at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from support.interior_points import Point, draw_point

from eglb.agents.region import Region
from eglb.coordinator.interior.dense import expand_slots, reduce_slots, solve_border
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array

Draw = Callable[..., tuple[Region, Market]]

PROXIMAL = 1e-7  # what the method adds to the diagonals of routes and demand prices


def reduced_solution(p: Point) -> tuple[Array, Array, Array, Array, Array, Array, tuple[float, float]]:
    """dx, dz, dnu, capacity price, dmu, ds as the method computes them."""
    graph = (p.market.gateway_start, p.market.edge_region)
    reduction = reduce_slots(graph, p.x, p.z, p.nu, p.slope, p.curvature, p.intensity, p.demand, p.tau)
    side = p.level_residual + np.einsum("tkn,tn->kn", p.intensity, reduction.shift)
    dmu, ds = solve_border(reduction.border, p.compliance, side, p.direction, p.mass)
    equity_cost = np.ascontiguousarray(np.einsum("kn,tkn->tn", dmu, p.intensity))
    dnu, dx, dz, capacity, *room = expand_slots(graph, p.x, p.z, reduction, equity_cost, p.tau)
    return dx, dz, dnu, capacity, dmu, ds, (room[0], room[1])


def dense_system(p: Point) -> tuple[Array, Array]:
    """Newton equations in (dx, dnu, dmu, ds), as they are written, with dz and dy eliminated by hand only."""
    m = p.market
    t, e, n, j, k = m.slots, len(m.edge_region), m.regions, m.gateways, p.mass.shape[0]
    x0, nu0, mu0, s0 = 0, t * e, t * e + t * j, t * e + t * j + k * n
    size = s0 + k
    a, b = np.zeros((size, size)), np.zeros(size)
    for s in range(t):
        for f in range(e):
            row, region, gateway = x0 + s * e + f, m.edge_region[f], m.edge_gateway[f]
            # slope + curvature dy + a dmu - (nu + dnu) - (z + dz) = 0,  z dx + x dz = tau - x z
            a[row, row] += p.z[s, f] / p.x[s, f] + PROXIMAL
            for other in np.flatnonzero(m.edge_region == region):
                a[row, x0 + s * e + other] += p.curvature[s, region]
            a[row, nu0 + s * j + gateway] = -1.0
            for kind in range(k):
                a[row, mu0 + kind * n + region] = p.intensity[s, kind, region]
            b[row] = p.nu[s, gateway] + p.tau / p.x[s, f] - p.slope[s, region]
        for gateway in range(j):
            row = nu0 + s * j + gateway
            own = np.flatnonzero(m.edge_gateway == gateway)
            a[row, x0 + s * e + own] = 1.0
            a[row, row] = PROXIMAL
            b[row] = p.demand[s, gateway] - p.x[s, own].sum()
    for kind in range(k):
        for region in range(n):
            row = mu0 + kind * n + region
            # W dmu + ds - a . dy = b
            a[row, row] = p.compliance[kind, region]
            a[row, s0 + kind] = p.direction[kind, region]
            for s in range(t):
                for f in np.flatnonzero(m.edge_region == region):
                    a[row, x0 + s * e + f] = -p.intensity[s, kind, region]
            b[row] = p.level_residual[kind, region]
        a[s0 + kind, mu0 + kind * n : mu0 + (kind + 1) * n] = p.direction[kind]
        b[s0 + kind] = p.mass[kind]
    return a, b


@pytest.mark.parametrize("kinds", [0, 1, 2, 3])
@pytest.mark.parametrize(("spread", "tolerance"), [(0.5, 1e-12), (2.0, 1e-9), (4.0, 1e-7)])
def test_the_reduced_step_solves_the_whole_newton_system(
    draw_market: Draw, kinds: int, spread: float, tolerance: float
) -> None:
    for seed in range(6):
        _, market = draw_market(seed)
        p = draw_point(market, kinds, seed, spread)
        dx, _, dnu, _, dmu, ds, _ = reduced_solution(p)
        a, b = dense_system(p)
        step = np.concatenate([dx.ravel(), dnu.ravel(), dmu.ravel(), ds])
        # Each equation relative to the size of its own terms.
        residual = np.abs(a @ step - b) / (np.abs(a) @ np.abs(step) + np.abs(b) + 1e-300)
        assert residual.max() < tolerance
        if spread < 1.0:
            np.testing.assert_allclose(step, np.linalg.solve(a, b), rtol=1e-7, atol=1e-8)


def test_the_other_moves_follow_from_the_routes(draw_market: Draw) -> None:
    for seed in range(6):
        _, market = draw_market(seed)
        p = draw_point(market, 2, seed, 1.0)
        dx, dz, _, capacity, _, _, (route_room, cost_room) = reduced_solution(p)
        np.testing.assert_allclose(p.z * dx + p.x * dz, p.tau - p.x * p.z, rtol=1e-9, atol=1e-9)
        dy = np.zeros((market.slots, market.regions))
        for t, e in np.ndindex(*dx.shape):
            dy[t, market.edge_region[e]] += dx[t, e]
        np.testing.assert_allclose(capacity, p.curvature * dy, rtol=1e-6, atol=1e-8)
        falling = dx < 0.0
        assert route_room == pytest.approx((-p.x[falling] / dx[falling]).min() if falling.any() else np.inf)
        falling = dz < 0.0
        assert cost_room == pytest.approx((-p.z[falling] / dz[falling]).min() if falling.any() else np.inf)


def test_shift_is_the_load_move_at_unchanged_equity_prices(draw_market: Draw) -> None:
    _, market = draw_market(2)
    p = draw_point(market, 1, 2, 0.5)
    graph = (market.gateway_start, market.edge_region)
    reduction = reduce_slots(graph, p.x, p.z, p.nu, p.slope, p.curvature, p.intensity, p.demand, p.tau)
    _, dx, *_ = expand_slots(graph, p.x, p.z, reduction, np.zeros_like(p.slope), p.tau)
    np.testing.assert_allclose(reduction.shift, market.load(dx), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(reduction.border, reduction.border.T, atol=1e-12)


def test_many_gateways_take_the_other_factorisation() -> None:
    """Beyond 24 gateways LAPACK solves the slots: same system, same answer."""
    random = np.random.default_rng(0)
    gateways, regions = 30, 4
    gateway, region = np.nonzero(random.random((gateways, regions)) < 0.6)
    keep = np.isin(np.arange(gateways), gateway)
    gateway = np.searchsorted(np.flatnonzero(keep), gateway)
    market = Market(random.random((2, keep.sum())), regions, gateway, region, np.ones(2))
    assert market.gateways > 24
    p = draw_point(market, 2, 1, 1.0)
    dx, _, dnu, _, dmu, ds, _ = reduced_solution(p)
    a, b = dense_system(p)
    step = np.concatenate([dx.ravel(), dnu.ravel(), dmu.ravel(), ds])
    np.testing.assert_allclose(step, np.linalg.solve(a, b), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
@pytest.mark.parametrize("kinds", [0, 1, 3])
def test_border_system_is_that_of_a_dense_solver(kinds: int, scale: float) -> None:
    random = np.random.default_rng(kinds)
    regions = 4
    factor = random.normal(size=(kinds * regions, kinds * regions))
    border = scale * factor @ factor.T
    compliance = scale * random.uniform(0.1, 1.0, (kinds, regions))
    side, mass = scale * random.normal(size=(kinds, regions)), random.normal(size=kinds)
    direction = random.uniform(0.3, 2.0, (kinds, regions))
    dmu, ds = solve_border(border.copy(), compliance, side, direction, mass)
    ones = np.kron(np.eye(kinds), np.ones((regions, 1))) * direction.reshape(-1, 1)
    whole = np.block(
        [[border / scale + np.diag(compliance.ravel() / scale), ones], [ones.T, np.zeros((kinds, kinds))]]
    )
    expected = np.linalg.solve(whole, np.concatenate([side.ravel() / scale, mass])) if kinds else np.zeros(0)
    np.testing.assert_allclose(dmu.ravel(), expected[: kinds * regions], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ds / scale, expected[kinds * regions :], rtol=1e-8, atol=1e-10)

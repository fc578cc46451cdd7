"""The sparse Newton system against the dense one, its parts against plain linear algebra, and end to end."""

from __future__ import annotations

import numpy as np
import pytest
from support.interior_points import Point, draw_point

from eglb.coordinator.interior.border_preconditioner import edge_pairs, projected_cg
from eglb.coordinator.interior.dense import DenseSlots
from eglb.coordinator.interior.sparse import LANES, SparseSlots
from eglb.coordinator.interior.sparse_ldl import factorise, plan_elimination, substitute
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array


def draw_sparse_market(seed: int, slots: int, kinds: int, gateways: int = 30, regions: int = 20) -> Market:
    """A gateway reaches a few regions; some region may be reached by nobody."""
    random = np.random.default_rng(seed)
    reach = random.random((gateways, regions)) < 0.15
    reach[np.arange(gateways), random.integers(regions, size=gateways)] = True
    gateway, region = np.nonzero(reach)
    return Market(random.random((slots, gateways)), regions, gateway, region, np.ones(kinds))


def reduced(market: Market, p: Point) -> tuple[SparseSlots, DenseSlots, Array, Array]:
    """Both systems at the same point, with their shifts."""
    sparse, dense = (kind(market, p.intensity, p.demand) for kind in (SparseSlots, DenseSlots))
    at = p.x, p.z, p.nu, p.slope, p.curvature, p.tau
    return sparse, dense, sparse.reduce(*at), dense.reduce(*at)


@pytest.mark.parametrize("spread", [0.5, 2.0, 4.0])
@pytest.mark.parametrize("slots", [1, LANES, LANES + 5])
@pytest.mark.parametrize("kinds", [0, 1, 3])
def test_sparse_step_is_the_dense_one(spread: float, slots: int, kinds: int) -> None:
    market = draw_sparse_market(slots, slots, kinds)
    p = draw_point(market, kinds, 1, spread)
    sparse, dense, shift, expected = reduced(market, p)
    np.testing.assert_allclose(shift, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    side = p.level_residual + np.einsum("tkn,tn->kn", p.intensity, shift)
    nothing = np.zeros_like(side)
    dmu, ds = sparse.solve_border(p.compliance, side, p.direction, p.mass, nothing, 1e-24)
    dmu_dense, ds_dense = dense.solve_border(p.compliance, side, p.direction, p.mass, nothing, 0.0)
    size = np.abs(dmu_dense).max(initial=1e-300)
    np.testing.assert_allclose(dmu, dmu_dense, rtol=1e-6, atol=1e-6 * size)
    np.testing.assert_allclose(ds, ds_dense, rtol=1e-6)
    np.testing.assert_allclose((p.direction * dmu).sum(1), p.mass, rtol=1e-9, atol=1e-9 * size)
    cost = np.ascontiguousarray((dmu_dense * p.intensity).sum(1))
    for one, other in zip(sparse.expand(cost), dense.expand(cost), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-7 * np.abs(other).max(initial=0.0))


@pytest.mark.parametrize("spread", [0.5, 3.0])
def test_border_is_applied_cut_out_and_bounded_from_below(spread: float) -> None:
    kinds = 2
    market = draw_sparse_market(7, 20, kinds)
    p = draw_point(market, kinds, 3, spread)
    sparse, dense, *_ = reduced(market, p)
    regions, border = market.regions, dense._reduction.border
    unit = np.eye(kinds * regions).reshape(-1, kinds, regions)
    applied = np.array([sparse.respond(one).ravel() for one in unit])
    np.testing.assert_allclose(applied, border, rtol=1e-9, atol=1e-11 * np.abs(border).max())
    chosen = np.array([1, 4, 5, 17])
    rows = (np.arange(kinds) * regions + chosen[:, None]).ravel()
    np.testing.assert_allclose(
        sparse.border_at(chosen), border[np.ix_(rows, rows)], rtol=1e-9, atol=1e-11 * np.abs(border).max()
    )
    # Leaving conductors out of a network can only lower what it conducts.
    inner_first = (np.arange(kinds)[None, :] * regions + np.arange(regions)[:, None]).ravel()
    lumped = sparse._preconditioner.assemble(sparse._weight, sparse._damped).matrix.toarray()
    rest = border[np.ix_(inner_first, inner_first)] - lumped
    assert np.linalg.eigvalsh(rest).min() > -1e-9 * np.abs(border).max()


def test_the_lumped_border_is_exact_where_nobody_is_near_capacity() -> None:
    market = draw_sparse_market(5, 18, 1)
    p = draw_point(market, 1, 3, 0.5)
    p.curvature[:] = 0.0
    sparse, dense, *_ = reduced(market, p)
    lumped = sparse._preconditioner.assemble(sparse._weight, sparse._damped).matrix.toarray()
    np.testing.assert_allclose(lumped, dense._reduction.border, rtol=1e-5, atol=1e-6)


def test_elimination_is_accurate_entry_by_entry_however_badly_scaled() -> None:
    """With conductances over twenty powers of ten, potentials of a grounded chain are known by hand."""
    size, lanes = 12, 3
    random = np.random.default_rng(0)
    link = 10.0 ** random.uniform(-10, 10, (size - 1, lanes))
    plan = plan_elimination(size, np.arange(size - 1), np.arange(1, size))
    upper, inverse = np.zeros((plan.fill, lanes)), np.empty((size, lanes))
    upper[plan.locate(np.arange(size - 1), np.arange(1, size))] = link
    ground = np.zeros((size, lanes))
    ground[plan.place[0]] = 1e-12
    side = np.zeros((size, lanes))
    side[plan.place[-1]] = 1.0
    factorise(
        upper,
        inverse,
        ground,
        np.zeros((size, lanes)),
        plan.column_start,
        plan.row,
        plan.before_start,
        plan.before,
        plan.entry,
    )
    substitute(upper, inverse, side, plan.column_start, plan.row)
    resistance = np.vstack([np.full(lanes, 1e12), 1.0 / link]).cumsum(0)
    np.testing.assert_allclose(side[plan.place], resistance, rtol=1e-13)


@pytest.mark.parametrize("gateways", [1, 2, 25])
def test_the_fill_holds_a_cholesky_factor(gateways: int) -> None:
    market = draw_sparse_market(gateways, 1, 1, gateways, 12)
    one, other, _ = edge_pairs(market.region_start, market.by_region)
    one, other = market.edge_gateway[one], market.edge_gateway[other]
    plan = plan_elimination(gateways, one, other)
    assert sorted(plan.place) == list(range(gateways))
    matrix = np.eye(gateways) * gateways
    matrix[plan.place[one], plan.place[other]] = matrix[plan.place[other], plan.place[one]] = -1.0
    factor = np.linalg.cholesky(matrix + np.diag(np.abs(matrix).sum(1)))
    inside = np.zeros_like(matrix, bool)
    inside[plan.row, np.repeat(np.arange(gateways), np.diff(plan.column_start))] = True
    assert not factor[~inside & ~np.eye(gateways, dtype=bool)].any()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_projected_conjugate_gradients_solve_the_saddle_point(scale: float) -> None:
    random = np.random.default_rng(2)
    kinds, regions = 2, 6
    factor = random.normal(size=(kinds * regions, kinds * regions))
    whole = scale * (factor @ factor.T + np.eye(kinds * regions))
    diagonal = whole.diagonal().reshape(kinds, regions)
    side, mass = scale * random.normal(size=(kinds, regions)), random.normal(size=kinds)
    direction = random.uniform(0.3, 2.0, (kinds, regions))
    x, level, steps = projected_cg(
        lambda v: (whole @ v.ravel()).reshape(kinds, regions),
        lambda v: v / diagonal,
        side,
        direction,
        mass,
        random.normal(size=(kinds, regions)),
        1e-24 * scale,
    )
    ones = np.kron(np.eye(kinds), np.ones((regions, 1))) * direction.reshape(-1, 1)
    system = np.block([[whole / scale, ones], [ones.T, np.zeros((kinds, kinds))]])
    expected = np.linalg.solve(system, np.concatenate([side.ravel() / scale, mass]))
    np.testing.assert_allclose(x.ravel(), expected[: kinds * regions], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(level / scale, expected[kinds * regions :], rtol=1e-8, atol=1e-10)
    assert 0 < steps <= 40

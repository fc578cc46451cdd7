"""Mixtures of plans and the next price of the bundle, against general solvers; the incumbent."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from eglb.coordinator.algorithms.algorithm import Incumbent
from eglb.coordinator.algorithms.level_bundle import nearest_in_level_set
from eglb.coordinator.algorithms.primal_recovery import PricedPlan, PrimalRecovery
from eglb.coordinator.market.equity import Equity, NormOfAll
from eglb.foundation.arrays import Array
from eglb.foundation.equity_shape import EquityShape

SCALES = [1e-6, 1.0, 1e9]


def worst(weight: Array) -> Equity:
    """The worst region's footprint of every kind."""
    return Equity.of(weight, [EquityShape()] * len(weight))


def draw_plans(
    seed: int, kinds: int, money: float, units: float, parts: int
) -> tuple[list[PricedPlan], Array]:
    random = np.random.default_rng(seed)
    count, regions = int(random.integers(1, 7)), int(random.integers(1, 5))
    plans = [
        PricedPlan(
            random.random((5, 3)),
            money * random.normal(1.0, 1.0, parts),
            units * random.uniform(0.0, 1.0, (parts, regions, kinds)),
        )
        for _ in range(count)
    ]
    return plans, money / units * random.uniform(0.1, 3.0, kinds)


def best_value(plans: list[PricedPlan], weight: Array, money: float, units: float) -> float:
    """The mixture's program as it is stated, in units of one."""
    count, parts, kinds = len(plans), len(plans[0].part_cost), len(weight)
    footprint = np.array([p.part_footprint for p in plans]) / units
    rows = [
        np.concatenate([footprint[:, :, i, k].ravel(), -np.eye(kinds)[k]])
        for k in range(kinds)
        for i in range(footprint.shape[2])
    ]
    one = np.zeros((parts, count, parts))
    for part in range(parts):
        one[part, :, part] = 1.0
    found = linprog(
        np.concatenate([np.array([p.part_cost for p in plans]).ravel() / money, weight * units / money]),
        A_ub=np.array(rows) if rows else None,
        b_ub=np.zeros(len(rows)) if rows else None,
        A_eq=np.hstack([one.reshape(parts, -1), np.zeros((parts, kinds))]),
        b_eq=np.ones(parts),
        method="highs",
    )
    assert found.status == 0
    return float(found.fun) * money


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("kinds", [0, 1, 2])
@pytest.mark.parametrize("money", SCALES)
@pytest.mark.parametrize("units", SCALES)
def test_the_best_mixture_is_the_linear_program_it_states(
    kinds: int, money: float, units: float, parts: int
) -> None:
    first = np.array([0, 1, 4][:parts])
    part_of_slot = np.searchsorted(first, np.arange(5), side="right") - 1
    for seed in range(8):
        plans, weight = draw_plans(seed, kinds, money, units, parts)
        mixture = PrimalRecovery(worst(weight), 10, first)
        for plan in plans:
            mixture.add(plan)
        objective, route = mixture.best()
        assert objective == pytest.approx(best_value(plans, weight, money, units), abs=1e-7 * money)
        assert objective <= min(plan.objective(worst(weight)) for plan in plans) + 1e-9 * money
        # The route is a mixture with exactly that objective.
        w = PrimalRecovery.weights(
            np.array([p.part_cost for p in plans]), np.array([p.part_footprint for p in plans]), worst(weight)
        )
        assert (w >= 0.0).all()
        np.testing.assert_allclose(w.sum(0), np.ones(parts), rtol=1e-12)
        by_slot = w[:, part_of_slot]
        expected = sum(a[:, None] * p.route for a, p in zip(by_slot, plans, strict=True))
        np.testing.assert_allclose(route, expected, atol=1e-12)
        mixed = sum(a[q] * p.part_footprint[q] for a, p in zip(w, plans, strict=True) for q in range(parts))
        cost = sum(a @ p.part_cost for a, p in zip(w, plans, strict=True))
        assert objective == pytest.approx(cost + sum(weight * mixed.max(0, initial=0.0)), rel=1e-12)


def test_rows_that_turn_out_worst_are_added() -> None:
    """Each of two plans is worst elsewhere by far; in between a third region is, that neither looks at."""
    footprint = np.array([[10.0, 0.0, 6.0], [0.0, 10.0, 6.0]])[:, None, :, None]
    w = PrimalRecovery.weights(np.zeros((2, 1)), footprint, worst(np.ones(1)))
    assert np.tensordot(w, footprint, 2).max() == pytest.approx(6.0)


def test_old_plans_are_forgotten() -> None:
    weight = np.ones(1)
    mixture = PrimalRecovery(worst(weight), keep=2)
    for cost in (1.0, 5.0, 3.0):
        mixture.add(PricedPlan(np.full((1, 1), cost), np.array([cost]), np.zeros((1, 2, 1))))
    objective, route = mixture.best()
    assert objective == pytest.approx(3.0) and route[0, 0] == pytest.approx(3.0)


def test_two_mirrored_plans_mix_in_halves() -> None:
    weight = np.array([2.0])
    mixture = PrimalRecovery(worst(weight), keep=5)
    mixture.add(PricedPlan(np.array([[1.0, 0.0]]), np.ones(1), np.array([[[1.0], [0.0]]])))
    mixture.add(PricedPlan(np.array([[0.0, 1.0]]), np.ones(1), np.array([[[0.0], [1.0]]])))
    objective, route = mixture.best()
    assert objective == pytest.approx(2.0)
    np.testing.assert_allclose(route, [[0.5, 0.5]])


def test_an_objective_is_cost_and_the_worst_of_each_kind() -> None:
    plan = PricedPlan(
        np.zeros((2, 1)), np.array([3.0, 4.0]), np.array([[[0.0, 4.0], [1.0, 2.0]], [[1.0, 1.0], [2.0, 0.0]]])
    )
    assert plan.objective(worst(np.array([10.0, 100.0]))) == 7.0 + 30.0 + 500.0
    nothing = PricedPlan(np.zeros((1, 1)), np.array([-7.0]), np.zeros((1, 2, 0)))
    assert nothing.objective(worst(np.zeros(0))) == -7.0


def draw_level_set(seed: int) -> tuple[Array, Array, Array]:
    """A center in the simplices and planes that some other point of them satisfies."""
    random = np.random.default_rng(seed)
    kinds, regions, planes = (int(n) for n in random.integers((1, 2, 1), (4, 6, 7)))
    center = random.dirichlet(np.ones(regions), kinds)
    inside = random.dirichlet(np.ones(regions), kinds)
    slopes = random.uniform(0.0, 1.0, (planes, kinds * regions))
    heights = slopes @ inside.ravel() - random.uniform(0.0, 0.05, planes)
    return center, slopes, heights


def test_nearest_point_is_that_of_a_general_solver() -> None:
    moved = 0
    for seed in range(40):
        center, slopes, heights = draw_level_set(seed)
        got = nearest_in_level_set(center, slopes, heights, worst(np.ones(len(center))))
        assert got is not None and got.shape == center.shape
        assert (got >= 0.0).all()
        np.testing.assert_allclose(got.sum(1), 1.0, rtol=1e-9)
        assert (slopes @ got.ravel() >= heights - 1e-9).all()
        found = minimize(
            lambda v, center=center: ((v - center.ravel()) ** 2).sum(),
            center.ravel(),
            jac=lambda v, center=center: 2.0 * (v - center.ravel()),
            bounds=[(0.0, None)] * center.size,
            constraints=[
                {"type": "eq", "fun": lambda v, shape=center.shape: v.reshape(shape).sum(1) - 1.0},
                {"type": "ineq", "fun": lambda v, a=slopes, b=heights: a @ v - b},
            ],
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 500},
        )
        if not found.success:
            continue
        assert ((got - center) ** 2).sum() == pytest.approx(found.fun, abs=1e-8)
        np.testing.assert_allclose(got.ravel(), found.x, atol=1e-4)
        moved += bool(found.fun > 1e-6)
    assert moved >= 20  # compared, and not because nothing had to move


@pytest.mark.parametrize("scale", SCALES)
def test_the_scale_of_the_planes_does_not_matter(scale: float) -> None:
    for seed in range(10):
        center, slopes, heights = draw_level_set(seed)
        one = nearest_in_level_set(center, slopes, heights, worst(np.ones(len(center))))
        other = nearest_in_level_set(center, scale * slopes, scale * heights, worst(np.ones(len(center))))
        assert one is not None and other is not None
        np.testing.assert_allclose(other, one, atol=1e-9)


def test_a_level_out_of_reach_is_none_and_one_already_reached_moves_nothing() -> None:
    center = np.array([[0.5, 0.5]])
    slopes = np.array([[1.0, 0.0]])

    def nearest(slopes: Array, *heights: float) -> Array | None:
        return nearest_in_level_set(center, slopes, np.array(heights), worst(np.ones(1)))

    assert nearest(slopes, 1.5) is None
    assert nearest(np.array([[1.0, 0.0], [0.0, 1.0]]), 0.7, 0.7) is None
    np.testing.assert_allclose(nearest(slopes, 0.2), center)
    np.testing.assert_allclose(nearest(slopes, 0.7), [[0.7, 0.3]])
    np.testing.assert_allclose(nearest(slopes, 1.0), [[1.0, 0.0]], atol=1e-9)
    alone = nearest_in_level_set(np.ones((2, 1)), np.ones((1, 2)), np.ones(1), worst(np.ones(2)))
    np.testing.assert_array_equal(alone, 1.0)


def test_the_incumbent_keeps_the_best_of_each_side() -> None:
    best = Incumbent()
    assert best.gap == np.inf
    routes = [np.full((1, 1), float(n)) for n in range(4)]
    assert best.offer_plan(10.0, routes[0])
    assert best.gap == np.inf
    assert not best.offer_plan(12.0, routes[1])
    assert not best.offer_plan(10.0, routes[1])
    assert best.offer_plan(9.0, routes[2]) and best.route is routes[2]
    assert best.offer_bound(5.0, routes[0], routes[0])
    assert not best.offer_bound(4.0, routes[1], routes[1])
    assert best.offer_bound(8.1, routes[3], routes[2])
    assert best.demand_price is routes[3] and best.equity_price is routes[2]
    assert best.gap == pytest.approx(0.1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_incumbent_takes_no_number_that_is_none(bad: float) -> None:
    best = Incumbent()
    nothing = np.zeros((1, 1))
    assert not best.offer_plan(bad, nothing)
    assert not best.offer_bound(-bad, nothing, nothing)
    assert best.route is None and best.demand_price is None and best.gap == np.inf


def test_gap_of_negative_and_zero_objectives() -> None:
    assert Incumbent(objective=-10.0, bound=-11.0).gap == pytest.approx(0.1)
    assert Incumbent(objective=-10.0, bound=-10.0).gap == 0.0
    assert Incumbent(objective=0.0, bound=0.0).gap == 0.0
    assert Incumbent(objective=0.0, bound=-1.0).gap > 1.0
    assert Incumbent(objective=1.0, bound=1.0 + 1e-12).gap == 0.0  # rounding, not a proof of the impossible


OTHER_SHAPES = ["worst:2", "worst:3", "lq:2", "lq:4", "lq:8"]


@pytest.mark.parametrize("shape", OTHER_SHAPES)
@pytest.mark.parametrize("scale", SCALES)
def test_mixtures_under_other_shapes_are_those_of_a_general_solver(shape: str, scale: float) -> None:
    compared = 0
    for seed in range(12):
        plans, weight = draw_plans(seed, 2, scale, 1.0, 1)
        equity = Equity.of(weight, [EquityShape.parse(shape)] * 2)
        cost = np.array([p.part_cost[0] for p in plans]) / scale
        footprint = np.array([p.part_footprint[0] for p in plans])
        w = PrimalRecovery.weights(scale * cost[:, None], footprint[:, None], equity)[:, 0]
        assert (w >= 0.0).all() and w.sum() == pytest.approx(1.0)

        def value(w: Array, cost: Array = cost, footprint: Array = footprint, of: Equity = equity) -> float:
            return float(w @ cost) + of.cost(np.tensordot(w, footprint, 1)) / scale

        found = minimize(
            value,
            np.full(len(cost), 1.0 / len(cost)),
            bounds=[(0.0, 1.0)] * len(cost),
            constraints=[{"type": "eq", "fun": lambda w: w.sum() - 1.0}],
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 500},
        )
        # Never worse than the general solver, which may stop early at a kink.
        assert value(w) <= found.fun + 1e-5 * abs(found.fun)
        if shape.startswith("lq") and found.success:
            assert value(w) >= found.fun - 1e-5 * abs(found.fun)
            compared += 1
    assert compared >= 6 or shape.startswith("worst")


@pytest.mark.parametrize("shape", OTHER_SHAPES)
def test_nearest_points_under_other_shapes_are_those_of_a_general_solver(shape: str) -> None:
    moved = 0
    for seed in range(25):
        random = np.random.default_rng(seed)
        kinds, regions, planes = (int(n) for n in random.integers((1, 3, 1), (3, 6, 5)))
        equity = Equity.of(np.ones(kinds), [EquityShape.parse(shape)] * kinds)
        center, inside = (equity.normalise(random.random((regions, kinds))).T for _ in range(2))
        slopes = random.uniform(0.0, 1.0, (planes, kinds * regions))
        heights = slopes @ inside.ravel() - random.uniform(0.0, 0.05, planes)
        got = nearest_in_level_set(center, slopes, heights, equity)
        assert got is not None and (got >= 0.0).all()
        assert (slopes @ got.ravel() >= heights - 1e-9).all()

        def slack(v: Array, shape_of: tuple[int, int] = center.shape, sets: Equity = equity) -> Array:
            left = []
            for row, kind in zip(v.reshape(shape_of), sets.kinds, strict=True):
                if isinstance(kind, NormOfAll):
                    left.append(1.0 - (np.maximum(row, 0.0) ** kind.dual_power).sum())
                else:
                    left += [1e-12 + kind.cap(len(row)) - row.max(), 1e-9 - abs(row.sum() - 1.0)]
            return np.array(left)

        assert slack(got.ravel()).min() >= -3e-4
        found = minimize(
            lambda v, center=center: ((v - center.ravel()) ** 2).sum(),
            inside.ravel(),
            bounds=[(0.0, 1.0)] * center.size,
            constraints=[
                {"type": "ineq", "fun": slack},
                {"type": "ineq", "fun": lambda v, a=slopes, b=heights: a @ v - b},
            ],
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 500},
        )
        # The general solver may fail at kinks; where it succeeds it is never much nearer.
        if found.success and slack(found.x).min() >= -1e-8:
            assert ((got - center) ** 2).sum() <= found.fun + 2e-4
            moved += bool(found.fun > 1e-5)
    assert moved >= 5

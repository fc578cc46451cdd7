"""The shared dual: sets of prices, projections and proximal points against the argmin they claim to be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from eglb.coordinator.market.equity import (
    Equity,
    NormOfAll,
    PriceSet,
    price_set,
    project_capped_simplex,
    project_simplex,
)
from eglb.foundation.arrays import Array
from eglb.foundation.equity_shape import EquityShape

SCALES = [1e-6, 1.0, 1e9]
SHAPES = ["max", "worst:1", "worst:2", "worst:3", "worst:9", "lq:2", "lq:4", "lq:8"]


def naive_projection(point: Array, mass: float, weight: Array, cap: float = np.inf) -> Array:
    """The multiplier of the sum, by bracketing, instead of by sorting."""

    if mass >= cap * len(point) * (1.0 - 1e-12):
        return np.full(len(point), mass / len(point))

    def excess(theta: float) -> float:
        return float(np.clip(point - theta / weight, 0.0, cap).sum() - mass)

    low = float((weight * (point - 2.0 * mass)).min())
    high = float((weight * point).max())
    theta = brentq(excess, low, high, xtol=1e-300, rtol=1e-15) if excess(high) < 0.0 else high
    return np.clip(point - theta / weight, 0.0, cap)


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_subnormal=False)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 8), st.sampled_from(SCALES), st.booleans())
def test_projection_on_the_simplex(data: st.DataObject, size: int, scale: float, weighted: bool) -> None:
    point = scale * np.array(data.draw(st.lists(numbers(-3, 3), min_size=size, max_size=size)))
    weight = np.ones(size)
    if weighted:
        weight = np.array(data.draw(st.lists(numbers(0.1, 10), min_size=size, max_size=size)))
    mass = scale * data.draw(numbers(0.01, 5.0))
    mu = project_simplex(point, mass, weight)
    assert (mu >= 0.0).all()
    assert mu.sum() == pytest.approx(mass, rel=1e-12)
    np.testing.assert_allclose(mu, naive_projection(point, mass, weight), atol=1e-9 * scale)
    # Variational inequality at the vertices: no feasible direction goes down.
    gradient = weight * (mu - point)
    assert (gradient @ mu) / scale**2 <= mass / scale * gradient.min() / scale + 1e-9


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 8), st.sampled_from(SCALES), numbers(0.0, 1.0))
def test_projection_on_the_capped_simplex(
    data: st.DataObject, size: int, scale: float, tightness: float
) -> None:
    point = scale * np.array(data.draw(st.lists(numbers(-3, 3), min_size=size, max_size=size)))
    weight = np.array(data.draw(st.lists(numbers(0.1, 10), min_size=size, max_size=size)))
    mass = scale * data.draw(numbers(0.01, 5.0))
    cap = mass / size * (1.0 + (size - 1.0) * tightness)
    mu = project_capped_simplex(point, mass, cap, weight)
    assert (mu >= 0.0).all() and (mu <= cap * (1.0 + 1e-12)).all()
    assert mu.sum() == pytest.approx(mass, rel=1e-12)
    np.testing.assert_allclose(mu, naive_projection(point, mass, weight, cap), atol=1e-8 * scale)


@pytest.mark.parametrize("scale", SCALES)
def test_projection_of_points_in_it_of_ties_and_of_one_region(scale: float) -> None:
    inside = scale * np.array([0.2, 0.3, 0.5])
    np.testing.assert_allclose(project_simplex(inside, scale, np.ones(3)), inside, rtol=1e-12)
    np.testing.assert_allclose(project_capped_simplex(inside, scale, 0.5 * scale, np.ones(3)), inside)
    ties = np.full(4, 7.0)
    half = np.full(4, 0.5 * scale)
    np.testing.assert_allclose(project_simplex(ties, 2.0 * scale, np.ones(4)), half)
    np.testing.assert_allclose(project_capped_simplex(ties, 2.0 * scale, scale, np.ones(4)), half)
    np.testing.assert_allclose(project_simplex(np.array([-3.0 * scale]), scale, np.ones(1)), [scale])
    far = project_simplex(scale * np.array([1e6, 0.0]), scale, np.ones(2))
    np.testing.assert_allclose(far, [scale, 0.0])


def in_the_set(kind: PriceSet, mu: Array, slack: float = 1e-9) -> bool:
    """Membership, as the module's docstring states the sets."""
    if (mu < 0.0).any():
        return False
    if isinstance(kind, NormOfAll):
        dual = kind.power / (kind.power - 1.0)
        return float(((mu / kind.weight) ** dual).sum() ** (1.0 / dual)) <= 1.0 + slack
    cap = kind.weight / min(kind.count, len(mu))
    return bool(abs(mu.sum() / kind.weight - 1.0) <= slack and (mu <= cap * (1.0 + slack)).all())


def draw_in_the_set(kind: PriceSet, regions: int, random: np.random.Generator) -> Array:
    """A random point of the set, by another road than `normalise`."""
    if isinstance(kind, NormOfAll):
        mu = random.random(regions)
        dual = kind.power / (kind.power - 1.0)
        return kind.weight * random.random() * mu / float((mu**dual).sum()) ** (1.0 / dual)
    # A mean of vertices: M regions share the weight.
    picks = [random.choice(regions, min(kind.count, regions), replace=False) for _ in range(5)]
    mix = random.dirichlet(np.ones(5))
    mu = np.zeros(regions)
    for part, pick in zip(mix, picks, strict=True):
        mu[pick] += part * kind.weight / len(pick)
    return mu


def naive_cost(shape: str, weight: float, footprint: Array) -> float:
    if shape.startswith("lq"):
        return weight * float((footprint ** int(shape[3:])).sum()) ** (1.0 / int(shape[3:]))
    count = min(1 if shape == "max" else int(shape[6:]), len(footprint))
    return weight * float(np.mean(sorted(footprint)[-count:]))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("units", SCALES)
@pytest.mark.parametrize("price", SCALES)
def test_cost_is_the_highest_value_of_the_prices_of_its_set(shape: str, units: float, price: float) -> None:
    for seed in range(20):
        random = np.random.default_rng(seed)
        regions = int(random.integers(1, 7))
        kind = price_set(EquityShape.parse(shape), price * float(random.uniform(0.1, 3.0)))
        footprint = units * random.uniform(0.0, 1.0, regions) * (random.random(regions) < 0.8)
        cost = kind.cost(footprint)
        assert cost == pytest.approx(naive_cost(shape, kind.weight, footprint / units) * units, rel=1e-9)
        best = kind.price(footprint)
        assert in_the_set(kind, best)
        assert best @ footprint == pytest.approx(cost, rel=1e-9)
        for _ in range(10):
            other = draw_in_the_set(kind, regions, random)
            assert in_the_set(kind, other)
            assert other @ footprint <= cost * (1.0 + 1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", SCALES)
def test_projection_on_each_set_is_its_argmin(shape: str, scale: float) -> None:
    for seed in range(30):
        random = np.random.default_rng(seed)
        regions = int(random.integers(1, 8))
        kind = price_set(EquityShape.parse(shape), scale * float(random.uniform(0.1, 3.0)))
        point = scale * random.normal(0.5, 1.0, regions)
        metric = 10.0 ** random.uniform(-2, 2, regions)
        mu = kind.project(point, metric)
        assert in_the_set(kind, mu)
        # Variational inequality: no point of the set lies in the direction of descent.
        gradient = metric * (mu - point) / scale
        size = float(np.abs(gradient).max()) * kind.weight / scale
        for _ in range(20):
            other = draw_in_the_set(kind, regions, random)
            assert gradient @ (mu - other) / scale <= 1e-7 * max(size, 1e-12)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 7), st.sampled_from(SHAPES), st.sampled_from(SCALES), st.data())
def test_prox_is_the_argmin(seed: int, regions: int, shape: str, units: float, data: st.DataObject) -> None:
    price = data.draw(st.sampled_from(SCALES))
    random = np.random.default_rng(seed)
    target = units * random.uniform(0.0, 3.0, (regions, 1))
    step = units / price * random.uniform(0.2, 3.0, (regions, 1))
    equity = Equity.of([price * float(random.uniform(0.05, 5.0))], [EquityShape.parse(shape)])

    def value(level: Array) -> float:
        return float(equity.cost(level) + ((level - target) ** 2 / (2 * step)).sum()) / (units * price)

    level, mu = equity.prox(target, step)
    assert in_the_set(equity.kinds[0], mu[:, 0])
    np.testing.assert_allclose(level, target - step * mu, atol=1e-12 * units)
    # Price and level are a matching pair: the price is a subgradient of the cost at the level. That and
    # stationarity are optimality of a convex problem (over level >= 0, where costs are defined).
    assert float((mu * level).sum()) <= equity.cost(np.maximum(level, 0.0)) + 1e-7 * units * price
    for _ in range(20):
        other = np.maximum(level + 1e-3 * units * random.normal(size=level.shape), 0.0)
        assert value(np.maximum(level, 0.0)) <= value(other) + 1e-6 or (level < 0.0).any()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.lists(st.sampled_from(SHAPES), max_size=3))
def test_normalised_prices_are_in_the_sets(seed: int, regions: int, shapes: list[str]) -> None:
    random = np.random.default_rng(seed)
    scale = float(random.choice(SCALES))
    weight = scale * random.uniform(0.1, 2.0, len(shapes))
    equity = Equity.of(weight, map(EquityShape.parse, shapes))
    raw = scale * random.normal(size=(regions, len(shapes))) * (random.random() < 0.8)
    price = equity.normalise(raw)
    for k, kind in enumerate(equity.kinds):
        assert in_the_set(kind, price[:, k])
    np.testing.assert_allclose(equity.normalise(price), price, rtol=1e-9)
    for k, kind in enumerate(equity.kinds):
        assert in_the_set(kind, equity.fair_share(regions)[:, k])


def test_a_share_above_the_cap_goes_to_the_others() -> None:
    kind = price_set(EquityShape.parse("worst:2"), 10.0)
    np.testing.assert_allclose(kind.normalise(np.array([8.0, 1.0, 1.0])), [5.0, 2.5, 2.5])
    np.testing.assert_allclose(kind.normalise(np.array([8.0, 3.0, 1.0])), [5.0, 3.75, 1.25])
    np.testing.assert_allclose(kind.normalise(np.array([8.0, 0.0, 0.0])), [5.0, 2.5, 2.5])
    np.testing.assert_allclose(kind.normalise(np.array([-1.0, 0.0, 0.0])), np.full(3, 10.0 / 3.0))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_normal_is_at_right_angles_to_the_set(shape: str) -> None:
    """Small moves within the boundary of the set change nothing along the normal, to first order."""
    random = np.random.default_rng(3)
    kind = price_set(EquityShape.parse(shape), 2.0)
    mu = kind.normalise(random.uniform(0.5, 1.0, 5))
    normal = kind.normal(mu)
    assert normal @ normal == pytest.approx(1.0)
    for _ in range(10):
        near = kind.normalise(mu + 1e-5 * random.normal(size=5))
        assert abs(normal @ (near - mu)) <= 1e-8


def test_shapes_are_read_and_written() -> None:
    for text in ("max", "lq:2", "lq:4", "lq:8", "worst:1", "worst:30"):
        assert str(EquityShape.parse(text)) == text
    for text in ("", "min", "lq", "lq:3", "lq:-2", "worst:0", "worst:", "worst:1.5", "worst:٣"):
        with pytest.raises(ValueError, match="none of max"):
            EquityShape.parse(text)

"""The shared dual: projections and proximal points against the argmin they claim to be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from eglb.coordinator.equity import fair_share, normalise, project_simplex, prox_worst

Array = np.ndarray

SCALES = [1e-6, 1.0, 1e9]


def naive_projection(point: Array, mass: float, weight: Array) -> Array:
    """The multiplier of the sum, by bracketing, instead of by sorting."""

    def excess(theta: float) -> float:
        return float(np.maximum(point - theta / weight, 0.0).sum() - mass)

    low = float((weight * (point - 2.0 * mass)).min())
    high = float((weight * point).max())
    theta = brentq(excess, low, high, xtol=1e-300, rtol=1e-15) if excess(high) < 0.0 else high
    return np.maximum(point - theta / weight, 0.0)


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
    mu = project_simplex(point, mass, weight if weighted else None)
    assert (mu >= 0.0).all()
    assert mu.sum() == pytest.approx(mass, rel=1e-12)
    np.testing.assert_allclose(mu, naive_projection(point, mass, weight), atol=1e-9 * scale)
    # Variational inequality at the vertices: no feasible direction goes down.
    gradient = weight * (mu - point)
    assert (gradient @ mu) / scale**2 <= mass / scale * gradient.min() / scale + 1e-9


@pytest.mark.parametrize("scale", SCALES)
def test_projection_of_points_in_it_of_ties_and_of_one_region(scale: float) -> None:
    inside = scale * np.array([0.2, 0.3, 0.5])
    np.testing.assert_allclose(project_simplex(inside, scale), inside, rtol=1e-12)
    np.testing.assert_allclose(project_simplex(np.full(4, 7.0), 2.0 * scale), np.full(4, 0.5 * scale))
    np.testing.assert_allclose(project_simplex(np.array([-3.0 * scale]), scale), [scale])
    far = project_simplex(scale * np.array([1e6, 0.0]), scale)
    np.testing.assert_allclose(far, [scale, 0.0])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 7), st.sampled_from(SCALES), st.sampled_from(SCALES))
def test_prox_of_the_worst_is_its_argmin(seed: int, regions: int, units: float, price: float) -> None:
    random = np.random.default_rng(seed)
    target = units * random.normal(1.0, 1.0, regions)
    step = units / price * random.uniform(0.2, 3.0, regions)
    mass = price * float(random.uniform(0.05, 5.0))

    def value(level: Array) -> float:
        quadratic = ((level - target) ** 2 / (2 * step)).sum()
        return float(mass * level.max() + quadratic) / (units * price)

    level, mu = prox_worst(target, mass, step)
    assert (mu >= 0.0).all() and mu.sum() == pytest.approx(mass, rel=1e-12)
    np.testing.assert_allclose(level, target - step * mu, atol=1e-12 * units)
    # The argmin caps the targets at one height: a search over that height alone is a brute force.
    heights = np.linspace(target.min() - 2 * units * 15, target.max(), 501)
    best = min(value(np.minimum(target, height)) for height in heights)
    assert value(level) <= best + 1e-9
    for _ in range(20):
        other = level + 1e-3 * units * random.normal(size=regions)
        assert value(level) <= value(other) + 1e-12
    # Price and level are a matching pair: only the worst are charged.
    worst = level.max()
    assert (mu[level < worst - 1e-9 * units] <= 1e-9 * price).all()


def test_fair_share_sums_to_the_weights() -> None:
    weight = np.array([3.0, 5.0])
    share = fair_share(weight, 4)
    assert share.shape == (4, 2)
    np.testing.assert_allclose(share.sum(0), weight)
    assert fair_share(np.zeros(0), 3).shape == (3, 0)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(0, 3), st.sampled_from(SCALES))
def test_normalised_prices_are_in_the_simplex(seed: int, regions: int, kinds: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    weight = scale * random.uniform(0.1, 2.0, kinds)
    raw = scale * random.normal(size=(regions, kinds)) * (random.random() < 0.8)
    price = normalise(raw, weight)
    assert (price >= 0.0).all()
    np.testing.assert_allclose(price.sum(0), weight, rtol=1e-12)
    np.testing.assert_allclose(normalise(price, weight), price, rtol=1e-12)


def test_a_price_of_nothing_is_shared_fairly() -> None:
    np.testing.assert_allclose(normalise(np.array([[-1.0], [0.0]]), np.array([4.0])), [[2.0], [2.0]])

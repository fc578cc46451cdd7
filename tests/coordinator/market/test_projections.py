"""What every projection and proximal point has in common, beside being the argmin that other tests compare.

Firmly nonexpansive, |Px - Py|^2 <= <Px - Py, x - y> in the metric; the same in any units and any order; a
projection stays where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.small_fleets import small_market

from eglb.agents import kernels, proximal
from eglb.agents.region import Region
from eglb.coordinator.market.equity import price_set
from eglb.foundation.arrays import Array
from eglb.foundation.equity_shape import EquityShape

SHAPES = ["max", "worst:2", "worst:3", "worst:9", "lq:2", "lq:4", "lq:8"]
seeds = st.integers(0, 10**6)
factors = st.sampled_from([1e-6, 0.3, 1.0, 1e9])


def assert_firm(one: Array, other: Array, x: Array, y: Array, metric: Array) -> None:
    moved = one - other
    least = float((metric * moved**2).sum())
    size = float((metric * (np.abs(x - y) + np.abs(moved)) ** 2).sum())
    assert least <= float((metric * moved * (x - y)).sum()) + 1e-7 * size


@settings(max_examples=150, deadline=None)
@given(seeds, st.sampled_from(SHAPES), st.integers(1, 8), factors, factors)
@example(3796, "lq:4", 7, 1.0, 1e-6)
def test_projections_on_the_sets_of_equity_prices(
    seed: int, shape: str, regions: int, scale: float, unit: float
) -> None:
    random = np.random.default_rng(seed)
    kind = price_set(EquityShape.parse(shape), scale * float(random.uniform(0.1, 3.0)))
    metric = 10.0 ** random.uniform(-1, 1, regions)
    x, y = scale * random.normal(0.5, 1.0, (2, regions))
    there, other = kind.project(x, metric), kind.project(y, metric)
    close = 1e-6 * kind.weight
    np.testing.assert_allclose(kind.project(there, metric), there, atol=close)
    assert_firm(there / scale, other / scale, x / scale, y / scale, metric)
    order = random.permutation(regions)
    np.testing.assert_allclose(kind.project(x[order], metric[order]), there[order], atol=close)
    np.testing.assert_allclose(kind.project(x, unit * metric), there, atol=close)
    larger = replace(kind, weight=unit * kind.weight)
    np.testing.assert_allclose(larger.project(unit * x, metric), unit * there, atol=unit * close)
    if not shape.startswith("lq"):  # their sum is given: what is added to every regret changes nothing
        shifted = x + scale * random.normal() / metric
        np.testing.assert_allclose(kind.project(shifted, metric), there, atol=close)


@pytest.mark.parametrize("solve", [proximal.proximal_load, kernels.proximal_load], ids=["numpy", "compiled"])
@settings(max_examples=100, deadline=None)
@given(seeds, st.integers(0, 3), factors, factors)
def test_the_proximal_step(
    solve: Callable[..., tuple[Array, Array]], seed: int, kinds: int, power: float, money: float
) -> None:
    random = np.random.default_rng(seed)
    rows, slots = 2, 5
    price, capacity = random.normal(size=(rows, slots)), random.random((rows, slots))
    intensity = random.random((rows, kinds, slots))
    x, y = random.normal(0.5, 1.0, (2, rows, slots))
    target = random.normal(1.0, 1.0, (rows, kinds))
    step, slack = random.uniform(0.2, 3.0, rows), random.uniform(0.2, 3.0, (rows, kinds))
    none = np.zeros((rows, kinds))

    def load(center: Array, order: Array, power: float = 1.0, money: float = 1.0) -> Array:
        region = Region(
            ("a", "b"), money * price[:, order], power * capacity[:, order], intensity[:, :, order]
        )
        of = power / money
        return solve(region, power * center[:, order], power * target, of * step, of * slack, none)[0] / power

    plain, order = np.arange(slots), random.permutation(slots)
    here = load(x, plain)
    assert_firm(here, load(y, plain), x, y, 1.0 / step[:, None])
    np.testing.assert_allclose(load(x, order), here[:, order], atol=1e-9)
    np.testing.assert_allclose(load(x, plain, power, money), here, atol=1e-9)
    free = Region(("a", "b"), 0.0 * price, capacity, intensity[:, :0])
    boxed, _ = solve(free, x, target[:, :0], step, slack[:, :0], none[:, :0])
    np.testing.assert_array_equal(boxed, np.clip(x, 0.0, capacity))


@settings(max_examples=60, deadline=None)
@given(seeds, factors)
def test_the_nearest_load_that_meets_demand(seed: int, power: float) -> None:
    _, market = small_market(seed)
    random = np.random.default_rng(seed)
    step = random.uniform(0.3, 3.0, market.regions)
    x, y = random.normal(0.5, 1.0, (2, market.slots, market.regions))

    def nearest(target: Array, power: float = 1.0) -> Array:
        there = market.over(power * market.demand)
        route, price = there.spread(), np.zeros_like(market.demand)
        return there.project(power * target, route, price, step, 3000) / power

    here = nearest(x)
    np.testing.assert_allclose(nearest(here), here, atol=1e-6)
    assert_firm(here, nearest(y), x, y, 1.0 / step)
    np.testing.assert_allclose(nearest(x, power), here, atol=1e-6)

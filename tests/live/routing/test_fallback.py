"""Tables when there is no plan: always feasible, as near as can be, and nothing left out without need."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array
from eglb.live.routing.fallback import FallbackPlan, Routed
from eglb.live.routing.weights import WeightTable


def fleet(random: np.random.Generator) -> tuple[FallbackPlan, Array, Array]:
    """A projection with demand (J,) and capacity (N,), some of them zero."""
    gateways, regions = random.integers(1, 6, size=2)
    reach = random.random((gateways, regions)) < 0.6
    reach[np.arange(gateways), random.integers(regions, size=gateways)] = True
    gateway, region = np.nonzero(reach)
    market = Market(np.zeros((1, gateways)), regions, gateway, region, np.ones(1))
    demand = random.exponential(1.0, gateways) * (random.random(gateways) < 0.8)
    capacity = random.exponential(2.0, regions) * (random.random(regions) < 0.7)
    return FallbackPlan(market, random.random(len(gateway))), demand, capacity


def table(fallback_plan: FallbackPlan, routed: Routed, demand: Array, capacity: Array) -> WeightTable:
    gateways, regions = fallback_plan.reach.shape
    return WeightTable(
        1, np.datetime64(0, "s"), 60.0, tuple("abcdef"[:gateways]), tuple("uvwxyz"[:regions]), routed.share,
        demand, capacity, fallback_plan.reach, unmet=routed.unmet,
    )  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_whatever_is_down_tables_are_feasible_and_leave_out_as_little_as_possible(seed: int) -> None:
    random = np.random.default_rng(seed)
    fallback_plan, demand, capacity = fleet(random)
    share = random.random(fallback_plan.reach.shape) * fallback_plan.reach
    share /= share.sum(1, keepdims=True)
    near = fallback_plan.near(share, demand, capacity)
    nearest = fallback_plan.nearest(demand, capacity)
    for routed in (near, nearest):
        assert table(fallback_plan, routed, demand, capacity).problems() == []
    np.testing.assert_allclose(near.unmet.sum(), nearest.unmet.sum(), atol=1e-9)
    # As in Gale's theorem: a set of gateways asks at most for what its regions hold, and what is left out.
    for chosen in range(1, 2 ** len(demand)):
        some = np.array([chosen >> j & 1 for j in range(len(demand))], bool)
        held = capacity[fallback_plan.reach[some].any(0)].sum()
        assert near.unmet.sum() >= demand[some].sum() - held - 1e-9


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_is_feasible_stays_as_it_is(seed: int) -> None:
    random = np.random.default_rng(seed)
    fallback_plan, demand, _ = fleet(random)
    share = random.random(fallback_plan.reach.shape) * fallback_plan.reach
    share /= share.sum(1, keepdims=True)
    capacity = demand @ share + 1e-3
    routed = fallback_plan.near(share, demand, capacity)
    asked = demand > 0.0
    np.testing.assert_allclose(routed.share[asked], share[asked], atol=1e-12)
    assert not routed.unmet.any()


def test_the_nearest_region_serves_until_it_is_full() -> None:
    market = Market(np.zeros((1, 2)), 2, np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.ones(1))
    fallback_plan = FallbackPlan(market, np.array([1.0, 5.0, 2.0, 9.0]))
    routed = fallback_plan.nearest(np.array([3.0, 2.0]), np.array([4.0, 4.0]))
    np.testing.assert_allclose(routed.share, [[1.0, 0.0], [0.5, 0.5]])
    routed = fallback_plan.nearest(np.array([3.0, 2.0]), np.array([0.0, 4.0]))
    np.testing.assert_allclose(routed.share, [[0.0, 1.0], [0.0, 1.0]])
    np.testing.assert_allclose(routed.unmet.sum(), 1.0)


def test_who_reaches_nobody_that_is_up_has_no_shares() -> None:
    market = Market(np.zeros((1, 2)), 2, np.array([0, 1]), np.array([0, 1]), np.ones(1))
    fallback_plan = FallbackPlan(market, np.ones(2))
    demand, capacity = np.array([1.0, 1.0]), np.array([0.0, 2.0])
    routed = fallback_plan.nearest(demand, capacity)
    np.testing.assert_array_equal(routed.share, [[0.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(routed.unmet, [1.0, 0.0])
    assert table(fallback_plan, routed, demand, capacity).problems() == []

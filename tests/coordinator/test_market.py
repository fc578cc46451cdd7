"""The market's orders of edges and its small sums, against loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from eglb.agents.region import Region
from eglb.coordinator.market import Market

Draw = Callable[..., tuple[Region, Market]]


def pairs_by_region(market: Market) -> list[tuple[int, int]]:
    """(region, gateway) of every edge in the order of messages."""
    return sorted(zip(market.edge_region.tolist(), market.edge_gateway.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(6))
def test_orders_and_sums(draw_market: Draw, seed: int) -> None:
    _, market = draw_market(seed)
    assert (market.slots, market.gateways) == market.demand.shape
    pairs = pairs_by_region(market)
    order = [(market.edge_region[e], market.edge_gateway[e]) for e in market.by_region]
    assert order == pairs
    for i in range(market.regions):
        own = pairs[market.region_start[i] : market.region_start[i + 1]]
        assert own == [pair for pair in pairs if pair[0] == i]
        assert market.degree[i] == len(own)
    for j in range(market.gateways):
        own = market.edge_gateway[market.gateway_start[j] : market.gateway_start[j + 1]]
        assert (own == j).all() and len(own) == sum(pair[1] == j for pair in pairs)
    spread = market.spread()
    load = market.load(spread)
    for t in range(market.slots):
        for j in range(market.gateways):
            parts = spread[t, market.edge_gateway == j]
            assert parts.sum() == pytest.approx(market.demand[t, j])
            assert (parts == parts[0]).all()
        for i in range(market.regions):
            assert load[t, i] == pytest.approx(spread[t, market.edge_region == i].sum())


def test_regions_that_nobody_reaches_have_no_edges_and_no_load() -> None:
    market = Market(np.ones((2, 2)), 5, np.array([0, 0, 1]), np.array([1, 3, 3]), np.zeros(0))
    assert market.degree.tolist() == [0, 1, 0, 2, 0]
    assert market.region_start.tolist() == [0, 0, 1, 1, 3, 3]
    np.testing.assert_array_equal(market.load(market.spread()), [[0.0, 0.5, 0.0, 1.5, 0.0]] * 2)
    assert market.kinds == 0


def test_arrays_of_other_types_are_taken() -> None:
    market = Market(
        np.ones((3, 2), np.float32).T, 1, np.zeros(3, np.int32), np.zeros(3, np.int32), np.array([1.0])
    )
    assert market.demand.dtype == float and market.demand.flags.c_contiguous
    assert market.edge_region.dtype == np.int64

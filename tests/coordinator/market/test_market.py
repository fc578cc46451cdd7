"""The market's orders of edges and its small sums, against loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from eglb.agents.region import Region
from eglb.coordinator.market.market import Market
from eglb.foundation import compilation

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


@pytest.mark.parametrize("seed", range(6))
def test_an_earlier_route_is_scaled_to_demand_and_prices_are_looked_up(draw_market: Draw, seed: int) -> None:
    _, market = draw_market(seed)
    random = np.random.default_rng(seed)
    earlier = random.normal(0.5, 1.0, (market.slots, len(market.edge_region)))
    earlier[:, market.edge_gateway == 0] = 0.0
    met = market.meet(earlier)
    price = random.normal(size=market.demand.shape)
    best = market.best_price(price)
    assert (met >= 0.0).all()
    for t in range(market.slots):
        for j in range(market.gateways):
            own = market.edge_gateway == j
            assert met[t, own].sum() == pytest.approx(market.demand[t, j], rel=1e-12)
            carried = np.maximum(earlier[t, own], 0.0)
            if carried.any():
                np.testing.assert_allclose(
                    met[t, own], carried * market.demand[t, j] / carried.sum(), rtol=1e-12
                )
            else:
                assert (met[t, own] == met[t, own][0]).all()
        for i in range(market.regions):
            reached = market.edge_gateway[market.edge_region == i]
            assert best[t, i] == (max(price[t, j] for j in reached) if len(reached) else 0.0)


@pytest.mark.parametrize("seed", range(4))
def test_threads_change_nothing(draw_market: Draw, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _, market = draw_market(seed)
    random = np.random.default_rng(seed)
    target = random.random((market.slots, market.regions))
    quantity = market.load(market.spread()) * 1.1

    def everything() -> list[np.ndarray]:
        route, price = market.spread(), np.zeros_like(market.demand)
        load = market.project(target, route, price, np.ones(market.regions), 3)
        market.blend(route, market.spread(), 0.3)
        return [load, route, price, *market.clear(target, quantity), *market.repair(2.0 * route, quantity)]

    alone = everything()
    monkeypatch.setattr(compilation, "_WORTH_A_THREAD", 1)
    monkeypatch.setattr(compilation, "threads", lambda: 3)
    for one, many in zip(alone, everything(), strict=True):
        np.testing.assert_array_equal(one, many)


def test_arrays_of_other_types_are_taken() -> None:
    market = Market(
        np.ones((3, 2), np.float32).T, 1, np.zeros(3, np.int32), np.zeros(3, np.int32), np.array([1.0])
    )
    assert market.demand.dtype == float and market.demand.flags.c_contiguous
    assert market.edge_region.dtype == np.int64

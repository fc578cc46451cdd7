"""Re-dispatch after small changes of cost finds what a dispatch from nothing finds, and what a linear
program finds.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from eglb.coordinator.market.market import Market
from eglb.coordinator.online.redispatch import Dispatch
from eglb.foundation.arrays import Array


def draw(seed: int) -> tuple[Market, Array, np.random.Generator]:
    """A market of 1 to 20 regions, masks, full slots and closed regions among them; quantities (T, N)."""
    random = np.random.default_rng(seed)
    regions, gateways, slots = random.integers(1, 21), random.integers(1, 9), random.integers(1, 5)
    reach = random.random((gateways, regions)) < random.uniform(0.15, 1.0)
    reach[np.arange(gateways), random.integers(regions, size=gateways)] = True
    gateway, region = np.nonzero(reach)
    flow = random.exponential(1.0, (slots, len(gateway))) * (random.random(len(gateway)) < 0.7)
    demand = np.zeros((slots, gateways))
    np.add.at(demand, (slice(None), gateway), flow)
    load = np.zeros((slots, regions))
    np.add.at(load, (slice(None), region), flow)
    quantity = load + random.choice([0.0, 0.1, 2.0]) * random.random(load.shape)
    return Market(demand, int(regions), gateway, region, np.ones(1)), quantity, random


def least_cost(market: Market, cost: Array, quantity: Array, slot: int) -> float:
    """The transport problem of one slot as it is written, by a general solver."""
    pairs = len(market.edge_region)
    rows = np.zeros((market.regions, pairs))
    rows[market.edge_region, np.arange(pairs)] = 1.0
    meet = np.zeros((market.gateways, pairs))
    meet[market.edge_gateway, np.arange(pairs)] = 1.0
    found = linprog(
        cost[slot][market.edge_region],
        A_ub=rows,
        b_ub=quantity[slot] * (1 + 1e-12) + 1e-12,
        A_eq=meet,
        b_eq=market.demand[slot],
        method="highs",
    )
    assert found.status == 0, found.message
    return float(found.fun)


@pytest.mark.parametrize("seed", range(150))
def test_loads_after_changes_are_those_of_a_new_dispatch(seed: int) -> None:
    market, quantity, random = draw(seed)
    shape = quantity.shape
    cost = random.normal(size=shape)
    if random.random() < 0.3:
        cost = np.round(cost)  # equal costs
    dispatch = Dispatch()
    dispatch.turn_to(market, np.arange(shape[0]), np.ones(shape[0], bool))
    for step in (0.0, 0.01, 0.1, 1.0, 0.3, 0.001):
        cost = cost + step * random.normal(size=shape)
        load = dispatch.loads(cost, quantity)
        anew = market.load(market.clear(cost, quantity)[0])
        scale = max(1.0, float(anew.max()))
        if step:
            np.testing.assert_allclose(load, anew, atol=1e-11 * scale)
        assert load.min() >= -1e-12 * scale
        assert (load - quantity).max() <= 1e-12 * scale
        assert load.sum() == pytest.approx(market.demand.sum(), rel=1e-11)
        np.testing.assert_allclose((cost * load).sum(), (cost * anew).sum(), atol=1e-9 * scale)
    slot = int(random.integers(shape[0]))
    exact = least_cost(market, cost, quantity, slot)
    assert (cost[slot] * load[slot]).sum() == pytest.approx(exact, abs=1e-7 * max(1.0, abs(exact)))


def test_slots_that_were_known_are_gone_on_with() -> None:
    market, quantity, random = draw(7)
    wide = market.over(np.tile(market.demand[:1], (6, 1)))
    offered = np.tile(quantity[:1], (6, 1))
    cost = random.normal(size=offered.shape)
    dispatch = Dispatch()
    dispatch.turn_to(wide, np.arange(6), np.arange(6) < 4)
    dispatch.loads(cost, offered)
    slot = np.array([7, 3, 2, 5, 9, 1])  # 5 was not lasting: its quantity may be another now
    dispatch.turn_to(wide, slot, slot < 9)
    other = offered.copy()
    other[3] = np.maximum(offered[3], offered[3].mean())
    cost = np.ascontiguousarray(cost[::-1])
    load = dispatch.loads(cost, other)
    np.testing.assert_allclose(load, wide.load(wide.clear(cost, other)[0]), atol=1e-11)


def test_known_answer_of_one_exchange() -> None:
    """Two gateways of one MW; the middle region serves both. When the last becomes cheapest, it takes one
    over.
    """
    market = Market(np.ones((1, 2)), 3, np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2]), np.ones(1))
    quantity = np.array([[1.0, 2.0, 1.0]])
    dispatch = Dispatch()
    dispatch.turn_to(market, np.zeros(1, np.int64), np.ones(1, bool))
    assert dispatch.loads(np.array([[3.0, 1.0, 2.0]]), quantity).tolist() == [[0.0, 2.0, 0.0]]
    assert dispatch.loads(np.array([[3.0, 1.0, 0.5]]), quantity).tolist() == [[0.0, 1.0, 1.0]]
    assert dispatch.loads(np.array([[0.1, 1.0, 0.5]]), quantity).tolist() == [[1.0, 0.0, 1.0]]


def test_slots_do_not_influence_each_other() -> None:
    market, quantity, random = draw(11)
    cost = random.normal(size=quantity.shape)
    together, alone = Dispatch(), Dispatch()
    together.turn_to(market, np.arange(len(cost)), np.ones(len(cost), bool))
    expected = together.loads(cost, quantity).copy()
    for t in range(len(cost)):
        alone.turn_to(market.over(market.demand[t : t + 1]), np.array([t]), np.ones(1, bool))
        np.testing.assert_array_equal(alone.loads(cost[t : t + 1], quantity[t : t + 1])[0], expected[t])

"""What an agent tells about a given plan or given prices: its cost, its room, its part of the lower bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.agents.region import Array, Memory, MemoryLost, Region, Request
from eglb.agents.wire import Message, per_edge, per_region


@dataclass(frozen=True, eq=False)
class Profile(Message):
    """Answer to `Introduce`: scales only, no series.

    `price_scale` (n,) mean |price|, `price_spread` (n,) its standard deviation over time, `footprint` (n, K)
    at the proposed load.
    """

    price_scale: Array = per_region()
    price_spread: Array = per_region()
    footprint: Array = per_region()


@dataclass(frozen=True, eq=False)
class Introduce(Request):
    """Opens a solve: tells an agent the demand of the gateways that reach it and a first load.

    Parameters
    ----------
    degree : (N,) number of gateways that reach the region.
    demand : (E, T) MW of those gateways.
    load : (N, T) MW.
    """

    degree: Array = per_region()
    demand: Array = per_edge()
    load: Array = per_region()

    def answer(self, region: Region, memory: Memory) -> Profile:
        memory.notes.clear()
        memory.notes["gateways"] = pad_edges(self.degree, self.demand)
        return Profile(
            price_scale=np.abs(region.price).mean(1),
            price_spread=region.price.std(1),
            footprint=region.footprint(self.load),
        )


def pad_edges(degree: Array, demand: Array) -> tuple[Array, Array]:
    """Edge rows as a rectangle: index (n, D) of each region's edges and their demand (n, D, T), zero where
    padded.

    With all demand zero on the padding, a padded edge can never carry load.
    """
    width = int(degree.max(initial=0))
    start = np.concatenate([[0], np.cumsum(degree)[:-1]]).astype(int)
    column = np.arange(width)[None, :]
    real = column < degree[:, None]
    index = np.where(real, start[:, None] + column, 0)
    return index, np.where(real[:, :, None], demand[index], 0.0)


@dataclass(frozen=True, eq=False)
class Accepted(Message):
    """Answer to `Offer`: the part (n, T) MW of the offered load that the region can carry."""

    load: Array = per_region()


@dataclass(frozen=True, eq=False)
class Offer(Request):
    """Would you carry `load` (N, T) MW? Discloses capacity only where the offer exceeds it."""

    load: Array = per_region()

    def answer(self, region: Region, memory: Memory) -> Accepted:
        return Accepted(load=np.minimum(self.load, region.capacity))


@dataclass(frozen=True, eq=False)
class Value(Message):
    """Answer to `Evaluate`: `cost` (n,) USD, `footprint` (n, K)."""

    cost: Array = per_region()
    footprint: Array = per_region()


@dataclass(frozen=True, eq=False)
class Evaluate(Request):
    """What would `load` (N, T) MW cost you and what would its footprints be? Discloses totals only."""

    load: Array = per_region()

    def answer(self, region: Region, memory: Memory) -> Value:
        return Value(cost=(region.price * self.load).sum(1), footprint=region.footprint(self.load))


@dataclass(frozen=True, eq=False)
class BoundTerm(Message):
    """Answer to `Bound`: `value` (n,) USD, the region's term of the Lagrangian bound."""

    value: Array = per_region()


@dataclass(frozen=True, eq=False)
class Bound(Request):
    """The region's term of the Lagrangian lower bound at given prices.

    Solves, slot by slot, min { sum_j (c - nu_j) x_j : 0 <= x_j <= d_j, sum_j x_j <= capacity } with
    c = price + mu . intensity: a knapsack, filled from the most negative reduced cost.

    Parameters
    ----------
    demand_price : (E, T) USD per MW-slot, nu of the gateway of each edge.
    equity_price : (N, K) USD per unit, mu.
    """

    demand_price: Array = per_edge()
    equity_price: Array = per_region()

    def answer(self, region: Region, memory: Memory) -> BoundTerm:
        if "gateways" not in memory.notes:
            raise MemoryLost
        index, demand = memory.notes["gateways"]
        cost = region.marginal_cost(self.equity_price)
        return BoundTerm(value=knapsack(cost, self.demand_price[index], demand, region.capacity))


def knapsack(cost: Array, demand_price: Array, demand: Array, capacity: Array) -> Array:
    """(n,): sum over slots of min { sum_j (cost - nu_j) x_j : 0 <= x_j <= d_j, sum_j x_j <= capacity }.

    Shapes: `cost`, `capacity` (n, T); `demand_price`, `demand` (n, D, T).
    """
    reduced = np.minimum(cost[:, None, :] - demand_price, 0.0)
    wanted = np.where(reduced < 0.0, demand, 0.0)
    value = (reduced * demand).sum(1)
    full = wanted.sum(1) > capacity
    if full.any():
        region, slot = np.nonzero(full)
        gains, amounts = reduced[region, :, slot], wanted[region, :, slot]
        rows, order = np.arange(len(gains))[:, None], np.argsort(gains, axis=1)
        filled = np.minimum(np.cumsum(amounts[rows, order], axis=1), capacity[full][:, None])
        filled[:, 1:] -= filled[:, :-1].copy()
        value[full] = (gains[rows, order] * filled).sum(1)
    return value.sum(1)

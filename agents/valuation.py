"""Evaluation at the agent: of a given plan or given prices, its cost, its room, its part of the bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.agents.codec import Message, per_edge, per_gateway, per_region, shared
from eglb.agents.region import Memory, MemoryLost, Region, Request
from eglb.foundation.arrays import Array


@dataclass(frozen=True, eq=False)
class Profile(Message):
    """Answer to `Introduce`: scales only, no series.

    `price_scale` (n,) mean |price|, `price_spread` (n,) its standard deviation over time, `footprint` (n, K)
    at the proposed load.
    """

    price_scale: Array = per_region(at_least=0.0)
    price_spread: Array = per_region(at_least=0.0)
    footprint: Array = per_region("kind", at_least=0.0)


@dataclass(frozen=True, eq=False)
class Introduce(Request):
    """Opens a solve: tells an agent the demand of the gateways that reach it and a first load.

    Parameters
    ----------
    degree : (N,) number of gateways that reach the region. reach : (E,) which, by identity.
    gateway : (J,) identities, ascending. demand : (J, T) MW.
    load : (N, T) MW.
    large : whether the fleet is so large that agents load compiled code; not each by its own size, so that
    the answers do not depend on which regions share a host.
    """

    degree: Array = per_region(at_least=0.0)
    reach: Array = per_edge(at_least=0.0)
    gateway: Array = per_gateway(at_least=0.0)
    demand: Array = per_gateway("slot", at_least=0.0)
    load: Array = per_region("slot")
    large: bool = False

    def answer(self, region: Region, memory: Memory) -> Profile:
        first = np.concatenate([[0], np.cumsum(self.degree)]).astype(np.int64)
        at = np.searchsorted(self.gateway, self.reach)
        # Compiled code goes by these without looking.
        if (
            (self.degree > len(self.reach)).any()
            or first[-1] != len(self.reach)
            or (self.gateway.take(at, mode="clip") != self.reach).any()
        ):
            raise ValueError("reach does not agree with degrees and gateways")
        memory.notes.clear()
        memory.large = self.large
        memory.notes["gateways"] = (first, at, self.demand)
        return Profile(
            price_scale=np.abs(region.price).mean(1),
            price_spread=region.price.std(1),
            footprint=region.footprint(self.load),
        )


@dataclass(frozen=True, eq=False)
class Accepted(Message):
    """Answer to `Offer`: the part (n, T) MW of the offered load that the region can carry."""

    load: Array = per_region("slot", at_least=0.0, at_most="load")


@dataclass(frozen=True, eq=False)
class Offer(Request):
    """Would you carry `load` (N, T) MW? Discloses capacity only where the offer exceeds it."""

    load: Array = per_region("slot", at_least=0.0, single=True)

    def answer(self, region: Region, memory: Memory) -> Accepted:
        return Accepted(load=np.minimum(self.load, region.capacity))


@dataclass(frozen=True, eq=False)
class Value(Message):
    """Answer to `Evaluate`: `cost` (n, P) USD, `footprint` (n, P, K), by part of the horizon."""

    cost: Array = per_region("part")
    footprint: Array = per_region("part", "kind", at_least=0.0)


@dataclass(frozen=True, eq=False)
class Evaluate(Request):
    """What would `load` (N, T) MW cost you and what would its footprints be? Discloses sums only.

    `part` (P,) are the first slots of the parts of the horizon that are summed up; the first is zero.
    """

    part: Array = shared("part", at_least=0.0)
    load: Array = per_region("slot")

    def answer(self, region: Region, memory: Memory) -> Value:
        footprint = np.add.reduceat(region.intensity * self.load[:, None, :], self.part, axis=2)
        if region.carried is not None:
            footprint[:, :, 0] += region.carried
        return Value(
            cost=np.add.reduceat(region.price * self.load, self.part, axis=1),
            footprint=np.moveaxis(footprint, 2, 1),
        )


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
    demand_price : (J, T) USD per MW-slot, nu.
    equity_price : (N, K) USD per unit, mu.
    """

    demand_price: Array = per_gateway("slot")
    equity_price: Array = per_region("kind")

    def answer(self, region: Region, memory: Memory) -> BoundTerm:
        if "gateways" not in memory.notes:
            raise MemoryLost
        demand = memory.notes["gateways"][-1]
        if self.demand_price.shape != demand.shape:
            raise ValueError(f"prices of shape {self.demand_price.shape} for demand of shape {demand.shape}")
        cost = region.marginal_cost(self.equity_price)
        fill = knapsack
        if memory.large:
            from eglb.agents.kernels import knapsack as fill
        return BoundTerm(value=fill(cost, self.demand_price, region.capacity, *memory.notes["gateways"]))


def knapsack(
    cost: Array, demand_price: Array, capacity: Array, first: Array, reach: Array, demand: Array
) -> Array:
    """(n,): sum over slots of min { sum_j (cost - nu_j) x_j : 0 <= x_j <= d_j, sum_j x_j <= capacity }.

    Shapes: `cost`, `capacity` (n, T); `demand_price`, `demand` (J, T); the gateways of region i are
    ``reach[first[i]:first[i + 1]]``.
    """
    degree = np.diff(first)
    column = np.arange(degree.max(initial=0))
    real = column < degree[:, None]
    own = reach[np.where(real, first[:-1, None] + column, 0)] if len(reach) else np.zeros(real.shape, int)
    demand = np.where(real[:, :, None], demand[own], 0.0)
    reduced = np.minimum(cost[:, None, :] - demand_price[own], 0.0)
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

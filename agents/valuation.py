"""What an agent tells about a given plan or given prices: its cost, its room, its part of the lower bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.agents.compilation import compiled, given_indices, given_matrix, in_shards, nothing, vector
from eglb.agents.region import Array, Memory, MemoryLost, Region, Request
from eglb.agents.wire import Message, per_edge, per_gateway, per_region


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
    degree : (N,) number of gateways that reach the region. reach : (E,) which, by identity.
    gateway : (J,) identities, ascending. demand : (J, T) MW.
    load : (N, T) MW.
    """

    degree: Array = per_region()
    reach: Array = per_edge()
    gateway: Array = per_gateway()
    demand: Array = per_gateway()
    load: Array = per_region()

    def answer(self, region: Region, memory: Memory) -> Profile:
        memory.notes.clear()
        first = np.concatenate([[0], np.cumsum(self.degree)]).astype(np.int64)
        memory.notes["gateways"] = (first, np.searchsorted(self.gateway, self.reach), self.demand)
        return Profile(
            price_scale=np.abs(region.price).mean(1),
            price_spread=region.price.std(1),
            footprint=region.footprint(self.load),
        )


@dataclass(frozen=True, eq=False)
class Accepted(Message):
    """Answer to `Offer`: the part (n, T) MW of the offered load that the region can carry."""

    load: Array = per_region()


@dataclass(frozen=True, eq=False)
class Offer(Request):
    """Would you carry `load` (N, T) MW? Discloses capacity only where the offer exceeds it."""

    load: Array = per_region(single=True)

    def answer(self, region: Region, memory: Memory) -> Accepted:
        return Accepted(load=np.minimum(self.load, region.capacity))


@dataclass(frozen=True, eq=False)
class Value(Message):
    """Answer to `Evaluate`: `cost` (n, P) USD, `footprint` (n, P, K), by part of the horizon."""

    cost: Array = per_region()
    footprint: Array = per_region()


@dataclass(frozen=True, eq=False)
class Evaluate(Request):
    """What would `load` (N, T) MW cost you and what would its footprints be? Discloses sums only.

    `part` (P,) are the first slots of the parts of the horizon that are summed up; the first is zero.
    """

    part: Array
    load: Array = per_region()

    def answer(self, region: Region, memory: Memory) -> Value:
        footprint = np.add.reduceat(region.intensity * self.load[:, None, :], self.part, axis=2)
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

    demand_price: Array = per_gateway()
    equity_price: Array = per_region()

    def answer(self, region: Region, memory: Memory) -> BoundTerm:
        if "gateways" not in memory.notes:
            raise MemoryLost
        cost = region.marginal_cost(self.equity_price)
        return BoundTerm(value=knapsack(cost, self.demand_price, region.capacity, *memory.notes["gateways"]))


def knapsack(
    cost: Array, demand_price: Array, capacity: Array, first: Array, reach: Array, demand: Array
) -> Array:
    """(n,): sum over slots of min { sum_j (cost - nu_j) x_j : 0 <= x_j <= d_j, sum_j x_j <= capacity }.

    Shapes: `cost`, `capacity` (n, T); `demand_price`, `demand` (J, T); the gateways of region i are
    ``reach[first[i]:first[i + 1]]``.
    """
    value = np.zeros(len(cost))
    rows = (cost, capacity, first[:-1], first[1:], value)
    shared = (reach, np.asarray(demand_price, dtype=float), demand)
    in_shards(_fill, len(reach) * cost.shape[1], rows, *(np.ascontiguousarray(a) for a in shared))
    return value


@compiled(
    nothing(
        given_matrix,
        given_matrix,
        given_indices,
        given_indices,
        vector,
        given_indices,
        given_matrix,
        given_matrix,
    )
)
def _fill(
    cost: Array,
    capacity: Array,
    first: Array,
    last: Array,
    value: Array,
    reach: Array,
    demand_price: Array,
    demand: Array,
) -> None:
    """See `knapsack`: all that gains is taken, and where that is too much, the best of it."""
    regions, slots = cost.shape
    gain, wanted = np.empty(slots), np.empty(slots)
    offer, size = np.empty(len(reach)), np.empty(len(reach))
    for i in range(regions):
        gain[:] = 0.0
        wanted[:] = 0.0
        for q in range(first[i], last[i]):
            nu, d = demand_price[reach[q]], demand[reach[q]]
            for t in range(slots):
                reduced = min(cost[i, t] - nu[t], 0.0)
                gain[t] += reduced * d[t]
                wanted[t] += d[t] if reduced < 0.0 else 0.0
        for t in range(slots):
            if wanted[t] > capacity[i, t]:
                offers = 0
                for q in range(first[i], last[i]):
                    reduced = cost[i, t] - demand_price[reach[q], t]
                    if reduced < 0.0:
                        place = offers
                        while place > 0 and offer[place - 1] > reduced:
                            offer[place], size[place] = offer[place - 1], size[place - 1]
                            place -= 1
                        offer[place], size[place] = reduced, demand[reach[q], t]
                        offers += 1
                gain[t] = 0.0
                room = capacity[i, t]
                for q in range(offers):
                    taken = min(size[q], room)
                    gain[t] += offer[q] * taken
                    room -= taken
            value[i] += gain[t]

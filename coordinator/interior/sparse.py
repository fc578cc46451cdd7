"""Newton system, sparse: the routes of the interior-point method, reduced slot by slot with sparse factors.

The same algebra as `dense`, for fleets where a gateway reaches a few of many regions. Systems of `LANES`
slots lie side by side in the innermost axis and are factored together (see `sparse_ldl`). The border in the
equity prices is never formed: conjugate gradients apply it, slot by slot.
"""

from __future__ import annotations

import numpy as np

from eglb.coordinator.interior.border_preconditioner import BorderPreconditioner, edge_pairs, projected_cg
from eglb.coordinator.interior.dense import PRICE_FLOOR, ROUTE_FLOOR, Moves
from eglb.coordinator.interior.sparse_ldl import factorise, plan_elimination, substitute
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array
from eglb.foundation.compilation import (
    compiled,
    cube,
    float64,
    in_shards,
    indices,
    matrix,
    nothing,
    number,
    several,
)

LANES = 16
_MANY_STEPS = 25
"""Of conjugate gradients: after so many the exact border of the binding footprints is worth its while."""
_tensor = float64[:, :, :, ::1]
_edges = several((indices, indices))
_pattern = several((indices, indices, indices))


class SparseSlots:
    """The systems of all slots, in blocks of `LANES`: `reduce`, then `solve_border`, then `expand`.

    Parameters
    ----------
    intensity : (T, K, N) in units of order one. demand : (T, J).
    """

    def __init__(self, market: Market, intensity: Array, demand: Array) -> None:
        gateway = market.edge_gateway
        self._market = market
        self._edges = market.gateway_start, market.edge_region
        one, other, place = edge_pairs(market.region_start, market.by_region)
        self._plan = plan = plan_elimination(market.gateways, gateway[one], gateway[other])
        self._pairs = one, other, place, plan.locate(gateway[one], gateway[other])
        self._demand = demand
        self._first = np.arange(0, market.slots, LANES, dtype=np.int64)
        blocks, regions = len(self._first), market.regions
        self._intensity = np.zeros((blocks, market.kinds, regions, LANES))
        for b, first in enumerate(self._first):
            part = intensity[first : first + LANES]
            self._intensity[b, :, :, : len(part)] = part.transpose(1, 2, 0)
        self._weight = np.zeros((blocks, len(gateway), LANES))
        self._total, self._damped = np.zeros((blocks, regions, LANES)), np.zeros((blocks, regions, LANES))
        self._upper = np.zeros((blocks, plan.fill, LANES))
        self._inverse = np.zeros((blocks, market.gateways, LANES))
        self._rest = np.zeros((market.slots, len(gateway)))
        self._own = np.zeros((market.slots, market.gateways))
        self._work = market.slots * (plan.fill + len(gateway))
        self._exact = False
        if market.kinds:
            self._preconditioner = BorderPreconditioner(market, self._intensity)

    def reduce(
        self,
        route: Array,
        reduced_cost: Array,
        demand_price: Array,
        slope: Array,
        curvature: Array,
        tau: float,
    ) -> Array:
        """Eliminate routes and demand prices; (T, N) the change of load at unchanged equity prices.

        Parameters
        ----------
        route, reduced_cost : (T, E) x and its price, > 0. demand_price : (T, J).
        slope, curvature : (T, N) of the regions' barriers at the present load.
        """
        self._point = route, reduced_cost, curvature, tau
        shift = np.empty_like(slope)
        in_shards(
            _reduce,
            20 * self._work,
            (self._first, *self._factors),
            (route, reduced_cost, demand_price, slope, curvature, self._demand),
            tau,
            (self._rest, self._own, shift),
            self._edges,
            self._pairs,
            (*self._plan.columns, self._plan.before_start, self._plan.before, self._plan.entry),
        )
        return shift

    def respond(self, equity_move: Array) -> Array:
        """(K, N): the border applied, sum_t a R a' `equity_move` (K, N)."""
        answer = np.empty((len(self._first), *equity_move.shape))
        in_shards(
            _respond,
            4 * self._work,
            (self._intensity, *self._factors, answer),
            equity_move,
            self._edges,
            self._plan.columns,
        )
        return answer.sum(0)

    def solve_border(
        self, compliance: Array, side: Array, direction: Array, rest: Array, guess: Array, enough: float
    ) -> tuple[Array, Array]:
        """The bordered system of the equity prices, up to a residual of `enough`; see `projected_cg`."""
        if not len(rest):
            return guess, rest
        lumped = self._preconditioner.assemble(self._weight, self._damped)
        if self._exact:
            binding = np.flatnonzero((compliance < lumped.own).any(0))
            lumped.replace(binding, self.border_at(binding))
        move, level, steps = projected_cg(
            lambda move: self.respond(move) + compliance * move,
            lumped.factor(compliance),
            side,
            direction,
            rest,
            guess,
            enough,
        )
        self._exact = self._exact or steps > _MANY_STEPS
        return move, level

    def border_at(self, region: Array) -> Array:
        """(n K, n K): the border's rows and columns of some regions, kinds innermost, from half a solve for
        each.
        """
        kinds = self._intensity.shape[1]
        size = len(region) * kinds
        answer = np.empty((len(self._first), size, size))
        # Each region's first gateway in the order of elimination: the others lie on its path of parents.
        lowest = np.full(self._total.shape[1], len(self._plan.place))
        np.minimum.at(lowest, self._edges[1], self._plan.place[self._market.edge_gateway])
        in_shards(
            _couple,
            self._work * len(region),
            (self._intensity, *self._factors, answer),
            (region, lowest[region]),
            (self._market.edge_gateway, self._market.region_start, self._market.by_region),
            (*self._plan.columns, self._plan.parent),
        )
        return answer.sum(0)

    def expand(self, equity_cost: Array) -> Moves:
        """Go back from the equity prices to everything else; see `dense.expand_slots`."""
        route, reduced_cost, curvature, tau = self._point
        price, moves = np.empty_like(self._own), (np.empty_like(route), np.empty_like(route))
        capacity = np.empty_like(curvature)
        room = np.full((len(self._first), 2), np.inf)
        in_shards(
            _expand,
            8 * self._work,
            (self._first, *self._factors, room),
            (route, reduced_cost, curvature, equity_cost, self._rest, self._own),
            tau,
            (price, *moves, capacity),
            self._edges,
            self._plan.columns,
        )
        return Moves(price, *moves, capacity, *(float(r) for r in room.min(0)))

    @property
    def _factors(self) -> tuple[Array, ...]:
        return self._weight, self._total, self._damped, self._upper, self._inverse


@compiled(
    nothing(
        indices,
        cube,
        cube,
        cube,
        cube,
        cube,
        several((matrix, matrix, matrix, matrix, matrix, matrix)),
        number,
        several((matrix, matrix, matrix)),
        _edges,
        several((indices, indices, indices, indices)),
        several((indices, indices, indices, indices, indices, indices)),
    )
)
def _reduce(
    first: Array,
    weight: Array,
    total: Array,
    damped: Array,
    upper: Array,
    inverse: Array,
    point: tuple[Array, Array, Array, Array, Array, Array],
    tau: float,
    results: tuple[Array, Array, Array],
    edges: tuple[Array, Array],
    pairs: tuple[Array, Array, Array, Array],
    plan: tuple[Array, Array, Array, Array, Array, Array],
) -> None:
    """See `SparseSlots.reduce`; fills the factors of the blocks that begin at the slots `first`."""
    route, reduced_cost, demand_price, slope, curvature, demand = point
    rest, own, shift = results
    gateway_start, edge_region = edges
    one, other, pair_region, pair_entry = pairs
    place, column_start, row, before_start, before, entry = plan
    lanes = weight.shape[2]
    gateways, regions = demand.shape[1], slope.shape[1]
    row_sum, side, dense = (
        np.empty((gateways, lanes)),
        np.empty((gateways, lanes)),
        np.zeros((gateways, lanes)),
    )
    pull, stiff = np.empty((regions, lanes)), np.empty((regions, lanes))
    for b in range(len(first)):
        d, sums, damp, factor = weight[b], total[b], damped[b], upper[b]
        sums[:] = 0.0
        damp[:] = 1.0
        pull[:] = 0.0
        stiff[:] = 0.0
        side[:] = 0.0
        row_sum[:] = PRICE_FLOOR
        factor[:] = 0.0
        used = min(lanes, len(route) - first[b])
        for v in range(used):
            t = first[b] + v
            for j in range(gateways):
                left = demand[t, j]
                for e in range(gateway_start[j], gateway_start[j + 1]):
                    i = edge_region[e]
                    inverse_route = 1.0 / route[t, e]
                    w = 1.0 / (reduced_cost[t, e] * inverse_route + ROUTE_FLOOR)
                    r = demand_price[t, j] + tau * inverse_route - slope[t, i]
                    d[e, v] = w
                    rest[t, e] = r
                    sums[i, v] += w
                    pull[i, v] += w * r
                    left -= route[t, e]
                side[place[j], v] = left
            for i in range(regions):
                damp[i, v] = 1.0 / (1.0 + curvature[t, i] * sums[i, v])
                stiff[i, v] = curvature[t, i] * damp[i, v]
            for j in range(gateways):
                for e in range(gateway_start[j], gateway_start[j + 1]):
                    i = edge_region[e]
                    w = d[e, v]
                    row_sum[place[j], v] += w * damp[i, v]
                    side[place[j], v] -= w * (rest[t, e] - stiff[i, v] * pull[i, v])
        for p in range(len(one)):
            into, a, c, h = factor[pair_entry[p]], d[one[p]], d[other[p]], stiff[pair_region[p]]
            for v in range(lanes):
                into[v] += a[v] * h[v] * c[v]
        factorise(factor, inverse[b], row_sum, dense, column_start, row, before_start, before, entry)
        substitute(factor, inverse[b], side, column_start, row)
        for v in range(used):
            t = first[b] + v
            for i in range(regions):
                shift[t, i] = pull[i, v]
            for j in range(gateways):
                move = side[place[j], v]
                own[t, j] = move
                for e in range(gateway_start[j], gateway_start[j + 1]):
                    shift[t, edge_region[e]] += d[e, v] * move
            for i in range(regions):
                shift[t, i] *= damp[i, v]


@compiled(nothing(_tensor, cube, cube, cube, cube, cube, cube, matrix, _edges, _pattern))
def _respond(
    intensity: Array,
    weight: Array,
    total: Array,
    damped: Array,
    upper: Array,
    inverse: Array,
    answer: Array,
    equity_move: Array,
    edges: tuple[Array, Array],
    columns: tuple[Array, Array, Array],
) -> None:
    """See `SparseSlots.respond`; `answer` (blocks, K, N) is filled with the blocks' parts."""
    gateway_start, edge_region = edges
    place, column_start, row = columns
    blocks, kinds, regions, lanes = intensity.shape
    gateways = inverse.shape[1]
    cost, relief, side = np.empty((regions, lanes)), np.empty((regions, lanes)), np.empty((gateways, lanes))
    for b in range(blocks):
        d = weight[b]
        relief[:] = 0.0
        for i in range(regions):
            c, damp = cost[i], damped[b, i]
            c[:] = 0.0
            for k in range(kinds):
                a, move = intensity[b, k, i], equity_move[k, i]
                for v in range(lanes):
                    c[v] += a[v] * move
            for v in range(lanes):
                c[v] *= damp[v]
        for j in range(gateways):
            s = side[place[j]]
            s[:] = 0.0
            for e in range(gateway_start[j], gateway_start[j + 1]):
                w, c = d[e], cost[edge_region[e]]
                for v in range(lanes):
                    s[v] += w[v] * c[v]
        substitute(upper[b], inverse[b], side, column_start, row)
        for j in range(gateways):
            s = side[place[j]]
            for e in range(gateway_start[j], gateway_start[j + 1]):
                w, r = d[e], relief[edge_region[e]]
                for v in range(lanes):
                    r[v] += w[v] * s[v]
        for i in range(regions):
            c, r, damp, w = cost[i], relief[i], damped[b, i], total[b, i]
            for v in range(lanes):
                r[v] = w[v] * c[v] - damp[v] * r[v]
            for k in range(kinds):
                a = intensity[b, k, i]
                part = 0.0
                for v in range(lanes):
                    part += a[v] * r[v]
                answer[b, k, i] = part


@compiled(
    nothing(
        _tensor,
        cube,
        cube,
        cube,
        cube,
        cube,
        cube,
        several((indices, indices)),
        several((indices, indices, indices)),
        several((indices, indices, indices, indices)),
    )
)
def _couple(
    intensity: Array,
    weight: Array,
    total: Array,
    damped: Array,
    upper: Array,
    inverse: Array,
    answer: Array,
    chosen: tuple[Array, Array],
    regions: tuple[Array, Array, Array],
    columns: tuple[Array, Array, Array, Array],
) -> None:
    """See `SparseSlots.border_at`; `answer` (blocks, n K, n K) is filled with the blocks' parts."""
    region, lowest = chosen
    edge_gateway, region_start, by_region = regions
    place, column_start, row, parent = columns
    blocks, kinds, _, lanes = intensity.shape
    gateways = inverse.shape[1]
    # Distance from the last unknown of a path, counted from one.
    depth = np.ones(gateways, np.int64)
    deepest = 1
    for k in range(gateways - 1, -1, -1):
        if parent[k] != k:
            depth[k] = depth[parent[k]] + 1
            deepest = max(deepest, depth[k])
    half = np.zeros((len(region), deepest, lanes))
    side = np.zeros((gateways, lanes))
    pull, value = np.empty(lanes), np.empty(lanes)
    for b in range(blocks):
        for c in range(len(region)):
            i = region[c]
            for q in range(region_start[i], region_start[i + 1]):
                e = by_region[q]
                s, w, damp = side[place[edge_gateway[e]]], weight[b, e], damped[b, i]
                for v in range(lanes):
                    s[v] = w[v] * damp[v]
            k = lowest[c]
            while k < gateways:
                s, pivot, kept = side[k], inverse[b, k], half[c, depth[k] - 1]
                for v in range(lanes):
                    kept[v] = s[v] * np.sqrt(pivot[v])
                    value[v] = s[v] * pivot[v]
                    s[v] = 0.0
                for p in range(column_start[k], column_start[k + 1]):
                    into, source = side[row[p]], upper[b, p]
                    for v in range(lanes):
                        into[v] += source[v] * value[v]
                k = parent[k] if parent[k] != k else gateways
        for c in range(len(region)):
            for o in range(c + 1):
                pull[:] = 0.0
                x, y = lowest[c], lowest[o]
                while x != y and x < gateways and y < gateways:
                    if x < y:
                        x = parent[x] if parent[x] != x else gateways
                    else:
                        y = parent[y] if parent[y] != y else gateways
                if x == y and x < gateways:
                    for q in range(depth[x]):
                        f, g = half[c, q], half[o, q]
                        for v in range(lanes):
                            pull[v] -= f[v] * g[v]
                if c == o:
                    w, damp = total[b, region[c]], damped[b, region[c]]
                    for v in range(lanes):
                        pull[v] += w[v] * damp[v]
                for k in range(kinds):
                    f = intensity[b, k, region[c]]
                    for m in range(kinds):
                        g = intensity[b, m, region[o]]
                        part = 0.0
                        for v in range(lanes):
                            part += f[v] * pull[v] * g[v]
                        answer[b, c * kinds + k, o * kinds + m] = part
                        answer[b, o * kinds + m, c * kinds + k] = part


@compiled(
    nothing(
        indices,
        cube,
        cube,
        cube,
        cube,
        cube,
        matrix,
        several((matrix, matrix, matrix, matrix, matrix, matrix)),
        number,
        several((matrix, matrix, matrix, matrix)),
        _edges,
        _pattern,
    )
)
def _expand(
    first: Array,
    weight: Array,
    total: Array,
    damped: Array,
    upper: Array,
    inverse: Array,
    room: Array,
    point: tuple[Array, Array, Array, Array, Array, Array],
    tau: float,
    moves: tuple[Array, Array, Array, Array],
    edges: tuple[Array, Array],
    columns: tuple[Array, Array, Array],
) -> None:
    """See `SparseSlots.expand`; `room` (blocks, 2) for routes and reduced costs."""
    route, reduced_cost, curvature, equity_cost, rest, own = point
    price_move, route_move, cost_move, capacity_move = moves
    gateway_start, edge_region = edges
    place, column_start, row = columns
    lanes = weight.shape[2]
    gateways, regions = own.shape[1], curvature.shape[1]
    side = np.zeros((gateways, lanes))
    for b in range(len(first)):
        d, damp = weight[b], damped[b]
        used = min(lanes, len(route) - first[b])
        side[:] = 0.0
        for v in range(used):
            t = first[b] + v
            for j in range(gateways):
                for e in range(gateway_start[j], gateway_start[j + 1]):
                    i = edge_region[e]
                    side[place[j], v] += d[e, v] * damp[i, v] * equity_cost[t, i]
        substitute(upper[b], inverse[b], side, column_start, row)
        route_room, cost_room = np.inf, np.inf
        for v in range(used):
            t = first[b] + v
            for i in range(regions):
                capacity_move[t, i] = 0.0
            for j in range(gateways):
                move = own[t, j] + side[place[j], v]
                price_move[t, j] = move
                for e in range(gateway_start[j], gateway_start[j + 1]):
                    i = edge_region[e]
                    part = d[e, v] * (rest[t, e] - equity_cost[t, i] + move)
                    route_move[t, e] = part
                    capacity_move[t, i] += part
            for i in range(regions):
                capacity_move[t, i] *= curvature[t, i] * damp[i, v]
            for e in range(len(edge_region)):
                dx = route_move[t, e] - d[e, v] * capacity_move[t, edge_region[e]]
                x, z = route[t, e], reduced_cost[t, e]
                dz = tau / x - z - z / x * dx
                route_move[t, e] = dx
                cost_move[t, e] = dz
                if dx < 0.0:
                    route_room = min(route_room, -x / dx)
                if dz < 0.0:
                    cost_room = min(cost_room, -z / dz)
        room[b, 0], room[b, 1] = route_room, cost_room

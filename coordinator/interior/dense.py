"""Newton system, dense: the routes of the interior-point method, reduced slot by slot (Schur complement).

All regions' barriers enter as quadratics (g, h per slot; W, b per footprint level). Eliminating routes and
loads leaves one small system in the demand prices per slot, and one border in the equity prices over all
slots:

    M_t dnu = demand residual,     (diag(W) + sum_t a_t R_t a_t') dmu + b phi = rest,     b_k . dmu_k = rest_k

M is an M-matrix; its diagonal is formed from row sums, never by subtraction, and needs no pivoting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array
from eglb.foundation.compilation import compiled, cube, indices, matrix, nothing, number, several

ROUTE_FLOOR = 1e-7
PRICE_FLOOR = 1e-7
SMALL = 64
"""Up to this many gateways the factorisation is written out; beyond, LAPACK is faster."""


class Moves(NamedTuple):
    """Newton moves of `demand_price` (T, J), `route` and `reduced_cost` (T, E) and `capacity_price` (T, N).

    `route_room` and `cost_room`: how far routes and reduced costs may go along them without reaching zero.
    """

    demand_price: Array
    route: Array
    reduced_cost: Array
    capacity_price: Array
    route_room: float
    cost_room: float


class DenseSlots:
    """The systems of all slots as full matrices, quickest for some tens of gateways: `reduce`, then
    `solve_border`, then `expand`.

    Parameters
    ----------
    intensity : (T, K, N) in units of order one. demand : (T, J).
    """

    def __init__(self, market: Market, intensity: Array, demand: Array) -> None:
        self._graph = market.gateway_start, market.edge_region
        self._intensity, self._demand = intensity, demand

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
        self._point = route, reduced_cost
        self._tau = tau
        self._reduction = reduce_slots(
            self._graph,
            route,
            reduced_cost,
            demand_price,
            slope,
            curvature,
            self._intensity,
            self._demand,
            tau,
        )
        return self._reduction.shift

    def solve_border(
        self, compliance: Array, side: Array, direction: Array, rest: Array, guess: Array, enough: float
    ) -> tuple[Array, Array]:
        """The bordered system of the equity prices, exactly; see the function of the same name."""
        return solve_border(self._reduction.border, compliance, side, direction, rest)

    def expand(self, equity_cost: Array) -> Moves:
        """Go back from the equity prices to everything else; see `expand_slots`."""
        return expand_slots(self._graph, *self._point, self._reduction, equity_cost, self._tau)


@dataclass(frozen=True, eq=False)
class Reduction:
    """Newton systems of all slots with routes and demand prices eliminated, ready for new equity prices.

    Parameters
    ----------
    weight, rest : (T, E) inverse diagonal and right-hand side of the routes.
    total, curvature : (T, N) sum of the weights by region; curvature of the region's barrier.
    response : (T, J, N + 1) change of the demand prices, first by itself, then per unit of each region's
    cost.
    shift : (T, N) change of load at unchanged equity prices.
    border : (K N, K N) sum_t a R a'.
    """

    weight: Array
    rest: Array
    total: Array
    curvature: Array
    response: Array
    shift: Array
    border: Array


def reduce_slots(
    graph: tuple[Array, Array],
    route: Array,
    reduced_cost: Array,
    demand_price: Array,
    slope: Array,
    curvature: Array,
    intensity: Array,
    demand: Array,
    tau: float,
) -> Reduction:
    """Eliminate routes and demand prices in every slot.

    Parameters
    ----------
    graph : gateway_start (J + 1,) and edge_region (E,).
    route, reduced_cost : (T, E) x and its price, > 0. demand_price, demand : (T, J).
    slope, curvature : (T, N) of the regions' barriers at the present load. intensity : (T, K, N).
    """
    weight, rest, total, pull, systems, response = _assemble(
        route, reduced_cost, demand_price, slope, curvature, demand, tau, *graph
    )
    if demand.shape[1] <= SMALL:
        solve_each(systems, response)
    else:
        response = np.linalg.solve(systems, response)
    shift, border = _couple(curvature, intensity, weight, total, pull, response, *graph)
    return Reduction(weight, rest, total, curvature, response, shift, border)


@compiled(
    several((matrix, matrix, matrix, matrix, cube, cube))(
        matrix, matrix, matrix, matrix, matrix, matrix, number, indices, indices
    )
)
def _assemble(
    route: Array,
    reduced_cost: Array,
    demand_price: Array,
    slope: Array,
    curvature: Array,
    demand: Array,
    tau: float,
    gateway_start: Array,
    edge_region: Array,
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Weights and right-hand sides of the routes, and each slot's system in the demand prices."""
    slots, edges = route.shape
    regions = slope.shape[1]
    gateways = demand.shape[1]
    weight, rest = np.empty((slots, edges)), np.empty((slots, edges))
    total, pull = np.zeros((slots, regions)), np.zeros((slots, regions))
    systems = np.zeros((slots, gateways, gateways))
    response = np.zeros((slots, gateways, regions + 1))
    dense = np.zeros((gateways, regions))
    damped = np.empty(regions)
    for t in range(slots):
        system = systems[t]
        for j in range(gateways):
            for e in range(gateway_start[j], gateway_start[j + 1]):
                i = edge_region[e]
                inverse = 1.0 / route[t, e]
                d = 1.0 / (reduced_cost[t, e] * inverse + ROUTE_FLOOR)
                r = demand_price[t, j] + tau * inverse - slope[t, i]
                weight[t, e] = d
                rest[t, e] = r
                total[t, i] += d
                pull[t, i] += d * r
                dense[j, i] = d
        for i in range(regions):
            damped[i] = 1.0 / (1.0 + curvature[t, i] * total[t, i])
        for j in range(gateways):
            row = 0.0
            side = demand[t, j]
            for e in range(gateway_start[j], gateway_start[j + 1]):
                i = edge_region[e]
                d = weight[t, e]
                row += d * damped[i]
                side -= route[t, e] + d * (rest[t, e] - curvature[t, i] * damped[i] * pull[t, i])
                stiff = curvature[t, i] * damped[i] * d
                for other in range(j):
                    system[j, other] -= stiff * dense[other, i]
                response[t, j, 1 + i] = d * damped[i]
            system[j, j] = row + PRICE_FLOOR
            response[t, j, 0] = side
        for j in range(gateways):
            for other in range(j):
                system[other, j] = system[j, other]
                system[j, j] -= system[j, other]
                system[other, other] -= system[j, other]
    return weight, rest, total, pull, systems, response


@compiled(nothing(cube, cube))
def solve_each(systems: Array, sides: Array) -> None:
    """Solve ``systems[t] X = sides[t]`` in place by Cholesky factorisation; `systems` is overwritten."""
    slots, n, columns = sides.shape
    for t in range(slots):
        a, b = systems[t], sides[t]
        for j in range(n):
            for k in range(j):
                a[j, j] -= a[j, k] * a[j, k]
            a[j, j] = np.sqrt(max(a[j, j], 1e-300))
            for i in range(j + 1, n):
                for k in range(j):
                    a[i, j] -= a[i, k] * a[j, k]
                a[i, j] /= a[j, j]
        for i in range(n):
            for k in range(i):
                factor = a[i, k]
                for c in range(columns):
                    b[i, c] -= factor * b[k, c]
            for c in range(columns):
                b[i, c] /= a[i, i]
        for i in range(n - 1, -1, -1):
            for k in range(i + 1, n):
                factor = a[k, i]
                for c in range(columns):
                    b[i, c] -= factor * b[k, c]
            for c in range(columns):
                b[i, c] /= a[i, i]


@compiled(several((matrix, matrix))(matrix, cube, matrix, matrix, matrix, cube, indices, indices))
def _couple(
    curvature: Array,
    intensity: Array,
    weight: Array,
    total: Array,
    pull: Array,
    response: Array,
    gateway_start: Array,
    edge_region: Array,
) -> tuple[Array, Array]:
    """Change of load at unchanged equity prices, and the border sum_t a R a' with R the loads' response to
    cost.
    """
    slots, regions = curvature.shape
    gateways = response.shape[1]
    kinds = intensity.shape[1]
    shift = np.empty((slots, regions))
    border = np.zeros((kinds * regions, kinds * regions))
    coupling = np.empty((regions, regions))
    damped, scaled = np.empty(regions), np.empty(regions)
    for t in range(slots):
        for i in range(regions):
            damped[i] = 1.0 / (1.0 + curvature[t, i] * total[t, i])
            shift[t, i] = pull[t, i]
            for other in range(regions):
                coupling[i, other] = 0.0
            coupling[i, i] = total[t, i] * damped[i]
        for j in range(gateways):
            answer = response[t, j, 1:]
            for e in range(gateway_start[j], gateway_start[j + 1]):
                i = edge_region[e]
                shift[t, i] += weight[t, e] * response[t, j, 0]
                part = weight[t, e] * damped[i]
                row = coupling[i]
                for other in range(regions):
                    row[other] -= part * answer[other]
        for i in range(regions):
            shift[t, i] *= damped[i]
        # Views of one row each, so that the innermost loops run over vectors.
        for m in range(kinds):
            scale = intensity[t, m]
            for i in range(regions):
                row = coupling[i]
                for other in range(regions):
                    scaled[other] = row[other] * scale[other]
                for k in range(m, kinds):
                    own = intensity[t, k, i]
                    into = border[k * regions + i, m * regions : (m + 1) * regions]
                    for other in range(regions):
                        into[other] += own * scaled[other]
    for k in range(kinds):
        for m in range(k):
            for i in range(regions):
                for other in range(regions):
                    border[m * regions + other, k * regions + i] = border[
                        k * regions + i, m * regions + other
                    ]
    return shift, border


def expand_slots(
    graph: tuple[Array, Array],
    route: Array,
    reduced_cost: Array,
    reduction: Reduction,
    equity_cost: Array,
    tau: float,
) -> Moves:
    """Go back from the equity prices to everything else.

    `equity_cost` (T, N) is the change of each region's cost by the change of its equity prices; the rest as
    in `reduce_slots`.
    """
    r = reduction
    return Moves(
        *_expand(
            route, reduced_cost, r.curvature, equity_cost, tau, *graph, r.weight, r.rest, r.total, r.response
        )
    )


@compiled(
    several((matrix, matrix, matrix, matrix, number, number))(
        matrix, matrix, matrix, matrix, number, indices, indices, matrix, matrix, matrix, cube
    )
)
def _expand(
    route: Array,
    reduced_cost: Array,
    curvature: Array,
    equity_cost: Array,
    tau: float,
    gateway_start: Array,
    edge_region: Array,
    weight: Array,
    rest: Array,
    total: Array,
    response: Array,
) -> tuple[Array, Array, Array, Array, float, float]:
    """See `expand_slots`."""
    slots, edges = route.shape
    regions = equity_cost.shape[1]
    gateways = response.shape[1]
    price_move = np.empty((slots, gateways))
    route_move = np.empty((slots, edges))
    cost_move = np.empty((slots, edges))
    capacity_move = np.zeros((slots, regions))
    route_room, cost_room = np.inf, np.inf
    for t in range(slots):
        for j in range(gateways):
            move = response[t, j, 0]
            for i in range(regions):
                move += response[t, j, 1 + i] * equity_cost[t, i]
            price_move[t, j] = move
            for e in range(gateway_start[j], gateway_start[j + 1]):
                i = edge_region[e]
                d = weight[t, e]
                part = d * (rest[t, e] - equity_cost[t, i] + move)
                route_move[t, e] = part
                capacity_move[t, i] += part
        for i in range(regions):
            capacity_move[t, i] *= curvature[t, i] / (1.0 + curvature[t, i] * total[t, i])
        for e in range(edges):
            dx = route_move[t, e] - weight[t, e] * capacity_move[t, edge_region[e]]
            x, z = route[t, e], reduced_cost[t, e]
            dz = tau / x - z - z / x * dx
            route_move[t, e] = dx
            cost_move[t, e] = dz
            if dx < 0.0:
                route_room = min(route_room, -x / dx)
            if dz < 0.0:
                cost_room = min(cost_room, -z / dz)
    return price_move, route_move, cost_move, capacity_move, route_room, cost_room


def solve_border(
    border: Array, compliance: Array, side: Array, direction: Array, rest: Array
) -> tuple[Array, Array]:
    """The bordered system of the equity prices, symmetrically scaled.

    (border + diag(compliance)) dmu + direction_k phi_k = side,  direction_k . dmu_k = rest_k, with `border`
    (K N, K N), `compliance`, `side` and `direction` (K, N), `rest` (K,).

    Returns
    -------
    dmu (K, N), phi (K,).
    """
    kinds, regions = side.shape
    size = kinds * regions
    matrix = np.zeros((size + kinds, size + kinds))
    matrix[:size, :size] = border
    diagonal = border.diagonal() + compliance.ravel()
    scale = 1.0 / np.sqrt(diagonal)
    matrix[:size, :size] *= scale[:, None]
    matrix[:size, :size] *= scale
    matrix[np.arange(size), np.arange(size)] = 1.0
    for k in range(kinds):
        block = slice(k * regions, (k + 1) * regions)
        matrix[block, size + k] = matrix[size + k, block] = scale[block] * direction[k]
    solved = np.linalg.solve(matrix, np.concatenate([side.ravel() * scale, rest]))
    return (solved[:size] * scale).reshape(kinds, regions), solved[size:]

"""Linear algebra of the interior-point method: the Newton system of the routes, reduced slot by slot.

All regions' barriers enter as quadratics (g, h per slot; W, b per footprint level). Eliminating routes and loads
leaves one small system in the demand prices per slot, and one border in the equity prices over all slots:

    M_t dnu = demand residual,     (diag(W) + sum_t a_t R_t a_t') dmu + ds = rest,     sum_i dmu_ik = lambda_k - sum_i mu_ik

M is an M-matrix; its diagonal is formed from row sums, never by subtraction, and needs no pivoting.
"""

from __future__ import annotations

import numpy as np

from eglb.coordinator.compilation import compiled

Array = np.ndarray

_ROUTE_FLOOR = 1e-7
_PRICE_FLOOR = 1e-7
_SMALL = 24
"""Up to this many gateways the factorisation is written out; beyond, LAPACK is faster."""


@compiled("void(float64[:, ::1], float64[:, ::1])")
def _solve(matrix: Array, sides: Array) -> None:
    """Solve `matrix` X = `sides` in place by Cholesky factorisation; `matrix` (n, n) is overwritten."""
    n, columns = sides.shape
    for j in range(n):
        for k in range(j):
            matrix[j, j] -= matrix[j, k] * matrix[j, k]
        matrix[j, j] = np.sqrt(max(matrix[j, j], 1e-300))
        for i in range(j + 1, n):
            for k in range(j):
                matrix[i, j] -= matrix[i, k] * matrix[j, k]
            matrix[i, j] /= matrix[j, j]
    for i in range(n):
        for k in range(i):
            factor = matrix[i, k]
            for c in range(columns):
                sides[i, c] -= factor * sides[k, c]
        for c in range(columns):
            sides[i, c] /= matrix[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            factor = matrix[k, i]
            for c in range(columns):
                sides[i, c] -= factor * sides[k, c]
        for c in range(columns):
            sides[i, c] /= matrix[i, i]


@compiled(
    "float64[:, ::1](float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, :, ::1], float64[:, ::1], float64, int64[::1], int64[::1], float64[:, ::1], float64[:, ::1], float64[:, :, ::1], float64[:, ::1])"
)
def reduce_slots(
    route: Array,
    reduced_cost: Array,
    demand_price: Array,
    slope: Array,
    curvature: Array,
    moved: Array,
    intensity: Array,
    demand: Array,
    tau: float,
    gateway_start: Array,
    edge_region: Array,
    weight: Array,
    rest: Array,
    response: Array,
    border: Array,
) -> Array:
    """Eliminate routes and demand prices in every slot.

    Parameters
    ----------
    route, reduced_cost : (T, E) x and its price, > 0. demand_price, demand : (T, J). slope, curvature, moved : (T, N).
    intensity : (T, K, N).
    weight, rest : (T, E) out: D = 1 / (reduced_cost / route), right-hand side.
    response : (T, J, N + 1) out: change of the demand prices, first by itself, then per unit of each region's cost.
    border : (K N, K N) out: sum_t a R a'.

    Returns
    -------
    load : (T, N) the change of load at unchanged equity prices.
    """
    slots, edges = route.shape
    regions = slope.shape[1]
    gateways = demand.shape[1]
    kinds = intensity.shape[1]
    shift = np.zeros((slots, regions))
    total = np.empty(regions)
    damped = np.empty(regions)
    pull = np.empty(regions)
    dense = np.zeros((gateways, regions))
    matrix = np.empty((gateways, gateways))
    coupling = np.empty((regions, regions))
    scaled = np.empty((kinds, regions))
    border[:] = 0.0
    for t in range(slots):
        total[:] = 0.0
        pull[:] = 0.0
        for j in range(gateways):
            for e in range(gateway_start[j], gateway_start[j + 1]):
                i = edge_region[e]
                d = 1.0 / (reduced_cost[t, e] / route[t, e] + _ROUTE_FLOOR)
                r = demand_price[t, j] + tau / route[t, e] - slope[t, i] - curvature[t, i] * moved[t, i]
                weight[t, e] = d
                rest[t, e] = r
                total[i] += d
                pull[i] += d * r
                dense[j, i] = d
        for i in range(regions):
            damped[i] = 1.0 / (1.0 + curvature[t, i] * total[i])
        # M: off-diagonal from shared regions, diagonal from row sums.
        for j in range(gateways):
            for other in range(gateways):
                matrix[j, other] = 0.0
        for j in range(gateways):
            row = 0.0
            response[t, j, :] = 0.0
            side = demand[t, j]
            for e in range(gateway_start[j], gateway_start[j + 1]):
                i = edge_region[e]
                d = weight[t, e]
                row += d * damped[i]
                side -= route[t, e] + d * (rest[t, e] - curvature[t, i] * damped[i] * pull[i])
                if curvature[t, i] > 0.0:
                    stiff = curvature[t, i] * damped[i] * d
                    for other in range(j):
                        matrix[j, other] -= stiff * dense[other, i]
                response[t, j, 1 + i] = d * damped[i]
            matrix[j, j] = row + _PRICE_FLOOR
            response[t, j, 0] = side
        for j in range(gateways):
            for other in range(j):
                matrix[other, j] = matrix[j, other]
                matrix[j, j] -= matrix[j, other]
                matrix[other, other] -= matrix[j, other]
        if gateways == 1:
            for i in range(regions + 1):
                response[t, 0, i] /= matrix[0, 0]
        elif gateways <= _SMALL:
            _solve(matrix, response[t])
        else:
            response[t] = np.linalg.solve(matrix, response[t])
        # R = diag(total damped) - Q' M^-1 Q and the load's own change.
        for i in range(regions):
            for other in range(regions):
                coupling[i, other] = 0.0
            coupling[i, i] = total[i] * damped[i]
            shift[t, i] = pull[i]
        for j in range(gateways):
            for e in range(gateway_start[j], gateway_start[j + 1]):
                i = edge_region[e]
                shift[t, i] += weight[t, e] * response[t, j, 0]
                part = weight[t, e] * damped[i]
                for other in range(regions):
                    coupling[i, other] -= part * response[t, j, 1 + other]
                dense[j, i] = 0.0
        for i in range(regions):
            shift[t, i] *= damped[i]
        for k in range(kinds):
            for i in range(regions):
                scaled[k, i] = intensity[t, k, i]
        for k in range(kinds):
            for i in range(regions):
                for m in range(kinds):
                    for other in range(regions):
                        border[k * regions + i, m * regions + other] += (
                            scaled[k, i] * coupling[i, other] * scaled[m, other]
                        )
    return shift


@compiled(
    "Tuple((float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64, float64))(float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64, int64[::1], int64[::1], float64[:, ::1], float64[:, ::1], float64[:, :, ::1])"
)
def expand_slots(
    route: Array,
    reduced_cost: Array,
    curvature: Array,
    equity_cost: Array,
    tau: float,
    gateway_start: Array,
    edge_region: Array,
    weight: Array,
    rest: Array,
    response: Array,
) -> tuple[Array, Array, Array, Array, float, float]:
    """Go back from the equity prices to everything else.

    `equity_cost` (T, N) is the change of each region's cost by the change of its equity prices; the rest as in
    `reduce_slots`.

    Returns
    -------
    demand_price (T, J), route (T, E), reduced_cost (T, E) and capacity_price (T, N) moves, and how far routes and
    reduced costs may go towards them without reaching zero.
    """
    slots, edges = route.shape
    regions = equity_cost.shape[1]
    gateways = response.shape[1]
    price_move = np.empty((slots, gateways))
    route_move = np.empty((slots, edges))
    cost_move = np.empty((slots, edges))
    capacity_move = np.zeros((slots, regions))
    total = np.empty(regions)
    route_room, cost_room = np.inf, np.inf
    for t in range(slots):
        total[:] = 0.0
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
                total[i] += d
                capacity_move[t, i] += part
        for i in range(regions):
            capacity_move[t, i] *= curvature[t, i] / (1.0 + curvature[t, i] * total[i])
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


def solve_border(border: Array, compliance: Array, side: Array, mass: Array) -> tuple[Array, Array]:
    """The bordered system of the equity prices, symmetrically scaled.

    (border + diag(compliance)) dmu + ds = side,  sum_i dmu_ik = mass_k, with `border` (K N, K N), `compliance` and
    `side` (K, N), `mass` (K,).

    Returns
    -------
    dmu (K, N), ds (K,).
    """
    kinds, regions = side.shape
    matrix = border + np.diag(compliance.ravel())
    scale = 1.0 / np.sqrt(np.diag(matrix))
    matrix *= scale[:, None]
    matrix *= scale
    ones = np.kron(np.eye(kinds), np.ones((regions, 1)))
    solved = np.linalg.solve(matrix, np.column_stack([side.ravel(), ones]) * scale[:, None]) * scale[:, None]
    level = np.linalg.solve(ones.T @ solved[:, 1:], ones.T @ solved[:, 0] - mass)
    return (solved[:, 0] - solved[:, 1:] @ level).reshape(kinds, regions), level

"""Compiled kernels of the agent (numba): worth loading for large fleets only.

Twins of `proximal.proximal_load`, `proximal.round_down` and `valuation.knapsack`; same problems, same shapes,
one region after the other.
"""

from __future__ import annotations

import numpy as np

from eglb.agents.region import Region
from eglb.foundation.arrays import Array
from eglb.foundation.compilation import (
    compiled,
    given_cube,
    given_indices,
    given_matrix,
    given_vector,
    in_shards,
    matrix,
    nothing,
    number,
    single_matrix,
    vector,
)

_NEWTON_STEPS = 60
_HALVINGS = 30
_EVALUATIONS = 10
"""Operations of a solve for each intensity, roughly."""


def proximal_load(
    region: Region, center: Array, target: Array, step: Array, slack: Array, guess: Array
) -> tuple[Array, Array]:
    """See `eglb.agents.proximal.proximal_load`."""
    multiplier = np.array(guess, dtype=float, order="C")
    load = np.empty(region.price.shape)
    rows = (center, target, step, slack, region.price, region.capacity, region.intensity, multiplier, load)
    in_shards(_solve, _EVALUATIONS * region.intensity.size, tuple(map(np.ascontiguousarray, rows)))
    return load, multiplier


def round_down(load: Array) -> Array:
    """See `eglb.agents.proximal.round_down`."""
    rounded = np.empty(load.shape, np.float32)
    in_shards(_round_down, load.size, (load, rounded))
    return rounded


def knapsack(
    cost: Array, demand_price: Array, capacity: Array, first: Array, reach: Array, demand: Array
) -> Array:
    """See `eglb.agents.valuation.knapsack`."""
    value = np.zeros(len(cost))
    rows = (cost, capacity, first[:-1], first[1:], value)
    shared = (reach, np.asarray(demand_price, dtype=float), demand)
    in_shards(_fill, len(reach) * cost.shape[1], rows, *(np.ascontiguousarray(a) for a in shared))
    return value


@compiled(
    nothing(given_vector, number, given_vector, given_vector, given_matrix, vector, vector, vector, matrix)
)
def _respond(
    center: Array,
    step: float,
    price: Array,
    capacity: Array,
    intensity: Array,
    multiplier: Array,
    load: Array,
    footprint: Array,
    bend: Array,
) -> None:
    """Load of one region at given multipliers, its footprint (K,), and how that bends: sum over free slots of
    step a a'.
    """
    kinds, slots = intensity.shape
    footprint[:] = 0.0
    bend[:] = 0.0
    for t in range(slots):
        cost = price[t]
        for k in range(kinds):
            cost += multiplier[k] * intensity[k, t]
        y = center[t] - step * cost
        free = 0.0 <= y <= capacity[t] and capacity[t] > 0.0
        y = min(max(y, 0.0), capacity[t])
        load[t] = y
        for k in range(kinds):
            a = intensity[k, t]
            footprint[k] += a * y
            if free:
                for other in range(k + 1):
                    bend[k, other] += step * a * intensity[other, t]
    for k in range(kinds):
        for other in range(k):
            bend[other, k] = bend[k, other]


@compiled(nothing(matrix, vector))
def _solve_small(system: Array, side: Array) -> None:
    """Solve a positive definite system by elimination, both overwritten; the solution is in `side`."""
    size = side.shape[0]
    for k in range(size):
        for row in range(k + 1, size):
            factor = system[row, k] / system[k, k]
            for column in range(k, size):
                system[row, column] -= factor * system[k, column]
            side[row] -= factor * side[k]
    for k in range(size - 1, -1, -1):
        for column in range(k + 1, size):
            side[k] -= system[k, column] * side[column]
        side[k] /= system[k, k]


@compiled(
    nothing(
        given_matrix,
        given_matrix,
        given_vector,
        given_matrix,
        given_matrix,
        given_matrix,
        given_cube,
        matrix,
        matrix,
    )
)
def _solve(
    center: Array,
    target: Array,
    step: Array,
    slack: Array,
    price: Array,
    capacity: Array,
    intensity: Array,
    multiplier: Array,
    load: Array,
) -> None:
    """See `proximal_load`; region by region, `multiplier` in place from its guess, `load` filled."""
    regions, kinds = target.shape
    residual, new_residual, scale = np.empty(kinds), np.empty(kinds), np.empty(kinds)
    trial, move = np.empty(kinds), np.empty(kinds)
    bend = np.empty((kinds, kinds))
    for i in range(regions):
        m, v, c, y = multiplier[i], slack[i], center[i], load[i]
        _respond(c, step[i], price[i], capacity[i], intensity[i], m, y, residual, bend)
        for k in range(kinds):
            residual[k] -= target[i, k] + v[k] * m[k]
            scale[k] = abs(target[i, k]) + v[k] * abs(m[k]) + abs(residual[k])
        for _ in range(_NEWTON_STEPS):
            merit, done = 0.0, True
            for k in range(kinds):
                merit += residual[k] * residual[k] / v[k]
                done = done and abs(residual[k]) <= 1e-12 * scale[k]
                bend[k, k] += v[k]
                move[k] = residual[k]
            if done:
                break
            _solve_small(bend, move)
            fraction = 1.0
            for _halving in range(_HALVINGS):
                new_merit = 0.0
                for k in range(kinds):
                    trial[k] = m[k] + fraction * move[k]
                _respond(
                    center[i],
                    step[i],
                    price[i],
                    capacity[i],
                    intensity[i],
                    trial,
                    load[i],
                    new_residual,
                    bend,
                )
                for k in range(kinds):
                    new_residual[k] -= target[i, k] + v[k] * trial[k]
                    new_merit += new_residual[k] * new_residual[k] / v[k]
                if new_merit < merit:
                    break
                fraction *= 0.5
            if not new_merit < merit:  # as near as rounding allows
                _respond(c, step[i], price[i], capacity[i], intensity[i], m, y, new_residual, bend)
                break
            m[:] = trial
            residual[:] = new_residual


@compiled(nothing(given_matrix, single_matrix))
def _round_down(load: Array, rounded: Array) -> None:
    for i in range(load.shape[0]):
        for t in range(load.shape[1]):
            near = np.float32(load[i, t])
            if near > load[i, t]:
                near = np.nextafter(near, np.float32(-np.inf))
            rounded[i, t] = near


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

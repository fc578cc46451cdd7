"""ADMM at the agent: the exact proximal step on its own load and footprints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.agents.compilation import (
    compiled,
    given_cube,
    given_matrix,
    given_vector,
    in_shards,
    matrix,
    nothing,
    number,
    vector,
)
from eglb.agents.region import Array, Memory, Region, Request
from eglb.agents.wire import Message, per_region

_NEWTON_STEPS = 60
_HALVINGS = 30
_EVALUATIONS = 10
"""Operations of a solve for each intensity, roughly."""


@dataclass(frozen=True, eq=False)
class Proposal(Message):
    """Answer to `ProximalStep`: `load` (n, T) MW, float32 rounded down so that capacity holds; `footprint`
    (n, K).
    """

    load: Array = per_region()
    footprint: Array = per_region()


@dataclass(frozen=True, eq=False)
class ProximalStep(Request):
    """The local problem of ADMM on the hourly loads.

    min  price . y + sum_t (y_t - s_t)^2 / (2 w)  +  sum_k (intensity_k . y - r_k)^2 / (2 v_k)   over 0 <= y
    <= capacity

    Parameters
    ----------
    load_center : (N, T) s, MW. footprint_center : (N, K) r, units.
    load_step : (N,) w, MW per (USD per MW-slot). footprint_step : (N, K) v, units per (USD per unit).

    Discloses the hourly load the region would choose at given prices, and its footprints.
    """

    load_center: Array = per_region(single=True)
    footprint_center: Array = per_region()
    load_step: Array = per_region()
    footprint_step: Array = per_region()

    def answer(self, region: Region, memory: Memory) -> Proposal:
        guess = memory.notes.get("multiplier")
        if guess is None or guess.shape != self.footprint_center.shape:
            guess = np.zeros_like(self.footprint_center)
        load, multiplier = proximal_load(
            region, self.load_center, self.footprint_center, self.load_step, self.footprint_step, guess
        )
        memory.notes["multiplier"] = multiplier
        return Proposal(
            load=round_down(load), footprint=self.footprint_center + self.footprint_step * multiplier
        )


def round_down(load: Array) -> Array:
    """The largest float32 array that nowhere exceeds `load`."""
    narrow = load.astype(np.float32)
    return np.where(narrow > load, np.nextafter(narrow, np.float32(-np.inf)), narrow)


def proximal_load(
    region: Region, center: Array, target: Array, step: Array, slack: Array, guess: Array
) -> tuple[Array, Array]:
    """Solve the problem in `ProximalStep` by a safeguarded Newton method on its K multipliers.

    At the solution y = clip(s - w (price + m . intensity), 0, capacity) and intensity . y = r + v m. The
    residual is the gradient of a concave piecewise quadratic function of m, so a halved Newton step always
    finds it.

    Returns
    -------
    load (n, T), multiplier (n, K) in USD per unit. Each region's result does not depend on which others share
    the call.
    """
    multiplier = np.array(guess, dtype=float, order="C")
    load = np.empty_like(region.price)
    rows = (center, target, step, slack, region.price, region.capacity, region.intensity, multiplier, load)
    in_shards(_solve, _EVALUATIONS * region.intensity.size, tuple(map(np.ascontiguousarray, rows)))
    return load, multiplier


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

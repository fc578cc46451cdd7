"""ADMM at the agent: the exact proximal step on its own load and footprints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.agents.codec import Message, per_region
from eglb.agents.region import Memory, Region, Request
from eglb.foundation.arrays import Array

_NEWTON_STEPS = 60
_HALVINGS = 30


@dataclass(frozen=True, eq=False)
class Proposal(Message):
    """Answer to `ProximalStep`: `load` (n, T) MW, float32 rounded down so that capacity holds; `footprint`
    (n, K).
    """

    load: Array = per_region("slot", at_least=0.0)
    footprint: Array = per_region("kind")


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

    load_center: Array = per_region("slot", single=True)
    footprint_center: Array = per_region("kind")
    load_step: Array = per_region(at_least=0.0)
    footprint_step: Array = per_region("kind", at_least=0.0)

    def answer(self, region: Region, memory: Memory) -> Proposal:
        guess = memory.notes.get("multiplier")
        if guess is None or guess.shape != self.footprint_center.shape:
            guess = np.zeros_like(self.footprint_center)
        solve, narrow = proximal_load, round_down
        if memory.large:
            from eglb.agents.kernels import proximal_load as solve
            from eglb.agents.kernels import round_down as narrow
        load, multiplier = solve(
            region, self.load_center, self.footprint_center, self.load_step, self.footprint_step, guess
        )
        memory.notes["multiplier"] = multiplier
        return Proposal(load=narrow(load), footprint=self.footprint_center + self.footprint_step * multiplier)


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
    width = step[:, None]
    base = center - width * region.price
    kinds = target.shape[1]
    if kinds == 0:
        return np.clip(base, 0.0, region.capacity), guess

    def respond(rows: Array, multiplier: Array) -> tuple[Array, Array, Array]:
        free = base[rows] - width[rows] * (multiplier[:, :, None] * region.intensity[rows]).sum(1)
        load = np.clip(free, 0.0, region.capacity[rows])
        residual = (
            (region.intensity[rows] * load[:, None, :]).sum(-1) - target[rows] - slack[rows] * multiplier
        )
        return load, residual, (load == free) & (region.capacity[rows] > 0.0)

    everyone = np.arange(len(center))
    multiplier = guess.copy()
    load, residual, interior = respond(everyone, multiplier)
    scale = np.abs(target) + slack * np.abs(multiplier) + np.abs(residual)
    active = everyone[(np.abs(residual) > 1e-12 * scale).any(1)]
    for _ in range(_NEWTON_STEPS):
        if not len(active):
            break
        bend = region.intensity[active] * interior[active][:, None, :]
        jacobian = width[active, :, None] * (
            bend[:, :, None, :] * region.intensity[active][:, None, :, :]
        ).sum(-1)
        jacobian[:, np.arange(kinds), np.arange(kinds)] += slack[active]
        move = np.linalg.solve(jacobian, residual[active][:, :, None])[:, :, 0]
        merit = (residual[active] ** 2 / slack[active]).sum(1)
        trial_rows, fraction = np.arange(len(active)), 1.0
        for _ in range(_HALVINGS):
            rows = active[trial_rows]
            candidate = multiplier[rows] + fraction * move[trial_rows]
            new_load, new_residual, new_interior = respond(rows, candidate)
            better = (new_residual**2 / slack[rows]).sum(1) < merit[trial_rows]
            good = rows[better]
            multiplier[good], load[good] = candidate[better], new_load[better]
            residual[good], interior[good] = new_residual[better], new_interior[better]
            trial_rows = trial_rows[~better]
            if not len(trial_rows):
                break
            fraction *= 0.5
        stuck = np.zeros(len(active), bool)
        stuck[trial_rows] = True
        done = (np.abs(residual[active]) <= 1e-12 * scale[active]).all(1)
        active = active[~(done | stuck)]
    return load, multiplier

"""The shared dual variable: the price of being the worst-off region.

The term lambda max_i f_i of the objective equals max { sum_i mu_i f_i : mu >= 0, sum_i mu_i = lambda }. The
maximiser mu is the equity price: how the weight of inequity is shared among the regions that are worst off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class EquityShape:
    """How one kind's regional footprints make one number that is paid for: a maximum or something near it.

    ``max`` is the worst region's footprint. ``lq:Q`` is the L_Q norm over the regions, Q in 2, 4, 8: the
    larger Q, the nearer to the maximum. ``worst:M`` is the mean of the M worst regions. `parameter` is Q or
    M.
    """

    family: str = "max"
    parameter: int = 1

    @staticmethod
    def parse(text: str) -> EquityShape:
        """The shape that ``max``, ``lq:4`` or ``worst:3`` names.

        Raises
        ------
        ValueError : it names none; the message says what does.
        """
        if text == "max":
            return EquityShape()
        match = re.fullmatch(r"(lq|worst):([0-9]{1,6})", text)
        if match and match[1] == "lq" and int(match[2]) in (2, 4, 8):
            return EquityShape("lq", int(match[2]))
        if match and match[1] == "worst" and int(match[2]) >= 1:
            return EquityShape("worst", int(match[2]))
        raise ValueError(f"{text!r} is none of max, lq:2, lq:4, lq:8 and worst:M with M of at least 1")

    def __str__(self) -> str:
        return self.family if self.family == "max" else f"{self.family}:{self.parameter}"


def project_simplex(point: Array, mass: float, weight: Array | None = None) -> Array:
    """argmin { sum_i weight_i (mu_i - point_i)^2 / 2 : mu >= 0, sum_i mu_i = mass }, shapes (N,), weights >
    0.
    """
    weight = np.ones_like(point) if weight is None else weight
    order = np.argsort(-point * weight)
    inverse = 1.0 / weight[order]
    threshold = (np.cumsum(point[order]) - mass) / np.cumsum(inverse)
    active = np.flatnonzero(point[order] - threshold * inverse > 0.0)
    last = active[-1] if len(active) else 0
    mu = np.maximum(point - threshold[last] / weight, 0.0)
    total = mu.sum()
    return mu * (mass / total) if total > 0.0 else np.full_like(point, mass / len(point))


def prox_worst(target: Array, mass: float, step: Array) -> tuple[Array, Array]:
    """Proximal point of mass * max: argmin_g mass * max_i g_i + sum_i (g_i - target_i)^2 / (2 step_i), and
    its price.

    Returns
    -------
    level : (N,) g, the targets with the highest pulled down. price : (N,) mu in the simplex of mass `mass`, g
    = target - step mu.
    """
    price = project_simplex(target / step, mass, step)
    return target - step * price, price


def fair_share(equity_weight: Array, regions: int) -> Array:
    """(N, K): every region equally responsible, mu = lambda / N."""
    return np.tile(equity_weight / max(regions, 1), (regions, 1))


def normalise(price: Array, equity_weight: Array) -> Array:
    """(N, K): negative parts dropped and each kind scaled to its mass, so that the price gives a valid
    bound.
    """
    price = np.maximum(price, 0.0)
    total = price.sum(0)
    share = np.where(total > 0.0, price / np.where(total > 0.0, total, 1.0), 1.0 / max(len(price), 1))
    return share * equity_weight

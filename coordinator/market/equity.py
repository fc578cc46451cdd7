"""Equity shapes and their dual sets: the price of being among the worst-off regions.

A kind's regional footprints f >= 0 are paid for as weight times a shape of them: the largest, the mean of the
M largest, or their L_Q norm. Each is a maximum over a convex set of prices,

    weight * shape(f) = max { sum_i mu_i f_i : mu in the set },

    max       mu >= 0, sum_i mu_i = weight
    worst:M   mu >= 0, sum_i mu_i = weight, mu_i <= weight / M
    lq:Q      mu >= 0, |mu|_P <= weight with 1/P + 1/Q = 1

and any mu in it, or below a mu in it, gives a lower bound of the optimum. The maximiser is the equity price:
how the weight of inequity is shared among the regions. The set and the projection on it are all that an
algorithm needs to know of the shape.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.equity_shape import EquityShape

_ROOT_STEPS = 60


@dataclass(frozen=True)
class PriceSet(ABC):
    """The set of equity prices of one kind; `weight` is lambda, USD per unit, > 0. Arrays are (N,)."""

    weight: float

    @abstractmethod
    def cost(self, footprint: Array) -> float:
        """USD: weight times the shape of `footprint`."""

    @abstractmethod
    def price(self, footprint: Array) -> Array:
        """A maximiser: argmax { sum_i mu_i footprint_i : mu in the set }, a subgradient of `cost`."""

    @abstractmethod
    def project(self, point: Array, metric: Array) -> Array:
        """argmin { sum_i metric_i (mu_i - point_i)^2 / 2 : mu in the set }, `metric` > 0."""

    @abstractmethod
    def normalise(self, price: Array) -> Array:
        """A price of the set with about the proportions of `price`, negative parts dropped."""

    @abstractmethod
    def normal(self, price: Array) -> Array:
        """The direction of length one in which `price` leaves the set: moves along it are projected away."""

    @abstractmethod
    def fair_share(self, regions: int) -> Array:
        """The price that holds all regions equally responsible."""


@dataclass(frozen=True)
class MeanOfWorst(PriceSet):
    """The mean of the `count` worst regions; of one, which is the worst region's footprint, by default."""

    count: int = 1

    def cost(self, footprint: Array) -> float:
        if self.count == 1:
            return self.weight * float(footprint.max(initial=0.0))
        count = min(self.count, len(footprint))
        return self.weight / count * float(np.sort(footprint)[len(footprint) - count :].sum())

    def price(self, footprint: Array) -> Array:
        count = min(self.count, len(footprint))
        mu = np.zeros(len(footprint))
        mu[np.argsort(-footprint, kind="stable")[:count]] = self.weight / count
        return mu

    def cap(self, regions: int) -> float:
        """The highest price of one region."""
        return self.weight / min(self.count, regions)

    def project(self, point: Array, metric: Array) -> Array:
        if self.count == 1:
            return project_simplex(point, self.weight, metric)
        return project_capped_simplex(point, self.weight, self.cap(len(point)), metric)

    def normalise(self, price: Array) -> Array:
        share = np.maximum(price, 0.0)
        total = share.sum()
        share = share / total if total > 0.0 else np.full(len(price), 1.0 / max(len(price), 1))
        # What is cut off above the cap goes to the others in proportion, or, where they have none, evenly.
        cap = self.cap(len(price)) / self.weight if len(price) else 1.0
        for _ in range(len(price) if self.count > 1 else 0):
            above = share > cap
            if not above.any():
                break
            share[above] = cap
            rest, left = share[share < cap], 1.0 - cap * int((share == cap).sum())
            if not len(rest):
                break
            fill = rest * (left / rest.sum()) if rest.sum() > 0.0 else np.full(len(rest), left / len(rest))
            share[share < cap] = fill
        return np.asarray(share * self.weight)

    def normal(self, price: Array) -> Array:
        return np.full(len(price), max(len(price), 1) ** -0.5)

    def fair_share(self, regions: int) -> Array:
        return np.full(regions, self.weight / max(regions, 1))


@dataclass(frozen=True)
class NormOfAll(PriceSet):
    """The L_Q norm over the regions, `power` being Q > 1: its prices are a ball of the dual norm."""

    power: int = 2

    def cost(self, footprint: Array) -> float:
        return self.weight * norm(footprint, self.power)

    def price(self, footprint: Array) -> Array:
        size = norm(footprint, self.power)
        if size == 0.0:
            return self.fair_share(len(footprint))
        return np.asarray(self.weight * (np.maximum(footprint, 0.0) / size) ** (self.power - 1))

    @property
    def dual_power(self) -> float:
        """P, with 1/P + 1/Q = 1."""
        return self.power / (self.power - 1)

    def project(self, point: Array, metric: Array) -> Array:
        from scipy.optimize import brentq

        # In units of the weight. With mu = u^(Q-1), stationarity reads u^(Q-1) + t / metric u = point, where
        # the multiplier t is such that the sum of u^Q is one.
        target = np.maximum(point, 0.0) / self.weight
        if norm(target, self.dual_power) <= 1.0:
            return target * self.weight
        unit = float(metric.max())
        metric = metric / unit

        def excess(t: float) -> float:
            return float((self._root(t / metric, target) ** self.power).sum()) - 1.0

        if excess(0.0) <= 0.0:  # on the boundary, and outside by rounding
            return self.normalise(target)
        high = norm(metric * target, self.power)
        t = brentq(excess, 0.0, 2.0 * high, xtol=1e-300, rtol=1e-14, maxiter=200)
        return self.normalise(self._root(t / metric, target) ** (self.power - 1))

    def _root(self, slope: Array, side: Array) -> Array:
        """u >= 0 with u^(Q-1) + slope u = side, by Newton steps from above, where the left side is convex."""
        degree = self.power - 1
        if degree == 1:
            return side / (1.0 + slope)
        u = side ** (1.0 / degree)
        np.minimum(u, np.divide(side, slope, out=np.full_like(side, np.inf), where=slope > 0.0), out=u)
        for _ in range(_ROOT_STEPS):
            lower = u ** (degree - 1)
            bend = degree * lower + slope
            step = np.divide(lower * u + slope * u - side, bend, out=np.zeros_like(u), where=bend > 0.0)
            u = u - step
            if (step <= 1e-15 * u).all():
                break
        return np.maximum(u, 0.0)

    def normalise(self, price: Array) -> Array:
        price = np.maximum(price, 0.0)
        size = norm(price, self.dual_power)
        if size == 0.0:
            return self.fair_share(len(price))
        return np.asarray(price / size * self.weight)

    def normal(self, price: Array) -> Array:
        gradient = (self.normalise(price) / self.weight) ** (self.dual_power - 1.0)
        return np.asarray(gradient / np.sqrt((gradient**2).sum()))

    def fair_share(self, regions: int) -> Array:
        return np.full(regions, self.weight * max(regions, 1) ** (-1.0 / self.dual_power))


def norm(value: Array, power: float) -> float:
    """The norm (sum_i value_i^power)^(1 / power) of the positive parts, for values of any scale."""
    largest = float(value.max(initial=0.0))
    if largest <= 0.0:
        return 0.0
    return largest * float(((np.maximum(value, 0.0) / largest) ** power).sum()) ** (1.0 / power)


def price_set(shape: EquityShape, weight: float) -> PriceSet:
    """The prices that belong to a shape and a weight."""
    return (
        NormOfAll(weight, shape.parameter) if shape.family == "lq" else MeanOfWorst(weight, shape.parameter)
    )


@dataclass(frozen=True)
class Equity:
    """The equity terms of all K kinds; prices and footprints are (N, K)."""

    kinds: tuple[PriceSet, ...]

    @staticmethod
    def of(weight: Iterable[float], shapes: Iterable[EquityShape]) -> Equity:
        """The terms of these weights and shapes, one for each kind."""
        return Equity(tuple(price_set(s, float(w)) for w, s in zip(weight, shapes, strict=True)))

    def cost(self, footprint: Array) -> float:
        """USD: what `footprint` costs beside energy."""
        return float(sum(kind.cost(footprint[:, k]) for k, kind in enumerate(self.kinds)))

    def project(self, point: Array) -> Array:
        """The nearest prices of the sets."""
        return self._each(point, lambda kind, p: kind.project(p, np.ones(len(p))))

    def normalise(self, price: Array) -> Array:
        """Prices of the sets with about the proportions of `price`, so that they give a valid bound."""
        return self._each(price, lambda kind, p: kind.normalise(p))

    def fair_share(self, regions: int) -> Array:
        """Every region equally responsible."""
        out = np.empty((regions, len(self.kinds)))
        for k, kind in enumerate(self.kinds):
            out[:, k] = kind.fair_share(regions)
        return out

    def prox(self, target: Array, step: Array) -> tuple[Array, Array]:
        """Proximal point of the cost, argmin_g cost(g) + sum_ik (g - target)^2 / (2 step), and its price.

        Returns
        -------
        level : (N, K) g, the targets with the highest pulled down. price : (N, K) mu in the sets,
        g = target - step mu.
        """
        price = np.empty_like(target)
        for k, kind in enumerate(self.kinds):
            price[:, k] = kind.project(target[:, k] / step[:, k], step[:, k])
        return target - step * price, price

    def _each(self, value: Array, function: Callable[[PriceSet, Array], Array]) -> Array:
        out = np.empty(value.shape)
        for k, kind in enumerate(self.kinds):
            out[:, k] = function(kind, value[:, k])
        return out


def project_simplex(point: Array, mass: float, weight: Array) -> Array:
    """argmin { sum_i weight_i (mu_i - point_i)^2 / 2 : mu >= 0, sum_i mu_i = mass }, shapes (N,), weights >
    0.
    """
    order = np.argsort(-point * weight)
    inverse = 1.0 / weight[order]
    threshold = (np.cumsum(point[order]) - mass) / np.cumsum(inverse)
    active = np.flatnonzero(point[order] - threshold * inverse > 0.0)
    last = active[-1] if len(active) else 0
    mu = np.maximum(point - threshold[last] / weight, 0.0)
    total = mu.sum()
    return mu * (mass / total) if total > 0.0 else np.full_like(point, mass / len(point))


def project_capped_simplex(point: Array, mass: float, cap: float, weight: Array) -> Array:
    """argmin { sum_i weight_i (mu_i - point_i)^2 / 2 : 0 <= mu <= cap, sum_i mu_i = mass }, shapes (N,).

    The solution is point - theta / weight, clipped; its sum falls with theta along straight pieces, whose
    ends are where a price reaches zero or the cap. `mass` is at most N times `cap`, up to rounding.
    """
    if mass >= cap * len(point) * (1.0 - 1e-12):
        return np.full(len(point), mass / len(point))
    ends = np.concatenate([weight * point, weight * (point - cap)])
    # Going down from the largest theta: at the first kind of end a price leaves zero, at the other it stops.
    order = np.argsort(-ends)
    slope = np.concatenate([1.0 / weight, -1.0 / weight])[order]
    ends = ends[order]
    total = np.concatenate([[0.0], np.cumsum(np.cumsum(slope)[:-1] * -np.diff(ends))])
    piece = int(np.searchsorted(total, mass, side="left"))
    low, high = max(piece - 1, 0), min(piece, len(ends) - 1)
    rise = total[high] - total[low]
    part = (mass - total[low]) / rise if rise > 0.0 else 0.0
    theta = ends[low] + part * (ends[high] - ends[low])
    mu = np.clip(point - theta / weight, 0.0, cap)
    # Rounding: the little that is missing or too much goes to prices strictly between the limits.
    free = (mu > 0.0) & (mu < cap)
    if free.any():
        mu[free] = np.clip(mu[free] + (mass - mu.sum()) / int(free.sum()), 0.0, cap)
    return mu

"""Epigraph variables of the equity shapes: how footprint levels follow the equity prices.

Region i promises f_i <= s_i, with mu_i the price of the promise; the coordinator pays for the levels s. What
the shape of a kind has to say is optimality of s at given prices,

    max       s_i = sigma,         sum_i mu_i = lambda
    worst:M   s_i = sigma + r_i,   sum_i mu_i = lambda,   mu_i + zeta_i = lambda / M,   r_i zeta_i = tau
    lq:Q      mu_i = lambda (s_i / |s|)^(Q-1)

Linearised, each is a compliance and one free direction, so that all kinds share one bordered system
(`solve_border`):

    ds = compliance dmu + offset + direction phi,      direction . dmu = rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from eglb.coordinator.market.equity import MeanOfWorst, NormOfAll, PriceSet, norm
from eglb.foundation.arrays import Array

_LEAST = 1e-30
_LEAST_BEND = 1e-12
"""Of the norm at a region that hardly counts in it."""


@dataclass(frozen=True, eq=False)
class Response:
    """How the levels of one kind answer a move of its prices, in the linearised conditions; arrays (N,)."""

    compliance: Array
    offset: Array
    direction: Array
    rest: float


class Epigraph(ABC):
    """The levels of one kind in units of order one; immutable, `moved` gives the next ones."""

    @property
    @abstractmethod
    def level(self) -> Array:
        """(N,) s."""

    @abstractmethod
    def respond(self, price: Array, tau: float) -> Response:
        """The linearised conditions at `price` (N,) and centring `tau`."""

    @abstractmethod
    def rooms(self, move: Array, price: Array, price_move: Array, tau: float) -> tuple[float, float]:
        """How far levels, and prices of their own, may go along `move` (N,) of the levels before one is
        zero.
        """

    @abstractmethod
    def moved(
        self, move: Array, price: Array, price_move: Array, tau: float, primal: float, dual: float
    ) -> Epigraph:
        """The levels after parts `primal` and `dual` of the move."""


@dataclass(frozen=True, eq=False)
class MaxEpigraph(Epigraph):
    """One level for all regions: the maximum."""

    mass: float
    common: float
    regions: int

    @property
    def level(self) -> Array:
        return np.full(self.regions, self.common)

    def respond(self, price: Array, tau: float) -> Response:
        none = np.zeros(self.regions)
        return Response(none, none, np.ones(self.regions), self.mass - float(price.sum()))

    def rooms(self, move: Array, price: Array, price_move: Array, tau: float) -> tuple[float, float]:
        return np.inf, np.inf

    def moved(
        self, move: Array, price: Array, price_move: Array, tau: float, primal: float, dual: float
    ) -> Epigraph:
        return replace(self, common=self.common + primal * float(move[0]))


@dataclass(frozen=True, eq=False)
class MeanOfWorstEpigraph(Epigraph):
    """A common level that regions may exceed, at a price of `cap` each: the mean of the worst.

    `excess` (N,) is r and `spare` (N,) zeta, what of the cap the price leaves.
    """

    mass: float
    cap: float
    common: float
    excess: Array
    spare: Array

    @property
    def level(self) -> Array:
        return self.common + self.excess

    def respond(self, price: Array, tau: float) -> Response:
        compliance = self.excess / self.spare
        offset = tau / self.spare - self.excess - compliance * (self.cap - price - self.spare)
        return Response(compliance, offset, np.ones(len(price)), self.mass - float(price.sum()))

    def _moves(self, move: Array, price: Array, price_move: Array, tau: float) -> tuple[float, Array, Array]:
        """Of the common level, the excess and the spare price."""
        answer = self.respond(price, tau)
        excess = answer.compliance * price_move + answer.offset
        return float((move - excess).mean()), excess, self.cap - price - price_move - self.spare

    def rooms(self, move: Array, price: Array, price_move: Array, tau: float) -> tuple[float, float]:
        _, excess, spare = self._moves(move, price, price_move, tau)
        return room(self.excess, excess), room(self.spare, spare)

    def moved(
        self, move: Array, price: Array, price_move: Array, tau: float, primal: float, dual: float
    ) -> Epigraph:
        common, excess, spare = self._moves(move, price, price_move, tau)
        return replace(
            self,
            common=self.common + primal * common,
            excess=np.maximum(self.excess + primal * excess, _LEAST),
            spare=np.maximum(self.spare + dual * spare, _LEAST),
        )


@dataclass(frozen=True, eq=False)
class NormEpigraph(Epigraph):
    """Every region a level of its own, the L_Q norm of which is paid for."""

    mass: float
    power: int
    own: Array

    @property
    def level(self) -> Array:
        return self.own

    def respond(self, price: Array, tau: float) -> Response:
        # The Hessian of the norm is a diagonal less its own multiple of the levels' price: levels may grow in
        # proportion for nothing, hence the free direction.
        size = norm(self.own, self.power)
        share = self.own / size
        gradient = self.mass * share ** (self.power - 1)
        bend = np.maximum(share ** (self.power - 2), _LEAST_BEND)
        compliance = size / (self.mass * (self.power - 1)) / bend
        return Response(
            compliance,
            compliance * (price - gradient),
            share,
            self.mass - float(share @ price),
        )

    def rooms(self, move: Array, price: Array, price_move: Array, tau: float) -> tuple[float, float]:
        return room(self.own, move), np.inf

    def moved(
        self, move: Array, price: Array, price_move: Array, tau: float, primal: float, dual: float
    ) -> Epigraph:
        return replace(self, own=self.own + primal * move)


def start_epigraph(prices: PriceSet, common: float, regions: int) -> Epigraph:
    """A roomy start: all regions at the level `common`."""
    if isinstance(prices, NormOfAll):
        return NormEpigraph(prices.weight, prices.power, np.full(regions, common))
    assert isinstance(prices, MeanOfWorst)
    if prices.count == 1:
        return MaxEpigraph(prices.weight, common, regions)
    # A little room above the cap: where all regions count there would be none otherwise.
    cap = (1.0 + 1e-6) * prices.cap(regions)
    excess = np.full(regions, 0.1 * common)
    return MeanOfWorstEpigraph(prices.weight, cap, 0.9 * common, excess, cap - prices.fair_share(regions))


def near_epigraph(prices: PriceSet, footprint: Array, price: Array, tau: float, floor: float) -> Epigraph:
    """Epigraph close to the end, from the footprints (N,) and prices (N,) reached, at centring `tau`."""
    wanted = footprint + tau / price
    if isinstance(prices, NormOfAll):
        return NormEpigraph(prices.weight, prices.power, np.maximum(wanted, floor))
    assert isinstance(prices, MeanOfWorst)
    worst = np.argsort(-footprint, kind="stable")
    if prices.count == 1:
        return MaxEpigraph(prices.weight, max(float(wanted[worst[0]]), floor), len(footprint))
    cap = (1.0 + 1e-6) * prices.cap(len(footprint))
    common = max(float(wanted[worst[min(prices.count, len(footprint)) - 1]]), floor)
    spare = np.maximum(cap - price, 1e-3 * cap)
    return MeanOfWorstEpigraph(prices.weight, cap, common, np.maximum(footprint - common, tau / spare), spare)


def room(value: Array, move: Array) -> float:
    """The largest part of `move` that keeps `value` from going below zero."""
    down = move < 0.0
    return float((value[down] / -move[down]).min(initial=np.inf))

"""ADMM, sharing form, on the regions' hourly loads: T + K numbers each way per region and round. The default.

Two copies of load and footprint must agree: the agents' (y, f), which knows costs and capacities, and the
coordinator's (z, g), which meets demand and pays for the worst region. Over-relaxed Douglas-Rachford
splitting on the centers s, in the metric of the steps w:

    agents        (y, f)  =  prox of cost and capacity at s                                `ProximalStep`
    coordinator   (z, g)  =  prox of demand and worst footprint at 2 (y, f) - s            `project`,
    `Equity.prox` both         s      +=  relaxation * ((z, g) - (y, f))

The multipliers of the coordinator's step are the demand price nu and the equity price mu. The agents keep
nothing that matters between rounds, and tell only the load they would choose: no price, capacity or intensity
series; of the repaired plans they are asked about, the energy cost and footprints by part of the horizon.
Where capacity lies the coordinator learns as far as plans need it, from what agents accepted before (the
ceiling).

Bounds, offers and the pricing of repaired plans ride on ordinary rounds, so a certificate costs bytes but no
rounds. Nothing is set by hand for the size of a fleet: every region's two penalties balance themselves
(`penalty_factor`), and priced plans are mixed part by part of the horizon (`PrimalRecovery`), because plans,
first order in the error, would otherwise lag behind bounds, which are second order.

Stragglers and lost messages: a region's center moves only when its answer to that move is in, so the last
answer of a silent region is still the exact proximal point of its center. With lost messages this is the
splitting with blocks of coordinates updated at random, which converges as the whole does (Combettes and
Pesquet 2015); an answer that is late by at most `_OLDEST` rounds counts for the center it was asked about, as
in asynchronous coordinate updates (Peng, Xu, Yan and Yin 2016, who prove it for shorter steps than these);
later ones are dropped.

What is proved: with fixed steps and exact projection the splitting converges for any relaxation below 2
(Eckstein and Bertsekas 1992); the steps are fixed from round `_BALANCE_UNTIL` on. Two warm Gauss-Seidel
sweeps instead of an exact projection, balancing before that and tail averages are heuristics. The certificate
depends on none of them: every bound is Lagrangian, every plan is repaired to feasibility and priced by the
agents.
"""

from __future__ import annotations

import numpy as np

from eglb.agents.proximal import Proposal, ProximalStep
from eglb.agents.region import Request
from eglb.agents.valuation import Accepted, Offer, Profile
from eglb.coordinator.algorithms.algorithm import Algorithm, Finished, WarmStart
from eglb.coordinator.algorithms.primal_recovery import PrimalRecovery
from eglb.coordinator.exchange import Broadcast, Round
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array

_RELAXATION = 1.75
_LOAD_PENALTY, _FOOTPRINT_PENALTY = 2.0, 6.0
"""First penalties in units of the instance; chosen on the published case and two synthetic fleets."""
_CERTIFY_EVERY = 10
_WARM_ROUNDS, _WARM_CERTIFY_EVERY = 30, 2
"""A warm start is near the end at once: in its first rounds certificates are due more often."""
_WARM_WEIGHT = 20
"""Rounds that the earlier solve counts for in the averages."""
_WARM_PENALTY_WORST, _WARM_PENALTY = 4.0, 2.0
"""What balancing multiplies footprint penalties by, in the end, where the equity price is above zero, and
elsewhere."""
_BALANCE_UNTIL = 200
_NEGLIGIBLE_PRICE = 1e-6
_BALANCE_POWER, _BALANCE_MOST = 0.25, 1.25
_BALANCE_LEAN = 0.1
"""Part of the fleet's mean in each region's residual: one that nothing happens in would drift off."""
_SWEEPS = 2
"""Of each projection, from where the last one ended; more of them save no rounds."""
_PLANS_MIXED = 8
_PARTS, _SLOTS_OF_PART = 24, 8
"""Agents price repaired plans by at most so many parts of the horizon, none shorter than so many slots."""
_OFFER_MARGIN, _LARGEST_MARGIN = 0.1, 1e9
_OLDEST = 5
"""Rounds after which a late answer is not used any more."""


class Admm(Algorithm):
    """ADMM with over-relaxation, residual-driven penalty and tail averaging; see the module's docstring."""

    def __init__(self, market: Market, gap: float, warm: WarmStart | None = None) -> None:
        super().__init__(market, gap, warm)
        self._round = 0
        self.part = market.parts(_PARTS, _SLOTS_OF_PART)
        self._recovery = PrimalRecovery(market.equity, _PLANS_MIXED, self.part)
        if warm is None:
            self._route = market.spread()
            self._demand_price = np.zeros_like(market.demand)
            self._equity_price = market.equity.fair_share(market.regions)
        else:
            self._route = market.meet(warm.route)
            self._demand_price = warm.demand_price.copy()
            self._equity_price = market.equity.normalise(warm.equity_price)
        self._z = market.load(self._route)
        self._y = self._z.copy()
        self._s_load, self._next_load = self._z.copy(), self._z.copy()
        self._mean_route = self._route.copy()
        self._mean_demand_price = self._demand_price.copy()
        self._mean_equity_price = self._equity_price.copy()
        self._ceiling = np.zeros_like(self._z)
        self._offer_margin = np.full((market.slots, 1), _OFFER_MARGIN)
        self._heard_in = np.full(market.regions, -1)

    def start(self) -> Broadcast:
        requests: list[Request] = [self.introduce(self._z), self._offer(self._z)]
        if self.warm is not None:
            requests.append(self.ask_bound(self._demand_price, self._equity_price))
        return Broadcast(tuple(requests), opening=True)

    def step(self, heard: Round) -> Broadcast | Finished:
        first = heard.present[0].replies[0] if heard.present else None
        if isinstance(first, Profile):
            profile = heard.replies[0]
            assert isinstance(profile, Profile)
            self._choose_steps(profile)
            coupled = True
        elif coupled := self._listen(heard):
            self._round += 1
            self._couple()
            self._average()
        self._credit(heard)
        hopeless = self.incumbent.route is None and self._offer_margin.max(initial=0.0) > _LARGEST_MARGIN
        if self.incumbent.gap <= self.gap or hopeless:
            return Finished()
        again = self.unanswered()
        requests = (self._proximal_step(), *(self._certificate() if coupled else ()))
        return Broadcast(requests, needs_all=self._round == 0, again=again)

    def _listen(self, heard: Round) -> bool:
        """Move the centers of those that answered to where they were asked about; whether anybody did.

        The others' stay, so that their last answer is still the proximal point of their center.
        """
        anybody = False
        for host_reply in sorted(heard.host_replies, key=lambda host_reply: host_reply.number):
            step, reply, rows = host_reply.requests[0], host_reply.replies[0], host_reply.regions
            if not isinstance(step, ProximalStep) or not isinstance(reply, Proposal):
                continue
            if (
                host_reply.number < heard.number - _OLDEST
                or (self._heard_in[rows] >= host_reply.number).any()
            ):
                continue
            self._heard_in[rows] = host_reply.number
            self._y[:, rows], self._f[rows] = reply.load.T, reply.footprint
            self._s_load[:, rows] = moved_penalty(
                step.load_center[rows].T, self._y[:, rows], step.load_step[rows], self._load_step[rows]
            )
            self._s_footprint[rows] = moved_penalty(
                step.footprint_center[rows],
                self._f[rows],
                step.footprint_step[rows],
                self._footprint_step[rows],
            )
            anybody = True
        return anybody

    def _choose_steps(self, profile: Profile) -> None:
        """Steps that make loads, footprints and prices of order one whatever their units."""
        m = self.market
        level = profile.footprint.mean(0)
        energy = max(float(self._z.mean()), 1e-300)
        equity_cost = float(m.equity_weight @ level) / (m.regions * m.slots * energy)
        spread, scale = float(profile.price_spread.mean()), float(profile.price_scale.mean())
        price = max(spread, 0.1 * scale, equity_cost) or 1.0
        level = np.where(level > 0.0, level, 1.0)
        self._load_step = np.full(m.regions, energy / price / _LOAD_PENALTY)
        self._footprint_step = np.tile(
            level * m.regions / m.equity_weight / _FOOTPRINT_PENALTY, (m.regions, 1)
        )
        self._g, self._f = profile.footprint.copy(), profile.footprint.copy()
        self._s_footprint = self._g.copy()
        if self.warm is not None:
            worst = self._equity_price > _NEGLIGIBLE_PRICE * self._equity_price.max(0, initial=0.0)
            self._footprint_step /= np.where(worst, _WARM_PENALTY_WORST, _WARM_PENALTY)
            # The centers whose proximal points are these loads at these prices.
            self._s_load += self._load_step * m.best_price(self._demand_price)
            self._s_footprint -= self._footprint_step * self._equity_price
        self._next_load, self._next_footprint = self._s_load.copy(), self._s_footprint.copy()

    def _couple(self) -> None:
        """The coordinator's half of a round: the next centers, as far as agents go along."""
        m, y, f = self.market, self._y, self._f
        self._ceiling = np.maximum(self._ceiling, y)
        z_before, g_before = self._z, self._g
        self._z = m.project(2.0 * y - self._s_load, self._route, self._demand_price, self._load_step, _SWEEPS)
        self._g, self._equity_price = m.equity.prox(2.0 * f - self._s_footprint, self._footprint_step)
        self._next_load = self._s_load + _RELAXATION * (self._z - y)
        self._next_footprint = self._s_footprint + _RELAXATION * (self._g - f)
        if 1 < self._round <= _BALANCE_UNTIL and self._round % _CERTIFY_EVERY == 0:
            self._rescale(
                penalty_factor(
                    ((self._z - y) ** 2).sum(0), ((self._z - z_before) ** 2).sum(0), self._load_step
                ),
                penalty_factor((self._g - f) ** 2, (self._g - g_before) ** 2, self._footprint_step),
            )

    def _rescale(self, load_factor: Array, footprint_factor: Array) -> None:
        """Multiply the regions' penalties, keeping the present primal point and prices."""
        y, f = self._y, self._f
        self._s_load = y + (self._s_load - y) / load_factor
        self._next_load = y + (self._next_load - y) / load_factor
        self._s_footprint = f + (self._s_footprint - f) / footprint_factor
        self._next_footprint = f + (self._next_footprint - f) / footprint_factor
        self._load_step = self._load_step / load_factor
        self._footprint_step = self._footprint_step / footprint_factor

    def _average(self) -> None:
        """Weighted means over about the last tenth of the rounds: the iterate circles, its mean does not."""
        earlier = 0 if self.warm is None else _WARM_WEIGHT
        tail = 11.0 / (self._round + earlier + 10.0)
        self.market.blend(self._mean_route, self._route, tail)
        self._mean_demand_price = self._mean_demand_price + tail * (
            self._demand_price - self._mean_demand_price
        )
        self._mean_equity_price = self._mean_equity_price + tail * (
            self._equity_price - self._mean_equity_price
        )

    def _proximal_step(self) -> ProximalStep:
        return ProximalStep(
            load_center=self._next_load.T,
            footprint_center=self._next_footprint,
            load_step=self._load_step,
            footprint_step=self._footprint_step,
        )

    def _certificate(self) -> list[Request]:
        """By turns bounds with an offer, and plans to be priced."""
        fresh = self.warm is None or self._round >= _WARM_ROUNDS
        every = _CERTIFY_EVERY if fresh else _WARM_CERTIFY_EVERY
        if self._round % every == 0:
            bound = self.ask_bound(self._mean_demand_price, self._mean_equity_price)
            return [bound, self._offer(self.market.load(self._mean_route))]
        return self._plans() if self._round % every == 1 else []

    def _offer(self, load: Array) -> Offer:
        """A little more than the present load; much more, everywhere, in slots where plans could not be
        repaired.
        """
        elsewhere = (self._offer_margin - _OFFER_MARGIN) * load.mean(1, keepdims=True)
        return Offer(load=((1.0 + self._offer_margin) * load + elsewhere).T)

    def _plans(self) -> list[Request]:
        """Repair under what agents are known to accept; where that is too little, offer more next time."""
        plan, unmet = self.market.repair(self._mean_route, self._ceiling)
        short = unmet.max(1, keepdims=True) > 0.0
        self._offer_margin = np.where(short, 3.0 * self._offer_margin + 1.0, self._offer_margin)
        return [] if short.any() else [self.ask_plan(plan)]

    def _credit(self, heard: Round) -> None:
        for host_reply in heard.host_replies:
            for reply in host_reply.replies:
                if isinstance(reply, Accepted):
                    known = self._ceiling[:, host_reply.regions]
                    self._ceiling[:, host_reply.regions] = np.maximum(known, reply.load.T)
        priced = self.digest(heard)
        for plan in priced:
            self._recovery.add(plan)
        if priced:
            self.incumbent.offer_plan(*self._recovery.best())


def moved_penalty(center: Array, point: Array, step: Array, now: Array) -> Array:
    """The center whose proximal point with step `now` is the same `point` as that of `center` with `step`."""
    return center if np.array_equal(step, now) else point + (center - point) * (now / step)


def penalty_factor(primal: Array, dual: Array, step: Array) -> Array:
    """What to multiply each region's penalty with, so that neither copies nor prices lag behind.

    Residual balancing (He, Yang and Wang 2000), region by region. A penalty that is too low lets the two
    copies differ, one that is too high lets the coordinator's copy creep.

    Parameters
    ----------
    primal, dual : (N,) or (N, K) squared distance of the two copies, and squared move of the coordinator's.
    step : of the same shape, the inverse penalty.
    """

    def lean(square: Array) -> Array:
        return (1.0 - _BALANCE_LEAN) * square + _BALANCE_LEAN * (square / step).mean(0) * step

    apart, moved = lean(primal), lean(dual)
    # Where nothing moved, far beyond what is clipped, and finite.
    ratio = np.sqrt(apart / np.maximum(moved, np.maximum(1e-30 * apart, 1e-300)))
    return np.clip(ratio**_BALANCE_POWER, 1.0 / _BALANCE_MOST, _BALANCE_MOST)

"""Dual decomposition: agents bid at announced equity prices, the coordinator clears, agents evaluate.

The dual function phi(mu) = min { sum_i (price_i + mu_i . intensity_i) . y_i : y serves demand } is concave.
Clearing the bids computes it exactly: its value is a lower bound, the footprints of the cleared loads are a
supergradient and the cleared loads are a feasible plan. One iteration is two exchanges: bids, then
footprints. Both can be about several equity prices at once; a warm start asks for all that mattered before.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eglb.agents.bidding import Bid, OfferQuantity, PriceFootprints, Quantity
from eglb.agents.valuation import Evaluate
from eglb.coordinator.algorithms.algorithm import Algorithm, Finished, WarmStart
from eglb.coordinator.algorithms.primal_recovery import PricedPlan
from eglb.coordinator.exchange import Broadcast, Round
from eglb.coordinator.interior import clearing
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array

_CLEARING_GAP = 0.05
"""Of the gap asked for: that at which a clearing that is not exact may end."""


@dataclass(frozen=True, eq=False)
class Cleared:
    """The plan that attains phi(`equity_price`), or nearly so; `equity_price` (N, K)."""

    equity_price: Array
    plan: PricedPlan


class DualDecomposition(Algorithm):
    """The exchanges shared by all methods that maximise phi; a method says which equity price to announce
    next.

    Discloses the quantity on offer once and a price for every slot in every iteration. Bids at several equity
    prices let a curious coordinator infer price and intensity.

    Stragglers: both exchanges wait for everyone, up to the fleet's deadline, and ask again who is missing;
    what is stale is dropped. Clearing with a silent region's earlier bid, which is one at another price of
    that region alone, was tried: the planes are valid but worse, and 30 % lost messages then cost 15 times
    the rounds instead of four times.
    """

    def __init__(self, market: Market, gap: float, warm: WarmStart | None = None) -> None:
        super().__init__(market, gap, warm)
        self._asked: list[Array] = [market.equity.fair_share(market.regions)]
        if warm is not None:
            self._asked = [warm.equity_price, *self.further_start(warm)]
        self._cleared: list[tuple[Array, Array]] = []
        self._quantity = np.zeros((market.slots, market.regions))

    @abstractmethod
    def announce(self, cleared: Sequence[Cleared]) -> Sequence[Array]:
        """Use what the agents answered; offer plans; the next mu (N, K), one or several, none if stuck."""

    def further_start(self, warm: WarmStart) -> Sequence[Array]:
        """Equity prices (N, K) to ask for at once at a warm start, beside the one it ended with."""
        return ()

    def use_earlier(self, plan: PricedPlan) -> None:
        """Use the plan of the warm start, feasible and priced anew, before anything is announced."""

    def start(self) -> Broadcast:
        return Broadcast((OfferQuantity(), *self._ask_bids()))

    def step(self, heard: Round) -> Broadcast | Finished:
        bids = [reply for reply in heard.replies if isinstance(reply, Bid)]
        plans = self.digest(heard)
        if bids:
            offered = heard.replies[0]
            opening = isinstance(offered, Quantity)
            if isinstance(offered, Quantity):
                self._quantity = np.array(offered.quantity.T, order="C")
                for plan in plans:
                    self.use_earlier(plan)
            # Plans are priced in the order in which they are asked about: those of the bids come first.
            clear = self._clear if self.market.clears_exactly else self._clear_nearly
            found = [clear(*asked) for asked in zip(self._asked, bids, strict=True)]
            cleared_plans = [plan for plan in found if plan is not None]
            if not cleared_plans:
                return Finished(stalled=True)
            return Broadcast((*cleared_plans, *(self._ask_earlier() if opening else ())))
        cleared = []
        for (equity_price, demand_price), plan in zip(self._cleared, plans, strict=False):
            if self.market.clears_exactly:
                value = plan.cost + float((equity_price * plan.footprint).sum())
                self.incumbent.offer_bound(value, demand_price, equity_price)
            cleared.append(Cleared(equity_price, plan))
        for plan in plans[len(cleared) :]:
            self.use_earlier(plan)
        following = self.announce(cleared)
        if self.incumbent.gap <= self.gap:
            return Finished()
        if not following:
            return Finished(stalled=True)
        self._asked = list(following)
        return Broadcast(self._ask_bids())

    def _ask_bids(self) -> tuple[PriceFootprints, ...]:
        self._cleared = []
        return tuple(PriceFootprints(equity_price=price) for price in self._asked)

    def _clear(self, equity_price: Array, bid: Bid) -> Evaluate:
        # A copy: what agents sent is read-only, which a transpose of one row would keep.
        cost = np.array(bid.price.T, order="C")
        plan, demand_price, _ = self.market.clear(cost, self._quantity)
        self._cleared.append((equity_price, demand_price))
        return self.ask_plan(plan)

    def _clear_nearly(self, equity_price: Array, bid: Bid) -> Evaluate | None:
        """Clear what paths cannot; None if no plan is found that does all work.

        The bound is what the bids make of the prices found: valid, however good these are.
        """
        market, cost = self.market, np.array(bid.price.T, order="C")
        gap = _CLEARING_GAP * self.gap
        route, demand_price = clearing.clear(market, cost, self._quantity, gap)
        profit = np.maximum(market.best_price(demand_price) - cost, 0.0) * self._quantity
        bound = market.worth(demand_price) - float(profit[:, market.degree > 0].sum())
        self.incumbent.offer_bound(bound, demand_price, equity_price)
        plan, unmet = market.repair(route, self._quantity)
        if unmet.any():
            return None
        self._cleared.append((equity_price, demand_price))
        return self.ask_plan(plan)

    def _ask_earlier(self) -> tuple[Evaluate, ...]:
        """The price of the warm start's plan, as far as it can be repaired; nothing if there is none."""
        if self.warm is None:
            return ()
        plan, unmet = self.market.repair(self.warm.route, self._quantity)
        return () if unmet.any() else (self.ask_plan(plan),)

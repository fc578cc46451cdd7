"""Dual decomposition: agents bid at announced equity prices, the coordinator clears, agents report
footprints.

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
from eglb.coordinator.algorithm import Algorithm, Broadcast, Finished, Round, WarmStart
from eglb.coordinator.market import Market
from eglb.coordinator.mixture import PricedPlan

Array = np.ndarray

_VALID = 1e-12
"""Rounding in the sum of equity prices that is none of validity's business."""


@dataclass(frozen=True, eq=False)
class Cleared:
    """phi(`equity_price`) = `bound`, USD, and the plan that attains it; `equity_price` (N, K)."""

    equity_price: Array
    bound: float
    plan: PricedPlan


class Auction(Algorithm):
    """The exchanges shared by all methods that maximise phi; a method says which equity price to announce
    next.

    Discloses the quantity on offer once and a price for every slot in every iteration. Bids at several equity
    prices let a curious coordinator infer price and intensity.

    Stragglers: bids are linear in the region's own equity price, so an earlier bid is one at another price of
    that region alone. Clearing with it is exact for the mixed prices: a bound if these are valid, and in any
    case a feasible plan, whose plane is valid for every price. What plans cost must come from everyone.
    """

    def __init__(self, market: Market, gap: float, warm: WarmStart | None = None) -> None:
        super().__init__(market, gap, warm)
        self._asked: list[Array] = [market.equity.fair_share(market.regions)]
        if warm is not None:
            self._asked = [warm.equity_price, *self.further_start(warm)]
        self._demand_price: list[Array] = []
        self._quantity = np.zeros((market.slots, market.regions))
        self._bid = np.zeros((market.slots, market.regions))
        self._bid_at = np.zeros((market.regions, market.kinds))

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
        if not heard.present:
            return Broadcast(self._ask_bids(), needs_all=False)
        first = heard.present[0].replies[0]
        if opening := isinstance(first, Quantity):
            self._quantity = np.array(heard.replies[0].quantity.T, order="C")
        if opening or isinstance(first, Bid):
            evaluate = self._clear_bids(heard)
            return Broadcast((*evaluate, *(self._ask_earlier() if opening else ())))
        plans = self.digest(heard)
        cleared = []
        for equity_price, demand_price, plan in zip(self._asked, self._demand_price, plans, strict=False):
            bound = plan.cost + float((equity_price * plan.footprint).sum())
            if self._valid(equity_price):
                self.incumbent.offer_bound(bound, demand_price, equity_price)
            cleared.append(Cleared(equity_price, bound, plan))
        for earlier in plans[len(cleared) :]:
            self.use_earlier(earlier)
        following = self.announce(cleared)
        if self.incumbent.gap <= self.gap:
            return Finished()
        if not following:
            return Finished(stalled=True)
        self._asked = list(following)
        # The first bound must be one, and there is no earlier bid to fall back on.
        return Broadcast(self._ask_bids(), needs_all=False)

    def _clear_bids(self, heard: Round) -> list[Evaluate]:
        """Clear the bids at each of the announced prices, with the last known ones of who is late."""
        evaluate, mixed_prices = [], []
        fresh = np.zeros(self.market.regions, bool)
        for asked in self._asked:
            bid, mixed = self._bid.copy(), self._bid_at.copy()
            for part in heard.present:
                for request, reply in zip(part.requests, part.replies, strict=True):
                    if isinstance(request, PriceFootprints) and request.equity_price is asked:
                        bid[:, part.regions] = reply.price.T
                        mixed[part.regions] = asked[part.regions]
                        fresh[part.regions] = True
            mixed_prices.append(mixed)
            evaluate.append(self._clear(bid))
        self._asked = [asked if fresh.all() else mixed for asked, mixed in zip(self._asked, mixed_prices, strict=True)]
        self._bid, self._bid_at = bid, mixed
        return evaluate

    def _valid(self, equity_price: Array) -> bool:
        """Whether a bound at these prices is one."""
        return bool((self.market.equity.normalise(equity_price) >= equity_price * (1.0 - _VALID)).all())

    def _ask_bids(self) -> tuple[PriceFootprints, ...]:
        self._demand_price = []
        return tuple(PriceFootprints(equity_price=price) for price in self._asked)

    def _clear(self, cost: Array) -> Evaluate:
        plan, demand_price, _ = self.market.clear(cost, self._quantity)
        self._demand_price.append(demand_price)
        return self.ask_plan(plan)

    def _ask_earlier(self) -> tuple[Evaluate, ...]:
        """The price of the warm start's plan, as far as it can be repaired; nothing if there is none."""
        if self.warm is None:
            return ()
        plan, unmet = self.market.repair(self.warm.route, self._quantity)
        return () if unmet.any() else (self.ask_plan(plan),)

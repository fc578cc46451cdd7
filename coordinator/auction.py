"""Dual decomposition: agents bid at announced equity prices, the coordinator clears, agents report
footprints.

The dual function phi(mu) = min { sum_i (price_i + mu_i . intensity_i) . y_i : y serves demand } is concave.
Clearing the bids computes it exactly: its value is a lower bound, the footprints of the cleared loads are a
supergradient and the cleared loads are a feasible plan. One iteration is two exchanges: bids, then
footprints.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from eglb.agents.bidding import Bid, OfferQuantity, PriceFootprints, Quantity
from eglb.agents.wire import Message
from eglb.coordinator.algorithm import Algorithm, Broadcast, Finished, WarmStart
from eglb.coordinator.equity import fair_share
from eglb.coordinator.market import Market
from eglb.coordinator.mixture import PricedPlan

Array = np.ndarray


class Auction(Algorithm):
    """The exchanges shared by all methods that maximise phi; a method says which equity price to announce
    next.

    Discloses the quantity on offer once and a price for every slot in every iteration. Bids at several equity
    prices let a curious coordinator infer price and intensity.
    """

    def __init__(self, market: Market, gap: float, warm: WarmStart | None = None) -> None:
        super().__init__(market, gap, warm)
        self.equity_price = fair_share(market.equity_weight, market.regions)
        self._quantity = np.zeros((market.slots, market.regions))

    @abstractmethod
    def announce(self, bound: float, plan: PricedPlan) -> Array | None:
        """Use phi(mu) = `bound` and the plan cleared at mu; offer plans; the next mu (N, K), or None if
        stuck.
        """

    def start(self) -> Broadcast:
        return Broadcast((OfferQuantity(), PriceFootprints(equity_price=self.equity_price)))

    def step(self, replies: Sequence[Message]) -> Broadcast | Finished:
        if isinstance(replies[0], Quantity):
            self._quantity = np.array(replies[0].quantity.T, order="C")
        last = replies[-1]
        if isinstance(last, Bid):
            return self._clear(last.price.T)
        (plan,) = self.digest(replies)
        bound = plan.cost + float((self.equity_price * plan.footprint).sum())
        self.incumbent.offer_bound(bound, self._demand_price, self.equity_price)
        following = self.announce(bound, plan)
        if self.incumbent.gap <= self.gap:
            return Finished()
        if following is None:
            return Finished(stalled=True)
        self.equity_price = following
        return Broadcast((PriceFootprints(equity_price=self.equity_price),))

    def _clear(self, cost: Array) -> Broadcast:
        # A copy: what agents sent is read-only, which a transpose of one row would keep.
        plan, self._demand_price, _ = self.market.clear(np.array(cost, order="C"), self._quantity)
        return Broadcast((self.ask_plan(plan),))

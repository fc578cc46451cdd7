"""Failover: a feasible plan in two exchanges when members of a fleet are lost, drained or back.

The first asks every region what it can take at most; that tells, exactly, how little of demand must be left
out, and the plan so far is moved to where there is room. The second prices it, and is already the opening of
an algorithm that goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from eglb.agents.valuation import Accepted, Offer
from eglb.coordinator.algorithms.algorithm import Algorithm, Finished, Incumbent, WarmStart
from eglb.coordinator.exchange import Broadcast, Round
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array

Method = Callable[[Market, float, WarmStart | None], Algorithm]
"""Makes the algorithm for a market, a gap and, if there is one, a place to start from."""

_MARGIN = 1.001
"""An offer of everything is this much more, as it travels in single precision."""


class Reroute(Algorithm):
    """A new plan for changed members, then `method` for the problem that is left.

    Discloses the capacity of every region where all demand in its reach exceeds it.

    Parameters
    ----------
    market : with all demand. before : the best known of the problem before.
    equity_prices : (R, N, K) further ones to start from.
    keep_bound : whether the bound before stays one as long as all demand is met: members were only lost.
    """

    def __init__(
        self,
        market: Market,
        gap: float,
        before: Incumbent,
        equity_prices: Array,
        method: Method,
        keep_bound: bool,
    ) -> None:
        super().__init__(market, gap)
        self.unmet = np.zeros_like(market.demand)
        """(T, J) MW of demand that cannot be met, see `Market.repair` for work; known after the first
        exchange.
        """
        self._before = before
        self._equity_prices = equity_prices
        self._method = method
        self._keep_bound = keep_bound
        self._next: Algorithm | None = None

    def start(self) -> Broadcast:
        m = self.market
        first = m.spread() if self._before.route is None else self._before.route
        everything = m.load(np.ascontiguousarray(m.demand[:, m.edge_gateway]))
        offer = Offer(load=_MARGIN * everything.T)
        return Broadcast((self.introduce(m.load(first)), offer), opening=True)

    def step(self, heard: Round) -> Broadcast | Finished:
        if self._next is not None:
            return self._next.step(heard)
        accepted = heard.replies[1]
        assert isinstance(accepted, Accepted)
        # A copy: what agents sent is read-only, which a transpose of one row would keep.
        route = self._move(np.array(accepted.load.T, order="C"))
        market = self.market.less(self.unmet) if self.unmet.any() else self.market
        start = self._before.start_at(route.copy(), self._equity_prices)
        self._next = self._method(market, self.gap, start)
        self.incumbent = self._next.incumbent
        bound = self._before
        if self._keep_bound and not self.unmet.any() and bound.demand_price is not None:
            assert bound.equity_price is not None
            self.incumbent.offer_bound(bound.bound, bound.demand_price, bound.equity_price)
        opening = self._next.start()
        return replace(opening, requests=(*opening.requests, self._next.ask_plan(route)))

    @property
    def resumable(self) -> bool:
        return self._next is None or self._next.resumable

    def remembered_equity_prices(self) -> Array:
        return self._equity_prices if self._next is None else self._next.remembered_equity_prices()

    def _move(self, room: Array) -> Array:
        """(T, E) the plan before within `room` (T, N), as near as that allows; sets what stays unmet."""
        m = self.market
        before = m.spread() if self._before.route is None else self._before.route
        route, self.unmet = m.repair(before, room)
        if self.unmet.any() and m.work is not None:
            return m.less(self.unmet).meet(route)
        if self.unmet.any():
            served = np.add.reduceat(route, m.gateway_start[:-1], axis=1)
            wanted = m.demand - self.unmet
            factor = np.divide(wanted, served, out=np.zeros_like(served), where=served > 0.0)
            route *= factor[:, m.edge_gateway]
        return route

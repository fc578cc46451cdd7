"""Crossover: algorithms one after the other, each from the point and the certificate of the one before.

Interior point after ADMM (crossover): ADMM is quick to a gap of 1e-3 at any size, interior point from there
on. ADMM after interior point: where the latter stops making progress, plan and bound are kept and improved.
"""

from __future__ import annotations

from eglb.agents.valuation import Evaluate
from eglb.coordinator.algorithms.algorithm import Algorithm, Finished, WarmStart
from eglb.coordinator.exchange import Broadcast, Round
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array


class Crossover(Algorithm):
    """`first` until it stops or reaches `hand_over_gap`, then `second` to the gap that was asked for; if that
    stalls and there is a `last`, that one.
    """

    def __init__(
        self,
        market: Market,
        gap: float,
        warm: WarmStart | None = None,
        *,
        first: type[Algorithm],
        second: type[Algorithm],
        last: type[Algorithm] | None = None,
        hand_over_gap: float = 0.0,
    ) -> None:
        super().__init__(market, gap, warm)
        self._next: type[Algorithm] | None = second
        self._last = last
        self._running = first(market, max(gap, hand_over_gap), warm)
        self.incumbent = self._running.incumbent

    def start(self) -> Broadcast:
        return self._running.start()

    def step(self, heard: Round) -> Broadcast | Finished:
        action = self._running.step(heard)
        if isinstance(action, Broadcast) or self.incumbent.gap <= self.gap or self._next is None:
            return action
        start = self.incumbent.start_at(self.incumbent.route, self._running.remembered_equity_prices())
        self._running = self._next(self.market, self.gap, start)
        self._running.incumbent = self.incumbent
        self._next, self._last = self._last, None
        return self._running.start()

    def ask_plan(self, route: Array) -> Evaluate:
        return self._running.ask_plan(route)

    @property
    def resumable(self) -> bool:
        return self._running.resumable

    def remembered_equity_prices(self) -> Array:
        return self._running.remembered_equity_prices()

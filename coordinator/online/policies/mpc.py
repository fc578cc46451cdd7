"""Model predictive control: every slot the best plan for the rest of the period, of which one slot is used.

The rest is planned by the level bundle method of `eglb.coordinator.algorithms.level_bundle`, with the
footprints so far carried into every region's total, from where the last slot's plan ended. What is not
foretold is taken to be like the past weeks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eglb.coordinator.algorithms.algorithm import Finished, WarmStart
from eglb.coordinator.algorithms.level_bundle import LevelBundle
from eglb.coordinator.exchange import Broadcast, Round
from eglb.coordinator.market.market import Market
from eglb.coordinator.online.outlook import rest_of_period
from eglb.coordinator.online.policy import Exchange, Policy
from eglb.coordinator.online.slot import Slot
from eglb.foundation.arrays import Array


@dataclass(eq=False)
class PredictiveControl(Policy):
    """Re-solving with forecasts.

    Parameters
    ----------
    gap : certified gap of every plan.
    window : hours of the past that stand for those not foretold. half_life : hours after which one of them
        counts half.
    rounds : exchanges after which a plan is used as it is.
    """

    gap: float = 5e-5
    window: float = 672.0
    half_life: float = 96.0
    rounds: int = 100
    _plan: dict[int, Array] = field(default_factory=dict, init=False)
    _last: LevelBundle | None = field(default=None, init=False)

    def decide(self, slot: Slot) -> Exchange:
        slots, stands_for = rest_of_period(slot, self.window, self.half_life)
        market = slot.with_work_expected(slots)
        known_as, _ = slot.identity(slots)
        method = LevelBundle(market, self.gap, self._warm_start(market, known_as))
        asked = method.start()
        look = slot.look(slots, stands_for, carried=True)
        replies: Sequence[Any] = yield Broadcast((look, *asked.requests), opening=True)
        step: Broadcast | Finished = method.step(Round.complete(asked.requests, replies[1:]))
        for _ in range(self.rounds - 1):
            if isinstance(step, Finished):
                break
            step = method.step(Round.complete(step.requests, (yield step)))
        route = method.incumbent.route
        assert route is not None
        self._plan = dict(zip(known_as.tolist(), route, strict=True))
        self._last = method
        return route[0]

    def _warm_start(self, market: Market, slots: Array) -> WarmStart | None:
        """What the last slot's plan says of these slots; those it did not know get equal parts."""
        if self._last is None:
            return None
        price = self._last.incumbent.equity_price
        assert price is not None
        route = market.spread()
        known = np.array([s in self._plan for s in slots.tolist()])
        for q in np.flatnonzero(known):
            planned = self._plan[int(slots[q])]
            route[q] = 0.0
            route[q, : len(planned)] = planned  # jobs that came since have further pairs
        return WarmStart(
            route=route,
            demand_price=np.zeros_like(market.demand),
            equity_price=price,
            known=known,
            equity_prices=self._last.remembered_equity_prices(),
        )

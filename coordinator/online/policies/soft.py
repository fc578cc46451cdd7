"""Entropic re-solving: in every slot the equity price that is best, softly, for the rest of the period.

What is to come is taken to be like the past weeks, but for the hours that are foretold. With F the footprints
so far and phi_s the cost of serving slot s at an equity price, every hour maximises

    sum_k mu_k . F_k + sum_s weight_s phi_s(mu) - sum_k beta_k KL(mu_k / lambda_k | uniform)

over the simplices of the equity price. The entropy stands for what is not known yet: beta_k shrinks with the
root of the time that is left, and at the end of the period only the worst region counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from eglb.agents.bidding import PriceFootprints
from eglb.agents.valuation import Evaluate
from eglb.coordinator.exchange import Broadcast
from eglb.coordinator.online.outlook import rest_of_period
from eglb.coordinator.online.policy import Exchange, Policy, follow
from eglb.coordinator.online.redispatch import Dispatch
from eglb.coordinator.online.slot import Slot
from eglb.foundation.arrays import Array

_FLOOR = -14.0
"""Of log shares, below the largest: a region can come back within hours."""


@dataclass(eq=False)
class Soft(Policy):
    """Entropic re-solving.

    Parameters
    ----------
    caution : how much uncertainty there is, in days of footprints; 0.1 to 0.5 do alike.
    window : hours of the past that stand for those to come. half_life : hours after which one of them counts
        half.
    steps : of the ascent, every hour, from where the last hour ended.
    """

    caution: float = 0.3
    window: float = 672.0
    half_life: float = 96.0
    steps: int = 20
    _log_share: Array | None = field(default=None, init=False)
    _dispatch: Dispatch = field(default_factory=Dispatch, init=False)

    def decide(self, slot: Slot) -> Exchange:
        weight = slot.market.equity_weight
        regions, kinds = slot.footprint.shape
        if self._log_share is None:
            self._log_share = np.full((regions, kinds), -np.log(regions))
        if not kinds:
            return (yield from follow(slot, slot.footprint))
        slots, stands_for = rest_of_period(slot, self.window, self.half_life)
        market = slot.with_usual_work(slots)
        whole = np.zeros(1, np.int64)
        log_share, shares = self._log_share, np.zeros((regions, kinds))
        known_as, lasting = slot.identity(slots)
        self._dispatch.turn_to(market, known_as, lasting)
        quantity, bid = yield Broadcast(
            (
                slot.look(slots, stands_for, carried=True),
                PriceFootprints(equity_price=weight * np.exp(log_share)),
            ),
            opening=True,
        )
        offered = np.array(quantity.quantity.T, order="C")
        for step in range(self.steps):
            load = self._dispatch.loads(np.array(bid.price.T, order="C"), offered)
            (value,) = yield Broadcast((Evaluate(part=whole, load=load.T),))
            log_share = self._ascend(log_share, value.footprint[:, 0], slot, step)
            if step >= self.steps // 2:
                shares += np.exp(log_share)
            if step < self.steps - 1:
                (bid,) = yield Broadcast((PriceFootprints(equity_price=weight * np.exp(log_share)),))
        self._log_share = log_share
        return (yield from follow(slot, weight * shares / shares.sum(0)))

    def _ascend(self, log_share: Array, projected: Array, slot: Slot, step: int) -> Array:
        """A step towards the shares (N, K) that the projected footprints of the period call for."""
        left, period = slot.remaining + 1, slot.elapsed + slot.remaining + 1
        beta = self.caution * projected.mean(0) / period * np.sqrt(24.0 / slot.slot_hours * left)
        move = projected / np.maximum(beta, 1e-300) - np.log(len(log_share)) - log_share
        move -= move.mean(0)
        longest = np.abs(move).max(0) + 1e-12
        moved = log_share + move * np.minimum(1.0, 1.0 / np.sqrt(1.0 + step) / longest)
        moved = np.maximum(moved - moved.max(0), _FLOOR)
        return moved - np.log(np.exp(moved).sum(0))

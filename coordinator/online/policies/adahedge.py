"""AdaHedge: exponential weights whose learning rate comes from the past alone; it needs no horizon.

With G the footprints so far, in USD, the price of a region is lambda exp(eta G_i) / sum exp(eta G), and eta
is ln N over the mixability gaps so far (de Rooij, van Erven, Gruenwald and Koolen, JMLR 2014).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from eglb.coordinator.online.policy import Exchange, Policy, follow
from eglb.coordinator.online.slot import Slot
from eglb.foundation.arrays import Array


@dataclass(eq=False)
class AdaHedge(Policy):
    """AdaHedge on every kind by itself.

    Parameters
    ----------
    rate : multiplies the learning rate; 0.5 did better on every instance tried, 1 is the published rule.
    """

    rate: float = 1.0
    _gain: Array | None = field(default=None, init=False)
    _mixability: Array | None = field(default=None, init=False)
    _used: dict[int, tuple[Array, Array]] = field(default_factory=dict, init=False)

    def decide(self, slot: Slot) -> Exchange:
        weight = slot.market.equity_weight
        if self._gain is None or self._mixability is None or slot.elapsed == 0:
            self._gain, self._mixability = np.zeros_like(slot.footprint), np.zeros(len(weight))
            self._used.clear()
        for earlier, footprint in slot.metered:
            gain = weight * footprint
            # Who did not plan the slot has learned nothing about the rate.
            if (used := self._used.pop(earlier, None)) is not None:
                share, rate = used
                self._mixability += np.maximum(
                    self._mix(self._gain, gain, share, rate) - (share * gain).sum(0), 0.0
                )
            self._gain = self._gain + gain
        slow = self._mixability > 0.0
        wanted = self.rate * np.log(max(len(slot.footprint), 2))
        rate = np.where(slow, wanted / np.where(slow, self._mixability, 1.0), np.inf)
        # Late meters do not count for the rate, but the footprints they will tell of are known nearly enough.
        share = _shares(weight * slot.footprint, rate)
        self._used[slot.now] = (share, rate)
        return (yield from follow(slot, weight * share))

    @staticmethod
    def _mix(before: Array, gain: Array, share: Array, rate: Array) -> Array:
        """(K,): the mix gain of one slot, ln(share . exp(rate gain)) / rate; its limit where the rate is
        infinite.
        """
        best = gain.max(0, initial=0.0)
        known = np.isfinite(rate)
        finite = np.where(known, rate, 1.0)
        soft = np.log((share * np.exp(finite * (gain - best))).sum(0)) / finite + best
        return np.where(known, soft, (before + gain).max(0) - before.max(0))


def _shares(gain: Array, rate: Array) -> Array:
    """(N, K): exponential weights; where the rate is infinite, the leaders in equal parts."""
    behind = gain - gain.max(0, initial=0.0)
    known = np.isfinite(rate)
    share = np.where(known, np.exp(np.where(known, rate, 1.0) * behind), behind >= -1e-12)
    return share / share.sum(0)

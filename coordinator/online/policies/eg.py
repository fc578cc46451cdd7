"""Exponentiated gradient (EG-T): a proved, prediction-free rule without parameters.

The equity price of a region is exponential in its footprint so far,

    mu_ik = lambda_k softmax_i(eta F_ik / b_k),    eta = sqrt(2 ln N / T),

with b_k the largest footprint of one slot seen so far. Given F it has no state of its own, so restarts and
late meters cost nothing. Guarantees: docs/theory.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from eglb.coordinator.online.policy import Exchange, Policy, follow
from eglb.coordinator.online.slot import Slot
from eglb.foundation.arrays import Array


@dataclass(eq=False)
class ExponentiatedGradient(Policy):
    """EG-T.

    Parameters
    ----------
    rate : multiplies the learning rate that the theory asks for.
    """

    rate: float = 1.0
    _largest: Array | float = field(default=0.0, init=False)

    def decide(self, slot: Slot) -> Exchange:
        regions, _ = slot.footprint.shape
        for _, footprint in slot.metered:
            self._largest = np.maximum(self._largest, footprint.max(0, initial=0.0))
        period = slot.elapsed + slot.remaining + 1
        eta = self.rate * np.sqrt(2.0 * np.log(max(regions, 2)) / period)
        exponent = eta * slot.footprint / np.maximum(self._largest, 1e-300)
        share = np.exp(exponent - exponent.max(0, initial=0.0))
        return (yield from follow(slot, slot.market.equity_weight * share / share.sum(0)))

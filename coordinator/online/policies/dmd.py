"""Dual mirror descent: the published online method.

Every slot is served at equity prices mu = lambda g; afterwards the prices move along the footprints of the
slot, g <- g + step (lambda a y - z), where z, the auxiliary footprint, is switched on for the regions that
have a price once the shares add up to more than one. Source: "Towards Environmentally Equitable AI via
Geographical Load Balancing" (ACM e-Energy 2024), its Euclidean form. As in the published code, g may leave
the simplex.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from eglb.coordinator.online.policy import Exchange, Policy, follow
from eglb.coordinator.online.slot import Slot
from eglb.foundation.arrays import Array


@dataclass(eq=False)
class DualMirrorDescent(Policy):
    """Dual mirror descent.

    Parameters
    ----------
    step : eta, 1 / USD; what is best differs from fleet to fleet by orders of magnitude.
    auxiliary : the largest auxiliary footprint, as a multiple of the largest of one slot seen so far.
    """

    step: float = 1e-5
    auxiliary: float = 1.0
    _share: Array | None = field(default=None, init=False)
    _largest: Array | float = field(default=0.0, init=False)

    def decide(self, slot: Slot) -> Exchange:
        weight = slot.market.equity_weight
        if self._share is None or slot.elapsed == 0:
            self._share = np.zeros_like(slot.footprint)
        for _, footprint in slot.metered:
            gain = weight * footprint
            self._largest = np.maximum(self._largest, gain.max(0, initial=0.0))
            full = np.maximum(self._share, 0.0).sum(0) > 1.0
            z = np.where((self._share > 0.0) & full, self.auxiliary * self._largest, 0.0)
            self._share = self._share + self.step * (gain - z)
        return (yield from follow(slot, weight * self._share))

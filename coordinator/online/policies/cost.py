"""Cost greedy: cheapest first; equity does not count until the bill comes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.coordinator.online.policy import Exchange, Policy, follow
from eglb.coordinator.online.slot import Slot


@dataclass(eq=False)
class Cost(Policy):
    """Least energy cost in every slot."""

    def decide(self, slot: Slot) -> Exchange:
        return (yield from follow(slot, np.zeros_like(slot.footprint)))

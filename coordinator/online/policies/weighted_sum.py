"""Weighted sum: every region's footprint at the same price, whoever is worst off."""

from __future__ import annotations

from dataclasses import dataclass

from eglb.coordinator.online.policy import Exchange, Policy, follow
from eglb.coordinator.online.slot import Slot


@dataclass(eq=False)
class WeightedSum(Policy):
    """Least energy cost plus lambda / N times the total footprint, in every slot."""

    def decide(self, slot: Slot) -> Exchange:
        return (yield from follow(slot, slot.market.equity.fair_share(len(slot.footprint))))

"""The weighted sum: every region's footprint at the same price, whoever is worst off."""

from __future__ import annotations

from dataclasses import dataclass

from eglb.coordinator.equity import fair_share
from eglb.coordinator.hourly import Exchange, Hour, Policy, follow


@dataclass(eq=False)
class WeightedSum(Policy):
    """Least energy cost plus lambda / N times the total footprint, in every slot."""

    def decide(self, hour: Hour) -> Exchange:
        return (yield from follow(hour, fair_share(hour.market.equity_weight, len(hour.footprint))))

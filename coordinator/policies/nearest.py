"""Nearest first: what a latency-minded router does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.coordinator.algorithm import Broadcast
from eglb.coordinator.hourly import Exchange, Hour, Policy


@dataclass(eq=False)
class Nearest(Policy):
    """The nearest pair of gateway and region is served first, as far as the region has room, then the next.

    Where that strands demand, as little as possible is moved so that all of it is met.
    """

    needs_distance = True

    def decide(self, hour: Hour) -> Exchange:
        (quantity,) = yield Broadcast((hour.look(hour.present),), opening=True)
        market, room = hour.market, quantity.quantity[:, 0].copy()
        left, route = market.demand[0].copy(), np.zeros((1, len(market.edge_region)))
        for pair in np.argsort(hour.distance, kind="stable"):
            gateway, region = market.edge_gateway[pair], market.edge_region[pair]
            route[0, pair] = min(left[gateway], room[region])
            left[gateway] -= route[0, pair]
            room[region] -= route[0, pair]
        if left.any():
            route, _ = market.repair(route, np.array(quantity.quantity.T, order="C"))
        return route[0]

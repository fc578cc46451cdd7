"""Latency greedy: nearest first, as a latency-minded router does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.coordinator.exchange import Broadcast
from eglb.coordinator.market.market import Market
from eglb.coordinator.online.policy import Exchange, Policy
from eglb.coordinator.online.slot import Slot
from eglb.foundation.arrays import Array


@dataclass(eq=False)
class Nearest(Policy):
    """The nearest pair of gateway and region is served first, as far as the region has room, then the next.

    Where that strands demand, as little as possible is moved so that all of it is met.
    """

    needs_distance = True
    plans_work = False

    def decide(self, slot: Slot) -> Exchange:
        (quantity,) = yield Broadcast((slot.look(slot.present),), opening=True)
        return nearest_first(slot.market, slot.distance, quantity.quantity[:, 0])


def nearest_first(market: Market, distance: Array, capacity: Array) -> Array:
    """The route (E,) of a market of one slot where pairs are served in the order of their `distance` (E,), as
    far as `capacity` (N,) has room; moved a little where that strands demand.
    """
    room = capacity.copy()
    left, route = market.demand[0].copy(), np.zeros((1, len(market.edge_region)))
    for pair in np.argsort(distance, kind="stable"):
        gateway, region = market.edge_gateway[pair], market.edge_region[pair]
        route[0, pair] = min(left[gateway], room[region])
        left[gateway] -= route[0, pair]
        room[region] -= route[0, pair]
    if left.any():
        route, _ = market.repair(route, np.array(capacity[None], order="C"))
    return np.asarray(route[0])

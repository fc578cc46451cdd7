"""Online policies: the interface, a state machine without input or output; dispatch at equity prices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from eglb.agents.bidding import PriceFootprints
from eglb.coordinator.exchange import Broadcast
from eglb.coordinator.online.slot import Slot
from eglb.foundation.arrays import Array

Exchange = Generator[Broadcast, Sequence[Any], Array]
"""Yields what to ask the agents, is sent their replies, and returns an array in the end."""


class Policy(ABC):
    """Decides slot after slot: a state machine that never does input or output."""

    needs_distance = False
    """Whether it asks how far gateways are; then those of the same reach are not merged."""
    plans_work = True
    """Whether it decides when jobs run."""

    @abstractmethod
    def decide(self, slot: Slot) -> Exchange:
        """Ask the agents what is needed; return the route (E,) of this slot, which meets its demand."""


def follow(slot: Slot, equity_price: Array) -> Exchange:
    """The cheapest route (E,) of this slot if footprints cost `equity_price` (N, K), by the agents' bids.

    Jobs run now as far as that is cheaper than later, by what is expected of the slots that they can wait
    for.
    """
    slots, market = (slot.present, slot.market) if slot.backlog is None else slot.with_work()
    quantity, bid = yield Broadcast(
        (slot.look(slots), PriceFootprints(equity_price=equity_price)), opening=True
    )
    cost, offered = np.array(bid.price.T, order="C"), np.array(quantity.quantity.T, order="C")
    if market.work is not None and not market.clears_exactly:
        cheapest = np.minimum.reduceat(cost[:, market.edge_region], market.gateway_start[:-1], axis=1)
        market = market.over(market.fixed_demand, market.work.one_way(cheapest))
    route, _, _ = market.clear(cost, offered)
    if slot.backlog is not None:
        slot.backlog.expect(route)
    return route[0]

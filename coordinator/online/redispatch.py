"""Incremental dispatch: least-cost loads of the same slots over and over, at costs that change a little."""

from __future__ import annotations

import numpy as np

from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array


class Dispatch:
    """Remembers slots, the order of costs in them and the loads that followed; see
    `merit_order.redispatch`.
    """

    def __init__(self) -> None:
        self._slot = np.zeros(0, np.int64)
        self._lasting = np.zeros(0, bool)
        self._order = np.zeros((0, 0), np.int64)
        self._route, self._load = np.zeros((0, 0)), np.zeros((0, 0))

    def turn_to(self, market: Market, slot: Array, lasting: Array) -> None:
        """Turn to other slots (S,) of `market`, going on from before with those already known, unless it has
        other pairs.

        `lasting` (S,): demand and quantities of the slot will not change any more.
        """
        pairs, regions = len(market.edge_region), market.regions
        order = np.zeros((len(slot), regions), np.int64)
        route, load = np.zeros((len(slot), pairs)), np.zeros((len(slot), regions))
        fresh = np.ones(len(slot), np.int64)
        _, here, before = np.intersect1d(slot, self._slot, assume_unique=True, return_indices=True)
        known = self._lasting[before] if pairs == self._route.shape[1] else np.zeros(len(before), bool)
        before, here = before[known], here[known]
        if len(here):
            order[here], route[here], load[here] = (
                self._order[before],
                self._route[before],
                self._load[before],
            )
            fresh[here] = 0
        self._market, self._slot, self._lasting = market, slot, lasting
        self._order, self._route, self._load, self._fresh = order, route, load, fresh

    def loads(self, cost: Array, quantity: Array) -> Array:
        """(S, N): the loads of least `cost` (S, N) with at most `quantity` (S, N); overwritten by the next
        call.
        """
        self._market.redispatch(cost, quantity, self._order, self._route, self._load, self._fresh)
        self._fresh[:] = 0
        # What is added and taken away again leaves rounding, and nobody is asked about a load below zero.
        return np.maximum(self._load, 0.0, out=self._load)

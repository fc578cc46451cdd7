"""Hindsight certificate of an unfinished run: how good it was against the best possible up to now.

For every equity price mu in its simplices the least cost of serving slot s at that price, phi_s(mu), adds
up over the slots so far to a lower bound of the best objective that any plan of these slots could have
reached. It is computed from metered values alone. In the middle of a period the figure is no grade: a
policy that holds back for later is behind the best plan of the past; at the end of the period it is one.

Some prices are followed from slot to slot, so that their bounds cost one clearing each; now and then a level
bundle step over all slots so far (see `eglb.coordinator.algorithms.level_bundle`) looks for better ones.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eglb.agents.bidding import Bid, PriceFootprints, Quantity
from eglb.agents.timeline import Look
from eglb.agents.valuation import Evaluate
from eglb.coordinator.algorithms.level_bundle import nearest_in_level_set
from eglb.coordinator.algorithms.primal_recovery import PrimalRecovery
from eglb.coordinator.exchange import Broadcast
from eglb.coordinator.market.market import Market
from eglb.coordinator.online.slot import DemandSeries
from eglb.foundation.arrays import Array

_LEVEL = 0.4
_FOLLOWED = 16
_STEPS, _STEPS_AT_END = 2, 25
_DAY, _SHARE = 24, 0.05
"""Steps are taken when a day and this share of the slots so far have passed; more often at the start."""
_CLOSE = 2e-4


@dataclass(frozen=True)
class Standing:
    """Where a period stands after some slots: what was spent, and what the best plan of these slots would
    have cost at least; USD.
    """

    objective: float
    lower_bound: float


@dataclass(eq=False)
class _Followed:
    """An equity price (N, K) with the energy cost and footprints (N, K) of its least-cost plan so far."""

    equity_price: Array
    cost: float
    footprint: Array

    @property
    def bound(self) -> float:
        return self.cost + float((self.equity_price * self.footprint).sum())


class RunningCertificate:
    """Follows one accounting period; it asks the same agents, about metered slots only."""

    def __init__(self, market: Market, demand: DemandSeries) -> None:
        self._market = market
        self.demand = demand
        """May be replaced by one that knows more slots."""
        self._equity, self._weight = market.equity, market.equity_weight
        self._best = self._equity.fair_share(market.regions)
        self.restart(0)

    def restart(self, slot: int) -> None:
        """A new period starts with `slot`; its first price is the best of the last one."""
        zero = np.zeros_like(self._best)
        self._first = self._done = slot
        self._cost, self._footprint = 0.0, zero.copy()
        self._followed = [_Followed(self._best, 0.0, zero)]
        self._extra = 0.0

    def record(self, slot: int, load: Array, last: bool) -> Generator[Broadcast, Sequence[Any], Standing]:
        """Take note of what was served in `slot`, (N,) MW; the standing after it.

        `last` says that the period ends here, which is worth more steps.
        """
        present = np.array([slot])
        quantity, value, bid = yield Broadcast(
            (
                self._look(slot, present),
                Evaluate(part=np.zeros(1, np.int64), load=load[:, None]),
                PriceFootprints(equity_price=self._best),
            ),
            opening=True,
        )
        self._cost += float(value.cost.sum())
        self._footprint += value.footprint[:, 0]
        self._extra += self._clear(self._over(slot, present), quantity, bid)[1]
        passed = slot + 1 - self._done
        so_far = slot + 1 - self._first
        if last or passed >= min(max(_DAY, _SHARE * so_far), so_far / 2):
            yield from self._catch_up(slot)
            yield from self._improve(slot, _STEPS_AT_END if last else _STEPS)
        objective = self._cost + self._equity.cost(self._footprint)
        best = max(self._followed, key=lambda each: each.bound)
        return Standing(objective, best.bound + self._extra)

    def take_over(self, slot: int, load: Array) -> Generator[Broadcast, Sequence[Any], Standing]:
        """Take note at once of all slots of the period up to `slot`, which were served with `load` (N, S);
        the standing after them.
        """
        slots = np.arange(self._first, slot + 1)
        _, value = yield Broadcast(
            (self._look(slot, slots), Evaluate(part=np.zeros(1, np.int64), load=load)), opening=True
        )
        self._cost, self._footprint = float(value.cost.sum()), value.footprint[:, 0].copy()
        yield from self._catch_up(slot)
        yield from self._improve(slot, _STEPS_AT_END)
        best = max(self._followed, key=lambda each: each.bound)
        return Standing(self._cost + self._equity.cost(self._footprint), best.bound)

    def _catch_up(self, slot: int) -> Generator[Broadcast, Sequence[Any], None]:
        """Follow every price through the slots since the last time."""
        slots = np.arange(self._done, slot + 1)
        market = self._over(slot, slots)
        quantity, *bids = yield Broadcast(
            (
                self._look(slot, slots),
                *(PriceFootprints(equity_price=each.equity_price) for each in self._followed),
            ),
            opening=True,
        )
        values = yield Broadcast(tuple(self._clear(market, quantity, bid)[0] for bid in bids))
        for each, value in zip(self._followed, values, strict=True):
            each.cost += float(value.cost.sum())
            each.footprint = each.footprint + value.footprint[:, 0]
        self._done, self._extra = slot + 1, 0.0

    def _improve(self, slot: int, steps: int) -> Generator[Broadcast, Sequence[Any], None]:
        """Look for better prices, over all slots of the period so far."""
        slots = np.arange(self._first, slot + 1)
        market = self._over(slot, slots)
        quantity: Quantity | None = None
        for _ in range(steps if len(self._weight) else 0):
            price = self._next_price()
            if price is None:
                break
            ask = PriceFootprints(equity_price=price)
            if quantity is None:
                quantity, bid = yield Broadcast((self._look(slot, slots), ask), opening=True)
            else:
                (bid,) = yield Broadcast((ask,))
            (value,) = yield Broadcast((self._clear(market, quantity, bid)[0],))
            self._followed.append(_Followed(price, float(value.cost.sum()), value.footprint[:, 0]))
        best = max(self._followed, key=lambda each: each.bound)
        others = [each for each in self._followed if each is not best]
        self._followed = [best, *others[-(_FOLLOWED - 1) :]]
        self._best = best.equity_price

    def _next_price(self) -> Array | None:
        """The nearest price to the best one where all planes reach a level above its bound; None if close."""
        best = max(self._followed, key=lambda each: each.bound)
        costs = np.array([each.cost for each in self._followed])
        footprints = np.array([each.footprint for each in self._followed])
        mixed = PrimalRecovery.weights(costs[:, None], footprints[:, None], self._equity)[:, 0]
        ceiling = mixed @ costs + self._equity.cost(np.tensordot(mixed, footprints, 1))
        if ceiling - best.bound <= _CLOSE * abs(ceiling):
            return None
        level = best.bound + _LEVEL * (ceiling - best.bound)
        slopes = (footprints * self._weight).transpose(0, 2, 1).reshape(len(costs), -1)
        center = (best.equity_price / self._weight).T
        share = nearest_in_level_set(center, slopes, level - costs, self._equity)
        return None if share is None else self._equity.normalise(share.T * self._weight)

    def _look(self, slot: int, slots: Array) -> Look:
        return Look(slot, slot + 1, slots, np.ones(len(slots)), np.zeros_like(self._best))

    def _over(self, slot: int, slots: Array) -> Market:
        return self._market.over(self.demand.at(slot, slots))

    @staticmethod
    def _clear(market: Market, quantity: Quantity, bid: Bid) -> tuple[Evaluate, float]:
        """What the least-cost plan of these bids is to be asked about, and its cost at them."""
        price = np.array(bid.price.T, order="C")
        load = market.load(market.clear(price, np.array(quantity.quantity.T, order="C"))[0])
        return Evaluate(part=np.zeros(1, np.int64), load=load.T), float((price * load).sum())

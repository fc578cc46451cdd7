"""Hour by hour: what a policy is told at the start of a slot, and what it is.

The problem is that of the whole horizon, but a slot must be planned before the next one is known.
Footprints add up over a declared accounting period; only the worst region's total at its end is priced.

Agents disclose what they do in dual decomposition: the capacity of the slots asked about, and bids at
announced equity prices, from several of which price and intensity of these slots can be inferred.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from eglb.agents.bidding import PriceFootprints
from eglb.agents.forecasting import Forecaster, Past
from eglb.agents.timeline import Look
from eglb.agents.valuation import Evaluate
from eglb.coordinator.algorithms.algorithm import Broadcast
from eglb.coordinator.market.market import Market
from eglb.coordinator.online.backlog import Backlog

Array = np.ndarray

Exchange = Generator[Broadcast, Sequence[Any], Array]
"""Yields what to ask the agents, is sent their replies, and returns an array in the end."""


@dataclass(frozen=True, eq=False)
class DemandSeries:
    """Demand as the coordinator sees it: known up to the present slot, foretold beyond.

    Parameters
    ----------
    demand : (T, J) MW, slots before the run included. gateways : (J,) names.
    forecaster, outlook, first, slot_hours : as in `eglb.agents.timeline.Timeline`; `outlook` is (T, J) or
    None.
    """

    demand: Array
    gateways: tuple[str, ...]
    forecaster: Forecaster
    outlook: Array | None
    first: np.datetime64
    slot_hours: float

    def at(self, now: int, slot: Array) -> Array:
        """(S, J) MW in some slots, as known in slot `now`."""
        demand = self.demand[np.minimum(slot, now)]
        ahead = slot > now
        if ahead.any():
            slots = int(slot.max()) - now
            outlook = np.empty((0, len(self.gateways)))
            if self.outlook is not None and self.forecaster.reads_outlook:
                outlook = self.outlook[now + 1 :]
            past = Past(
                "demand", self.gateways, self.demand[: now + 1].T, self.first, self.slot_hours, outlook.T
            )
            demand[ahead] = self.forecaster.predict(past, slots).T[slot[ahead] - now - 1]
        return demand


@dataclass(frozen=True, eq=False)
class Hour:
    """A slot that is to be planned, with all that the coordinator knows then.

    Parameters
    ----------
    market : gateways, reach and equity weights, over this one slot. demand : the series.
    distance : (E,) of each pair, in any unit.
    now : the slot, counted from the start of all series.
    meter_delay : slots after which a slot's meters are read; None if they never are.
    elapsed : slots of the accounting period before this one. remaining : those after it, as declared.
    foreseen : how many slots ahead are foretold; at most `remaining`.
    footprint : (N, K) of the period so far: metered, and estimated where metering is late.
    metered : the slots of this period whose meters were read since the last hour, with their footprints (N,
    K).
    firm : demand and capacity of slots before this one will not change any more; None if those up to `now`
    will not.
    backlog : the work that waits; None if there are no jobs. Their columns come after those of `demand`.
    """

    market: Market
    demand: DemandSeries
    distance: Array
    now: int
    meter_delay: int | None
    elapsed: int
    remaining: int
    foreseen: int
    footprint: Array
    metered: Sequence[tuple[int, Array]]
    firm: int | None = None
    backlog: Backlog | None = None

    @property
    def slot_hours(self) -> float:
        """Length of a slot."""
        return self.demand.slot_hours

    @cached_property
    def present(self) -> Array:
        """(1,): this slot."""
        return np.array([self.now])

    def look(self, slot: Array, weight: Array | None = None, carried: bool = False) -> Look:
        """Turn the agents to some slots, (S,), that stand for `weight` (S,) slots each, one by default.

        With `carried` the footprints of the period so far count into totals.
        """
        return Look(
            now=self.now,
            settled=settled(self.now, self.meter_delay),
            slot=slot,
            weight=np.ones(len(slot)) if weight is None else weight,
            carried=self.footprint if carried else np.zeros_like(self.footprint),
        )

    @property
    def explicit(self) -> int:
        """Slots from the present one on that are planned each by itself: those that are foretold and those
        that work can wait for.
        """
        return max(self.foreseen + 1, self.backlog.horizon if self.backlog is not None else 0)

    def ahead(self) -> Array:
        """(`explicit`,): the slots that stand for these: where nothing is foretold, the same hour of the
        latest day, or the present slot if there was none.
        """
        ahead = self.now + np.arange(self.explicit)
        day = self.day
        past = ahead - day * -(-(ahead - self.now) // day)
        return np.where(ahead <= self.now + self.foreseen, ahead, np.where(past >= 0, past, self.now))

    @property
    def day(self) -> int:
        """Slots of a day, at least one."""
        return max(1, round(24.0 / self.slot_hours))

    def identity(self, slot: Array) -> tuple[Array, Array]:
        """Which slots those of `rest_of_period` (S,) are, and whether demand and capacity there will not
        change any more.

        Where there is work, the explicit ones are those to come, whichever stand for them.
        """
        if self.backlog is None:
            return slot, slot < (self.now + 1 if self.firm is None else self.firm)
        slot = np.concatenate([self.now + np.arange(self.explicit), slot[self.explicit :]])
        return slot, slot < (self.now if self.firm is None else min(self.firm, self.now))

    def over(self, slot: Array) -> Market:
        """The market over some slots (S,), with demand as known now."""
        return self.market.over(self.demand.at(self.now, slot))

    def with_usual_work(self, slot: Array) -> Market:
        """The market over slots (S,) of `rest_of_period` where what jobs do is taken for demand."""
        demand = self.demand.at(self.now, slot)
        if self.backlog is not None:
            fixed, demand = demand, self.backlog.usual(slot, self.explicit, self.day)
            demand[:, : fixed.shape[1]] = fixed
        return self.market.over(demand)

    def with_work_expected(self, slot: Array) -> Market:
        """The market over slots (S,) of `rest_of_period`, with the work that there is to do and, every day
        again, what was released on the latest one; what jobs do beyond the `explicit` slots is asked for by
        the gateways, each in proportion.
        """
        demand = self.demand.at(self.now, slot)
        if self.backlog is None:
            return self.market.over(demand)
        asked = demand.sum(1, keepdims=True)
        work, homeless = self.backlog.expected(self.explicit, self.day, self.explicit > self.remaining)
        later = np.concatenate([homeless, self.backlog.ran(slot[self.explicit :])])[:, None]
        demand += demand * np.divide(later, asked, out=np.zeros_like(asked), where=asked > 0.0)
        if work is not None and (work.way_gain != 1.0).any():
            # Moving takes energy: planned where it takes least, moved by the backlog if there is no room.
            work = work.one_way(np.zeros_like(demand, shape=(len(demand), self.market.gateways)))
        return self.market.over(demand, work)

    def with_work(self) -> tuple[Array, Market]:
        """The slots that stand for those in which there is work to do, and the market over them with it."""
        assert self.backlog is not None
        slot = self.ahead()[: max(self.backlog.horizon, 1)]
        return slot, self.market.over(self.demand.at(self.now, slot), self.backlog.work())


def settled(now: int, meter_delay: int | None) -> int:
    """Slots before this one have been metered at the start of slot `now`; none ever if meters are not
    read.
    """
    return 0 if meter_delay is None else now + 1 - meter_delay


class Books:
    """What a period has cost so far, by meters as far as they have been read, else by estimates.

    `footprint` (N, K) is from before the first slot that is served.
    """

    def __init__(self, footprint: Array) -> None:
        self._cost = 0.0
        self._footprint = footprint
        self._open: list[tuple[int, Array]] = []
        self._open_cost, self._open_footprint = 0.0, np.zeros_like(self._footprint)

    @property
    def cost(self) -> float:
        """Energy cost of the slots up to the last `read`, USD."""
        return self._cost + self._open_cost

    @property
    def footprint(self) -> Array:
        """(N, K) of the slots up to the last `read`."""
        return self._footprint + self._open_footprint

    def serve(self, slot: int, load: Array) -> None:
        """A slot is served with `load` (N,)."""
        self._open.append((slot, load))

    def read(
        self, now: int, meter_delay: int | None
    ) -> Generator[Broadcast, Sequence[Any], list[tuple[int, Array]]]:
        """Read meters at the start of slot `now`: the slots read, with their footprints (N, K).

        A slot is read once; until then, and for good if meters are never read, its estimate counts.
        """
        if not self._open:
            return []
        slots = np.array([slot for slot, _ in self._open])
        look = Look(
            now - 1,
            settled(now, meter_delay),
            slots,
            np.ones(len(slots)),
            np.zeros_like(self._footprint),
        )
        load = np.stack([load for _, load in self._open], axis=1)
        _, value = yield Broadcast((look, Evaluate(part=np.arange(len(slots)), load=load)), opening=True)
        final = slots < (now if meter_delay is None else settled(now, meter_delay))
        self._cost += float(value.cost[:, final].sum())
        self._footprint = self._footprint + value.footprint[:, final].sum(1)
        self._open_cost = float(value.cost[:, ~final].sum())
        self._open_footprint = value.footprint[:, ~final].sum(1)
        self._open = [entry for entry, closed in zip(self._open, final, strict=True) if not closed]
        return [(int(slots[q]), value.footprint[:, q]) for q in np.flatnonzero(final)]


_SAMPLED = 5
"""Of slots older than a week, one in so many stands for all of them; coprime to the hours of a day."""


def rest_of_period(hour: Hour, window: float, half_life: float) -> tuple[Array, Array]:
    """The slots (S,) that stand for the rest of the period, the present one first, and for how many each.

    As far as is foretold or work can wait, those to come. For the rest, the last `window` hours: every hour
    of the day as often as it is left, and a slot that is `half_life` hours old half as much as the present
    one.
    """
    explicit, ahead = hour.explicit, hour.ahead()
    unknown = hour.remaining + 1 - explicit
    if unknown <= 0:
        return ahead, np.ones(len(ahead))
    past = np.arange(hour.now, max(-1, hour.now - round(window / hour.slot_hours)), -1)
    day = hour.day
    old = hour.now - past >= 7 * day
    recent = 0.5 ** ((hour.now - past) * hour.slot_hours / half_life) * np.where(old, _SAMPLED, 1)
    past, recent = (each[~old | (past % _SAMPLED == 0)] for each in (past, recent))
    # The hours of the day that are left, as often as they are left, where they have been seen.
    to_come = np.arange(hour.now + explicit, hour.now + hour.remaining + 1)
    left, seen = np.bincount(to_come % day, minlength=day), np.bincount(past % day, recent, minlength=day)
    share = recent * (left / np.where(seen > 0.0, seen, np.inf))[past % day]
    share = share if share.any() else recent
    share *= unknown / share.sum()
    own, share, past = share[0], share[1:], past[1:]
    weight = np.concatenate([np.ones(len(ahead)), share[share > 0.0]])
    weight[0] += own
    return np.concatenate([ahead, past[share > 0.0]]), weight


class Policy(ABC):
    """Decides slot after slot: a state machine that never does input or output."""

    needs_distance = False
    """Whether it asks how far gateways are; then those of the same reach are not merged."""
    plans_work = True
    """Whether it decides when jobs run."""

    @abstractmethod
    def decide(self, hour: Hour) -> Exchange:
        """Ask the agents what is needed; return the route (E,) of this slot, which meets its demand."""


def follow(hour: Hour, equity_price: Array) -> Exchange:
    """The cheapest route (E,) of this slot if footprints cost `equity_price` (N, K), by the agents' bids.

    Jobs run now as far as that is cheaper than later, by what is expected of the slots that they can wait
    for.
    """
    slot, market = (hour.present, hour.market) if hour.backlog is None else hour.with_work()
    quantity, bid = yield Broadcast(
        (hour.look(slot), PriceFootprints(equity_price=equity_price)), opening=True
    )
    cost, offered = np.array(bid.price.T, order="C"), np.array(quantity.quantity.T, order="C")
    if market.work is not None and not market.clears_exactly:
        cheapest = np.minimum.reduceat(cost[:, market.edge_region], market.gateway_start[:-1], axis=1)
        market = market.over(market.fixed_demand, market.work.one_way(cheapest))
    route, _, _ = market.clear(cost, offered)
    if hour.backlog is not None:
        hour.backlog.expect(route)
    return route[0]

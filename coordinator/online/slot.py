"""Slot to be planned: what the coordinator knows at its start, demand series and market.

The problem is that of the whole horizon, but a slot must be planned before the next one is known.
Footprints add up over a declared accounting period; only the worst region's total at its end is priced.

Agents disclose what they do in dual decomposition: the capacity of the slots asked about, and bids at
announced equity prices, from several of which price and intensity of these slots can be inferred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from eglb.agents.forecasting import Forecaster, Past
from eglb.agents.timeline import Look
from eglb.coordinator.market.market import Market
from eglb.coordinator.online.backlog import Backlog
from eglb.coordinator.online.settlement import settled
from eglb.foundation.arrays import Array


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
class Slot:
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

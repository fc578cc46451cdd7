"""Fallback plans: without a new plan, the last one projected on what is alive, or the nearest region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eglb.coordinator.market.market import Market
from eglb.coordinator.online.policies.nearest import nearest_first
from eglb.foundation.arrays import Array


@dataclass(frozen=True, eq=False)
class Routed:
    """`share` (J, N) of every gateway's requests to each region, and the MW `unmet` (J,) that no region has
    room for.

    A gateway that reaches no region with capacity has no shares at all. `work` is (N,) MW of each job that
    runs, `ahead` what follows: slots from now, job, region and MW.
    """

    share: Array
    unmet: Array
    work: Mapping[str, Array] = field(default_factory=dict)
    ahead: Sequence[tuple[int, str, int, float]] = ()

    def of_jobs(self) -> dict[str, Any]:
        """`jobs`, `work` and `ahead` of a `WeightTable`, where there are any."""
        names = tuple(dict.fromkeys([*self.work, *(name for _, name, _, _ in self.ahead)]))
        if not names:
            return {}
        row = {name: m for m, name in enumerate(names)}
        work = np.zeros((len(names), self.share.shape[1]))
        for name, load in self.work.items():
            work[row[name]] = load
        ahead = [(slot, row[name], i, mw) for slot, name, i, mw in self.ahead]
        return {"jobs": names, "work": work, "ahead": np.array(ahead, float).reshape(-1, 4)}


class FallbackPlan:
    """Makes feasible shares for one fleet.

    Parameters
    ----------
    market : of one slot, no gateways merged; its demand is not used. distance : (E,) of its pairs, any unit.
    """

    def __init__(self, market: Market, distance: Array) -> None:
        self._market = market
        self._distance = distance
        self._pair = market.edge_gateway, market.edge_region
        self.reach = np.zeros((market.gateways, market.regions), bool)
        self.reach[self._pair] = True
        self.distance = np.full(self.reach.shape, np.inf)
        self.distance[self._pair] = distance

    def near(self, share: Array, demand: Array, capacity: Array) -> Routed:
        """The feasible shares next to `share` (J, N), for `demand` (J,) and `capacity` (N,) MW; as they are
        where they are feasible.
        """
        return self._feasible(demand[self._pair[0]] * share[self._pair], demand, capacity, capacity)

    def beside(self, share: Array, work: Mapping[str, Array], demand: Array, capacity: Array) -> Routed:
        """The feasible shares next to `share` beside the `work` of jobs; where demand finds no room, work
        makes way.
        """
        if not work:
            return self.near(share, demand, capacity)
        load = sum(work.values(), start=np.zeros_like(capacity))
        route = demand[self._pair[0]] * share[self._pair]
        routed = self._feasible(route, demand, capacity, np.maximum(capacity - load, 0.0))
        if routed.unmet.any():
            routed = self.near(share, demand, capacity)
        room = np.maximum(capacity - (demand - routed.unmet) @ routed.share, 0.0)
        part = np.minimum(np.divide(room, load, out=np.ones_like(load), where=load > room), 1.0)
        kept = {name: each * part for name, each in work.items()}
        return Routed(routed.share, routed.unmet, {name: each for name, each in kept.items() if each.any()})

    def nearest(self, demand: Array, capacity: Array) -> Routed:
        """Every gateway to its nearest regions, as far as they have room."""
        market = self._market.over(demand[None])
        return self._feasible(nearest_first(market, self._distance, capacity), demand, capacity, capacity)

    def _feasible(self, route: Array, demand: Array, capacity: Array, room: Array) -> Routed:
        """With loads of at most `room`; `capacity` says who is up."""
        market = self._market.over(demand[None])
        repaired, unmet = market.repair(route[None], np.array(room[None], order="C"))
        flow = np.zeros(self.reach.shape)
        flow[self._pair] = repaired[0]
        share = np.where(capacity > 0.0, flow, 0.0)
        served = share.sum(1)
        carried = served > 0.0
        share[carried] /= served[carried, None]
        # Who asks for nothing, or gets nothing, still has somewhere to send a request to.
        away = np.where(self.reach & (capacity > 0.0), self.distance, np.inf)
        closest = away.argmin(1)
        idle = ~carried & np.isfinite(away.min(1, initial=np.inf))
        share[idle, closest[idle]] = 1.0
        return Routed(share, unmet[0])

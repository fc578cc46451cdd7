"""Control loop, slot by slot: read the meters, let the policy decide, settle, certify."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from eglb.coordinator.exchange import Broadcast
from eglb.coordinator.fleet.fleet import Fleet
from eglb.coordinator.market.market import Market
from eglb.coordinator.online.backlog import Backlog
from eglb.coordinator.online.policy import Policy
from eglb.coordinator.online.running_certificate import RunningCertificate, Standing
from eglb.coordinator.online.settlement import Settlement
from eglb.coordinator.online.slot import DemandSeries, Slot
from eglb.foundation.arrays import Array

Result = TypeVar("Result")


@dataclass(frozen=True)
class Period:
    """Slots `first` to `last`, which the policy believes to be `declared` slots long."""

    first: int
    last: int
    declared: int


@dataclass(frozen=True, eq=False)
class Decided:
    """One slot is planned: its route (E,), how long it took to decide, and where the period stands after it.

    `standing` is None without a certificate.
    """

    slot: int
    route: Array
    seconds: float
    standing: Standing | None
    seconds_certificate: float


def drive(exchange: Generator[Broadcast, Sequence[Any], Result], fleet: Fleet) -> Result:
    """Carry the questions of `exchange` to the agents and their answers back, until it returns."""
    replies: Sequence[Any] | None = None
    try:
        while True:
            asked = next(exchange) if replies is None else exchange.send(replies)
            replies = fleet.ask(asked)
    except StopIteration as end:
        return end.value


def decide_with_present_members(policy: Policy, slot: Slot, fleet: Fleet) -> Array:
    """The route (E,) of a slot, decided with the present members of the fleet: a region whose agent is lost
    takes no part. When the membership changes meanwhile, the decision starts again.

    Raises
    ------
    FleetError : not one agent is left.
    """
    while True:
        fleet.settle()
        if fleet.membership.closed.any():
            slot = replace(slot, firm=0)  # a region that is out has no capacity in past slots either
        decision = policy.decide(slot)
        replies: Sequence[Any] | None = None
        try:
            while True:
                asked = next(decision) if replies is None else decision.send(replies)
                heard = fleet.exchange(asked)
                if heard.changed:
                    break
                replies = heard.replies
        except StopIteration as end:
            return end.value


def control(
    fleet: Fleet,
    market: Market,
    demand: DemandSeries,
    distance: Array,
    policy: Policy,
    periods: Sequence[Period],
    *,
    meter_delay: int | None = 1,
    certify: bool = True,
    backlog: Backlog | None = None,
) -> Iterator[Decided]:
    """Plan the slots of all periods, one after the other, each before the next is known.

    Parameters
    ----------
    market : gateways, reach and weights; its demand is not used. demand : the series.
    distance : (E,) of each pair, in any unit.
    meter_delay : slots after which a slot's meters are read; 1 is before the next slot. None: never, so that
        estimates stand for good.
    certify : keep a running certificate; not where jobs wait.
    backlog : the market's jobs, None if it has none.

    Raises
    ------
    FleetError : agents were lost for good.
    """
    certificate = RunningCertificate(market, demand)
    ahead = demand.forecaster.hours / demand.slot_hours
    for period in periods:
        settlement = Settlement(np.zeros((market.regions, market.kinds)))
        certificate.restart(period.first)
        for now in range(period.first, period.last + 1):
            began = time.perf_counter()
            metered = drive(settlement.read(now, meter_delay), fleet)
            elapsed = now - period.first
            remaining = max(period.declared - elapsed - 1, 0)
            slot = Slot(
                market=market.over(demand.at(now, np.array([now]))),
                demand=demand,
                distance=distance,
                now=now,
                meter_delay=meter_delay,
                elapsed=elapsed,
                remaining=remaining,
                foreseen=int(min(ahead, remaining, period.last - now)),
                footprint=settlement.footprint,
                metered=metered,
                backlog=backlog,
            )
            if backlog is not None:
                drive(backlog.open(now, meter_delay, demand.at(now, slot.present)), fleet)
            route = drive(policy.decide(slot), fleet)
            if backlog is not None:
                route = backlog.commit(route)
            decided = time.perf_counter()
            load = slot.market.load(route[None])[0]
            settlement.serve(now, load)
            standing = None
            if certify and backlog is None:
                standing = drive(certificate.record(now, load, now == period.last), fleet)
            yield Decided(now, route, decided - began, standing, time.perf_counter() - decided)

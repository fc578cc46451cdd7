"""Agents that are lost while a slot is decided, and data that are renewed from slot to slot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from support.online_instances import draw_hours

from eglb.agents.timeline import Timeline
from eglb.coordinator.fleet.fleet import Fleet, group_regions, host_slices
from eglb.coordinator.fleet.transport import Arrival, InProcess, TransportWrapper, Wait
from eglb.coordinator.market.market import Market
from eglb.coordinator.online.loop import decide_with_present_members, drive
from eglb.coordinator.online.running_certificate import RunningCertificate
from eglb.coordinator.online.slot import DemandSeries, Slot
from eglb.foundation.arrays import Array
from eglb.planning.online.forecasts import parse_forecast
from eglb.planning.online.policies import parse_policy
from eglb.planning.partition import partition
from eglb.sims.replay.estimate_errors import EstimateError
from eglb.sims.replay.series import timelines

SEED, SLOT = 0, 6


class Mute(TransportWrapper):
    """Hosts that are `mute` answer nothing; a call takes a second."""

    def __init__(self, inner: InProcess) -> None:
        super().__init__(inner)
        self.mute: set[int] = set()
        self.after = 0
        self.time = 0.0

    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        self.time += 1.0
        self.after -= 1
        return [
            (h, a)
            for h, a in self.inner.call(payloads, wait, probes)
            if h not in self.mute or self.after >= 0
        ]

    def now(self) -> float:
        return self.time

    def pause(self, seconds: float) -> None:
        self.time += seconds


@contextmanager
def fleet(name: str) -> Iterator[tuple[Fleet, Mute, Market, Timeline, DemandSeries, Array]]:
    scenario = draw_hours(SEED, slots=10)
    # Roomy, and everyone reaches everyone: one region can be missed.
    n, j = len(scenario.regions), len(scenario.gateways)
    scenario = replace(
        scenario,
        capacity=np.full_like(scenario.capacity, scenario.demand.sum(0).max()),
        reach_region=np.repeat(np.arange(n), j),
        reach_gateway=np.tile(np.arange(j), n),
        reach_rtt_ms=np.full(n * j, np.nan),
    )
    policy = parse_policy(name)
    parts = partition(scenario, merge=not policy.needs_distance)
    timeline, demand = timelines(parts, parse_forecast("none"), EstimateError("exact"), "calibrated")
    hosts = group_regions(timeline, 1)
    line = Mute(InProcess(hosts))
    sizes = {"slot": 1, "kind": parts.market.kinds}
    yield (
        Fleet(line, host_slices(parts.market, hosts), 5.0, sizes=sizes),
        line,
        parts.market,
        timeline,
        demand,
        parts.pair_values(scenario.rtt_ms()),
    )


def hour(market: Market, demand: DemandSeries, distance: Array, footprint: Array) -> Slot:
    return Slot(
        market=market.over(demand.at(SLOT, np.array([SLOT]))),
        demand=demand,
        distance=distance,
        now=SLOT,
        meter_delay=1,
        elapsed=SLOT,
        remaining=3,
        foreseen=0,
        footprint=footprint,
        metered=[],
    )


@pytest.mark.parametrize("name", ["soft", "mpc", "guard", "eg", "adahedge", "nearest", "cost"])
@pytest.mark.parametrize("after", [0, 3])
def test_a_slot_is_decided_without_an_agent_that_is_silent_and_with_it_when_it_is_back(
    name: str, after: int
) -> None:
    with fleet(name) as (agents, line, market, _, demand, distance):
        footprint = np.zeros((market.regions, market.kinds))
        now = hour(market, demand, distance, footprint)
        undisturbed = drive(parse_policy(name).decide(now), agents)
        served = now.market.load(undisturbed[None])[0]
        gone = int(served.argmax())
        line.mute, line.after = {gone}, after
        policy = parse_policy(name)
        route = decide_with_present_members(policy, now, agents)
        np.testing.assert_allclose(route.sum(), now.market.demand.sum(), rtol=1e-9)
        assert agents.membership.closed[gone] == (line.after < 0)
        if line.after < 0:
            assert now.market.load(route[None])[0][gone] == 0.0
        line.mute = set()
        for _ in range(2):  # it is heard of again in the first
            route = decide_with_present_members(policy, now, agents)
        assert not agents.membership.closed.any()
        if name in ("nearest", "cost", "eg"):
            np.testing.assert_allclose(route, undisturbed, atol=1e-9)


def test_what_a_lost_region_has_caused_still_counts() -> None:
    """Its footprints so far are the worst by far: nothing is gained by sparing others."""
    with fleet("soft") as (agents, line, market, _, demand, distance):
        line.mute = {0}
        footprint = np.zeros((market.regions, market.kinds))
        footprint[0] = 1e9
        now = hour(market, demand, distance, footprint)
        rest = decide_with_present_members(parse_policy("soft"), now, agents)
        cheap = decide_with_present_members(parse_policy("cost"), now, agents)
        np.testing.assert_allclose(now.market.load(rest[None]), now.market.load(cheap[None]), atol=1e-6)


def test_renewed_data_reach_agents_now_and_when_they_start_afresh() -> None:
    with fleet("cost") as (agents, line, market, timeline, demand, distance):
        now = hour(market, demand, distance, np.zeros((market.regions, market.kinds)))
        before = drive(parse_policy("cost").decide(now), agents)
        dear = int(now.market.load(before[None])[0].argmax())
        price = timeline.metered.price.copy()
        price[dear] += 1e6
        newer = replace(timeline, metered=replace(timeline.metered, price=price))
        renew(line, newer)
        after = drive(parse_policy("cost").decide(now), agents)
        assert now.market.load(after[None])[0][dear] < now.market.load(before[None])[0][dear]
        line.restart(dear)
        again = drive(parse_policy("cost").decide(now), agents)
        np.testing.assert_array_equal(again, after)


def renew(line: Mute, timeline: Timeline) -> None:
    private_data: Sequence[Timeline] = group_regions(timeline, 1)  # type: ignore[assignment]
    line.renew(private_data)


@pytest.mark.parametrize("slots", [1, 4, 10])
def test_a_certificate_that_takes_over_is_as_sound_as_one_that_was_there(slots: int) -> None:
    with fleet("cost") as (agents, _, market, _, demand, distance):
        loads = []
        there, taken = RunningCertificate(market, demand), RunningCertificate(market, demand)
        for slot in range(slots):
            now = replace(hour(market, demand, distance, np.zeros((market.regions, market.kinds))), now=slot)
            now = replace(now, market=market.over(demand.at(slot, np.array([slot]))))
            loads.append(now.market.load(drive(parse_policy("cost").decide(now), agents)[None])[0])
            expected = drive(there.record(slot, loads[-1], slot + 1 == slots), agents)
        found = drive(taken.take_over(slots - 1, np.stack(loads, axis=1)), agents)
        assert found.objective == pytest.approx(expected.objective, rel=1e-12)
        assert found.lower_bound <= found.objective * (1 + 1e-12)
        assert found.lower_bound == pytest.approx(expected.lower_bound, rel=1e-3)

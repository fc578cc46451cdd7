"""The clock of a wide-area network against its formula by hand, and around a fleet that loses agents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from eglb.agents.region import Region
from eglb.agents.valuation import Introduce
from eglb.coordinator.exchange import Broadcast
from eglb.coordinator.fleet.fleet import Fleet, group_regions, host_slices
from eglb.coordinator.fleet.network import Network, WideArea
from eglb.coordinator.fleet.transport import Arrival, InProcess, Transport, TransportWrapper, Wait
from eglb.coordinator.market.market import Market

Draw = Callable[..., tuple[Region, Market]]

NETWORK = Network(
    coordinator="here",
    note="by hand",
    rtt_ms=np.array([10.0, 200.0, 50.0]),
    down_mbit_s=np.array([8.0, 80.0, 800.0]),
    up_mbit_s=np.array([4.0, 40.0, 400.0]),
    coordinator_mbit_s=1000.0,
)


def test_an_exchange_lasts_as_long_as_its_slowest_host_and_the_shared_line() -> None:
    down, up = np.array([125_000, 1_000, 0]), np.array([50_000, 500, 125])
    own = [
        0.010 + 125_000 * 8 / 8e6 + 50_000 * 8 / 4e6,
        0.200 + 1_000 * 8 / 80e6 + 500 * 8 / 40e6,
        0.050 + 125 * 8 / 400e6,
    ]
    shared = (126_000 + 50_625) * 8 / 1e9
    assert max(own) == own[0]
    assert NETWORK.seconds(down, up, [0, 1, 2]) == pytest.approx(own[0] + shared, rel=1e-12)


def test_only_hosts_that_were_asked_count() -> None:
    seconds = NETWORK.seconds(np.array([1_000]), np.array([0]), [2])
    assert seconds == pytest.approx(0.050 + 8e3 / 800e6 + 8e3 / 1e9, rel=1e-12)
    assert NETWORK.seconds(np.array([]), np.array([]), []) == 0.0


def test_a_host_of_several_regions_is_as_slow_as_its_slowest() -> None:
    hosts = NETWORK.by_host([slice(0, 1), slice(1, 3)])
    assert hosts.rtt_ms.tolist() == [10.0, 200.0]
    assert hosts.down_mbit_s.tolist() == [8.0, 80.0] and hosts.up_mbit_s.tolist() == [4.0, 40.0]
    assert hosts.coordinator_mbit_s == NETWORK.coordinator_mbit_s


class Losing(TransportWrapper):
    """Another transport that keeps the answer of one host back at the first call."""

    def __init__(self, inner: Transport, host: int) -> None:
        super().__init__(inner)
        self.host, self.sizes = host, list[tuple[list[int], ...]]()

    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        answers = dict(self.inner.call(payloads, wait, probes))
        if not self.sizes:
            answers[self.host] = b""
        back = [len(a) if isinstance(a, bytes) else 0 for a in answers.values()]
        self.sizes.append((list(payloads), [len(data) for data in payloads.values()], back))
        return [(h, answer) for h, answer in answers.items() if answer]

    def peak_rss_mb(self) -> float:
        return 7.0


def test_the_clock_counts_every_call_of_a_fleet_repeated_ones_too(draw_market: Draw) -> None:
    region, market = next(drawn for seed in range(99) if (drawn := draw_market(seed))[1].regions == 3)
    hosts = group_regions(region, 1)
    slices = host_slices(market, hosts)
    losing = Losing(InProcess(hosts), 1)
    clock = WideArea(losing, NETWORK, slices)
    fleet = Fleet(clock, slices)
    opening = Introduce(
        degree=market.degree,
        reach=market.edge_gateway[market.by_region],
        gateway=np.arange(market.gateways),
        demand=market.demand.T,
        load=market.load(market.spread()).T,
    )
    assert clock.seconds == 0.0
    fleet.ask(Broadcast((opening,), opening=True))
    assert fleet.traffic.rounds == len(losing.sizes) == 2
    assert losing.sizes[1][0] == [1]
    expected = sum(NETWORK.seconds(np.array(d), np.array(u), h) for h, d, u in losing.sizes)
    assert clock.seconds == pytest.approx(expected, rel=1e-12) and clock.seconds > 0.4
    assert clock.peak_rss_mb() == 7.0
    clock.close()


def test_farther_regions_and_slower_lines_take_longer() -> None:
    count = np.array([1_000, 1_000, 1_000])
    base = NETWORK.seconds(count, count, [0, 1, 2])
    assert replace(NETWORK, rtt_ms=2 * NETWORK.rtt_ms).seconds(count, count, [0, 1, 2]) > base
    for name in ("down_mbit_s", "up_mbit_s", "coordinator_mbit_s"):
        slower = replace(NETWORK, **{name: getattr(NETWORK, name) / 10})
        assert slower.seconds(count, count, [0, 1, 2]) > base

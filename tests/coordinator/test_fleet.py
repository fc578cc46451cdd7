"""The fan-out on scripted hosts: late, failing, forgetful, garbled; what is counted, what is an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from eglb.agents.bidding import Bid, PriceFootprints
from eglb.agents.host import RegionHost
from eglb.agents.region import Region, Request
from eglb.agents.valuation import Bound, BoundTerm, Evaluate, Introduce, Value
from eglb.agents.wire import Fault, Message, decode, encode
from eglb.coordinator.algorithm import Broadcast
from eglb.coordinator.fleet import (
    Fleet,
    FleetError,
    InProcess,
    Transport,
    group_regions,
    regions_per_host,
    seat,
)
from eglb.coordinator.market import Market

Draw = Callable[..., tuple[Region, Market]]
Trick = Callable[[bytes], bytes | Exception]
"""What a host answers instead of its honest `bytes`."""


class Scripted(Transport):
    """Real hosts behind a line that plays the next trick of a host's script at every call, then none."""

    def __init__(
        self, regions: Sequence[Region], script: dict[int, list[Trick | None]] | None = None
    ) -> None:
        self.regions = regions
        self.hosts = [RegionHost(region) for region in regions]
        self.script = {h: list(tricks) for h, tricks in (script or {}).items()}
        self.calls: list[dict[int, bytes]] = []
        self.answers: list[dict[int, bytes | Exception]] = []

    def call(self, payloads: dict[int, bytes], deadline_s: float) -> dict[int, bytes | Exception]:
        self.calls.append(payloads)
        answers: dict[int, bytes | Exception] = {}
        for h, data in payloads.items():
            trick = self.script[h].pop(0) if self.script.get(h) else None
            if trick is restart:
                self.hosts[h] = RegionHost(self.regions[h])
                trick = None
            answers[h] = self.hosts[h].answer(data) if trick is None else trick(self.hosts[h].answer(data))
        self.answers.append(answers)
        return answers

    def peak_rss_mb(self) -> float:
        return 0.0

    def close(self) -> None:
        self.hosts = []


def restart(honest: bytes) -> bytes:
    """Marks a call before which the host loses its memory; see `Scripted.call`."""
    raise AssertionError("played by the transport")


def late(honest: bytes) -> Exception:
    return TimeoutError("no answer within 60 s")


def silent(honest: bytes) -> Exception:
    return RuntimeError()


def noise(honest: bytes) -> bytes:
    return b"\xc1 noise"


def nothing(honest: bytes) -> bytes:
    return encode([])


def twice(honest: bytes) -> bytes:
    return encode([*decode(honest), *decode(honest)])


def backwards(honest: bytes) -> bytes:
    return encode(list(reversed(decode(honest))))


def not_a_number(honest: bytes) -> bytes:
    first, *others = decode(honest)
    name = next(iter(first.axes()))
    broken = getattr(first, name).astype(float)
    broken.flat[0] = np.nan
    return encode([replace(first, **{name: broken}), *others])


def infinite(honest: bytes) -> bytes:
    first, *others = decode(honest)
    name = next(iter(first.axes()))
    return encode([replace(first, **{name: getattr(first, name) + np.inf}), *others])


def one_row_more(honest: bytes) -> bytes:
    first, *others = decode(honest)
    name = next(iter(first.axes()))
    value = getattr(first, name)
    return encode([replace(first, **{name: np.concatenate([value, value[:1]])}), *others])


def scalar(honest: bytes) -> bytes:
    first, *others = decode(honest)
    return encode([replace(first, **{next(iter(first.axes())): 1.0}), *others])


@dataclass(frozen=True)
class Stage:
    """A fleet on scripted hosts and the exchanges that tests send over it."""

    market: Market
    transport: Scripted
    fleet: Fleet
    opening: Broadcast
    question: Broadcast


@pytest.fixture
def stage(draw_market: Draw) -> Callable[..., Stage]:
    """Three hosts of a five-region market; `script` says which host does what at its calls."""

    def build(script: dict[int, list[Trick | None]] | None = None) -> Stage:
        region, market = next(drawn for seed in range(99) if (drawn := draw_market(seed))[1].regions == 5)
        hosts = group_regions(region, 2)
        assert [len(host.names) for host in hosts] == [1, 2, 2]
        transport = Scripted(hosts, script)
        load = market.load(market.spread()).T
        introduce = Introduce(
            degree=market.degree,
            reach=market.edge_gateway[market.by_region],
            gateway=np.arange(market.gateways),
            demand=market.demand.T,
            load=load,
        )
        bound = Bound(demand_price=np.ones_like(market.demand.T), equity_price=np.ones((5, market.kinds)))
        return Stage(
            market,
            transport,
            Fleet(transport, seat(market, hosts)),
            Broadcast((introduce,), opening=True),
            Broadcast((bound, Evaluate(part=np.zeros(1, int), load=load))),
        )

    return build


def honest_replies(build: Callable[..., Stage]) -> tuple[Message, ...]:
    s = build()
    s.fleet.exchange(s.opening)
    return s.fleet.exchange(s.question)


def assert_same(got: Sequence[Message], expected: Sequence[Message]) -> None:
    assert [type(m) for m in got] == [type(m) for m in expected]
    for a, b in zip(got, expected, strict=True):
        for name in type(a).axes():
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_replies_are_joined_in_the_order_of_the_regions(
    stage: Callable[..., Stage], draw_market: Draw
) -> None:
    s = stage()
    s.fleet.exchange(s.opening)
    term, value = s.fleet.exchange(s.question)
    assert isinstance(term, BoundTerm) and isinstance(value, Value)
    region, _ = next(drawn for seed in range(99) if (drawn := draw_market(seed))[1].regions == 5)
    whole = RegionHost(region)
    whole.answer(encode(s.opening.requests))
    assert_same([term, value], decode(whole.answer(encode(s.question.requests))))


def test_bytes_and_rounds_are_counted_exactly(stage: Callable[..., Stage]) -> None:
    s = stage()
    s.fleet.exchange(s.opening)
    s.fleet.exchange(s.question)
    t, line = s.fleet.traffic, s.transport
    assert t.rounds == 2 == len(line.calls)
    assert t.bytes_down == sum(len(data) for call in line.calls for data in call.values())
    for h in range(3):
        assert t.bytes_up_by_host[h] == sum(len(a[h]) for a in line.answers if isinstance(a[h], bytes))
    assert t.bytes_up == sum(t.bytes_up_by_host)
    assert t.bytes_down > 0 and min(t.bytes_up_by_host) > 0


@pytest.mark.parametrize(
    "trick", [late, silent, noise, nothing, twice, backwards, not_a_number, infinite, one_row_more, scalar]
)
@pytest.mark.parametrize("times", [1, 2])
def test_what_goes_wrong_for_a_while_is_asked_again(
    stage: Callable[..., Stage], trick: Trick, times: int
) -> None:
    s = stage({1: [None, *[trick] * times]})
    s.fleet.exchange(s.opening)
    assert_same(s.fleet.exchange(s.question), honest_replies(stage))
    assert [sorted(call) for call in s.transport.calls] == [[0, 1, 2], [0, 1, 2], *[[1]] * times]
    assert s.fleet.traffic.rounds == 2 + times
    assert len({call[1] for call in s.transport.calls[1:]}) == 1  # the same bytes again


@pytest.mark.parametrize(
    ("trick", "reason"),
    [
        (late, "no answer within 60 s"),
        (silent, "RuntimeError"),
        (noise, "not a message of this protocol"),
        (nothing, "sent nothing where BoundTerm, Value is due"),
        (twice, "sent BoundTerm, Value, BoundTerm, Value where"),
        (backwards, "sent Value, BoundTerm where BoundTerm, Value is due"),
        (not_a_number, "BoundTerm.value with numbers that are not finite"),
        (infinite, "BoundTerm.value with numbers that are not finite"),
        (one_row_more, "BoundTerm.value not for its 2 regions"),
        (scalar, "BoundTerm.value not for its 2 regions"),
    ],
)
def test_what_stays_wrong_is_an_error_that_names_region_and_reason(
    stage: Callable[..., Stage], trick: Trick, reason: str
) -> None:
    s = stage({1: [None, trick, trick, trick]})
    s.fleet.exchange(s.opening)
    with pytest.raises(FleetError) as caught:
        s.fleet.exchange(s.question)
    assert "no answer from r1+r2 (" in str(caught.value) and "after 3 tries" in str(caught.value)
    assert reason in str(caught.value)
    assert "r0" not in str(caught.value) and "r3" not in str(caught.value)
    assert s.fleet.traffic.rounds == 4


def test_every_lost_host_is_named(stage: Callable[..., Stage]) -> None:
    s = stage({0: [late] * 3, 2: [noise] * 3})
    with pytest.raises(FleetError, match=r"r0 \(no answer within 60 s\), r3\+r4 \(not a message"):
        s.fleet.exchange(s.opening)


def test_a_host_that_lost_its_memory_hears_the_opening_again(stage: Callable[..., Stage]) -> None:
    s = stage({1: [None, restart]})
    s.fleet.exchange(s.opening)
    assert_same(s.fleet.exchange(s.question), honest_replies(stage))
    opening, question, retry = s.transport.calls
    assert list(retry) == [1]
    both = [type(message) for sent in (opening, question) for message in decode(sent[1])]
    assert [type(message) for message in decode(retry[1])] == both
    assert s.fleet.traffic.rounds == 3


def test_a_host_that_died_and_came_back_empty_goes_on(stage: Callable[..., Stage]) -> None:
    s = stage({2: [None, late, restart]})
    s.fleet.exchange(s.opening)
    assert_same(s.fleet.exchange(s.question), honest_replies(stage))
    assert [sorted(call) for call in s.transport.calls] == [[0, 1, 2], [0, 1, 2], [2], [2]]


def test_a_host_that_forgets_every_time_is_told_every_time(stage: Callable[..., Stage]) -> None:
    s = stage({0: [None, restart, restart, restart, restart]})
    s.fleet.exchange(s.opening)
    for _ in range(2):
        assert_same(s.fleet.exchange(s.question), honest_replies(stage))
    assert [sorted(call) for call in s.transport.calls] == [[0, 1, 2], [0, 1, 2], [0], [0, 1, 2], [0]]


def test_a_question_before_any_opening_is_an_error_and_no_endless_loop(stage: Callable[..., Stage]) -> None:
    s = stage()
    with pytest.raises(FleetError, match="lost its memory"):
        s.fleet.exchange(s.question)
    assert s.fleet.traffic.rounds == 3


def test_a_lost_opening_is_itself_sent_again(stage: Callable[..., Stage]) -> None:
    s = stage({0: [late], 1: [noise, late]})
    s.fleet.exchange(s.opening)
    assert_same(s.fleet.exchange(s.question), honest_replies(stage))


def test_a_fault_among_other_replies_is_refused(stage: Callable[..., Stage]) -> None:
    def half(honest: bytes) -> bytes:
        return encode([decode(honest)[0], Fault("no")])

    s = stage({0: [None, half, half, half]})
    s.fleet.exchange(s.opening)
    with pytest.raises(FleetError, match="sent BoundTerm, Fault where BoundTerm, Value is due"):
        s.fleet.exchange(s.question)


@pytest.mark.parametrize("per_host", [1, 2, 3, 4, 5, 99])
def test_regions_are_dealt_in_order_and_seated_with_their_edges(draw_market: Draw, per_host: int) -> None:
    for seed in range(6):
        region, market = draw_market(seed)
        hosts = group_regions(region, per_host)
        assert max(len(host.names) for host in hosts) <= per_host
        assert len(hosts) == -(-market.regions // per_host)
        assert tuple(name for host in hosts for name in host.names) == region.names
        np.testing.assert_array_equal(np.concatenate([host.price for host in hosts]), region.price)
        np.testing.assert_array_equal(np.concatenate([host.capacity for host in hosts]), region.capacity)
        np.testing.assert_array_equal(np.concatenate([host.intensity for host in hosts]), region.intensity)
        seats = seat(market, hosts)
        for at, host in zip(seats, hosts, strict=True):
            assert region.names[at.regions] == host.names == at.names
            reached = market.edge_region[market.by_region[at.edges]]
            assert sorted(reached) == sorted(
                r for r in market.edge_region if at.regions.start <= r < at.regions.stop
            )


def test_too_few_seats_are_refused(draw_market: Draw) -> None:
    region, market = draw_market(0)
    with pytest.raises(ValueError, match="are seated"):
        seat(market, group_regions(region, 1)[:-1])


def test_in_process_is_honest_and_closes_twice(draw_market: Draw) -> None:
    region, market = draw_market(1)
    hosts = group_regions(region, 1)
    line = InProcess(hosts)
    request: Request = PriceFootprints(equity_price=np.ones((market.regions, market.kinds)))
    (bid,) = Fleet(line, seat(market, hosts)).exchange(Broadcast((request,)))
    assert isinstance(bid, Bid)
    np.testing.assert_allclose(bid.price, region.price + region.intensity.sum(1))
    assert line.peak_rss_mb() == 0.0
    line.close()
    line.close()


@pytest.mark.parametrize(
    ("regions", "slots", "cores", "gigabytes", "hosts"),
    [
        (32, 168, 2, 1.0, 32),  # everyone alone
        (33, 24, 64, 64.0, 1),  # a round too short to share
        (1000, 168, 2, 64.0, 2),  # as many as cores
        (1000, 168, 64, 64.0, 3),  # as many as a round is worth
        (10_000, 168, 64, 64.0, 9),
        (10_000, 168, 64, 1.2, 2),  # as many as fit into half the memory
        (10_000, 168, 64, 0.1, 1),
    ],
)
def test_regions_are_dealt_to_as_many_hosts_as_a_round_is_worth(
    regions: int, slots: int, cores: int, gigabytes: float, hosts: int
) -> None:
    per_host = regions_per_host(regions, slots, cores, gigabytes * 1e9)
    assert -(-regions // per_host) == hosts

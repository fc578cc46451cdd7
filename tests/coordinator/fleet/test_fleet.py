"""The fan-out on scripted hosts: late, failing, forgetful, garbled; what is counted, what is an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from eglb.agents.bidding import Bid, PriceFootprints
from eglb.agents.codec import Fault, Message, decode, encode
from eglb.agents.host import RegionHost, RoundNumber
from eglb.agents.region import PrivateData, Region, Request
from eglb.agents.valuation import Accepted, Bound, BoundTerm, Evaluate, Introduce, Offer, Value
from eglb.coordinator.exchange import Broadcast
from eglb.coordinator.fleet.fleet import (
    Fleet,
    FleetError,
    group_regions,
    host_slices,
    regions_per_host,
)
from eglb.coordinator.fleet.transport import Arrival, InProcess, Transport, Wait
from eglb.coordinator.market.market import Market

Draw = Callable[..., tuple[Region, Market]]
Trick = Callable[[bytes], bytes | Exception | list[bytes | Exception]]
"""What arrives of a host instead of its honest `bytes`: one thing, or several, or nothing."""


class Scripted(Transport):
    """Real hosts behind a line that plays the next trick of a host's script at every call, then none.

    A call takes a second on its clock.
    """

    def __init__(
        self, regions: Sequence[Region], script: dict[int, list[Trick | None]] | None = None
    ) -> None:
        self.regions = regions
        self.hosts = [RegionHost(region) for region in regions]
        self.script = {h: list(tricks) for h, tricks in (script or {}).items()}
        self.calls: list[dict[int, bytes]] = []
        self.probes: list[dict[int, bytes]] = []
        self.answers: list[list[Arrival]] = []
        self.restarted: list[int] = []
        self.time = 0.0

    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        self.time += 1.0
        self.calls.append(dict(payloads))
        self.probes.append(dict(probes or {}))
        arrivals: list[Arrival] = []
        for h, data in [*payloads.items(), *(probes or {}).items()]:
            trick = self.script[h].pop(0) if self.script.get(h) else None
            if trick is restart:
                self.hosts[h] = RegionHost(self.regions[h])
                trick = None
            honest = self.hosts[h].answer(data)
            assert honest is not None
            answer = honest if trick is None else trick(honest)
            arrivals += [(h, one) for one in (answer if isinstance(answer, list) else [answer])]
        self.answers.append(arrivals)
        return arrivals

    def restart(self, host: int) -> None:
        self.restarted.append(host)
        self.hosts[host] = RegionHost(self.regions[host])

    def renew(self, private_data: Sequence[PrivateData]) -> None:
        raise NotImplementedError

    def now(self) -> float:
        return self.time

    def pause(self, seconds: float) -> None:
        self.time += seconds

    def peak_rss_mb(self) -> float:
        return 0.0

    def close(self) -> None:
        self.hosts = []


def restart(honest: bytes) -> bytes:
    """Marks a call before which the host loses its memory; see `Scripted.call`."""
    raise AssertionError("played by the transport")


def late(honest: bytes) -> list[bytes | Exception]:
    return []


def died(honest: bytes) -> Exception:
    return RuntimeError()


def noise(honest: bytes) -> bytes:
    return b"\xc1 noise"


def nothing(honest: bytes) -> bytes:
    return encode(decode(honest)[:1])


def unnumbered(honest: bytes) -> bytes:
    return encode(decode(honest)[1:])


def ahead(honest: bytes) -> bytes:
    number, *replies = decode(honest)
    return encode([replace(number, number=999), *replies])


def twice(honest: bytes) -> bytes:
    number, *replies = decode(honest)
    return encode([number, *replies, *replies])


def backwards(honest: bytes) -> bytes:
    number, *replies = decode(honest)
    return encode([number, *reversed(replies)])


def with_first(honest: bytes, change: Callable[[np.ndarray], Any]) -> bytes:
    number, first, *others = decode(honest)
    name = next(iter(type(first).axes()))
    return encode([number, replace(first, **{name: change(getattr(first, name).astype(float))}), *others])


def not_a_number(honest: bytes) -> bytes:
    return with_first(honest, lambda value: np.where(np.arange(len(value)) == 0, np.nan, value))


def infinite(honest: bytes) -> bytes:
    return with_first(honest, lambda value: value + np.inf)


def one_row_more(honest: bytes) -> bytes:
    return with_first(honest, lambda value: np.concatenate([value, value[:1]]))


def scalar(honest: bytes) -> bytes:
    return with_first(honest, lambda value: 1.0)


def negative_footprint(honest: bytes) -> bytes:
    number, term, value = decode(honest)
    assert isinstance(value, Value)
    return encode([number, term, replace(value, footprint=-1.0 - value.footprint)])


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
            Fleet(transport, host_slices(market, hosts), sizes={"kind": market.kinds}),
            Broadcast((introduce,), opening=True),
            Broadcast((bound, Evaluate(part=np.zeros(1, int), load=load))),
        )

    return build


def honest_replies(build: Callable[..., Stage]) -> tuple[Message, ...]:
    s = build()
    s.fleet.ask(s.opening)
    return s.fleet.ask(s.question)


def assert_same(got: Sequence[Message], expected: Sequence[Message]) -> None:
    assert [type(m) for m in got] == [type(m) for m in expected]
    for a, b in zip(got, expected, strict=True):
        for name in type(a).axes():
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_replies_are_joined_in_the_order_of_the_regions(
    stage: Callable[..., Stage], draw_market: Draw
) -> None:
    s = stage()
    s.fleet.ask(s.opening)
    term, value = s.fleet.ask(s.question)
    assert isinstance(term, BoundTerm) and isinstance(value, Value)
    region, _ = next(drawn for seed in range(99) if (drawn := draw_market(seed))[1].regions == 5)
    whole = RegionHost(region)
    whole.answer(encode(s.opening.requests))
    assert_same([term, value], decode(whole.answer(encode(s.question.requests))))


def test_bytes_and_rounds_are_counted_exactly(stage: Callable[..., Stage]) -> None:
    s = stage()
    s.fleet.ask(s.opening)
    s.fleet.ask(s.question)
    t, line = s.fleet.traffic, s.transport
    assert t.rounds == 2 == len(line.calls)
    assert t.bytes_down == sum(len(data) for call in line.calls for data in call.values())
    for h in range(3):
        assert t.bytes_up_by_host[h] == sum(len(a) for call in line.answers for g, a in call if g == h)
    assert t.bytes_up == sum(t.bytes_up_by_host)
    assert t.bytes_down > 0 and min(t.bytes_up_by_host) > 0


WRONG = {
    noise: "not a message of this protocol",
    nothing: "sent nothing where BoundTerm, Value is due",
    unnumbered: "sent no round number",
    ahead: "answered round 999 in round 2",
    twice: "sent BoundTerm, Value, BoundTerm, Value where",
    backwards: "sent Value, BoundTerm where BoundTerm, Value is due",
    not_a_number: "BoundTerm.value with numbers that are not finite",
    infinite: "BoundTerm.value with numbers that are not finite",
    one_row_more: "BoundTerm.value not for its 2 regions",
    scalar: "BoundTerm.value is a float",
    negative_footprint: "Value.footprint with numbers below 0",
}


@pytest.mark.parametrize("trick", [late, died, *WRONG])
@pytest.mark.parametrize("times", [1, 2])
def test_what_goes_wrong_for_a_while_is_asked_again(
    stage: Callable[..., Stage], trick: Trick, times: int
) -> None:
    s = stage({1: [None, *[trick] * times]})
    s.fleet.ask(s.opening)
    assert_same(s.fleet.ask(s.question), honest_replies(stage))
    assert [sorted(call) for call in s.transport.calls] == [[0, 1, 2], [0, 1, 2], *[[1]] * times]
    assert s.fleet.traffic.rounds == 2 + times
    assert len({call[1] for call in s.transport.calls[1:]}) == 1  # the same bytes again
    assert sum(s.fleet.membership.rejected.values()) == (times if trick in WRONG else 0)


@pytest.mark.parametrize("trick", WRONG, ids=lambda trick: trick.__name__)
def test_who_stays_wrong_is_quarantined_and_the_reason_is_told(
    stage: Callable[..., Stage], trick: Trick
) -> None:
    s = stage({1: [None, *[trick] * 5]})
    s.fleet.ask(s.opening)
    with pytest.raises(FleetError) as caught:
        s.fleet.ask(s.question)
    assert "no answer from r1+r2 (quarantined: " in str(caught.value)
    assert WRONG[trick] in str(caught.value)
    assert "r0" not in str(caught.value) and "r3" not in str(caught.value)
    assert s.fleet.traffic.rounds == 6
    assert s.fleet.membership.closed.tolist() == [False, True, True, False, False]
    s.fleet.settle()
    s.fleet.ask(s.opening)
    assert 1 not in s.transport.calls[-1] and 1 not in s.transport.probes[-1]


@pytest.mark.parametrize(("trick", "reason"), [(late, "no answer within 60 s"), (died, "RuntimeError")])
def test_who_stays_silent_is_lost_within_the_deadline(
    stage: Callable[..., Stage], trick: Trick, reason: str
) -> None:
    s = stage({1: [None, *[trick] * 100]})
    s.fleet.ask(s.opening)
    asked = s.transport.time
    with pytest.raises(FleetError, match=rf"no answer from r1\+r2 \(lost: {reason}\)"):
        s.fleet.ask(s.question)
    assert 60.0 <= s.transport.time - asked <= 62.0
    assert s.transport.restarted == [1]


def test_every_lost_host_is_named(stage: Callable[..., Stage]) -> None:
    s = stage({0: [late] * 100, 2: [noise] * 5})
    with pytest.raises(FleetError, match=r"no answer from r3\+r4 \(quarantined: not a message"):
        s.fleet.ask(s.opening)
    s.fleet.settle()
    with pytest.raises(FleetError, match=r"r0 \(lost: no answer within 60 s\), r3\+r4 \(quarantined"):
        s.fleet.ask(s.opening)


def test_stand_ins_answer_for_who_is_lost_with_no_capacity(stage: Callable[..., Stage]) -> None:
    s = stage({1: [*[late] * 70]})
    lost = s.fleet.exchange(s.opening)
    assert lost.changed
    s.fleet.settle()
    load = s.market.load(s.market.spread()).T
    offer = s.fleet.exchange(Broadcast((*s.opening.requests, Offer(load=load)), opening=True))
    assert not offer.changed
    accepted = offer.replies[1]
    assert isinstance(accepted, Accepted)
    assert not accepted.load[1:3].any() and accepted.load[[0, 3, 4]].any()
    term, value = s.fleet.ask(s.question)
    assert isinstance(term, BoundTerm) and isinstance(value, Value)
    assert not term.value[1:3].any() and not value.cost[1:3].any()


def test_a_drained_region_is_closed_whatever_its_host_answers(stage: Callable[..., Stage]) -> None:
    s = stage()
    s.fleet.ask(s.opening)
    honest = s.fleet.ask(s.question)
    s.fleet.membership.drain(["r2"])
    assert s.fleet.exchange(s.question).changed
    s.fleet.settle()
    term, value = s.fleet.ask(s.question)
    for got, expected in ((term, honest[0]), (value, honest[1])):
        for name in type(got).axes():
            ours, theirs = getattr(got, name), getattr(expected, name)
            assert not ours[2].any()
            np.testing.assert_array_equal(ours[[0, 1, 3, 4]], theirs[[0, 1, 3, 4]])
    s.fleet.membership.admit(["r2"])
    s.fleet.settle()
    assert_same(s.fleet.ask(s.question), honest)
    with pytest.raises(KeyError, match="atlantis"):
        s.fleet.membership.drain(["atlantis"])


def test_a_lost_host_is_probed_and_taken_back(stage: Callable[..., Stage]) -> None:
    s = stage({1: [None, *[late] * 70]})
    s.fleet.ask(s.opening)
    assert s.fleet.exchange(s.question).changed
    s.fleet.settle()
    s.transport.script[1] = [late, late]
    assert [s.fleet.exchange(s.question).changed for _ in range(3)] == [False, False, True]
    assert [event.what for event in s.fleet.membership.events] == ["lost", "back"]
    s.fleet.settle()
    assert_same(s.fleet.ask(s.question), honest_replies(stage))  # the opening is sent along
    s.transport.script[1] = [late] * 70
    assert s.fleet.exchange(s.question).changed
    s.fleet.settle()
    s.transport.script[1] = []
    again = [s.fleet.exchange(s.question).changed for _ in range(5)]
    assert again == [False, False, False, True, True]  # the second time it has to wait


def test_a_round_that_needs_not_all_closes_without_stragglers_and_takes_them_late(
    stage: Callable[..., Stage],
) -> None:
    kept: list[bytes] = []

    def keep(honest: bytes) -> list[bytes | Exception]:
        kept.append(honest)
        return []

    s = stage({1: [None, keep]})
    s.fleet.ask(s.opening)
    expected = honest_replies(stage)
    patient = replace(s.question, needs_all=False)
    first = s.fleet.exchange(patient)
    assert [each.regions.start for each in first.present] == [0, 3]
    assert s.fleet.traffic.rounds == 2
    s.transport.script[1] = [lambda honest: [*kept, honest, *kept, honest]]
    second = s.fleet.exchange(patient)
    late = [each for each in second.host_replies if each.number == first.number]
    assert len(late) == 1 and late[0].regions == slice(1, 3)
    assert_same(late[0].replies, [type(m)(**{n: getattr(m, n)[1:3] for n in m.axes()}) for m in expected])
    assert_same(second.replies, expected)
    assert s.fleet.membership.rejected == {("r1", "duplicate"): 2}


def test_what_is_asked_again_goes_to_who_owes_it(stage: Callable[..., Stage]) -> None:
    s = stage()
    s.fleet.ask(s.opening)
    bound, evaluate = s.question.requests
    owing = np.array([False, False, True, False, False])
    heard = s.fleet.exchange(Broadcast((evaluate,), needs_all=False, again=((bound, owing),)))
    assert [len(part.replies) for part in heard.present] == [1, 2, 1]
    assert heard.present[1].requests == (evaluate, bound)
    assert len(heard.replies) == 1


def test_a_host_that_lost_its_memory_hears_the_opening_again(stage: Callable[..., Stage]) -> None:
    s = stage({1: [None, restart]})
    s.fleet.ask(s.opening)
    assert_same(s.fleet.ask(s.question), honest_replies(stage))
    opening, question, retry = s.transport.calls
    assert list(retry) == [1]
    both = [type(message) for sent in (opening, question) for message in decode(sent[1])[1:]]
    assert [type(message) for message in decode(retry[1])] == [RoundNumber, *both]
    assert s.fleet.traffic.rounds == 3


def test_a_host_that_died_and_came_back_empty_goes_on(stage: Callable[..., Stage]) -> None:
    s = stage({2: [None, late, restart]})
    s.fleet.ask(s.opening)
    assert_same(s.fleet.ask(s.question), honest_replies(stage))
    assert [sorted(call) for call in s.transport.calls] == [[0, 1, 2], [0, 1, 2], [2], [2]]


def test_a_host_that_forgets_every_time_is_told_every_time(stage: Callable[..., Stage]) -> None:
    s = stage({0: [None, restart, restart, restart, restart]})
    s.fleet.ask(s.opening)
    for _ in range(2):
        assert_same(s.fleet.ask(s.question), honest_replies(stage))
    assert [sorted(call) for call in s.transport.calls] == [[0, 1, 2], [0, 1, 2], [0], [0, 1, 2], [0]]


def test_a_question_before_any_opening_is_an_error_and_no_endless_loop(stage: Callable[..., Stage]) -> None:
    s = stage()
    with pytest.raises(FleetError, match="lost its memory"):
        s.fleet.ask(s.question)
    assert s.fleet.traffic.rounds == 3
    assert s.transport.restarted == [0, 1, 2]


def test_a_lost_opening_is_itself_sent_again(stage: Callable[..., Stage]) -> None:
    s = stage({0: [late], 1: [noise, late]})
    s.fleet.ask(s.opening)
    assert_same(s.fleet.ask(s.question), honest_replies(stage))


def test_a_fault_among_other_replies_is_refused(stage: Callable[..., Stage]) -> None:
    def half(honest: bytes) -> bytes:
        return encode([*decode(honest)[:2], Fault("no")])

    s = stage({0: [None, *[half] * 5]})
    s.fleet.ask(s.opening)
    with pytest.raises(FleetError, match="sent BoundTerm, Fault where BoundTerm, Value is due"):
        s.fleet.ask(s.question)


@pytest.mark.parametrize("per_host", [1, 2, 3, 4, 5, 99])
def test_regions_are_dealt_in_order_with_their_edges(draw_market: Draw, per_host: int) -> None:
    for seed in range(6):
        region, market = draw_market(seed)
        hosts = group_regions(region, per_host)
        assert max(len(host.names) for host in hosts) <= per_host
        assert len(hosts) == -(-market.regions // per_host)
        assert tuple(name for host in hosts for name in host.names) == region.names
        np.testing.assert_array_equal(np.concatenate([host.price for host in hosts]), region.price)
        np.testing.assert_array_equal(np.concatenate([host.capacity for host in hosts]), region.capacity)
        np.testing.assert_array_equal(np.concatenate([host.intensity for host in hosts]), region.intensity)
        slices = host_slices(market, hosts)
        for at, host in zip(slices, hosts, strict=True):
            assert region.names[at.regions] == host.names == at.names
            reached = market.edge_region[market.by_region[at.edges]]
            assert sorted(reached) == sorted(
                r for r in market.edge_region if at.regions.start <= r < at.regions.stop
            )


def test_too_few_seats_are_refused(draw_market: Draw) -> None:
    region, market = draw_market(0)
    with pytest.raises(ValueError, match="have a host"):
        host_slices(market, group_regions(region, 1)[:-1])


def test_in_process_is_honest_and_closes_twice(draw_market: Draw) -> None:
    region, market = draw_market(1)
    hosts = group_regions(region, 1)
    line = InProcess(hosts)
    request: Request = PriceFootprints(equity_price=np.ones((market.regions, market.kinds)))
    (bid,) = Fleet(line, host_slices(market, hosts)).ask(Broadcast((request,)))
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

"""Fleet of agents: carries an algorithm's broadcasts to them and their replies back, and keeps count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from eglb.agents.codec import Fault, Message, decode, encode
from eglb.agents.host import RegionHost, RoundNumber
from eglb.agents.region import PrivateData, Region, Request
from eglb.agents.validation import check_replies, sizes_of
from eglb.coordinator.exchange import Broadcast, HostReply, Round, Traffic
from eglb.coordinator.fleet.membership import Membership
from eglb.coordinator.fleet.transport import Transport, Wait
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array

_QUORUM = 0.5
"""Part of the active hosts with which a round may close that need not hear everyone."""
_REMEMBERED = 8
"""Rounds for which answers may still come in; later ones are rejected."""
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
"""Before those that are missing are asked again, if nobody has answered meanwhile."""
_MOST_ALONE = 32
_SECONDS_PER_HOST, _SECONDS_PER_REGION_SLOT, _BYTES_PER_HOST = 1e-3, 5e-8, 300e6
"""Measured with ADMM on Ray actors: a call, an agent's part of a round, and a process with its libraries."""


class FleetError(Exception):
    """Agents could not be started or reached; says which and why."""


@dataclass(frozen=True)
class HostSlice:
    """Which rows of a message concern one host."""

    names: tuple[str, ...]
    regions: slice
    edges: slice
    gateways: np.ndarray


def host_slices(market: Market, private_data: Sequence[PrivateData]) -> list[HostSlice]:
    """Hosts hold consecutive regions, in the market's order."""
    slices, first = [], 0
    for private in private_data:
        last = first + len(private.names)
        edges = slice(int(market.region_start[first]), int(market.region_start[last]))
        gateways = np.unique(market.edge_gateway[market.by_region[edges]])
        slices.append(HostSlice(private.names, slice(first, last), edges, gateways))
        first = last
    if first != market.regions:
        raise ValueError(f"{first} regions have a host, the market has {market.regions}")
    return slices


@dataclass(frozen=True, eq=False)
class _Asked:
    """What a host was asked: its part of the broadcast, and before that the opening if it may not know it."""

    before: tuple[Request, ...]
    own: tuple[Request, ...]

    @property
    def count(self) -> int:
        return len(self.before) + len(self.own)


@dataclass(eq=False)
class _Sent:
    """A broadcast on its way: what each host was asked, and which have answered."""

    broadcast: Broadcast
    asked: dict[int, list[_Asked]] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)


class Fleet:
    """All agents behind one call, whatever becomes of them.

    Who does not answer in time, or answers wrong, is judged by `Membership`; from then on a stand-in answers
    for its regions here, with no capacity at all, until it is back. Hosts that lost their memory are sent the
    opening along with the question. What may be rounded on the way is, unless not `narrow`.

    Parameters
    ----------
    deadline_s : seconds, on the transport's clock, within which a host must answer.
    sizes : of the axes that messages name, T as "slot" and K as "kind", as far as no opening says.
    """

    def __init__(
        self,
        transport: Transport,
        slices: Sequence[HostSlice],
        deadline_s: float = 60.0,
        narrow: bool = True,
        *,
        sizes: dict[str, int] | None = None,
    ) -> None:
        self._transport = transport
        self._slices = slices
        self._narrow = narrow
        self._sizes = dict(sizes or {})
        self._opening: Broadcast | None = None
        self._opened: set[int] = set()
        self._number = 0
        self._sent: dict[int, _Sent | None] = {}
        self._stand_ins: dict[int, RegionHost] = {}
        names = tuple(name for at in slices for name in at.names)
        self.membership = Membership(names, [at.regions for at in slices], deadline_s)
        self.traffic = Traffic(bytes_up_by_host=[0] * len(slices))

    def ask(self, broadcast: Broadcast) -> tuple[Message, ...]:
        """One joined reply per request, from everyone.

        Raises
        ------
        FleetError : a host is lost, for however short a time.
        """
        heard = self.exchange(broadcast)
        if heard.changed:
            raise FleetError(self.who_is_missing())
        return heard.replies

    def exchange(self, broadcast: Broadcast) -> Round:
        """Send to everyone; what came back when the round closed.

        A round that `needs_all` closes when all active hosts have answered, any other also when half of them
        have and the rest had a moment longer; both close at once when the membership changes.

        Raises
        ------
        FleetError : not one host is left.
        """
        self._number += 1
        if broadcast.opening:
            self._opening = broadcast
            self._opened.clear()
            self._sizes |= sizes_of(broadcast.requests)
        sent = self._sent[self._number] = _Sent(broadcast)
        self._sent.pop(self._number - _REMEMBERED, None)
        members = self.membership
        host_replies: list[HostReply] = []
        waiting = set(members.active)
        pause_s = _SHORTEST_PAUSE_S
        while not members.changed:
            self._round(sent, sorted(waiting), host_replies)
            members_left = set(members.active)
            if not members_left:
                raise FleetError(self.who_is_missing())
            heard = waiting & sent.answered
            waiting = (waiting & members_left) - sent.answered
            enough = math.ceil(_QUORUM * len(members_left))
            if not waiting or (not broadcast.needs_all and len(sent.answered) >= enough):
                break
            if not heard and not members.changed:
                self._transport.pause(min(pause_s, members.patience(self._transport.now())))
                pause_s = min(2.0 * pause_s, _LONGEST_PAUSE_S)
                self._give_up_overdue()
        if sent.answered >= sent.asked.keys():
            self._sent[self._number] = None  # nothing of it can come in any more
        full = tuple(host_replies) if members.changed else self._with_stand_ins(broadcast, host_replies)
        return Round(self._number, full, members.changed)

    def settle(self) -> None:
        """Take the present members as those that everything from here on is about; answers to earlier rounds
        are not used any more.
        """
        self.membership.settle()
        self._sent.clear()

    @property
    def opening(self) -> Broadcast | None:
        """What a host that lost its memory is sent."""
        return self._opening

    @property
    def number(self) -> int:
        """Of the last broadcast."""
        return self._number

    def resume(self, opening: Broadcast | None, number: int) -> None:
        """Go on, with agents that know nothing, after another coordinator's broadcast of this number."""
        self._opening = opening
        if opening is not None:
            self._sizes |= sizes_of(opening.requests)
        self._number = number

    def _round(self, sent: _Sent, hosts: Sequence[int], host_replies: list[HostReply]) -> None:
        """Ask some hosts once, and look after all of them."""
        members, now = self.membership, self._transport.now()
        self.traffic.rounds += 1
        members.round = self.traffic.rounds
        payloads = {}
        for h in hosts:
            payloads[h] = self._encode(h, sent)
            members.asked(h, now)
        probes = {h: encode([RoundNumber(self._number, h)]) for h in members.lost}
        needed = len(hosts) if sent.broadcast.needs_all else math.ceil(_QUORUM * len(hosts))
        wait = Wait(max(members.patience(now), 0.0), needed)
        self.traffic.bytes_down += sum(map(len, [*payloads.values(), *probes.values()]))
        for h, answer in self._transport.call(payloads, wait, probes):
            if isinstance(answer, Exception):
                members.silent(h, str(answer) or type(answer).__name__)
                continue
            self.traffic.bytes_up += len(answer)
            self.traffic.bytes_up_by_host[h] += len(answer)
            host_reply = self._read(h, answer)
            if host_reply is not None:
                host_replies.append(host_reply)
        self._give_up_overdue()

    def _give_up_overdue(self) -> None:
        for h in self.membership.overdue(self._transport.now()):
            self._restart(h)

    def _restart(self, host: int) -> None:
        self._opened.discard(host)
        self._transport.restart(host)

    def _encode(self, host: int, sent: _Sent) -> bytes:
        at, broadcast = self._slices[host], sent.broadcast
        own = broadcast.requests + tuple(
            request for request, owing in broadcast.again if owing[at.regions].any()
        )
        before: tuple[Request, ...] = ()
        if not broadcast.opening and self._opening is not None and host not in self._opened:
            before = self._opening.requests
        asked = _Asked(before, own)
        variants = sent.asked.setdefault(host, [])
        if asked.count not in [known.count for known in variants]:
            variants.append(asked)
        cut = [r.cut(at.regions, at.edges, at.gateways) for r in before + own]
        return encode([RoundNumber(self._number, host), *cut], self._narrow)

    def _read(self, host: int, answer: bytes) -> HostReply | None:
        """The valid replies in `answer`, to whichever round they belong; None if they are of no use."""
        members, at = self.membership, self._slices[host]
        try:
            number, replies = _numbered(decode(answer), self._number, host)
        except ValueError as error:
            members.mistaken(host, str(error))
            members.reject(host, "unreadable")
            return None
        if host in members.lost:
            if not replies and members.returns(host):
                self._opened.discard(host)
            return None
        if number > self._number:
            members.mistaken(host, f"answered round {number} in round {self._number}")
            members.reject(host, "another round")
            return None
        sent = self._sent.get(number)
        if sent is None or host not in sent.asked or host in sent.answered:
            members.reject(host, "duplicate" if number in self._sent else "late")
            return None
        if replies and isinstance(replies[0], Fault):
            members.reject(host, "fault")
            self._opened.discard(host)
            if number == self._number and members.failed(host, replies[0].reason):
                self._restart(host)
            return None
        # A host whose memory was in doubt was asked twice in one round, the second time with the opening.
        asked = next((a for a in sent.asked[host] if a.count == len(replies)), sent.asked[host][-1])
        try:
            check_replies(asked.before + asked.own, replies, at.regions, self._sizes)
        except ValueError as error:
            members.mistaken(host, str(error))
            members.reject(host, "wrong")
            return None
        members.answered(host)
        sent.answered.add(host)
        if asked.before or sent.broadcast is self._opening:
            self._opened.add(host)
        return HostReply(number, at.regions, asked.own, tuple(replies[len(asked.before) :]))

    def _with_stand_ins(
        self, broadcast: Broadcast, host_replies: Sequence[HostReply]
    ) -> tuple[HostReply, ...]:
        """`host_replies`, and the answers of regions that take no part and have no capacity."""
        closed = self.membership.closed
        if not closed.any():
            return tuple(host_replies)
        full = list(host_replies)
        for h, at in enumerate(self._slices):
            rows = closed[at.regions]
            if not rows.any():
                continue
            # Late answers too: that a region is drained they cannot know.
            answered = False
            for p, host_reply in enumerate(host_replies):
                if host_reply.regions.start == at.regions.start:
                    answered |= host_reply.number == self._number
                    overlaid = zip(host_reply.replies, self._stand_in(h, host_reply.requests), strict=True)
                    full[p] = replace(host_reply, replies=tuple(_overlay(a, b, rows) for a, b in overlaid))
            if rows.all() and not answered:
                again = tuple(request for request, owing in broadcast.again if owing[at.regions].any())
                own = broadcast.requests + again
                full.append(HostReply(self._number, at.regions, own, self._stand_in(h, own)))
        return tuple(full)

    def _stand_in(self, host: int, requests: tuple[Request, ...]) -> tuple[Message, ...]:
        """What regions without any capacity answer."""
        at = self._slices[host]
        if host not in self._stand_ins:
            self._stand_ins[host] = RegionHost(
                Region.closed(at.names, self._sizes["slot"], self._sizes["kind"])
            )
        opening = self._opening.requests if self._opening is not None else ()
        for before in ((), opening):
            cut = [r.cut(at.regions, at.edges, at.gateways) for r in before + requests]
            replies = decode(self._stand_ins[host].answer(encode(cut, self._narrow)) or b"")
            if not isinstance(replies[0], Fault):
                break
        return tuple(replies[-len(requests) :])

    def who_is_missing(self) -> str:
        """Who takes no part, and why."""
        reasons = self.membership.reasons()
        lost = [
            f"{'+'.join(at.names)} ({reasons[at.names[0]]})" for at in self._slices if at.names[0] in reasons
        ]
        return f"no answer from {', '.join(lost)}"


def _numbered(replies: list[Message], number: int, host: int) -> tuple[int, list[Message]]:
    """The round that `replies` of a host belong to, and themselves."""
    if replies and isinstance(replies[0], RoundNumber):
        if replies[0].host != host:
            raise ValueError("sent what another agent was asked")
        return replies[0].number, replies[1:]
    if replies and isinstance(replies[0], Fault):
        return number, replies
    raise ValueError("sent no round number")


def _overlay(reply: Message, other: Message, rows: Array) -> Message:
    """`reply` with some regions' rows taken from `other`."""
    changed: dict[str, Any] = {}
    for name, axis in type(reply).axes().items():
        if axis == "region":
            value = np.array(getattr(reply, name))
            value[rows] = getattr(other, name)[rows]
            changed[name] = value
    return replace(reply, **changed)


def regions_per_host(regions: int, slots: int, cores: int, memory: float) -> int:
    """How many regions should share a host.

    Up to `_MOST_ALONE` regions every one is alone. Beyond, h hosts take about work / h + overhead * h seconds
    for a round, which is least at the root of work / overhead, and more hosts than `cores` never help. Nor
    may they take more than half of the `memory` (bytes).
    """
    if regions <= _MOST_ALONE:
        return 1
    best = math.sqrt(_SECONDS_PER_REGION_SLOT * regions * slots / _SECONDS_PER_HOST)
    hosts = max(1, min(round(best), cores, int(memory / 2 / _BYTES_PER_HOST)))
    return -(-regions // hosts)


def group_regions(private: PrivateData, per_host: int) -> list[PrivateData]:
    """The private data of all regions, dealt to hosts of at most `per_host` consecutive regions each."""
    count = len(private.names)
    hosts = -(-count // max(per_host, 1))
    cuts = np.linspace(0, count, hosts + 1).astype(int)
    return [private.rows(slice(a, b)) for a, b in pairwise(cuts)]

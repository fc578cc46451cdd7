"""The fleet: carries an algorithm's broadcasts to the agents and their replies back, and keeps count."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from eglb.agents.host import RegionHost
from eglb.agents.region import Holding
from eglb.agents.wire import Fault, Message, decode, encode
from eglb.coordinator.algorithm import Broadcast, Traffic
from eglb.coordinator.market import Market

_TRIES = 3
_MOST_ALONE = 32
_SECONDS_PER_HOST, _SECONDS_PER_REGION_SLOT, _BYTES_PER_HOST = 1e-3, 5e-8, 300e6
"""Measured with ADMM on Ray actors: a call, an agent's part of a round, and a process with its libraries."""


class FleetError(Exception):
    """Agents could not be started or reached; says which and why."""


class _AgentFault(Exception):
    """An agent answered that it cannot answer."""


class Transport(ABC):
    """Delivers bytes to hosts and brings bytes back; knows nothing of what they mean."""

    @abstractmethod
    def call(self, payloads: dict[int, bytes], deadline_s: float) -> dict[int, bytes | Exception]:
        """Deliver to some hosts at once; for each its answer, or what went wrong. Never raises for a lost
        host.
        """

    @abstractmethod
    def peak_rss_mb(self) -> float:
        """Largest memory of the hosts' own processes so far, all together; 0 if they have none of their
        own.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of everything that was started. May be called twice."""


class InProcess(Transport):
    """Every host in this process; same bytes, same answers, no cluster."""

    def __init__(self, holdings: Sequence[Holding]) -> None:
        self._hosts = [RegionHost(holding) for holding in holdings]

    def call(self, payloads: dict[int, bytes], deadline_s: float) -> dict[int, bytes | Exception]:
        return {h: self._hosts[h].answer(data) or ValueError("holds no data") for h, data in payloads.items()}

    def peak_rss_mb(self) -> float:
        return 0.0

    def close(self) -> None:
        self._hosts = []


@dataclass(frozen=True)
class Seat:
    """Which rows of a message concern one host."""

    names: tuple[str, ...]
    regions: slice
    edges: slice
    gateways: np.ndarray


def seat(market: Market, holdings: Sequence[Holding]) -> list[Seat]:
    """Hosts hold consecutive regions, in the market's order."""
    seats, first = [], 0
    for holding in holdings:
        last = first + len(holding.names)
        edges = slice(int(market.region_start[first]), int(market.region_start[last]))
        gateways = np.unique(market.edge_gateway[market.by_region[edges]])
        seats.append(Seat(holding.names, slice(first, last), edges, gateways))
        first = last
    if first != market.regions:
        raise ValueError(f"{first} regions are seated, the market has {market.regions}")
    return seats


class Fleet:
    """All agents behind one call.

    A host that fails or does not answer within `deadline_s` is asked again, up to three times in all; one
    that restarted and lost its memory is sent the opening along with the question. A host that stays silent
    makes the exchange fail. What may be rounded on the way is, unless not `narrow`.
    """

    def __init__(
        self, transport: Transport, seats: Sequence[Seat], deadline_s: float = 60.0, narrow: bool = True
    ) -> None:
        self._transport = transport
        self._seats = seats
        self._deadline_s = deadline_s
        self._narrow = narrow
        self._opening: Broadcast | None = None
        self.traffic = Traffic(bytes_up_by_host=[0] * len(seats))

    def exchange(self, broadcast: Broadcast) -> tuple[Message, ...]:
        """Send to everyone, wait for everyone; one joined reply per request.

        Raises
        ------
        FleetError : a host stayed silent or failed in every try.
        """
        if broadcast.opening:
            self._opening = broadcast
        self.traffic.rounds += 1
        answers: dict[int, list[Message]] = {}
        trouble: dict[int, str] = {}
        asked = dict.fromkeys(range(len(self._seats)), broadcast)
        for attempt in range(_TRIES):
            if attempt:
                self.traffic.rounds += 1
            for h, answer in self._call({h: self._encode(h, what) for h, what in asked.items()}).items():
                if isinstance(answer, Exception):
                    trouble[h] = str(answer) or type(answer).__name__
                    continue
                try:
                    replies = self._read(h, asked[h], answer)
                    answers[h] = replies[-len(broadcast.requests) :]
                except _AgentFault as fault:
                    trouble[h] = str(fault)
                    if self._opening is not None and not broadcast.opening:
                        asked[h] = Broadcast(self._opening.requests + broadcast.requests)
                except ValueError as error:
                    trouble[h] = str(error)
            asked = {h: what for h, what in asked.items() if h not in answers}
            if not asked:
                return tuple(
                    type(first).join([answers[h][q] for h in range(len(self._seats))])
                    for q, first in enumerate(answers[0])
                )
        lost = ", ".join(f"{'+'.join(self._seats[h].names)} ({trouble[h]})" for h in sorted(asked))
        raise FleetError(f"no answer from {lost} after {_TRIES} tries")

    def _encode(self, host: int, broadcast: Broadcast) -> bytes:
        at = self._seats[host]
        return encode([r.cut(at.regions, at.edges, at.gateways) for r in broadcast.requests], self._narrow)

    def _read(self, host: int, broadcast: Broadcast, answer: bytes) -> list[Message]:
        """The replies in `answer`: of the kinds asked for, a row for each region, all numbers finite.

        Checked here, once, so that no algorithm can turn a broken reply into a certificate.
        """
        replies = decode(answer)
        if replies and isinstance(replies[0], Fault):
            raise _AgentFault(replies[0].reason)
        # What a request is answered with stands once, in the signature of its `answer`.
        wanted = [type(request).answer.__annotations__["return"] for request in broadcast.requests]
        if (got := [type(reply).__name__ for reply in replies]) != wanted:
            raise ValueError(f"sent {', '.join(got) or 'nothing'} where {', '.join(wanted)} is due")
        rows = len(self._seats[host].names)
        for reply in replies:
            for name, axis in reply.axes().items():
                value = np.asarray(getattr(reply, name))
                if axis is not None and value.shape[:1] != (rows,):
                    raise ValueError(f"sent {type(reply).__name__}.{name} not for its {rows} regions")
                if value.dtype.kind not in "fiu" or not np.isfinite(value).all():
                    raise ValueError(f"sent {type(reply).__name__}.{name} with numbers that are not finite")
        return replies

    def _call(self, payloads: dict[int, bytes]) -> dict[int, bytes | Exception]:
        self.traffic.bytes_down += sum(map(len, payloads.values()))
        answers = self._transport.call(payloads, self._deadline_s)
        for h, answer in answers.items():
            if isinstance(answer, bytes):
                self.traffic.bytes_up += len(answer)
                self.traffic.bytes_up_by_host[h] += len(answer)
        return answers


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


def group_regions(holding: Holding, per_host: int) -> list[Holding]:
    """The private data of all regions, dealt to hosts of at most `per_host` consecutive regions each."""
    count = len(holding.names)
    hosts = -(-count // max(per_host, 1))
    cuts = np.linspace(0, count, hosts + 1).astype(int)
    return [holding.rows(slice(a, b)) for a, b in pairwise(cuts)]

"""Broadcast and gather: the requests of one round, the replies of the hosts, and what went over the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from eglb.agents.codec import Message
from eglb.agents.region import Request
from eglb.foundation.arrays import Array


@dataclass(frozen=True, eq=False)
class Broadcast:
    """Requests to send to every agent in one exchange; an agent answers all of them, in order.

    An `opening` is kept by the fleet and sent again to an agent that lost its memory. If it `needs_all`, the
    round stays open until every member has answered; else it may close without stragglers. What was asked
    `again`, with a mask (N,) of the regions that still owe the answer, goes to them alone.
    """

    requests: tuple[Request, ...]
    opening: bool = False
    needs_all: bool = True
    again: tuple[tuple[Request, Array], ...] = ()


@dataclass(frozen=True, eq=False)
class HostReply:
    """What one host answered to one broadcast: a reply to each request, with a row for each of its
    regions.
    """

    number: int
    regions: slice
    requests: tuple[Request, ...]
    replies: tuple[Message, ...]


@dataclass(frozen=True, eq=False)
class Round:
    """What came back while one exchange was open: answers to its broadcast, the one with this `number`, and
    late ones to earlier broadcasts.

    If the membership `changed` meanwhile, the answers are not complete and the problem is another one now.
    """

    number: int
    host_replies: tuple[HostReply, ...]
    changed: bool = False

    @classmethod
    def complete(cls, requests: tuple[Request, ...], replies: Sequence[Message]) -> Round:
        """The round of a broadcast of `requests` that everyone answered, already joined."""
        return cls(0, (HostReply(0, slice(None), requests, tuple(replies)),))

    @property
    def present(self) -> tuple[HostReply, ...]:
        """The answers to this round's broadcast, in the order of the regions."""
        mine = [host_reply for host_reply in self.host_replies if host_reply.number == self.number]
        return tuple(sorted(mine, key=lambda host_reply: host_reply.regions.start or 0))

    @cached_property
    def replies(self) -> tuple[Message, ...]:
        """One reply per request of the broadcast, joined; for rounds that heard everyone."""
        present = self.present
        first = min(present, key=lambda host_reply: len(host_reply.replies))
        return tuple(
            type(reply).join([host_reply.replies[q] for host_reply in present])
            for q, reply in enumerate(first.replies)
        )


@dataclass(eq=False)
class Traffic:
    """What went over the wire: exchanges, and encoded bytes of all agents together in each direction."""

    rounds: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    bytes_up_by_host: list[int] = field(default_factory=list)

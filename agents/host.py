"""Request handler of an agent's process: bytes in, bytes out."""

from __future__ import annotations

import resource
from dataclasses import dataclass

from eglb.agents import barrier, bidding, proximal, timeline, valuation
from eglb.agents.codec import Fault, Message, decode, encode
from eglb.agents.region import Memory, MemoryLost, PrivateData, Region, Request
from eglb.agents.validation import find_problem

REQUEST_MODULES = (barrier, bidding, proximal, timeline, valuation)
"""Importing these makes their messages known to the codec."""
_LONGEST_REASON = 200


@dataclass(frozen=True, eq=False)
class RoundNumber(Request):
    """Leads a message: which round it belongs to, and which host it is for. Comes back first in the answer,
    also before a `Fault`.
    """

    number: int
    host: int = 0

    def answer(self, region: Region, memory: Memory) -> RoundNumber:
        return self


class _Refused(Exception):
    """Why a message is not answered."""


class RegionHost:
    """Holds the private data of one or more regions and answers the coordinator's messages for all of them.

    A plain class: the in-process fleet calls it directly and the Ray fleet wraps it as an actor at launch.

    Messages may come late, twice or out of order, if they are led by a `RoundNumber`: those of an older round
    than the newest are refused, and the same message again gets the same answer.
    """

    def __init__(self, private: PrivateData | None = None) -> None:
        self._memory = Memory()
        self._round: int | None = None
        self._answered: list[tuple[bytes, bytes]] = []
        self.renew(private)

    def renew(self, private: PrivateData | None) -> None:
        """Take private data, in a process that was started without."""
        self._private = private
        self._shown = private if isinstance(private, Region) else None

    def answer(self, data: bytes) -> bytes | None:
        """The encoded replies to the encoded requests in `data`, one for one and in order, or one `Fault`.

        Whatever `data` is, nothing is raised. None from a host that holds no data, because its process was
        started again.
        """
        if self._private is None:
            return None
        head: list[Message] = []
        try:
            requests = decode(data)
            if requests and isinstance(requests[0], RoundNumber):
                head = [requests[0]]
                if (known := self._turn_to(requests[0].number, data)) is not None:
                    return known
            answer = encode([*head, *map(self._reply, requests[len(head) :])])
        except MemoryLost:
            return encode([*head, Fault("restarted and lost its memory")])
        except _Refused as error:
            return encode([*head, Fault(str(error))])
        except Exception as error:
            return encode([*head, Fault(f"{type(error).__name__}: {error}"[:_LONGEST_REASON])])
        if head:
            self._answered.append((data, answer))
        return answer

    def _turn_to(self, number: int, data: bytes) -> bytes | None:
        """Go on to a round; the answer to `data` if it was given before."""
        if self._round is not None and number < self._round:
            raise _Refused(f"round {number} is over")
        if number != self._round:
            self._round = number
            self._answered.clear()
        return next((answer for before, answer in self._answered if before == data), None)

    def _reply(self, request: Message) -> Message:
        if not isinstance(request, Request):
            raise _Refused(f"{type(request).__name__} is not a request")
        assert self._private is not None
        shown = request.show(self._private) or self._shown
        if shown is None:
            raise MemoryLost
        regions, kinds, slots = shown.intensity.shape
        if problem := find_problem(request, {"region": regions, "kind": kinds, "slot": slots}):
            raise _Refused(f"was sent {problem}")
        self._shown = shown
        return request.answer(shown, self._memory)

    def peak_rss_mb(self) -> float:
        """Largest resident memory of this process so far."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0

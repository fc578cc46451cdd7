"""The process around one agent: bytes in, bytes out."""

from __future__ import annotations

import resource

from eglb.agents import barrier, bidding, proximal, timeline, valuation
from eglb.agents.region import Holding, Memory, MemoryLost, Region, Request
from eglb.agents.wire import Fault, decode, encode

REQUEST_MODULES = (barrier, bidding, proximal, timeline, valuation)
"""Importing these makes their messages known to the codec."""


class RegionHost:
    """Holds the private data of one or more regions and answers the coordinator's messages for all of them.

    A plain class: the in-process fleet calls it directly and the Ray fleet wraps it as an actor at launch.
    """

    def __init__(self, holding: Holding | None = None) -> None:
        self._memory = Memory()
        self.hold(holding)

    def hold(self, holding: Holding | None) -> None:
        """Take private data, in a process that was started without."""
        self._holding = holding
        self._shown = holding if isinstance(holding, Region) else None

    def answer(self, data: bytes) -> bytes | None:
        """The encoded replies to the encoded requests in `data`, one for one and in order, or one `Fault`.

        None from a host that holds no data, because its process was started again.
        """
        if self._holding is None:
            return None
        replies = []
        try:
            for request in decode(data):
                if not isinstance(request, Request):
                    raise ValueError(f"{type(request).__name__} is not a request")
                self._shown = request.show(self._holding) or self._shown
                if self._shown is None:
                    raise MemoryLost
                replies.append(request.answer(self._shown, self._memory))
        except MemoryLost:
            return encode([Fault("restarted and lost its memory")])
        return encode(replies)

    def peak_rss_mb(self) -> float:
        """Largest resident memory of this process so far."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0

"""The process around one agent: bytes in, bytes out."""

from __future__ import annotations

import resource

from eglb.agents import barrier, bidding, proximal, valuation
from eglb.agents.region import Memory, MemoryLost, Region, Request
from eglb.agents.wire import Fault, decode, encode

REQUEST_MODULES = (barrier, bidding, proximal, valuation)
"""Importing these makes their messages known to the codec."""


class RegionHost:
    """Holds the private data of one or more regions and answers the coordinator's messages for all of them.

    A plain class: the in-process fleet calls it directly and the Ray fleet wraps it as an actor at launch.
    """

    def __init__(self, region: Region | None = None) -> None:
        self._region = region
        self._memory = Memory()

    def hold(self, region: Region) -> None:
        """Take private data, in a process that was started without."""
        self._region = region

    def answer(self, data: bytes) -> bytes | None:
        """The encoded replies to the encoded requests in `data`, one for one and in order, or one `Fault`.

        None from a host that holds no data, because its process was started again.
        """
        if self._region is None:
            return None
        replies = []
        try:
            for request in decode(data):
                if not isinstance(request, Request):
                    raise ValueError(f"{type(request).__name__} is not a request")
                replies.append(request.answer(self._region, self._memory))
        except MemoryLost:
            return encode([Fault("restarted and lost its memory")])
        return encode(replies)

    def peak_rss_mb(self) -> float:
        """Largest resident memory of this process so far."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0

"""Transport of messages: bytes to the hosts of agents and back, and when to stop waiting for them."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eglb.agents.host import RegionHost
from eglb.agents.region import PrivateData

Arrival = tuple[int, bytes | Exception]
"""A host, and what it answered or why a delivery to it failed."""


@dataclass(frozen=True)
class Wait:
    """When a call closes: every host that was asked has answered or failed; or at least `quorum` of them have
    and the others had a moment longer; or `deadline_s` have passed.
    """

    deadline_s: float
    quorum: int


class Transport(ABC):
    """Delivers bytes to hosts and brings bytes back; knows nothing of what they mean."""

    @abstractmethod
    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        """Deliver to some hosts at once; what arrived until the call closed, in order.

        An arrival may answer this call or, of a straggler, an earlier one; a host may have none, one or
        several. A host that still works on an earlier message need not be given another. Nobody waits for
        the answers to `probes`. Never raises for a lost host.
        """

    @abstractmethod
    def restart(self, host: int) -> None:
        """Give a host up and start it afresh with its private data, wherever there is room; does not wait."""

    @abstractmethod
    def renew(self, private_data: Sequence[PrivateData]) -> None:
        """Give every host newer private data of the same regions, now and whenever it is started afresh; does
        not wait.
        """

    @abstractmethod
    def now(self) -> float:
        """Seconds on the clock that deadlines are meant by."""

    @abstractmethod
    def pause(self, seconds: float) -> None:
        """Let time pass on that clock."""

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

    def __init__(self, private_data: Sequence[PrivateData]) -> None:
        self._private_data = private_data
        self._hosts = [RegionHost(private) for private in private_data]

    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        return [(h, self._answer(h, data)) for h, data in [*payloads.items(), *(probes or {}).items()]]

    def restart(self, host: int) -> None:
        self._hosts[host] = RegionHost(self._private_data[host])

    def renew(self, private_data: Sequence[PrivateData]) -> None:
        self._private_data = private_data
        for host, private in zip(self._hosts, private_data, strict=True):
            host.renew(private)

    def now(self) -> float:
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def peak_rss_mb(self) -> float:
        return 0.0

    def close(self) -> None:
        self._hosts = []

    def _answer(self, host: int, data: bytes) -> bytes | Exception:
        return self._hosts[host].answer(data) or ValueError("holds no data")


class TransportWrapper(Transport):
    """Another transport with something on the way; says what in `call`."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner

    def restart(self, host: int) -> None:
        self.inner.restart(host)

    def renew(self, private_data: Sequence[PrivateData]) -> None:
        self.inner.renew(private_data)

    def now(self) -> float:
        return self.inner.now()

    def pause(self, seconds: float) -> None:
        self.inner.pause(seconds)

    def peak_rss_mb(self) -> float:
        return self.inner.peak_rss_mb()

    def close(self) -> None:
        self.inner.close()

"""Wide-area network model: a clock of latency and bandwidth. Nothing waits, everything is counted.

An exchange lasts as long as its slowest host, plus the time for which the coordinator's own line is busy:

    seconds  =  max_h (rtt_h + down_h / D_h + up_h / U_h)  +  (sum_h down_h + sum_h up_h) / C

for messages of down_h and up_h bits, lines of D_h and U_h bit/s at the host and of C bit/s at the
coordinator. Connections are open and their windows wide enough; loss and other traffic are in the rates, or
nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eglb.coordinator.fleet.fleet import HostSlice
from eglb.coordinator.fleet.transport import Arrival, Transport, TransportWrapper, Wait
from eglb.foundation.arrays import Array

_BITS_PER_BYTE, _BITS_PER_MBIT, _MS_PER_S = 8.0, 1e6, 1e3


@dataclass(frozen=True, eq=False)
class Network:
    """Lines between a coordinator and N regions.

    Parameters
    ----------
    coordinator : where it stands. note : where the figures come from.
    rtt_ms : (N,) round-trip time between coordinator and region.
    down_mbit_s, up_mbit_s : (N,) rate of a region's line, from and to the coordinator.
    coordinator_mbit_s : rate of the coordinator's line, which all messages share.
    """

    coordinator: str
    note: str
    rtt_ms: Array
    down_mbit_s: Array
    up_mbit_s: Array
    coordinator_mbit_s: float

    def by_host(self, hosts: Sequence[slice]) -> Network:
        """The same for hosts of several regions each; a host stands where its slowest region does."""
        rows = [range(len(self.rtt_ms))[regions] for regions in hosts]
        return Network(
            self.coordinator,
            self.note,
            np.array([self.rtt_ms[at].max() for at in rows]),
            np.array([self.down_mbit_s[at].min() for at in rows]),
            np.array([self.up_mbit_s[at].min() for at in rows]),
            self.coordinator_mbit_s,
        )

    def seconds(self, bytes_down: Array, bytes_up: Array, hosts: Sequence[int]) -> float:
        """How long one exchange with `hosts` lasts; bytes for each of them."""
        down, up = (_BITS_PER_BYTE / _BITS_PER_MBIT * np.asarray(count) for count in (bytes_down, bytes_up))
        at = list(hosts)
        own = self.rtt_ms[at] / _MS_PER_S + down / self.down_mbit_s[at] + up / self.up_mbit_s[at]
        return float(own.max(initial=0.0) + (down.sum() + up.sum()) / self.coordinator_mbit_s)


class WideArea(TransportWrapper):
    """Another transport with a clock: `seconds` is what its exchanges so far would take on `network`.

    The time that agents and coordinator compute is not in it.
    """

    def __init__(self, inner: Transport, network: Network, slices: Sequence[HostSlice]) -> None:
        super().__init__(inner)
        self._network = network.by_host([at.regions for at in slices])
        self.seconds = 0.0

    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        arrivals = self.inner.call(payloads, wait, probes)
        back = dict.fromkeys(payloads, 0)
        for h, answer in arrivals:
            if h in back and isinstance(answer, bytes):
                back[h] += len(answer)
        self.seconds += self._network.seconds(
            np.array([len(data) for data in payloads.values()]), np.array(list(back.values())), list(payloads)
        )
        return arrivals

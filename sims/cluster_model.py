"""What one ADMM round would take on a cluster larger than this machine: measured costs, put together.

A round has parts, each a sum of work times a cost that is fitted to rounds measured here (least squares with
no cost below zero, errors counted relative to the measurement). For N regions, T slots and E pairs in reach,
H hosts of C cores for the agents, S coordinator workers and B bytes a round, both directions together:

    agents   =  agent_round + agent_message S + agent_region_slot N T / (H C)
    step     =  step_round + step_edge_slot E T / S + step_region_slot N T / S + step_region N
    codec    =  codec_round + codec_message H + codec_byte B / S
    calls    =  call_round + call_message H + call_byte B / S
    network  =  latency + 8 B / (rate min(S, H))
    round    =  agents + step + codec + calls + network

A worker clears the slots it owns, which need nothing of other slots, and exchanges one message with each host
(so a host answers S of them); the price of equity, `step_region`, is found by one worker. What the code does
today is S = 1. In process, H hosts share one core, and there are no calls; on Ray actors of this machine they
share its cores. Bytes grow with N T.

Not in the model: skew between hosts, garbage collection, lost messages, and the traffic for the price of
equity and the residual (2 K numbers per region, one per worker). Rounds to a gap are not predicted at all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.optimize import nnls

from eglb.coordinator.algorithms.admm import Admm
from eglb.coordinator.algorithms.algorithm import Broadcast
from eglb.coordinator.fleet.fleet import Fleet, group_regions, host_slices
from eglb.coordinator.fleet.transport import Arrival, InProcess, Transport, TransportWrapper, Wait
from eglb.foundation.arrays import Array
from eglb.planning.partition import partition
from eglb.scenarios.synthetic import SyntheticSpec, generate

CYCLE = 10
"""Rounds after which ADMM's certificates come round again: costs are means over so many."""
_BITS_PER_BYTE = 8.0
_NO_GAP = 1e-300


@dataclass(frozen=True)
class Layout:
    """Where a round runs; `bytes` are those of one round, up and down, all hosts together.

    On a cluster of its own machines `shared_cores` is None. On one machine all hosts share that many cores.
    """

    regions: int
    slots: int
    edges: int
    hosts: int
    bytes: float
    cores_per_host: int = 1
    workers: int = 1
    shared_cores: int | None = None
    calls: bool = True
    rate_mbit_s: float = np.inf
    latency_ms: float = 0.0


@dataclass(frozen=True)
class Sample:
    """Seconds of a round measured here, by part: the mean over the fastest of several cycles."""

    layout: Layout
    agents: float
    step: float
    codec: float

    @property
    def round(self) -> float:
        """The whole round; `agents` holds the calls where there are any."""
        return self.agents + self.step + self.codec


@dataclass(frozen=True)
class Costs:
    """Seconds per unit of work; see the module's docstring."""

    agent_round: float
    agent_message: float
    agent_region_slot: float
    step_round: float
    step_edge_slot: float
    step_region_slot: float
    step_region: float
    codec_round: float
    codec_message: float
    codec_byte: float
    call_round: float
    call_message: float
    call_byte: float

    def predict(self, at: Layout) -> dict[str, float]:
        """Seconds of a round by part, in the order of the formula."""
        if at.shared_cores is None:
            agents = np.array([1.0, at.workers, at.regions * at.slots / (at.hosts * at.cores_per_host)])
        else:
            agents = _agent_work(at)
        parts = {
            "agents": agents @ self._of("agent"),
            "step": _step_work(at) @ self._of("step"),
            "codec": _message_work(at) @ self._of("codec"),
            "calls": _message_work(at) @ self._of("call") if at.calls else 0.0,
            "network": at.latency_ms / 1e3
            + _BITS_PER_BYTE * at.bytes / (1e6 * at.rate_mbit_s * min(at.workers, at.hosts)),
        }
        return {name: float(seconds) for name, seconds in parts.items()}

    def _of(self, part: str) -> Array:
        names = [f.name for f in fields(self) if f.name.startswith(f"{part}_")]
        return np.array([getattr(self, name) for name in names])


def _agent_work(at: Layout) -> Array:
    """Units behind the three costs of agents that share cores."""
    side_by_side = min(at.hosts, at.shared_cores or 1)
    return np.array([1.0, at.hosts / side_by_side, at.regions * at.slots / side_by_side])


def _step_work(at: Layout) -> Array:
    load, share = float(at.regions * at.slots), float(at.edges * at.slots)
    return np.array([1.0, share / at.workers, load / at.workers, at.regions])


def _message_work(at: Layout) -> Array:
    return np.array([1.0, at.hosts, at.bytes / at.workers])


def fit(samples: Sequence[Sample]) -> Costs:
    """Costs from samples in process and, for the calls, on Ray actors."""
    inside = [s for s in samples if not s.layout.calls]
    outside = [s for s in samples if s.layout.calls]
    agent = _least_squares(inside, _agent_work, [s.agents for s in inside])
    step = _least_squares(samples, _step_work, [s.step for s in samples])
    codec = _least_squares(samples, _message_work, [s.codec for s in samples])
    # What actors take beyond the agents' own work is the price of calling them.
    beyond = [max(s.agents - float(_agent_work(s.layout) @ agent), 0.0) for s in outside]
    call = _least_squares(outside, _message_work, beyond)
    return Costs(*map(float, [*agent, *step, *codec, *call]))


def _least_squares(
    samples: Sequence[Sample], work: Callable[[Layout], Array], seconds: Sequence[float]
) -> Array:
    """Costs of at least zero for which work times cost is next to `seconds`, in relative terms."""
    rows, values = np.array([work(s.layout) for s in samples]), np.array(seconds)
    weight = 1.0 / np.maximum(values, 0.05 * values.max())
    weighted = rows * weight[:, None]
    # Units differ by many orders of magnitude: columns of order one are what the solver can take.
    scale = np.maximum(np.abs(weighted).max(axis=0), 1e-300)
    return nnls(weighted / scale, values * weight)[0] / scale


class _Clock(TransportWrapper):
    """Another transport, and the seconds spent in it."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.seconds = 0.0

    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        began = time.perf_counter()
        arrivals = self.inner.call(payloads, wait, probes)
        self.seconds += time.perf_counter() - began
        return arrivals


def measure_round(spec: SyntheticSpec, hosts: int, *, actors: bool, cycles: int = 4) -> Sample:
    """Run ADMM on a generated fleet, dealt to so many hosts, for a few cycles after a first one.

    Parameters
    ----------
    actors : whether hosts are Ray actors of a private cluster on this machine, or all in this process.
    """
    parts = partition(generate(spec))
    regions = group_regions(parts.region, -(-spec.regions // hosts))
    transport: Transport
    if actors:
        from eglb.coordinator.fleet.ray_transport import RayActors

        transport = RayActors(lambda cores, memory: regions, "local")
    else:
        transport = InProcess(regions)
    clock = _Clock(transport)
    try:
        fleet = Fleet(clock, host_slices(parts.market, regions))
        method = Admm(parts.market, _NO_GAP)
        action = method.start()
        means, traffic = [], []
        for cycle in range(cycles + 1):
            before, codec, step = clock.seconds, 0.0, 0.0
            carried = fleet.traffic.bytes_up + fleet.traffic.bytes_down
            for _ in range(CYCLE):
                began, inside = time.perf_counter(), clock.seconds
                heard = fleet.exchange(action)
                codec += time.perf_counter() - began - (clock.seconds - inside)
                began = time.perf_counter()
                following = method.step(heard)
                step += time.perf_counter() - began
                assert isinstance(following, Broadcast)
                action = following
            if cycle:
                means.append([(clock.seconds - before) / CYCLE, step / CYCLE, codec / CYCLE])
                traffic.append((fleet.traffic.bytes_up + fleet.traffic.bytes_down - carried) / CYCLE)
    finally:
        clock.close()
    best = int(np.argmin(np.sum(means, axis=1)))
    layout = Layout(
        regions=spec.regions,
        slots=spec.hours,
        edges=len(parts.market.edge_region),
        hosts=len(regions),
        bytes=traffic[best],
        shared_cores=len(os.sched_getaffinity(0)) if actors else 1,
        calls=actors,
    )
    return Sample(layout, *means[best])

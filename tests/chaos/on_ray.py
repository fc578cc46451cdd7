"""Schedules on a cluster of several nodes, where agents' processes and nodes are struck for real."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from chaos.schedules import Played, Schedule, draw_schedule, play
from support.many_nodes import ManyNodes

from eglb.agents.region import PrivateData
from eglb.coordinator.fleet.faults import Bounded
from eglb.coordinator.fleet.ray_transport import RayActors
from eglb.coordinator.fleet.transport import Arrival, TransportWrapper, Wait

NODES = ("r0", "r1", "r2")
"""Regions that have a node of their own, as drawn scenarios call them."""
NODE_LOST = "node lost"
_SIGNALS = {"killed": signal.SIGKILL, "stopped": signal.SIGSTOP}
_TOLERANCE_S = 5.0
"""Of when silence is noticed: for a node to be taken away, and for a machine with other things to do."""


@dataclass(frozen=True)
class Blow:
    """From a call on, as soon as a host can be struck: its process is, or a node is lost."""

    call: int
    what: str
    at: int


@dataclass(frozen=True, eq=False)
class StruckSchedule:
    """A schedule by the clock, `deadline` in seconds, and what is struck meanwhile."""

    schedule: Schedule
    blows: tuple[Blow, ...]

    def __str__(self) -> str:
        return f"{self.schedule}, {self.blows}"


def draw_struck_schedule(seed: int) -> StruckSchedule:
    """What goes wrong with messages is as in `draw_schedule`; with processes, it does so for real."""
    drawn = draw_schedule(seed)
    random = np.random.default_rng([seed, 66])
    regions = len(drawn.scenario.regions)
    hosts = min(regions, int(random.integers(2, 4)))
    faults = replace(drawn.faults, freeze=0.0, crash=Bounded(), nodes=Bounded())
    blows = []
    for call in sorted(map(int, random.integers(2, 12, random.integers(1, 4)))):
        what = str(random.choice([*_SIGNALS, NODE_LOST], p=[0.5, 0.3, 0.2]))
        # One process is left alone, where there are several.
        among = len(NODES) if what == NODE_LOST else max(hosts - 1, 1)
        blows.append(Blow(call, what, int(random.integers(among))))
    deadline = float(random.uniform(1.5, 3.0))
    schedule = replace(drawn, faults=faults, deadline=deadline, per_host=-(-regions // hosts))
    return StruckSchedule(schedule, tuple(blows))


class Struck(TransportWrapper):
    """Agents on a cluster that blows fall on; those that did are counted."""

    def __init__(self, actors: RayActors, cluster: ManyNodes, blows: Sequence[Blow]) -> None:
        super().__init__(actors)
        self.counts: Counter[str] = Counter()
        self._actors, self._cluster, self._blows = actors, cluster, list(blows)
        self._calls = 0
        self._asked: dict[int, tuple[Any, Any]] = {}

    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        self._calls += 1
        self._blows = [blow for blow in self._blows if blow.call > self._calls or not self._strike(blow)]
        return self.inner.call(payloads, wait, probes)

    def _strike(self, blow: Blow) -> bool:
        """Whether the blow fell."""
        if blow.what == NODE_LOST:
            if NODES[blow.at] not in self._cluster.nodes:
                return True  # it was lost before
            self._cluster.lose(NODES[blow.at])
        else:
            pid = self._process(blow.at)
            if pid is None:
                return False
            with suppress(ProcessLookupError):
                os.kill(pid, _SIGNALS[blow.what])
        self.counts[blow.what] += 1
        return True

    def _process(self, host: int) -> int | None:
        """Of the agent that runs for a host now, once it has said so; it is asked, and not waited for."""
        import ray

        actor = self._actors._cluster.actors[host]
        known, ref = self._asked.get(host, (None, None))
        if known is not actor:
            ref = actor.__ray_call__.remote(lambda host: __import__("os").getpid())
            self._asked[host] = actor, ref
        try:
            return int(ray.get(ref, timeout=0))
        except (ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError):
            return None


def play_struck(struck: StruckSchedule, cluster: ManyNodes) -> Played:
    """Run a schedule on a whole cluster; raises as `play` does."""
    cluster.mend()
    lines: list[Struck] = []

    def start(hosts: Sequence[PrivateData]) -> Struck:
        lines.append(Struck(RayActors(lambda cores, memory: hosts, "auto"), cluster, struck.blows))
        return lines[0]

    played = play(struck.schedule, start, _TOLERANCE_S)
    return replace(played, counts=played.counts + lines[0].counts)

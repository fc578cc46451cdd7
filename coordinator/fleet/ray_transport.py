"""Transport over Ray actors: one per host, each on its region's node where nodes are labelled."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

from eglb.agents.host import RegionHost
from eglb.agents.region import PrivateData
from eglb.coordinator.fleet.fleet import FleetError
from eglb.coordinator.fleet.interrupts import interrupts_held
from eglb.coordinator.fleet.ray_cluster import RayCluster, brief, load_ray
from eglb.coordinator.fleet.transport import Arrival, Transport, Wait

_START_S = 120.0
_REACH_S = 5.0
_LOOK_S = 0.25
"""How often a wait looks whether somebody pressed Ctrl-C."""
_GRACE_S = 0.5
"""At least so long stragglers are waited for once the quorum has answered."""
_SHARE_OF_CPU = 0.01
"""Of an agent on a cluster that was joined: next to nothing, more than a head that declares no CPU has."""
_LABEL, _NODE = "region", "ray.io/node-id"
_NOWHERE = "none"
"""No node's id."""


class RayActors(Transport):
    """Hosts as Ray actors, on a private local cluster or on one that runs already.

    On a cluster whose nodes carry the label `region`, an agent runs on a node of its (first) region as long
    as there is one, else on any. An actor whose process or node is gone is made anew, with its private data,
    which the driver keeps, and asked again; on another node where the node may be what is gone, as Ray itself
    takes 15 s to notice that. Ctrl-C ends, at any moment, what was started.

    Parameters
    ----------
    deal : given cores and memory (bytes) of the cluster, the private data of each host.
    address : ``"local"`` starts a private cluster and ends it with `close`; ``"auto"`` joins the one this
        process is in, else the one that RAY_ADDRESS names or Ray finds on this machine; ``"HOST:PORT"`` joins
        that one. A cluster that was joined is left running, only the actors end.
    at_home : regions that have a node of their own get a host of their own, however they were dealt.

    Raises
    ------
    FleetError : the cluster cannot be started or reached, or the actors do not come up.
    """

    def __init__(
        self, deal: Callable[[int, float], Sequence[PrivateData]], address: str, at_home: bool = False
    ) -> None:
        with interrupts_held():  # an import that was cut short cannot be repeated
            self._ray = load_ray()
        self._cluster = RayCluster(self._ray)
        self._share_of_cpu = 0.0 if address == "local" else _SHARE_OF_CPU
        self._nodes: dict[int, Any] = {}
        """Where each host runs, as a reference to the node's id."""
        self._running: dict[int, Any] = {}
        """What each busy host was sent last, as a reference to its answer."""
        # Also ends the cluster where an interrupt keeps the caller from ever holding this object.
        self._end = weakref.finalize(self, self._cluster.end)
        try:
            with interrupts_held():
                self._cluster.enter(address, deal)
            with interrupts_held():
                dealt, labelled = self._cluster.regions, self._cluster.labels(_LABEL)
                self.regions = _each_alone(dealt, labelled) if at_home and labelled else dealt
                self._cluster.actors += [self._make(h) for h in range(len(self.regions))]
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        with interrupts_held() as interrupted:
            messages = {**(probes or {}), **payloads}
            unsent = set(messages)
            self._send(messages, unsent)
            arrivals: list[Arrival] = []
            silent, began, quorum_at = set(payloads), time.monotonic(), None
            renewed: set[int] = set()
            while silent and not interrupted:
                now = time.monotonic()
                missing = wait.quorum - (len(payloads) - len(silent))
                closes = began + wait.deadline_s
                if missing <= 0:
                    quorum_at = quorum_at or now
                    closes = min(closes, quorum_at + max(_GRACE_S, quorum_at - began))
                if now >= closes:
                    break
                waited = {self._running[h]: h for h in silent if h in self._running}
                if not waited:
                    time.sleep(min(closes - now, _LOOK_S))
                    continue
                # Most rounds have everyone at once: the quorum is looked at only in those that have not.
                alike = missing <= 0 or now - began < _LOOK_S
                count = len(waited) if alike else min(missing, len(waited))
                self._ray.wait(list(waited), num_returns=count, timeout=min(closes - now, _LOOK_S))
                silent -= self._take_in(silent, arrivals, messages, unsent, renewed)
            self._take_in(set(self._running) - silent, arrivals, messages, unsent, renewed)
        return arrivals

    def restart(self, host: int) -> None:
        with interrupts_held():
            self._running.pop(host, None)
            self._replace(host, self._node(host))

    def renew(self, private_data: Sequence[PrivateData]) -> None:
        with interrupts_held():
            self.regions = private_data
            for actor, private in zip(self._cluster.actors, private_data, strict=True):
                actor.renew.remote(private)  # in order before the next question; lost with an actor that is

    def now(self) -> float:
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def peak_rss_mb(self) -> float:
        with interrupts_held():
            idle = [actor for h, actor in enumerate(self._cluster.actors) if h not in self._running]
            refs = [actor.peak_rss_mb.remote() for actor in idle]
            ready = self._ray.wait(refs, num_returns=len(refs), timeout=_REACH_S)[0] if refs else []
            sizes = [self._outcome(ref) for ref in ready]
        return float(sum(size for size in sizes if not isinstance(size, Exception)))

    def close(self) -> None:
        self._running, self._nodes = {}, {}
        self._end()

    def _make(self, host: int, avoid: str = _NOWHERE) -> Any:
        """A new actor for a host. Ray does not restart it: calls that came before it was back would fail."""
        home = self.regions[host].names[0]
        first, *others = _places(home if home in self._cluster.labels(_LABEL) else None, avoid)
        kind = self._ray.remote(RegionHost).options(
            num_cpus=self._share_of_cpu,
            max_restarts=0,
            max_task_retries=0,
            enable_task_events=False,
            scheduling_strategy="SPREAD",
            label_selector=first,
            fallback_strategy=[{"label_selector": place} for place in others],
        )
        # Not as an object put once: that would be looked for on the lost node too, which takes up to 30 s.
        actor = kind.remote(self.regions[host])
        self._nodes[host] = actor.__ray_call__.remote(
            lambda host: __import__("ray").get_runtime_context().get_node_id()
        )
        return actor

    def _replace(self, host: int, avoid: str) -> None:
        with suppress(Exception):  # it may be gone, with its node
            self._ray.kill(self._cluster.actors[host])
        self._cluster.actors[host] = self._make(host, avoid)

    def _node(self, host: int) -> str:
        """Where a host runs, as far as that is known."""
        ref = self._nodes[host]
        node = self._outcome(ref) if self._ray.wait([ref], timeout=0)[0] else None
        return node if isinstance(node, str) else _NOWHERE

    def _send(self, messages: Mapping[int, bytes], unsent: set[int]) -> None:
        """Send to who is free."""
        for h in unsent - self._running.keys():
            self._running[h] = self._cluster.actors[h].answer.remote(messages[h])
            unsent.discard(h)

    def _take_in(
        self,
        hosts: set[int],
        arrivals: list[Arrival],
        messages: Mapping[int, bytes],
        unsent: set[int],
        renewed: set[int],
    ) -> set[int]:
        """Take in what has come of these hosts, and send on to who is free now; those that are done with what
        they were sent in this call.
        """
        refs = {self._running[h]: h for h in hosts if h in self._running}
        if not refs:
            return set()
        done: set[int] = set()
        for ref in self._ray.wait(list(refs), num_returns=len(refs), timeout=0)[0]:
            h = refs[ref]
            del self._running[h]
            answer = self._outcome(ref)
            arrivals.append((h, answer))
            if isinstance(answer, _LostActor) and h not in renewed:
                renewed.add(h)  # once in a call, or one that dies of its data would be made without end
                self._replace(h, self._node(h) if answer.out_of_sight else _NOWHERE)
                unsent |= {h} & messages.keys()
            if h in unsent:
                self._send(messages, {h})
                unsent.discard(h)
            elif isinstance(answer, bytes):
                done.add(h)
        return done

    def _outcome(self, ref: Any) -> Any:
        """What a call that has ended returned, or how it failed."""
        try:
            return self._ray.get(ref)
        except self._ray.exceptions.RayActorError as error:
            unknown = isinstance(error, self._ray.exceptions.ActorUnavailableError)
            return _LostActor(brief(error), unknown)
        except self._ray.exceptions.RayError as error:
            return RuntimeError(brief(error))

    def _wait_until_ready(self) -> None:
        actors = self._cluster.actors
        with interrupts_held() as interrupted:
            refs = [actor.peak_rss_mb.remote() for actor in actors]
            deadline, ready = time.monotonic() + _START_S, list[Any]()
            while len(ready) < len(refs) and not interrupted and time.monotonic() < deadline:
                ready = self._ray.wait(refs, num_returns=len(refs), timeout=_LOOK_S)[0]
            late = {
                region.names[0]: self._outcome(ref)
                if ref in ready
                else TimeoutError(f"not within {_START_S:g} s")
                for region, ref in zip(self.regions, refs, strict=True)
            }
        late = {name: why for name, why in late.items() if isinstance(why, Exception)}
        if late and not interrupted:
            names = ", ".join(list(late)[:5]) + (" ..." if len(late) > 5 else "")
            raise FleetError(f"the actors of {names} did not start: {next(iter(late.values()))}")


class _LostActor(RuntimeError):
    """The process of an actor ended before it answered; or is `out_of_sight`, perhaps with its node."""

    def __init__(self, reason: str, out_of_sight: bool) -> None:
        super().__init__(reason)
        self.out_of_sight = out_of_sight


def _places(home: str | None, avoid: str) -> list[dict[str, str]]:
    """Labels that a node should have, the best first: `avoid` only where there is no other."""
    others = {_NODE: f"!{avoid}"}
    at_home = [{_LABEL: home, **others}] if home is not None else []
    return [*at_home, others, {_NODE: f"!{_NOWHERE}"}]


def _each_alone(dealt: Sequence[PrivateData], names: Collection[str]) -> list[PrivateData]:
    """`dealt`, with each of the named regions alone."""
    alone: list[PrivateData] = []
    for private in dealt:
        named = [r for r, name in enumerate(private.names) if name in names]
        cuts = sorted({0, len(private.names), *named, *(r + 1 for r in named)})
        alone += [private.rows(slice(a, b)) for a, b in pairwise(cuts)]
    return alone

"""Planner thread: decides slots with the agents; a late decision keeps nobody waiting."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from itertools import pairwise
from typing import Any

import numpy as np

from eglb.agents.timeline import Timeline
from eglb.coordinator.fleet.fleet import Fleet, host_slices
from eglb.coordinator.fleet.transport import InProcess
from eglb.coordinator.market.market import Market
from eglb.coordinator.online.loop import decide_with_present_members, drive
from eglb.coordinator.online.policy import Policy
from eglb.coordinator.online.running_certificate import RunningCertificate, Standing
from eglb.coordinator.online.slot import DemandSeries, Slot
from eglb.foundation.arrays import Array
from eglb.live.jobs.slot_backlog import SlotBacklog
from eglb.planning.launch import Launched


class Planner:
    """One policy with its agents, asked from another thread; what is asked is done in order, one at a time.

    The running certificate is kept here too, by agents in this process that cannot be lost: it is about what
    was metered, and has to count regions that were up then and are not now.

    Parameters
    ----------
    agents : that answer for all regions of `market`.
    """

    def __init__(self, agents: Launched, market: Market, policy: Policy) -> None:
        self._agents = agents
        self._market = market
        self._policy = policy
        self._certificate: RunningCertificate | None = None
        self._first = 0
        self._judges: tuple[InProcess, Fleet] | None = None
        self._tasks: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="planner", daemon=True)
        self._thread.start()

    def plan(
        self, hour: Slot, timeline: Timeline, task: SlotBacklog | None = None, policy: Policy | None = None
    ) -> Future[Array]:
        """The route (E,) of a slot, after every agent was handed its part of `timeline`, with what of a task
        cannot wait; by another policy if one is given.
        """
        return self._submit(lambda: self._plan(hour, timeline, task, policy or self._policy))

    def certify(
        self, timeline: Timeline, demand: DemandSeries, slots: range, load: Array, last: bool
    ) -> Future[Standing]:
        """The standing of the period after metered `slots`, which were served with `load` (N, S); they begin
        with the first of the period, or follow on those asked about before.

        `last` says that the period ends with them.
        """
        return self._submit(lambda: self._certify(timeline, demand, slots, load, last))

    def begin_period(self, slot: int) -> None:
        """A new accounting period starts with `slot`."""
        self._submit(lambda: self._begin(slot))

    @property
    def lost(self) -> dict[str, str]:
        """Regions whose agents do not answer, and why."""
        return self._agents.fleet.membership.reasons()

    def close(self, patience_s: float) -> None:
        """Begin nothing more; wait a while for what is being done."""
        self._tasks.put(None)
        self._thread.join(patience_s)

    def _submit(self, work: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self._tasks.put((future, work))
        return future

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, work = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except Exception as error:  # it is whoever asked that has to go on without an answer
                future.set_exception(error)

    def _plan(self, hour: Slot, timeline: Timeline, task: SlotBacklog | None, policy: Policy) -> Array:
        hosts = self._agents.hosts
        cuts = np.cumsum([0, *(len(host.names) for host in hosts)]).tolist()
        parts = [timeline.rows(slice(a, b)) for a, b in pairwise(cuts)]
        self._agents.transport.renew(parts)
        route = decide_with_present_members(policy, hour, self._agents.fleet)
        return route if task is None else task.commit(route)

    def _begin(self, slot: int) -> None:
        if self._certificate is not None:
            self._certificate.restart(slot)
        self._first = slot

    def _certify(
        self, timeline: Timeline, demand: DemandSeries, slots: range, load: Array, last: bool
    ) -> Standing:
        if self._judges is None or self._certificate is None:
            transport = InProcess([timeline])
            sizes = {"slot": 1, "kind": self._market.kinds}
            self._judges = transport, Fleet(transport, host_slices(self._market, [timeline]), sizes=sizes)
            self._certificate = RunningCertificate(self._market, demand)
            self._certificate.restart(self._first)
        transport, fleet = self._judges
        transport.renew([timeline])
        self._certificate.demand = demand
        if len(slots) > 1:
            return drive(self._certificate.take_over(slots[-1], load), fleet)
        return drive(self._certificate.record(slots[-1], load[:, 0], last), fleet)

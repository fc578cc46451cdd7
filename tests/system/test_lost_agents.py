"""Agents that die or freeze in the middle of a solve."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eglb.coordinator.fleet import ray_transport
from eglb.planning.progress import RoundRecord
from eglb.planning.solve import solve
from eglb.scenarios.catalog import load
from eglb.scenarios.scenario import Scenario

pytestmark = pytest.mark.cluster

_ALGORITHMS = ["admm", "dual", "newton", "subgradient"]


@pytest.fixture(scope="module")
def fleet() -> Scenario:
    return load("synthetic:3x48,seed=1")


@pytest.fixture
def first_agent(joined: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """Tells the process id of the first region's agent in the solve that runs."""
    import ray

    running: list[ray_transport.RayActors] = []
    start = ray_transport.RayActors.__init__

    def remember(self: ray_transport.RayActors, *arguments: Any) -> None:
        start(self, *arguments)
        running[:] = [self]

    monkeypatch.setattr(ray_transport.RayActors, "__init__", remember)

    def process() -> int:
        actor = running[0]._cluster.actors[0]
        return int(ray.get(actor.__ray_call__.remote(lambda host: __import__("os").getpid())))

    yield process
    running.clear()


class Blow:
    """Sends one signal to the first agent after the fourth exchange."""

    def __init__(self, first_agent: Callable[[], int], number: int) -> None:
        self._first_agent, self._number = first_agent, number
        self.pid = 0

    def __call__(self, record: RoundRecord) -> None:
        if record.round >= 4 and not self.pid:
            self.pid = self._first_agent()
            os.kill(self.pid, self._number)


def ends(pid: int, patience_s: float = 15.0) -> bool:
    deadline = time.monotonic() + patience_s
    while (gone := not Path(f"/proc/{pid}").exists()) is False and time.monotonic() < deadline:
        time.sleep(0.1)
    return gone


@pytest.mark.parametrize("algorithm", _ALGORITHMS)
def test_a_killed_agent_is_made_anew_and_the_run_ends_certified_with_it(
    first_agent: Callable[[], int], fleet: Scenario, algorithm: str
) -> None:
    gap = 1e-2 if algorithm == "subgradient" else 1e-4
    blow = Blow(first_agent, signal.SIGKILL)
    undisturbed = solve(fleet, algorithm, gap=gap, address="inprocess")
    solution = solve(fleet, algorithm, gap=gap, address="auto", on_round=blow)
    assert blow.pid
    assert ends(blow.pid)
    assert solution.converged and solution.out == {}
    assert solution.audit.gap <= gap
    assert solution.audit.objective >= undisturbed.audit.lower_bound


@pytest.mark.parametrize("algorithm", ["admm", "newton", "dual"])
def test_a_frozen_agent_is_lost_within_its_deadline_and_planned_without(
    first_agent: Callable[[], int], fleet: Scenario, algorithm: str
) -> None:
    blow = Blow(first_agent, signal.SIGSTOP)
    solution = solve(fleet, algorithm, gap=1e-4, address="auto", deadline=1.0, on_round=blow)
    lost = solution.events[0]
    assert (lost.what, lost.regions, lost.reason) == ("lost", (fleet.regions[0],), "no answer within 1 s")
    assert ends(blow.pid), "the frozen process was left behind"
    assert max(solution.audit.violations.values()) <= 1e-9 * fleet.demand.max()
    if solution.out:
        assert not solution.load[0].any()
    assert solution.status in ("converged", "shortfall")
    times = [record.seconds for record in solution.trace]
    assert max(np.diff(times)) < 3.0, "a round lasted longer than the deadline allows"


def test_an_agent_that_dies_every_round_does_not_stop_a_run(
    first_agent: Callable[[], int], fleet: Scenario
) -> None:
    killed: list[int] = []

    def murder(record: RoundRecord) -> None:
        if len(killed) < 6:
            killed.append(first_agent())
            os.kill(killed[-1], signal.SIGKILL)

    solution = solve(fleet, "dual", gap=1e-4, address="auto", on_round=murder)
    assert len(set(killed)) == 6
    assert solution.converged and solution.out == {}


_FREEZE = """
import os, signal
from pathlib import Path
from eglb import cli
from eglb.cli import progress

def descendants(root):
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
        except OSError:
            pass
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found

def freeze(self, record):
    for pid in descendants(os.getpid()):
        if Path(f"/proc/{pid}/cmdline").read_text().startswith("ray::RegionHost"):
            os.kill(pid, signal.SIGSTOP)

progress.RoundsShown.round = freeze
cli.main(["solve", "synthetic:3x48", "--json", "--deadline", "1"])
"""


def test_the_command_ends_frozen_agents_and_says_which(watch: Callable[..., Any]) -> None:
    command = watch(code=_FREEZE)
    while not command.agents():
        assert command.process.poll() is None
        time.sleep(0.1)
    code, out, err = command.finish()
    assert code == 5
    assert '"status": "cluster_failed"' in out
    assert "no answer from r0 (lost: no answer within 1 s), r1" in err

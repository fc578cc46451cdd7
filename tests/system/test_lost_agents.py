"""Agents that die or freeze in the middle of a solve."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eglb.coordinator import ray_fleet
from eglb.coordinator.fleet import FleetError
from eglb.sims.catalog import load
from eglb.sims.scenario import Scenario
from eglb.sims.solution import RoundRecord
from eglb.sims.solving import solve

pytestmark = pytest.mark.cluster

_ALGORITHMS = ["admm", "dual", "newton", "subgradient"]


@pytest.fixture(scope="module")
def fleet() -> Scenario:
    return load("synthetic:3x48,seed=1")


@pytest.fixture
def first_agent(joined: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """Tells the process id of the first region's agent in the solve that runs."""
    import ray

    running: list[Any] = []
    start = ray_fleet.RayActors.__init__

    def remember(self: Any, *arguments: Any) -> None:
        start(self, *arguments)
        running[:] = [self._actors[0]]

    monkeypatch.setattr(ray_fleet.RayActors, "__init__", remember)
    yield lambda: int(ray.get(running[0].__ray_call__.remote(lambda host: __import__("os").getpid())))
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
def test_a_killed_agent_comes_back_and_the_run_ends_certified(
    first_agent: Callable[[], int], fleet: Scenario, algorithm: str
) -> None:
    gap = 1e-2 if algorithm == "subgradient" else 1e-4
    blow = Blow(first_agent, signal.SIGKILL)
    undisturbed = solve(fleet, algorithm, gap=gap, address="inprocess")
    solution = solve(fleet, algorithm, gap=gap, address="auto", on_round=blow)
    assert blow.pid
    assert ends(blow.pid)
    assert solution.rounds > undisturbed.rounds  # the lost exchange and the opening, sent again
    assert solution.converged
    assert solution.audit.gap <= gap
    assert solution.audit.objective >= undisturbed.audit.lower_bound


@pytest.mark.parametrize("algorithm", ["admm", "newton"])
def test_a_frozen_agent_is_named_once_the_deadlines_have_passed(
    first_agent: Callable[[], int], fleet: Scenario, algorithm: str
) -> None:
    blow = Blow(first_agent, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(FleetError, match=rf"no answer from {fleet.regions[0]} \(no answer within 1 s\)"):
        solve(fleet, algorithm, gap=1e-9, address="auto", deadline=1.0, on_round=blow)
    assert time.monotonic() - began < 30
    assert ends(blow.pid), "the frozen process was left behind"


def test_an_agent_that_dies_every_time_fails_the_solve(
    first_agent: Callable[[], int], fleet: Scenario
) -> None:
    def murder(record: RoundRecord) -> None:
        os.kill(first_agent(), signal.SIGKILL)

    with pytest.raises(FleetError, match=rf"no answer from {fleet.regions[0]} \("):
        solve(fleet, "dual", gap=1e-9, address="auto", on_round=murder)


_FREEZE = """
import os, signal
from pathlib import Path
from eglb import cli
from eglb.cli import progress
from eglb.sims import solving

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

solve = solving.solve
solving.solve = lambda *a, **k: solve(*a, **k, deadline=1.0)
progress.RoundsShown.round = freeze
cli.main(["solve", "synthetic:3x48", "--json"])
"""


def test_the_command_ends_frozen_agents_and_says_which(watch: Callable[..., Any]) -> None:
    command = watch(code=_FREEZE)
    while not command.agents():
        assert command.process.poll() is None
        time.sleep(0.1)
    code, out, err = command.finish()
    assert code == 5
    assert '"status": "cluster_failed"' in out
    assert "no answer from r0 (no answer within 1 s), r1" in err

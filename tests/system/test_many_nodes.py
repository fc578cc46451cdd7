"""A cluster of five nodes on this machine: agents by label, nodes that vanish, and what is left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.many_nodes import ManyNodes, files_and_shared_blocks, many_nodes, pid_of, until

from eglb.agents.codec import decode, encode
from eglb.agents.host import RoundNumber
from eglb.coordinator.fleet.fleet import group_regions
from eglb.coordinator.fleet.ray_transport import RayActors
from eglb.coordinator.fleet.transport import Wait
from eglb.planning.partition import partition
from eglb.planning.progress import RoundRecord
from eglb.planning.solve import solve
from eglb.scenarios.catalog import load
from eglb.scenarios.scenario import Scenario

pytestmark = pytest.mark.cluster

_NODE, _LABEL = "get_node_id", "get_node_labels"


@pytest.fixture(scope="module")
def fleet() -> Scenario:
    return load("synthetic:4x48,seed=2")


@pytest.fixture(scope="module")
def started(fleet: Scenario) -> Iterator[ManyNodes]:
    with many_nodes(fleet.regions) as nodes:
        yield nodes


@pytest.fixture
def cluster(started: ManyNodes) -> ManyNodes:
    started.mend()
    return started


@pytest.fixture
def actors(cluster: ManyNodes, fleet: Scenario) -> Iterator[RayActors]:
    """An agent for each region, though they were dealt to one host."""
    transport = RayActors(lambda cores, memory: [partition(fleet).region], "auto", at_home=True)
    yield transport
    transport.close()


def tell(actors: RayActors, host: int, what: str) -> Any:
    """What an agent's process says of itself."""
    import ray

    asked = actors._cluster.actors[host].__ray_call__.remote(
        lambda host, what: getattr(__import__("ray").get_runtime_context(), what)(), what
    )
    return ray.get(asked, timeout=60)


def homes(actors: RayActors) -> list[str]:
    """The region of the node of each agent; nodes without one are the head."""
    return [tell(actors, h, _LABEL).get("region", "head") for h in range(len(actors.regions))]


def ask(actors: RayActors, number: int, wait: Wait) -> dict[int, int | Exception]:
    """One call to all hosts; the round that each one's last arrival answers."""
    payloads = {h: encode([RoundNumber(number, h)]) for h in range(len(actors.regions))}
    return {
        h: answer if isinstance(answer, Exception) else decode(answer)[0].number
        for h, answer in actors.call(payloads, wait)
    }


def test_every_agent_is_alone_on_the_node_of_its_region(actors: RayActors, fleet: Scenario) -> None:
    assert [region.names for region in actors.regions] == [(name,) for name in fleet.regions]
    assert homes(actors) == list(fleet.regions)
    assert ask(actors, 1, Wait(60.0, 4)) == {0: 1, 1: 1, 2: 1, 3: 1}


def test_a_straggler_is_left_behind_and_heard_in_a_later_call(actors: RayActors) -> None:
    slow = pid_of(actors, 1)
    os.kill(slow, signal.SIGSTOP)
    began = time.monotonic()
    assert ask(actors, 1, Wait(60.0, 2)) == {0: 1, 2: 1, 3: 1}
    assert ask(actors, 2, Wait(1.0, 4)) == {0: 2, 2: 2, 3: 2}
    assert time.monotonic() - began < 20.0
    os.kill(slow, signal.SIGCONT)
    heard = actors.call({1: encode([RoundNumber(3, 1)])}, Wait(60.0, 1))
    assert [(h, decode(answer)[0].number) for h, answer in heard] == [(1, 1), (1, 3)]


def test_a_frozen_agent_is_ended_and_made_anew_on_another_node(actors: RayActors) -> None:
    frozen, node = pid_of(actors, 0), tell(actors, 0, _NODE)
    os.kill(frozen, signal.SIGSTOP)
    assert 0 not in ask(actors, 1, Wait(0.5, 4))
    began = time.monotonic()
    actors.restart(0)
    assert time.monotonic() - began < 2.0
    assert ask(actors, 2, Wait(60.0, 4))[0] == 2
    assert tell(actors, 0, _NODE) != node
    until(lambda: not Path(f"/proc/{frozen}").exists(), "the frozen process ends")


def test_a_killed_agent_comes_back_at_home(actors: RayActors, fleet: Scenario) -> None:
    killed = pid_of(actors, 2)
    os.kill(killed, signal.SIGKILL)
    ask(actors, 1, Wait(60.0, 4))
    assert ask(actors, 2, Wait(60.0, 4))[2] == 2
    assert pid_of(actors, 2) != killed
    assert homes(actors) == list(fleet.regions)


def test_the_agent_of_a_lost_node_moves_and_returns_to_a_new_one_when_it_is_restarted(
    cluster: ManyNodes, actors: RayActors, fleet: Scenario
) -> None:
    home = fleet.regions[3]
    cluster.lose(home)
    failures: list[Exception] = []

    def is_back() -> bool:
        heard = actors.call({3: encode([RoundNumber(1, 3)])}, Wait(60.0, 1))
        failures.extend(answer for _, answer in heard if isinstance(answer, Exception))
        return bool(failures) and isinstance(heard[-1][1], bytes)

    until(is_back, "the agent answers again")
    assert homes(actors)[3] in fleet.regions[:3]
    cluster.mend()
    assert homes(actors)[3] != home, "nothing moves that runs"
    actors.restart(3)
    assert homes(actors) == list(fleet.regions)


def test_a_solve_goes_on_with_one_node_of_four(cluster: ManyNodes, fleet: Scenario) -> None:
    def strike(record: RoundRecord) -> None:
        if record.round == 4:
            for name in fleet.regions[1:]:
                cluster.lose(name)

    solution = solve(fleet, "admm", address="auto", deadline=60.0, on_round=strike)
    assert cluster.nodes.keys() == {fleet.regions[0]}
    assert solution.converged and solution.out == {}
    assert max(solution.audit.violations.values()) <= 1e-9 * fleet.demand.max()


def test_nothing_is_left_behind(
    started: ManyNodes, fleet: Scenario, cluster_processes_started: Callable[[], dict[int, str]]
) -> None:
    def agents() -> list[str]:
        return [
            title for title in cluster_processes_started().values() if title.startswith("ray::RegionHost")
        ]

    def lost_and_closed() -> tuple[int, int]:
        """Open files and blocks of shared memory, after a life with a kill and a restart."""
        actors = RayActors(lambda cores, memory: group_regions(partition(fleet).region, 1), "auto")
        try:
            os.kill(pid_of(actors, 0), signal.SIGKILL)
            actors.restart(1)
            for number in (1, 2):
                ask(actors, number, Wait(60.0, 4))
        finally:
            actors.close()
        until(lambda: not agents(), "all agents end")
        return files_and_shared_blocks()

    files, shared = lost_and_closed()
    again = [lost_and_closed() for _ in range(2)]
    assert max(each[0] for each in again) <= files + 5
    assert max(each[1] for each in again) <= shared + 2048, "more than a megabyte"

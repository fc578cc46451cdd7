"""A cluster of several nodes on this machine, whose nodes can be lost."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from support.processes import process_tree

from eglb.coordinator.fleet.ray_transport import RayActors

_STORE = 80 * 2**20
# Nodes are known to be lost after 5 s, by default after 15.
_NOTICE = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 1000}


class ManyNodes:
    """A head without CPU and a node for each region, whose label it carries; joined by this process."""

    def __init__(self, running: Any, regions: tuple[str, ...]) -> None:
        self.running, self.regions = running, regions
        self.nodes: dict[str, Any] = {}

    def mend(self) -> None:
        """Give every region a node, and wait until only those are known that run."""
        import ray

        for name in self.regions:
            if name not in self.nodes:
                self.nodes[name] = self.running.add_node(
                    num_cpus=1, labels={"region": name}, object_store_memory=_STORE
                )
        if not ray.is_initialized():
            ray.init(
                self.running.address, log_to_driver=False, logging_level="ERROR", configure_logging=False
            )
        deadline = time.monotonic() + 30.0
        while sum(node["Alive"] for node in ray.nodes()) != 1 + len(self.nodes):
            assert time.monotonic() < deadline, "the nodes of the cluster are not those that were started"
            time.sleep(0.1)

    def lose(self, name: str) -> None:
        """As a machine is lost: no good-bye, and with all that runs on it, be it stopped."""
        node = self.nodes.pop(name)
        raylet = node.all_processes["raylet"][0].process.pid
        workers = process_tree(raylet)
        self.running.remove_node(node, allow_graceful=False)
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def many_nodes(regions: tuple[str, ...]) -> Iterator[ManyNodes]:
    """A head that runs; `mend` gives it its nodes. Ends with nothing left of it."""
    import ray
    from ray.cluster_utils import Cluster

    assert not ray.is_initialized(), "this process is connected to another cluster"
    folder = tempfile.mkdtemp(prefix="many-", dir="/tmp")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_AUTH_MODE", "disabled")
        patched.setenv("RAY_TMPDIR", folder)
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": _STORE, "temp_dir": folder}
        (Path(folder) / "ray").mkdir()  # where the address of a cluster is written down
        running = Cluster()
        try:
            running.add_node(**head, _system_config=_NOTICE)
            yield ManyNodes(running, regions)
        finally:
            ray.shutdown()
            running.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def pid_of(actors: RayActors, host: int) -> int:
    import ray

    actor = actors._cluster.actors[host]
    return int(ray.get(actor.__ray_call__.remote(lambda host: __import__("os").getpid()), timeout=60))


def until(condition: Callable[[], bool], what: str, patience_s: float = 60.0) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience_s:g} s: {what}"
        time.sleep(0.05)


def files_and_shared_blocks() -> tuple[int, int]:
    """Open files of this process, and blocks of 512 bytes of shared memory in Ray's stores."""
    shared = sum(path.stat().st_blocks for path in Path("/dev/shm").glob("plasma*"))
    return len(os.listdir("/proc/self/fd")), shared

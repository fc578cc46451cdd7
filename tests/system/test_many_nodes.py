"""A cluster of five nodes on this machine: agents by label, nodes that vanish, and what is left behind."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from eglb.coordinator import ray_fleet
from eglb.sims.catalog import load
from eglb.sims.solution import RoundRecord
from eglb.sims.solving import solve

pytestmark = pytest.mark.cluster

_STORE = 80 * 2**20


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without CPU and a node for each of four regions, joined by this process."""
    import ray
    from ray.cluster_utils import Cluster

    if ray.is_initialized():
        pytest.skip("this process is connected to another cluster")
    folder = tempfile.mkdtemp(prefix="many-", dir="/tmp")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_AUTH_MODE", "disabled")
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": _STORE, "temp_dir": folder}
        running = Cluster(initialize_head=True, head_node_args=head)
        try:
            running.region_nodes = {
                name: running.add_node(num_cpus=1, labels={"region": name}, object_store_memory=_STORE)
                for name in load("synthetic:4x48,seed=2").regions
            }
            ray.init(running.address, log_to_driver=False, logging_level="ERROR")
            yield running
        finally:
            ray.shutdown()
            running.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def test_agents_run_where_their_label_says_and_elsewhere_when_the_node_is_gone(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    fleet = load("synthetic:4x48,seed=2")
    where: list[dict[str, str]] = []
    running: list[ray_fleet.RayActors] = []
    start = ray_fleet.RayActors.__init__

    def remember(self: ray_fleet.RayActors, *arguments: Any) -> None:
        start(self, *arguments)
        running[:] = [self]

    monkeypatch.setattr(ray_fleet.RayActors, "__init__", remember)

    def places() -> dict[str, str]:
        ask = [
            actor.__ray_call__.remote(
                lambda host: __import__("ray").get_runtime_context().get_node_labels().get("region", "head")
            )
            for actor in running[0]._cluster.actors
        ]
        return dict(zip(fleet.regions, ray.get(ask, timeout=60), strict=True))

    def strike(record: RoundRecord) -> None:
        if record.round == 4:
            where.append(places())
            cluster.remove_node(cluster.region_nodes[fleet.regions[1]], allow_graceful=False)
            victim, deadline = running[0]._cluster.actors[1], time.monotonic() + 30.0
            with pytest.raises(ray.exceptions.RayError):
                while time.monotonic() < deadline:
                    ray.get(victim.peak_rss_mb.remote(), timeout=5.0)
        if record.round > 4 and len(where) == 1 and record.round % 10 == 0:
            # For a while nobody may have noticed that the node is gone, and the agent is made there again.
            with suppress(ray.exceptions.RayError):
                where.append(places())

    descriptors, shared = len(os.listdir("/proc/self/fd")), set(Path("/dev/shm").glob("plasma*"))
    solution = solve(fleet, "admm", gap=1e-6, address="auto", deadline=15.0, on_round=strike, max_rounds=600)
    assert where[0] == {name: name for name in fleet.regions}
    assert where[1][fleet.regions[1]] in set(fleet.regions) - {fleet.regions[1]}
    assert all(where[1][name] == name for name in fleet.regions if name != fleet.regions[1])
    assert solution.converged and solution.out == {}
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 30
    assert set(Path("/dev/shm").glob("plasma*")) <= shared

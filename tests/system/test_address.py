"""Where the fleet is looked for: running clusters, stale addresses, closed ports, nonsense."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eglb.foundation.errors import InputError
from eglb.planning.solve import solve
from eglb.scenarios.catalog import load

_SOLVE = ("solve", "synthetic:3x24", "--algorithm", "newton", "--json")


@pytest.mark.parametrize("address", ["foo", "host:99999", "host:", ":6379", "host:x", "ray://host:1", ""])
def test_nonsense_is_refused_before_anything_starts(address: str) -> None:
    with pytest.raises(InputError, match="none of local, auto, inprocess and HOST:PORT"):
        solve(load("synthetic:3x24"), address=address)


def test_the_command_refuses_nonsense(eglb: Callable[..., Any]) -> None:
    ran = eglb(*_SOLVE, "--address", "host:99999")
    assert ran.code == 2
    assert "'host:99999'" in ran.err


@pytest.mark.cluster
def test_a_closed_port_is_named_in_seconds(eglb: Callable[..., Any]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    began = time.monotonic()
    ran = eglb(*_SOLVE, "--address", address)
    assert ran.code == 5
    assert time.monotonic() - began < 20
    assert ran.json()["status"] == "cluster_failed"
    assert f"no Ray cluster at '{address}'" in ran.err
    assert "refused" in ran.err


@pytest.mark.cluster
def test_a_port_that_never_answers_is_named_in_seconds(eglb: Callable[..., Any]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        ran = eglb(*_SOLVE, "--address", address)
    assert ran.code == 5
    assert time.monotonic() - began < 20
    assert "does not answer as one" in ran.err
    assert f"no Ray cluster at '{address}'" in ran.err


@pytest.mark.cluster
@pytest.mark.parametrize("way", ["named", "auto"])
def test_a_running_cluster_is_joined_and_left_alone(
    running_cluster: Any, watch: Callable[..., Any], way: str
) -> None:
    address = running_cluster.address if way == "named" else "auto"
    environment = {"RAY_ADDRESS": running_cluster.address} if way == "auto" else {}
    command = watch(*_SOLVE, "--address", address, RAY_AUTH_MODE="disabled", **environment)
    code, out, err = command.finish()
    assert code == 0, err
    found = json.loads(out)
    assert (found["status"], found["actors"], found["address"]) == ("converged", 3, address)
    assert not command.runs("gcs_server")
    deadline = time.monotonic() + 10
    while running_cluster.agents() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running_cluster.agents() == []
    assert running_cluster.is_well()


@pytest.mark.cluster
def test_local_heeds_neither_other_clusters_nor_their_addresses(
    running_cluster: Any, watch: Callable[..., Any]
) -> None:
    command = watch(*_SOLVE, "--quiet", RAY_ADDRESS="127.0.0.1:9")
    code, out, err = command.finish()
    assert (code, err) == (0, "")
    assert json.loads(out)["status"] == "converged"
    assert running_cluster.is_well()


@pytest.mark.cluster
def test_auto_passes_over_an_address_left_behind(
    running_cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    from eglb.coordinator.fleet import ray_cluster

    stale = "127.0.0.1:9"
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(stale)
    # Other clusters of this machine are none of a test's business.
    monkeypatch.setattr(ray._private.services, "find_gcs_addresses", lambda: {running_cluster.address})
    assert ray_cluster._running_addresses(ray) == [stale, running_cluster.address]
    assert ray_cluster._first_reachable([stale, running_cluster.address]) == running_cluster.address
    with pytest.raises(OSError, match="refused"):
        ray_cluster._first_reachable([stale])
    assert os.environ["RAY_AUTH_MODE"] == "disabled"

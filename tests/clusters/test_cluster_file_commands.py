"""The commands of launch files: read as a shell reads them, and really run on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.launch_files import PREMISE, shipped

from eglb.clusters.commands import chosen_by_address, installs_eglb, ray_starts, simple_commands
from eglb.clusters.reading import Place

_SOON_S = 60.0


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("ulimit -n 9; A=b ray start --head", [["ulimit", "-n", "9"], ["A=b", "ray", "start", "--head"]]),
        ("(a && b) || c 'd; e' & f | g", [["a"], ["b"], ["c", "d; e"], ["f"], ["g"]]),
        ("a\nb # c", [["a"], ["b", "#", "c"]]),
        ("a 'b", [["a", "'b"]]),
        ("", []),
    ],
)
def test_a_line_of_shell_is_taken_apart(text: str, commands: list[list[str]]) -> None:
    assert simple_commands(text) == commands


def test_what_ray_is_started_with() -> None:
    text = "export A=1 B=2; C=3 ray start --head --port 7 --labels='x=1, region=a' --block; ray stop"
    (start,) = ray_starts(Place("f", [text]))
    assert start.options == {"--head": "", "--port": "7", "--labels": "x=1, region=a", "--block": ""}
    assert start.environment == {"A": "1", "B": "2", "C": "3"}
    assert start.labels == {"x": "1", "region": "a"}


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("pip install /home/ray/eglb/eglb-*.whl", True),
        ("python -m pip install -c lock 'eglb[data]'", True),
        ("uv pip install eglb==0.1.0", True),
        ("echo eglb", False),
        ("pip install eglb2 myeglb; ls eglb-1.whl", False),
    ],
)
def test_what_installs_the_project(text: str, does: bool) -> None:
    assert (installs_eglb(Place("f", [text])) is not None) == does


def test_a_case_gives_every_machine_its_region() -> None:
    command = shipped(PREMISE)["worker_start_ray_commands"][1]
    found = chosen_by_address(command, "region")
    assert list(found) == shipped(PREMISE)["provider"]["worker_ips"]
    assert list(found.values()) == ["virginia", "frankfurt", "singapore", "sydney"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


@dataclass
class Shell:
    """Runs commands as the launcher does, each in a session of its own."""

    temp: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, command: str) -> None:
        line = f"export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore && ({command})"
        nothing = subprocess.DEVNULL
        self.started.append(
            subprocess.Popen(
                ["bash", "-c", line],
                start_new_session=True,
                env=self.environment,
                stdout=nothing,
                stderr=nothing,
            )
        )

    def end(self) -> None:
        for process in reversed(self.started):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def shell() -> Iterator[Shell]:
    """With the environment that the launch file gives its containers, and a token in the home directory."""
    temp = Path(tempfile.mkdtemp(prefix="up-", dir="/tmp"))  # short, for the sockets in it
    (temp / ".ray").mkdir()
    (temp / ".ray" / "auth_token").write_text("5eed" * 16)
    given = {k: v for k, v in os.environ.items() if k not in ("RAY_ADDRESS", "RAY_AUTH_TOKEN")}
    options = [word.removeprefix("--env=") for word in shipped(PREMISE)["docker"]["run_options"]]
    chosen = dict(option.split("=", 1) for option in options)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    shell = Shell(temp, {**given, **chosen, "HOME": str(temp), "PATH": path})
    yield shell
    shell.end()
    shutil.rmtree(temp, ignore_errors=True)


_ASK = """
import json, ray, sys
ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR", configure_logging=False)
print(json.dumps([[n["Alive"], n["Labels"], n["Resources"].get("CPU", 0)] for n in ray.nodes()]))
"""


@pytest.mark.cluster
@pytest.mark.slow
def test_commands_for_ones_own_machines_start_labelled_nodes_behind_a_token(shell: Shell) -> None:
    listed = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    if not listed:
        pytest.skip("`hostname -I` names no address of this machine")
    document, port = shipped(PREMISE), free_port()
    extra = "--object-store-memory=80000000 --block"
    head = document["head_start_ray_commands"][1].replace("6379", str(port))
    head, autoscaling, _ = head.partition(" --autoscaling-config")  # it would start the other machines
    assert autoscaling
    shell.run(
        f"{head} --temp-dir={shell.temp}/t --include-dashboard=false --node-ip-address={listed[0]} {extra}"
    )
    address = f"{listed[0]}:{port}"
    healthy = ["ray", "health-check", "--address", address, "--skip-version-check"]
    deadline = time.monotonic() + _SOON_S
    while subprocess.run(healthy, env=shell.environment, capture_output=True, check=False).returncode:
        assert time.monotonic() < deadline, "the head does not start"
    stranger = {**shell.environment, "HOME": f"{shell.temp}/t", "RAY_AUTH_MODE": "disabled"}
    assert subprocess.run(healthy, env=stranger, capture_output=True, check=False).returncode
    worker = document["worker_start_ray_commands"][1].rstrip().replace("6379", str(port))
    worker = worker.replace('" 192.0.2.13 "', f'" {listed[0]} "')
    shell.run(f"export RAY_HEAD_IP={listed[0]};{worker} --num-cpus=1 {extra}")
    ask = [sys.executable, "-c", _ASK, address]
    nodes: list[Any] = []
    while len(nodes) < 2:
        assert time.monotonic() < deadline, nodes
        done = subprocess.run(ask, env=shell.environment, capture_output=True, text=True, check=True)
        nodes = json.loads(done.stdout)
    by_cpus = {cpus: labels.get("region") for alive, labels, cpus in nodes if alive}
    assert by_cpus == {0: None, 1.0: "singapore"}

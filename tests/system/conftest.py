"""A Ray cluster that is not ours to end, and commands that can be watched and interrupted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.processes import process_tree

_PATIENCE_S = 60.0


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], what: str, patience_s: float = _PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {patience_s:g} s: {what}")
        time.sleep(0.05)


@dataclass
class Watched:
    """A command in a session of its own, as a terminal gives it one, with its own home and temp folder."""

    process: subprocess.Popen[str]
    home: Path
    temp: Path
    seen: set[int] = field(default_factory=set)

    def agents(self) -> list[int]:
        """Processes of its actors."""
        tree = process_tree(self.process.pid)
        self.seen |= set(tree)
        return [pid for pid, title in tree.items() if title.startswith("ray::RegionHost")]

    def runs(self, name: str) -> bool:
        """Whether it has a descendant of that name."""
        tree = process_tree(self.process.pid)
        self.seen |= set(tree)
        return any(name in title for title in tree.values())

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """To the whole group, as the terminal does."""
        self.seen |= set(process_tree(self.process.pid))
        os.killpg(self.process.pid, number)

    def finish(self, patience_s: float = _PATIENCE_S) -> tuple[int, str, str]:
        """Exit code, stdout and stderr; fails if anything is left of it."""
        out, err = self.process.communicate(timeout=patience_s)
        assert "Traceback" not in err, err
        assert [pid for pid in self.seen if is_running(pid)] == []
        assert sorted(path.name for path in self.temp.iterdir()) == [], "left in the temp folder"
        assert sorted(path.name for path in self.home.iterdir()) == [], "left in the home folder"
        return self.process.returncode, out, err


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    """Starts ``python -c code``, or the ``eglb`` command with some arguments, and hands back a `Watched`."""
    started: list[Watched] = []
    # Short, for the sockets in it.
    temp = Path(tempfile.mkdtemp(prefix="sys-", dir="/tmp"))
    home = tmp_path / "home"
    home.mkdir()

    def start(*arguments: object, code: str = "", **environment: str) -> Watched:
        given = {k: v for k, v in os.environ.items() if k not in ("RAY_ADDRESS", "RAY_AUTH_MODE")}
        command = ["-c", code] if code else ["-m", "eglb"]
        process = subprocess.Popen(
            [sys.executable, *command, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**given, "HOME": str(home), "TMPDIR": str(temp), "PYTHONUNBUFFERED": "1", **environment},
        )
        started.append(Watched(process, home, temp))
        return started[-1]

    yield start
    for watched in started:
        if watched.process.poll() is None:
            watched.seen |= set(process_tree(watched.process.pid))
            watched.process.kill()
            watched.process.communicate()
        for pid in watched.seen:
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)
    subprocess.run(["rm", "-rf", str(temp)], check=True)


@dataclass(frozen=True)
class RunningCluster:
    """A cluster of somebody else's on this machine."""

    address: str
    home: Path
    process: subprocess.Popen[bytes]

    def is_well(self) -> bool:
        """Its head runs, and no actor of ours does."""
        tree = process_tree(self.process.pid)
        return self.process.poll() is None and any("gcs_server" in title for title in tree.values())

    def agents(self) -> list[int]:
        """Processes of actors of ours on it."""
        tree = process_tree(self.process.pid)
        return [pid for pid, title in tree.items() if title.startswith("ray::RegionHost")]


@pytest.fixture(scope="session")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """One cluster for the whole session, started as its owner would, with a home and files of its own."""
    home = tmp_path_factory.mktemp("owner")
    temp = tempfile.mkdtemp(prefix="own-", dir="/tmp")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    head = [
        "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}", f"--temp-dir={temp}",
        "--include-dashboard=false", "--num-cpus=2", "--object-store-memory=100000000",
        "--node-ip-address=127.0.0.1",
    ]  # fmt: skip
    given = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    process = subprocess.Popen(
        [sys.executable, *head],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**given, "HOME": str(home), "RAY_AUTH_MODE": "disabled"},
    )
    started: set[int] = set()

    def is_up() -> bool:
        started.update(process_tree(process.pid))
        return any("raylet/raylet" in title for title in process_tree(process.pid).values())

    try:
        wait_until(is_up, "the cluster starts")
        yield RunningCluster(f"127.0.0.1:{port}", home, process)
    finally:
        started |= set(process_tree(process.pid))
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pid in started:
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)
        subprocess.run(["rm", "-rf", temp], check=True)


@pytest.fixture(scope="module")
def joined(running_cluster: RunningCluster) -> Iterator[RunningCluster]:
    """The running cluster, with Ray connected to it from this process, as in a notebook."""
    import ray

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_AUTH_MODE", "disabled")
        ray.init(running_cluster.address, log_to_driver=False, logging_level="ERROR")
        yield running_cluster
        ray.shutdown()

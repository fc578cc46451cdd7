"""What every test shares: one thread per library, the data directory, the command, and no process left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before numpy is imported anywhere: agents are the parallelism.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Shells let what they start in the background ignore Ctrl-C, which tests send to commands of their own.
signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest  # noqa: E402

pytest_plugins = ["support.browser", "support.solved_fleet"]

_CLUSTER_PROCESSES = ("raylet", "gcs_server", "ray::", "default_worker.py", "log_monitor.py", "monitor.py")
_PATIENCE_S = 10.0


def _cluster_processes() -> dict[int, str]:
    """Process id and command line of every Ray process of this machine."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue  # it ended while we looked
        names = [Path(word).name for word in words[:3]]
        if state != "Z" and any(name.startswith(_CLUSTER_PROCESSES) for name in names):
            found[int(folder.name)] = " ".join(words)[:160].strip()
    return found


def _started_here(pid: int, marker: str) -> bool:
    try:
        return marker.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


# Whole runs over many slots, services, browsers: not part of `make check`.
SLOW = (
    "chaos",
    "cli",
    "coordinator/algorithms",
    "coordinator/durability/test_resumption.py",
    "coordinator/online/test_guard.py",
    "coordinator/online/test_policies.py",
    "coordinator/online/test_running_certificate.py",
    "live",
    "report",
    "sims",
    "test_examples.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For ``--dist loadgroup``: a file stays with one worker, and so do all tests that start a cluster.

    These come first, then the files with slow tests: the short ones level out the workers.
    """
    slow_places = tuple(Path(__file__).parent / place for place in SLOW)
    for item in items:
        starts_command = "eglb" in getattr(item, "fixturenames", ())
        if starts_command or any(item.path.is_relative_to(place) for place in slow_places):
            item.add_marker(pytest.mark.slow)
    clusters = {item for item in items if item.get_closest_marker("cluster")}
    slow_files = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item not in clusters, item.path not in slow_files))
    for item in items:
        item.add_marker(pytest.mark.xdist_group("cluster" if item in clusters else str(item.path)))


@pytest.fixture(scope="session", autouse=True)
def no_cluster_process_left() -> Iterator[None]:
    """Fails if the session leaves a Ray process that it started.

    A session's processes carry a mark in their environment, so that somebody else's cluster that starts or
    stops meanwhile is neither blamed nor touched.
    """
    marker = f"EGLB_TEST_SESSION={os.getpid()}"
    name, _, value = marker.partition("=")
    os.environ[name] = value
    yield
    deadline = time.monotonic() + _PATIENCE_S
    left = {}
    while time.monotonic() < deadline:
        left = {pid: words for pid, words in _cluster_processes().items() if _started_here(pid, marker)}
        if not left:
            return
        time.sleep(0.2)
    pytest.fail("the tests left cluster processes behind:\n" + "\n".join(f"{p} {w}" for p, w in left.items()))


@pytest.fixture
def cluster_processes_started() -> Callable[[], dict[int, str]]:
    """Call it for the Ray processes that were started since the test began and that still run.

    Those are meant that carry the mark of this test session.
    """
    marker = f"EGLB_TEST_SESSION={os.getpid()}"
    before = _cluster_processes().keys()
    return lambda: {
        pid: words
        for pid, words in _cluster_processes().items()
        if pid not in before and _started_here(pid, marker)
    }


@pytest.fixture(scope="session")
def data_directory() -> Path:
    """The measured series, from $EGLB_DATA; tests that need them skip without."""
    folder = os.environ.get("EGLB_DATA")
    if not folder:
        pytest.skip("EGLB_DATA is not set: no measured series to read")
    return Path(folder)


@pytest.fixture(scope="session")
def paper10_reference(data_directory: Path) -> dict[str, Any]:
    """The published numbers of the 10-region case, beside the data directory."""
    return json.loads((data_directory.parent / "reference" / "paper10_reference.json").read_text())


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """The one object on stdout; fails if there is anything else."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.fixture(scope="session")
def eglb() -> Callable[..., Ran]:
    """Runs the command as a user does, in a process of its own: ``eglb("solve", "world10", "--json")``."""

    def run(*arguments: object, timeout: float = 120.0, **environment: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "eglb", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **environment},
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    return run

"""Ray cluster of this process: a private one, started and ended, or one that runs and is joined.

The only module that imports ray.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from eglb.agents.region import PrivateData
from eglb.coordinator.fleet.fleet import FleetError
from eglb.coordinator.fleet.interrupts import hear_signals, interrupts_held

_PRIVATE_ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",  # Ray listens to the whole network, and whoever it answers can run code here
    # In the environment: Ray's default is a file in the home directory.
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_PRIVATE_SETTINGS = {"event_stats": False, "enable_metrics_collection": False}
"""Book-keeping that nobody reads on a private cluster, and that costs time in every round."""
_OBJECT_STORE_BYTES, _IN_STORE = 100 * 2**20, 6
"""Shared memory of a private cluster: so much, and so many times the private data, for messages in flight."""
_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HTTP2_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""RFC 9113, sections 3.4 and 6.5: how either side begins; the fourth byte of a frame is its type."""
_REACH_S = 5.0
_END_S = 3.0


def load_ray() -> Any:
    """The package ray, which is imported when it is needed and not before."""
    import ray

    return ray


class RayCluster:
    """Ray as this process has it: started here, joined by us, or joined by somebody else before."""

    def __init__(self, ray: Any) -> None:
        self.actors: list[Any] = []
        self.regions: Sequence[PrivateData] = ()
        self._ray = ray
        self._entered = False
        self._folder: Path | None = None
        self._environment: dict[str, str | None] = {}

    def enter(self, address: str, deal: Callable[[int, float], Sequence[PrivateData]]) -> None:
        """Start or join, and deal the regions; what was started when this fails is ended by `end`."""
        if address == "local" and not self._ray.is_initialized():
            self.regions = deal(len(os.sched_getaffinity(0)), _free_memory())
            self._start()
            return
        if self._ray.is_initialized():
            self._share(address)
        else:
            self._join(address)
        has = self._ray.cluster_resources()
        self.regions = deal(max(1, int(has.get("CPU", 1))), float(has.get("memory", 0.0)))

    def labels(self, key: str) -> set[str]:
        """The values of a label among the nodes that run; none on a private cluster, which is one node."""
        if self._folder is not None:
            return set()
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        return {node["Labels"][key] for node in nodes if key in node.get("Labels", {})}

    def end(self) -> None:
        """Leave nothing of ours: no actor, and where the cluster was private no process, file or variable."""
        with interrupts_held():
            try:
                if self._folder is None:
                    for actor in self.actors:
                        with suppress(Exception):  # whatever is wrong with a cluster, we are leaving it
                            self._ray.kill(actor)
                self.actors = []
                if self._entered:
                    with _heard_to_the_end(self._ray):
                        self._ray.shutdown()
            finally:
                if self._folder is not None:
                    _end_processes(self._folder)
                    shutil.rmtree(self._folder, ignore_errors=True)
                    self._folder = None
                for name, value in self._environment.items():
                    if value is None:
                        os.environ.pop(name, None)
                    else:
                        os.environ[name] = value
                if self._environment:
                    self._environment = {}
                    _reread_authentication(self._ray)
                self._entered = False

    def _share(self, address: str) -> None:
        here = self._ray.get_runtime_context().gcs_address
        if address == "local":
            raise FleetError(
                "Ray is running in this process already, so it cannot start a private cluster: "
                "address='auto' joins the running one, ray.shutdown() ends it"
            )
        if address not in ("auto", here):
            raise FleetError(f"Ray is connected to {here} in this process already: it cannot join {address}")

    def _start(self) -> None:
        self._environment = {name: os.environ.get(name) for name in _PRIVATE_ENVIRONMENT}
        os.environ.update(_PRIVATE_ENVIRONMENT)
        _reread_authentication(self._ray)
        self._entered = True
        try:
            self._folder = _short_folder()
            with _bare_start(self._ray), _one_thread_each():
                self._init(
                    address="local",
                    num_cpus=len(self.regions),
                    include_dashboard=False,
                    object_store_memory=_OBJECT_STORE_BYTES + _IN_STORE * sum(r.nbytes for r in self.regions),
                    _temp_dir=str(self._folder),
                    _system_config=dict(_PRIVATE_SETTINGS),  # Ray writes into it
                )
        except Exception as error:  # Ray has no one kind of exception for this
            raise FleetError(f"cannot start a local Ray cluster: {brief(error)}") from error

    def _join(self, address: str) -> None:
        try:
            if address == "auto":
                self._environment = {"RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE")}
                found = _first_reachable(_running_addresses(self._ray))
            else:
                found = _first_reachable([address])
            self._entered = True
            self._init(address=found)
        except Exception as error:
            hint = "; if it asks for a token, set RAY_AUTH_MODE=token" if self._entered else ""
            raise FleetError(f"no Ray cluster at {address!r}: {brief(error)}{hint}") from error

    def _init(self, **options: Any) -> None:
        with _bare_start(self._ray):
            self._ray.init(log_to_driver=False, logging_level="ERROR", configure_logging=False, **options)


def _free_memory() -> float:
    """Bytes that this machine can still give."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return 1024.0 * float(line.split()[1])
    return 0.0


def _reread_authentication(ray: Any) -> None:
    """Make Ray forget what it read of RAY_AUTH_MODE and RAY_AUTH_TOKEN, which it does once for a process."""
    ray._raylet.Config.initialize("")
    ray._raylet.AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that start meanwhile, and theirs, compute on one thread: there is one for every core."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


@contextmanager
def _bare_start(ray: Any) -> Iterator[None]:
    """Start or join without dashboard, log and autoscaling processes; leave the handler of SIGTERM alone, and
    do not print, on stdout, what Ray has to say of every process that ends.

    The processes serve clusters that people look at and that grow; here they cost a fifth of the time to
    start and two thirds of the time to end. Ray has no option for it. Where a version of Ray names these
    functions differently, they stay as they are.
    """
    node = ray._private.node.Node
    nothing = {"start_monitor": node, "start_log_monitor": node, "start_api_server": node}
    with ExitStack() as restored:
        quiet = {"set_sigterm_handler": ray._private.utils, "listen_error_messages": ray._private.worker}
        for name, home in {**nothing, **quiet}.items():
            if (original := getattr(home, name, None)) is not None:
                restored.callback(setattr, home, name, original)
                setattr(home, name, lambda *args, **options: None)
        yield


@contextmanager
def _heard_to_the_end(ray: Any) -> Iterator[None]:
    """While and after Ray shuts down, SIGTERM reaches the handler that was set from Python.

    Ray's compiled code takes SIGTERM over when it starts, and leaves it at the system's default when it ends,
    which is before it ends its processes: a second SIGTERM then ended us, and left them.
    """
    node, name = ray._private.node.Node, "kill_all_processes"
    original = getattr(node, name, None)
    try:
        if original is not None:

            def heard(*arguments: Any, **options: Any) -> Any:
                hear_signals()
                return original(*arguments, **options)

            setattr(node, name, heard)
        yield
    finally:
        if original is not None:
            setattr(node, name, original)
        hear_signals()


def brief(error: Exception) -> str:
    """The first telling line of one of Ray's long messages."""
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[0][:200]}" if lines else type(cause).__name__


def _short_folder() -> Path:
    """A new folder for Ray's files; the path of a socket in it must stay under about 100 characters."""
    base = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="eglb-", dir=base if len(base) <= 24 else "/tmp"))


def _end_processes(folder: Path) -> None:
    """End the processes that belong to the cluster in `folder`, and wait until they are gone.

    Workers follow their cluster, but seconds later, and not at all when they were stopped or hang.
    """
    deadline = time.monotonic() + _END_S
    while (pids := _processes_of(folder)) and time.monotonic() < deadline:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _processes_of(folder: Path) -> list[int]:
    """Those that were told of `folder` when they started, or, once they go by another title, write to it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended, or is not ours
            told = f"{folder}/".encode() in (process / "cmdline").read_bytes()
            if told or os.readlink(process / "fd" / "1").startswith(f"{folder}/"):
                found.append(int(process.name))
    return found


def _running_addresses(ray: Any) -> list[str]:
    """Where ``"auto"`` looks: RAY_ADDRESS, else where one was last started here, else any that runs here.

    As with Ray's own ``"auto"``, a token in the home directory is used where there is one. Unlike it, an
    address that was left behind does not hide a cluster that runs.
    """
    from ray._private.authentication import authentication_token_setup

    authentication_token_setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    if named := os.environ.get("RAY_ADDRESS"):
        return [named]
    recorded = ray._private.utils.read_ray_address(None)
    running = sorted(ray._private.services.find_gcs_addresses())
    return ([recorded] if recorded else []) + [address for address in running if address != recorded]


def _first_reachable(addresses: Sequence[str]) -> str:
    """The first address at which a cluster answers; an error within seconds where Ray would try for minutes.

    Raises
    ------
    OSError, ValueError : what is wrong with the first.
    """
    problems: list[Exception] = []
    for address in addresses:
        try:
            _check_reachable(address)
            return address
        except (OSError, ValueError) as error:  # the next may do
            problems.append(error)
    raise problems[0] if problems else ConnectionError("none runs on this machine")


def _check_reachable(address: str) -> None:
    """Connect, and see that what listens there greets as HTTP/2 servers do, a cluster's head among them."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_S) as line:
        if os.environ.get("RAY_USE_TLS", "0") != "0":
            return  # it greets only those it trusts
        line.sendall(_HTTP2_HELLO + _HTTP2_SETTINGS)
        try:
            greeting = line.recv(len(_HTTP2_SETTINGS))
        except OSError:
            greeting = b""
    if greeting[3:4] != _HTTP2_SETTINGS[3:4]:
        raise ConnectionError("what listens there does not answer as one")

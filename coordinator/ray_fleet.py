"""The fleet on Ray: one actor per host. The only module that imports ray."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from eglb.agents.host import RegionHost
from eglb.agents.region import Region
from eglb.coordinator.fleet import FleetError, Transport

_PRIVATE_ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",  # a cluster of this process alone; the default writes a token into the home directory
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_OBJECT_STORE_BYTES = 100 * 2**20
_REACH_S = 5.0
_START_S = 120.0
_RESTARTS = 5


class RayActors(Transport):
    """Hosts as Ray actors, on a private local cluster or on one that runs already.

    Parameters
    ----------
    regions : private data of each host.
    address : ``"local"`` starts a private cluster and ends it with `close`; ``"auto"`` joins the one Ray finds on this
        machine; ``"HOST:PORT"`` joins that one. A cluster that was joined is left running, only the actors end.

    Raises
    ------
    FleetError : the cluster cannot be started or reached, or the actors do not come up.
    """

    def __init__(self, regions: Sequence[Region], address: str) -> None:
        import ray

        self._ray = ray
        self._actors: list[Any] = []
        self._folder: Path | None = None
        self._environment: dict[str, str | None] = {}
        if ray.is_initialized():
            raise FleetError("Ray is already running in this process: call ray.shutdown() first")
        try:
            with _interrupt_later():
                self._connect(address)
            actor = ray.remote(RegionHost)
            options = {"num_cpus": 0, "max_restarts": _RESTARTS, "max_task_retries": 0}
            spread = {"scheduling_strategy": "SPREAD"}
            self._actors = [actor.options(**options, **spread).remote(region) for region in regions]
            self._wait_until_ready(regions)
        except BaseException:
            self.close()
            raise

    def call(self, payloads: dict[int, bytes], deadline_s: float) -> dict[int, bytes | Exception]:
        ray = self._ray
        refs = {h: self._actors[h].answer.remote(data) for h, data in payloads.items()}
        answers: dict[int, bytes | Exception] = {}
        try:
            return dict(zip(refs, ray.get(list(refs.values()), timeout=deadline_s), strict=True))
        except (ray.exceptions.RayError, TimeoutError):
            pass
        for h, ref in refs.items():
            try:
                answers[h] = ray.get(ref, timeout=0.001)
            except ray.exceptions.GetTimeoutError:
                answers[h] = TimeoutError(f"no answer within {deadline_s:g} s")
            except ray.exceptions.RayError as error:
                answers[h] = RuntimeError(_brief(error))
        return answers

    def peak_rss_mb(self) -> float:
        ray = self._ray
        try:
            return float(
                sum(ray.get([actor.peak_rss_mb.remote() for actor in self._actors], timeout=_REACH_S))
            )
        except (ray.exceptions.RayError, TimeoutError):
            return 0.0

    def close(self) -> None:
        with _interrupt_later():
            self._actors = []
            if self._ray.is_initialized() or self._folder is not None:
                self._ray.shutdown()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None
            for name, value in self._environment.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            self._environment = {}

    def _connect(self, address: str) -> None:
        options: dict[str, Any] = {
            "log_to_driver": False,
            "logging_level": "ERROR",
            "configure_logging": False,
        }
        if address == "local":
            self._environment = {name: os.environ.get(name) for name in _PRIVATE_ENVIRONMENT}
            os.environ.update(_PRIVATE_ENVIRONMENT)
            self._folder = _short_folder()
            options |= {
                "address": "local",
                "include_dashboard": False,
                "object_store_memory": _OBJECT_STORE_BYTES,
                "_temp_dir": str(self._folder),
            }
        else:
            if address != "auto":
                _check_reachable(address)
            options["address"] = address
        try:
            self._ray.init(**options)
        except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as error:
            what = (
                "cannot start a local Ray cluster" if address == "local" else f"no Ray cluster at {address!r}"
            )
            raise FleetError(f"{what}: {_brief(error)}") from error

    def _wait_until_ready(self, regions: Sequence[Region]) -> None:
        ray = self._ray
        refs = [actor.ready.remote() for actor in self._actors]
        try:
            ray.get(refs, timeout=_START_S)
        except (ray.exceptions.RayError, TimeoutError) as error:
            done = set(ray.wait(refs, num_returns=len(refs), timeout=0)[0])
            late = [region.names[0] for region, ref in zip(regions, refs, strict=True) if ref not in done]
            who = f"actors of {', '.join(late[:5])}{' ...' if len(late) > 5 else ''}" if late else "actors"
            raise FleetError(f"{who} did not start: {_brief(error)}") from error


def _brief(error: Exception) -> str:
    """The first telling line of one of Ray's long messages."""
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[0][:200]}" if lines else type(cause).__name__


def _short_folder() -> Path:
    """A new folder for Ray's files; the path of a socket in it must stay under about 100 characters."""
    base = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="eglb-", dir=base if len(base) <= 24 else "/tmp"))


def _check_reachable(address: str) -> None:
    """Fail in seconds where Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_S):
            pass
    except (OSError, ValueError) as error:
        raise FleetError(f"no Ray cluster at {address!r}: {error}") from error
    from ray._raylet import RpcError, check_health  # type: ignore[attr-defined]  # what `ray health-check` calls

    try:
        healthy = check_health(address, timeout=_REACH_S, skip_version_check=True)
    except RpcError as error:
        raise FleetError(f"no Ray cluster at {address!r}: {_brief(error)}") from error
    if not healthy:
        raise FleetError(f"no Ray cluster at {address!r}: what listens there does not answer as one")


@contextmanager
def _interrupt_later() -> Iterator[None]:
    """Hold back Ctrl-C, and a polite termination, until the block is done: half-started clusters cannot be ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[tuple[int, FrameType | None]] = []
    held = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        held[number] = signal.getsignal(number)
        signal.signal(number, lambda signum, frame: pending.append((signum, frame)))
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        if pending and sys.exc_info()[0] is None:
            handler = held[pending[0][0]]
            if callable(handler):
                handler(*pending[0])
            elif handler == signal.SIG_DFL:
                signal.raise_signal(pending[0][0])

"""Real proxies in front of small regions, and requests through them."""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import uvloop

from eglb.live.data_plane.keeping import read_data_planes, write_starting_files
from eglb.live.data_plane.plane import DataPlane
from eglb.live.routing.weights import WeightTable

HOUSE = Path(__file__).parents[2]
FAILED = "no answer"
_PATIENCE_S = 10.0


def find(proxy: str) -> str | None:
    """Where a proxy is: on the path, or where `make data-plane` puts Envoy."""
    return shutil.which(proxy) or shutil.which(HOUSE / "build" / "envoy" / "envoy" / "_bin" / proxy)


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on, and below those that it gives to clients."""
    found = []
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100 + count):
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            break
    return found


class _Region(asyncio.Protocol):
    """Answers every request with the region's name."""

    def __init__(self, name: str) -> None:
        body = name.encode()
        self._answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._unread = (self._unread + data).split(b"\r\n\r\n")
        self._transport.write(self._answer * len(requests))


@contextmanager
def serving(names: Iterable[str]) -> Iterator[dict[str, str]]:
    """Regions that answer with their names, while inside; their addresses."""
    ready, addresses, end = Event(), {}, asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loop, servers = asyncio.get_running_loop(), []
        for name in names:
            servers.append(await loop.create_server(lambda name=name: _Region(name), "127.0.0.1", 0))
            addresses[name] = f"127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}"
        loops.append(loop)
        ready.set()
        await end.wait()
        for server in servers:
            server.close()

    thread = Thread(target=_run, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(_PATIENCE_S)
    try:
        yield addresses
    finally:
        loops[0].call_soon_threadsafe(end.set)
        thread.join()


def send(port: int, count: int, *, connections: int = 16) -> Counter[str]:
    """So many requests through a gateway's port, from clients 0, 1, ...: how many got which answer."""
    found: Counter[str] = Counter()
    _run(_clients(port, iter(range(count)), connections, found))
    return found


@contextmanager
def flowing(port: int, *, connections: int = 8) -> Iterator[Counter[str]]:
    """Requests through a port, one after the other on each connection, while inside; the answers so far."""
    stop, found = Event(), Counter()
    numbers = itertools.takewhile(lambda _: not stop.is_set(), itertools.count())
    thread = Thread(target=_run, args=(_clients(port, numbers, connections, found),), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def _run(work: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


async def _clients(port: int, numbers: Iterator[int], connections: int, found: Counter[str]) -> None:
    await asyncio.gather(*(_client(port, numbers, found) for _ in range(connections)))


async def _client(port: int, numbers: Iterator[int], found: Counter[str]) -> None:
    """One connection, kept while the proxy keeps it."""
    stream = None
    for number in numbers:
        request = f"GET / HTTP/1.1\r\nHost: fleet\r\nX-Client: client-{number}\r\n\r\n".encode()
        for _ in range(2):
            kept = stream is not None
            try:
                stream = stream or await asyncio.open_connection("127.0.0.1", port)
                answer, keep = await asyncio.wait_for(_ask(*stream, request), _PATIENCE_S)
                again = False
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                # A kept connection may be closed by the other side just as a request sets out: then clients
                # send it once more (RFC 9112, 9.3.1).
                answer, keep = FAILED, False
                again = kept and not getattr(error, "partial", b"") and not isinstance(error, TimeoutError)
            if stream is not None and not keep:
                await _close(stream[1])
                stream = None
            if not again:
                break
        found[answer] += 1
    if stream is not None:
        await _close(stream[1])


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[str, bool]:
    """A region's name, or the status if it is another than 200; whether the connection stays."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    body = await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
    status = head.split()[1].decode()
    return body.decode() if status == "200" else status, b"\r\nconnection: close" not in head


def deviation(found: Counter[str], share: Iterable[float], regions: Iterable[str]) -> float:
    """The largest distance of a region's part of the answers to its share."""
    total = found.total()
    return max(abs(found[name] / total - part) for name, part in zip(regions, share, strict=True))


def table(
    shares: dict[str, list[float]], regions: list[str], *, version: int = 1, down: Iterable[str] = ()
) -> WeightTable:
    """Of one MW from each gateway, with room for all of it in each region that is not down."""
    share = np.array(list(shares.values()))
    return WeightTable(
        version=version,
        start=np.datetime64("2026-01-01T00:00:00"),
        seconds=3600.0,
        gateways=tuple(shares),
        regions=tuple(regions),
        share=share / share.sum(1, keepdims=True),
        demand=np.ones(len(shares)),
        capacity=np.array([0.0 if name in down else float(len(shares)) for name in regions]),
        reach=np.ones(share.shape, bool),
    )


def until(there: Callable[[], bool]) -> None:
    """Wait for something that is bound to come."""
    last = time.monotonic() + _PATIENCE_S
    while not there():
        assert time.monotonic() < last
        time.sleep(0.01)


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="eglb-", dir="/tmp") as name:
        yield Path(name)


class Proxy:
    """A proxy that runs: how it is started, and its process."""

    def __init__(self, command: list[str], ports: Iterable[int], log: Path) -> None:
        self._command, self._ports, self._log = command, list(ports), log

    def start(self) -> None:
        """Returns once it listens on all its ports, and on the sockets of its folder, which one before it may
        have left there.
        """
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        last = time.monotonic() + _PATIENCE_S
        places: list[tuple[int, Any]] = [(socket.AF_INET, ("127.0.0.1", port)) for port in self._ports]
        places += [(socket.AF_UNIX, str(path)) for path in self._log.parent.glob("*.sock")]
        for family, place in places:
            while True:
                with suppress(OSError), socket.socket(family) as end:
                    end.settimeout(1.0)
                    end.connect(place)
                    break
                assert self.process.poll() is None and time.monotonic() < last, self.log()
                time.sleep(0.01)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, if it runs; returns once it has ended."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        return self._log.read_text(errors="replace")


_FILES = {"haproxy": "haproxy.cfg", "nginx": "nginx.conf", "envoy": "envoy.yaml"}
_OPTIONS = {
    "haproxy": ("-W", "-db", "-f"),
    "nginx": ("-g", "daemon off;", "-c"),
    "envoy": ("--use-dynamic-base-id", "--log-level", "warning", "--concurrency", "2", "-c"),
}


@dataclass(frozen=True)
class Front:
    """A data plane and its proxy, which runs in front of regions."""

    plane: DataPlane
    proxy: Proxy
    ports: dict[str, int]
    folder: Path


@contextmanager
def in_front(kind: str, regions: list[str], gateways: list[str], **own: str) -> Iterator[Front]:
    """A proxy with its starting configuration in front of `regions`, while inside; `own` is of its table."""
    binary = find(kind)
    assert binary is not None
    with serving(regions) as addresses, short_folder() as folder:
        first, *free = free_ports(1 + len(gateways))
        ports = dict(zip(gateways, free, strict=True))
        usual = {
            "haproxy": {"socket": "haproxy.sock"},
            "nginx": {"status": f"127.0.0.1:{first}"},
            "envoy": {"admin": f"127.0.0.1:{first}"},
        }[kind]
        settings = {"folder": ".", **usual, **own}
        lines = ["[regions]", *(f'"{name}" = "{address}"' for name, address in addresses.items())]
        lines += ["[gateways]", *(f'"{name}" = {port}' for name, port in ports.items())]
        lines += [f"[{kind}]", *(f'{key} = "{value}"' for key, value in settings.items())]
        (folder / "data_plane.toml").write_text("\n".join(lines))
        (plane,) = read_data_planes(folder / "data_plane.toml", gateways, regions)
        write_starting_files([plane])
        command = [binary, *_OPTIONS[kind], str(folder / _FILES[kind])]
        proxy = Proxy(command, ports.values(), folder / "proxy.log")
        proxy.start()
        try:
            yield Front(plane, proxy, ports, folder)
        finally:
            proxy.stop()

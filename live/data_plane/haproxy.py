"""HAProxy: weights and health through its runtime API, while it runs.

Each gateway is a frontend with a backend of its own in which every region is a server, balanced by
``roundrobin``: of HAProxy's algorithms the one that takes new weights while it runs and spreads requests by
them as evenly as can be. Whether a region is well is known in one more backend, which every gateway's servers
track, so that one command takes it out everywhere.

Documentation: HAProxy 2.6 management guide, 9.3 (runtime API); configuration manual, 4.2 (``balance``), 5.2
(``track``, ``weight``).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from eglb.foundation.arrays import Array
from eglb.live.data_plane.plane import PATIENCE_S, DataPlane, PlaneError, apportion, write_aside
from eglb.live.data_plane.settings import DataPlaneSettings, HaProxySettings, host_port, label
from eglb.live.routing.weights import WeightTable

HEAVIEST = 256
"""The largest weight of a server."""
_HEALTH = "eglb-regions"  # no gateway's label has a hyphen
_LONGEST_LINE = 8000
"""Bytes of commands sent at once; HAProxy takes as many as its buffer of 16 kB holds."""
_FORCED = 1  # of the bits of srv_admin_state: maintenance that was asked for
_SHOWN = 3


@dataclass(frozen=True)
class _State:
    """Weights by backend and server; regions in maintenance."""

    weights: Mapping[tuple[str, str], int]
    out: Mapping[str, bool]


class HaProxy(DataPlane):
    """A HAProxy that is reached through its runtime socket."""

    name = "HAProxy"

    def __init__(self, settings: DataPlaneSettings, own: HaProxySettings) -> None:
        self._settings, self._own = settings, own
        self._kept = own.folder / "servers.state"

    def starting_files(self) -> dict[Path, str]:
        return {self._own.folder / "haproxy.cfg": "\n".join(self._configuration()) + "\n"}

    def enforce(self, table: WeightTable) -> bool:
        try:
            before, wanted = self._look()[0], _wanted(table)
            commands = list(_commands(before, wanted))
            said = [line for chunk in _chunks(commands) for line in self._tell(chunk).splitlines() if line]
            after, text = self._look() if commands else (before, "")
        except ConnectionResetError:  # as it answers commands that it does not allow
            raise PlaneError(f"at {self._own.socket}: breaks off; is it of level admin?") from None
        except OSError as error:
            raise PlaneError(f"at {self._own.socket}: {error.strerror or error}") from None
        if wrong := [*_differences(after, wanted)]:
            more = [f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
            raise PlaneError(*dict.fromkeys(said), *wrong[:_SHOWN], *more)
        if commands and self._is_here:
            try:
                write_aside(self._kept, text)
            except OSError as error:
                raise PlaneError(
                    f"{self._kept}: {error.strerror}: a restart will forget the weights"
                ) from None
        return bool(commands)

    @property
    def _is_here(self) -> bool:
        """Whether it runs on this machine, and reads a file of what it is to start with."""
        return "/" in self._own.socket

    def _look(self) -> tuple[_State, str]:
        """What is in force, and the text that says so."""
        text = self._tell("show servers state")
        if not text.startswith("1\n#"):
            raise PlaneError(
                f"at {self._own.socket}: the answer is not that of its runtime API: {text[:80]!r}"
            )
        weights, out = {}, {}
        for line in text.splitlines()[2:]:
            cells = line.split()
            if len(cells) > 7:
                backend, server, admin, weight = cells[1], cells[3], int(cells[6]), int(cells[7])
                if backend == _HEALTH:
                    out[server] = bool(admin & _FORCED)
                else:
                    weights[backend, server] = weight
        return _State(weights, out), text

    def _tell(self, line: str) -> str:
        """The answer to a line of commands; a connection each, so that a reload goes unnoticed."""
        place = self._own.socket
        here = self._is_here
        with (
            socket.socket(socket.AF_UNIX) if here else socket.create_connection(host_port(place), PATIENCE_S)
        ) as connection:
            if here:
                connection.settimeout(PATIENCE_S)
                connection.connect(place)
            connection.sendall(line.encode() + b"\n")
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace")

    def _configuration(self) -> Iterator[str]:
        settings, own = self._settings, self._own
        yield from (
            "global",
            f"    stats socket {own.socket}{' mode 600' if self._is_here else ''} level admin",
            f"    server-state-file {self._kept}",
            "defaults",
            "    mode http",
            "    balance roundrobin",
            "    option redispatch 1",
            "    retries 2",
            "    load-server-state-from-file global",
            "    timeout connect 2s",
            "    timeout client 60s",
            "    timeout server 60s",
            "    default-server init-addr last,libc,none",
            f"backend {_HEALTH}",
            "    default-server check inter 2s fall 2 rise 2",
        )
        if own.check:
            yield f"    option httpchk GET {own.check}"
        for name, address in settings.regions.items():
            yield f"    server {label(name)} {address}"
        for name, port in settings.gateways.items():
            yield f"frontend {label(name)}"
            yield f"    bind {settings.listen}:{port}"
            yield f"    default_backend {label(name)}"
            yield f"backend {label(name)}"
            for region, address in settings.regions.items():
                yield f"    server {label(region)} {address} track {_HEALTH}/{label(region)}"


def weights(share: Array) -> Array:
    """(N,) weights of 0 to 256 in proportion to (N,) shares, the largest near 256: as fine as they come.

    They add up to 256 or more, so that no share is off by 1/256 or more. A region of weight 0 gets nothing.
    """
    return apportion(share, int(HEAVIEST / share.max()))


def _wanted(table: WeightTable) -> _State:
    return _State(
        {
            (label(gateway), label(region)): int(weight)
            for gateway, row in zip(table.gateways, table.share, strict=True)
            for region, weight in zip(table.regions, weights(row), strict=True)
        },
        {label(region): not room > 0.0 for region, room in zip(table.regions, table.capacity, strict=True)},
    )


def _commands(now: _State, wanted: _State) -> Iterator[str]:
    """What to say, where it differs: more before less, so that a gateway never has nowhere to go."""
    for region, out in wanted.out.items():
        if not out and now.out.get(region):
            yield f"set server {_HEALTH}/{region} state ready"
    changed = {key: weight for key, weight in wanted.weights.items() if now.weights.get(key) != weight}
    for key in sorted(changed, key=lambda key: now.weights.get(key, 0) - changed[key]):
        yield f"set server {key[0]}/{key[1]} weight {changed[key]}"
    for region, out in wanted.out.items():
        if out and not now.out.get(region):
            yield f"set server {_HEALTH}/{region} state maint"


def _chunks(commands: list[str]) -> Iterator[str]:
    line = ""
    for command in commands:
        if line and len(line) + len(command) > _LONGEST_LINE:
            yield line
            line = ""
        line += f";{command}" if line else command
    if line:
        yield line


def _differences(now: _State, wanted: _State) -> Iterator[str]:
    for (backend, server), weight in wanted.weights.items():
        found = now.weights.get((backend, server))
        if found is None:
            yield f"has no server {backend}/{server}"
        elif found != weight:
            yield f"{backend}/{server} has weight {found}, not {weight}"
    for region, out in wanted.out.items():
        if now.out.get(region) is not out:
            yield f"{_HEALTH}/{region} is not {'in maintenance' if out else 'ready'}"

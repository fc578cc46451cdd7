"""Data plane, the interface: take the weights of a slot, and report how that went."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.live.routing.weights import WeightTable

PATIENCE_S = 5.0
"""How long a proxy may take to route by weights that it was given."""
_LOOK_EVERY_S = 0.01


@dataclass(frozen=True)
class Applied:
    """How long it took until the proxy was seen to route by a table, and what went wrong.

    `changed` is whether there was anything to do: a table that is in force already is left alone.
    """

    seconds: float
    problems: tuple[str, ...] = ()
    changed: bool = False


class DataPlane(ABC):
    """A proxy in front of the regions."""

    name: str

    @abstractmethod
    def starting_files(self) -> dict[Path, str]:
        """A whole configuration to start the proxy with, by file: even weights, until there is a table."""

    @abstractmethod
    def enforce(self, table: WeightTable) -> bool:
        """Make the proxy route by a table, and see that it does; whether there was anything to do.

        Raises
        ------
        PlaneError : it does not, with all that is wrong.
        """

    def apply(self, table: WeightTable) -> Applied:
        """Make the proxy route by a table. A proxy that is away or refuses is a problem, not an error."""
        begun = time.perf_counter()
        problems: tuple[str, ...] = ()
        try:
            changed = self.enforce(table)
        except PlaneError as error:
            changed, problems = True, tuple(f"{self.name}: {problem}" for problem in error.problems)
        return Applied(time.perf_counter() - begun, problems, changed)


class PlaneError(Exception):
    """A proxy does not route by the weights that it was given."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def apportion(share: Array, units: int) -> Array:
    """(N,) whole numbers that add up to `units` in proportion to (N,) shares: largest remainders.

    Each is less than one unit off, and none is given where the share is 0.
    """
    exact = share * units
    whole = np.floor(exact + 1e-9).astype(int)
    first = np.argsort(whole - exact, kind="stable")
    whole[first[: units - whole.sum()]] += 1
    return whole


def parts(table: WeightTable, units: int) -> dict[str, dict[str, int]]:
    """Whole parts of `units` by gateway and region, of those that get any."""
    return {
        gateway: {
            region: int(part)
            for region, part in zip(table.regions, apportion(row, units), strict=True)
            if part
        }
        for gateway, row in zip(table.gateways, table.share, strict=True)
    }


def even_parts(
    gateways: Mapping[str, int], regions: Mapping[str, str], units: int
) -> dict[str, dict[str, int]]:
    """The same for every region, before there is a table."""
    each = apportion(np.full(len(regions), 1.0 / len(regions)), units)
    return {gateway: {r: int(n) for r, n in zip(regions, each, strict=True) if n} for gateway in gateways}


def fingerprint(text: str) -> str:
    """Tells weights apart: what a proxy is asked back for."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_aside(path: Path, text: str) -> None:
    """Replace a file as a whole: readers see the old one or the new one. Watchers see a move."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def ask(address: str, path: str) -> bytes | None:
    """What a proxy answers on its own address, ``host:port``; nothing if it is away."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.read() if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def seen(there: Callable[[], bool], steadily_s: float = 0.0) -> bool:
    """Look until something was there at every look for so long; False once patience ends."""
    since = begun = time.monotonic()
    while True:
        now = time.monotonic()
        if not there():
            since = time.monotonic()
        elif now - since >= steadily_s:
            return True
        if now - begun > PATIENCE_S:
            return False
        time.sleep(_LOOK_EVERY_S)

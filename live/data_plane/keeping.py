"""Reconciliation of data planes: each is told of every table, and again when it has lost one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Condition, Thread
from typing import TYPE_CHECKING

import numpy as np

from eglb.live.data_plane.envoy import Envoy
from eglb.live.data_plane.haproxy import HaProxy
from eglb.live.data_plane.nginx import Nginx
from eglb.live.data_plane.plane import Applied, DataPlane, write_aside
from eglb.live.data_plane.settings import DataPlaneSettings, read_settings
from eglb.live.routing.weights import WeightTable

if TYPE_CHECKING:
    from eglb.live.routing.router import View

Report = Callable[[DataPlane, WeightTable, Applied], None]


def declared(settings: DataPlaneSettings) -> tuple[DataPlane, ...]:
    """The planes of a file."""
    found: list[DataPlane] = []
    if settings.haproxy is not None:
        found.append(HaProxy(settings, settings.haproxy))
    if settings.nginx is not None:
        found.append(Nginx(settings, settings.nginx))
    if settings.envoy is not None:
        found.append(Envoy(settings, settings.envoy))
    return tuple(found)


def read_data_planes(path: Path, gateways: Sequence[str], regions: Sequence[str]) -> tuple[DataPlane, ...]:
    """The planes that a file declares for the gateways and regions of a scenario.

    Raises
    ------
    InputError : with every problem of the file.
    """
    return declared(read_settings(path, gateways, regions))


def write_starting_files(planes: Iterable[DataPlane]) -> list[Path]:
    """Write whole configurations to start proxies with; their paths. Weights that are there already stay."""
    written = []
    for plane in planes:
        main, *weights = plane.starting_files().items()
        main[0].parent.mkdir(parents=True, exist_ok=True)
        for path, text in (main, *(each for each in weights if not each[0].exists())):
            write_aside(path, text)
            written.append(path)
    return written


def routed(view: View) -> WeightTable:
    """A table as the router goes by it now: around regions that are down, which have no capacity in it.

    A gateway that nobody up is in reach of keeps its shares; its requests fail at the proxy.
    """
    share = np.where((view.share > 0.0).any(1, keepdims=True), view.share, view.table.share)
    up = [name not in view.down for name in view.table.regions]
    return replace(view.table, share=share, capacity=np.where(up, view.table.capacity, 0.0))


class Keeping:
    """Planes kept at the last table that was published, each by a thread of its own.

    Every `every` seconds each is looked at, so that one that was restarted, or away when a table came, has it
    soon after. `report` is called from those threads with what changed and with problems when they change.
    """

    def __init__(self, planes: Iterable[DataPlane], report: Report, *, every: float = 1.0) -> None:
        self._report, self._every = report, every
        self._told = Condition()
        self._table: WeightTable | None = None
        self._ended = False
        self._threads = [
            Thread(target=self._keep, args=(plane,), name=f"data-plane-{plane.name}", daemon=True)
            for plane in planes
        ]

    def __enter__(self) -> Keeping:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._told:
            self._ended = True
            self._told.notify_all()
        for thread in self._threads:
            thread.join()

    def publish(self, table: WeightTable) -> None:
        """Have planes route by a table; returns at once."""
        with self._told:
            self._table = table
            self._told.notify_all()

    def _keep(self, plane: DataPlane) -> None:
        done: WeightTable | None = None
        problems: tuple[str, ...] = ()
        while True:
            with self._told:
                self._told.wait_for(lambda: self._ended or self._table is not done, self._every)  # noqa: B023
                if self._ended:
                    return
                table = self._table
            if table is None:
                continue
            applied = plane.apply(table)
            # A plane that is away has the same problem every time; one that took the table had a reason to.
            if table is not done or applied.problems != problems or (applied.changed and not problems):
                self._report(plane, table, applied)
            done, problems = table, applied.problems

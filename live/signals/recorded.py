"""Recorded series, replayed by the clock: a file, or the scenario's own."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import PrivateAttr

from eglb.foundation.arrays import Array
from eglb.live.signals.reading import Point
from eglb.live.signals.source import DAY_S, Place, Source
from eglb.live.signals.transport import Transport
from eglb.scenarios.folder.tables import Findings, open_table


class File(Source):
    """A table with a column ``time_utc`` and one per region, of CSV or Parquet, relative to the settings.

    Parameters
    ----------
    path : of the file. column : None for the one of the region's name.
    """

    source: Literal["file"]
    path: str
    column: str | None = None
    _times: Array = PrivateAttr()
    _values: Array = PrivateAttr()

    @property
    def name(self) -> str:
        return f"file {self.path}"

    def check(self, place: Place) -> list[tuple[str, str]]:
        column, findings = self.column or place.region, Findings()
        table = open_table(place.folder / self.path, ["time_utc", column], findings)
        if table is not None:
            times, values = table.times(findings), table.numbers([column], findings, blank=True)[:, 0]
            if times is not None:
                order = np.argsort(times, kind="stable")
                self._times, self._values = times[order], values[order]
        return super().check(place) + [("path", problem) for problem in findings.messages()]

    async def points(self, place: Place, now: np.datetime64, transport: Transport) -> list[Point]:
        return replayed(self._times, self._values, now)


class Recorded(Source):
    """The scenario's own series: what a signal is that the settings do not name."""

    source: Literal["scenario"]

    @property
    def name(self) -> str:
        return "scenario"

    async def points(self, place: Place, now: np.datetime64, transport: Transport) -> list[Point]:
        return replayed(place.times, place.recorded, now)


def replayed(times: Array, values: Array, now: np.datetime64) -> list[Point]:
    """What a series, sorted by time, has at `now` and a day before."""
    found = []
    for when in (now - np.timedelta64(DAY_S, "s"), now):
        last = int(np.searchsorted(times, when, side="right")) - 1
        if last >= 0 and np.isfinite(values[last]):
            found.append(Point(times[last], float(values[last])))
    return found

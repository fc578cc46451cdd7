"""Generic JSON and CSV services: the settings say where the number stands."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from eglb.live.signals.reading import Point, RefusedError
from eglb.live.signals.source import (
    Access,
    Number,
    Place,
    Source,
    When,
    filled,
    instant,
    json_of,
    secret,
    shaped,
)
from eglb.live.signals.transport import Query, Transport


class Plain(Access, Source):
    """An address, and how the key goes there.

    Parameters
    ----------
    url : ``{zone}``, ``{date}`` and ``{hour}`` in it are filled in.
    key_header, key_param : name of the header or of the parameter that carries the key.
    """

    url: str
    zone: str | None = None
    key_header: str | None = None
    key_param: str | None = None

    @property
    def name(self) -> str:
        zone = "" if self.zone is None else f" {self.zone}"
        return f"{self.query(self.url).host}{zone}"

    @property
    def address(self) -> tuple[str, str]:
        return "url", self.url.replace("{", "").replace("}", "")

    def check(self, place: Place) -> list[tuple[str, str]]:
        problems = [*super().check(place), *self.access_problems()]
        ways = sum(way is not None for way in (self.key_header, self.key_param))
        if ways != (self.key_env is not None):
            problems.append(("key_env", "goes with one of key_header and key_param, and these with it"))
        if "{zone}" in self.url and self.zone is None:
            problems.append(("zone", "is missing: url has {zone} in it"))
        return problems

    def question(self, now: np.datetime64) -> Query:
        """What is asked at `now`."""
        key = None if self.key_env is None else secret(self.key_env)
        return self.query(
            filled(self.url, self.zone or "", now),
            secret_headers=((self.key_header, key),) if self.key_header else (),
            secret_params=((self.key_param, key),) if self.key_param else (),
        )


class PlainJson(Plain):
    """JSON. A path is keys and positions with dots between them: ``"data.0.price"``.

    Parameters
    ----------
    value, time : paths to the number and to its time; to two lists of one length if there are many. Without
    a time, a value is of when it is asked for.
    series : path to a list of objects in which `value` and `time` are.
    zone_at : path to what must be `zone`.
    """

    source: Literal["json"]
    value: str
    time: str | None = None
    series: str | None = None
    zone_at: str | None = None

    def check(self, place: Place) -> list[tuple[str, str]]:
        problems = super().check(place)
        if self.zone_at is not None and self.zone is None:
            problems.append(("zone", "is missing: zone_at compares with it"))
        return problems

    async def points(self, place: Place, now: np.datetime64, transport: Transport) -> list[Point]:
        query = self.question(now)
        answer = json_of(await transport.get(query), query.host)
        if self.zone_at is not None and _at(answer, self.zone_at, query.host) != self.zone:
            raise RefusedError(f"{query.host}: the answer is not of zone {self.zone}")
        if self.series is None:
            rows = [answer]
        else:
            rows = shaped(list[Any], _at(answer, self.series, query.host), query.host)
        found: list[Point] = []
        for row in rows:
            values = _at(row, self.value, query.host)
            times = None if self.time is None else _at(row, self.time, query.host)
            if not isinstance(values, list):
                values, times = [values], [times]
            elif not isinstance(times, list) or len(times) != len(values):
                raise RefusedError(f"{query.host}: {self.value} and {self.time} are not lists of one length")
            for value, time in zip(values, times, strict=True):
                if value is not None:
                    at = now if self.time is None else instant(shaped(When, time, query.host))
                    found.append(Point(at, shaped(Number, value, query.host)))
        return found


class PlainCsv(Plain):
    """CSV with a row of headings. Column `value`, or of the zone's or region's name, at times in `time`."""

    source: Literal["csv"]
    value: str | None = None
    time: str = "time_utc"

    async def points(self, place: Place, now: np.datetime64, transport: Transport) -> list[Point]:
        query = self.question(now)
        try:
            text = (await transport.get(query)).decode("utf-8-sig")
            rows = list(csv.reader(text.splitlines(), strict=True))
        except (ValueError, csv.Error):
            raise RefusedError(f"{query.host}: the answer is not CSV") from None
        headings = [heading.strip() for heading in rows[0]] if rows else []
        column = self.value or self.zone or place.region
        if missing := [name for name in (self.time, column) if name not in headings]:
            raise RefusedError(f"{query.host}: the answer is no table with a column {missing[0]}")
        return list(_cells(rows[1:], headings.index(self.time), headings.index(column), query.host))


_WHEN: TypeAdapter[Any] = TypeAdapter(When)


def _cells(rows: list[list[str]], time: int, value: int, host: str) -> Iterable[Point]:
    """The rows that have a value."""
    for number, row in enumerate(rows, start=2):
        if not any(row):
            continue
        try:
            if row[value].strip():
                yield Point(instant(_WHEN.validate_python(row[time].strip())), float(row[value]))
        except (IndexError, ValueError, ValidationError):
            raise RefusedError(f"{host}: row {number} of the table is not a time and a number") from None


def _at(answer: Any, path: str, host: str) -> Any:
    """What stands at `path`."""
    for step in path.split("."):
        try:
            answer = answer[int(step)] if isinstance(answer, list) else answer[step]
        except (KeyError, IndexError, ValueError, TypeError):
            raise RefusedError(f"{host}: the answer has nothing at {path}") from None
    return answer

"""Signal reader: all signals of a slot, read together before a deadline."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

import numpy as np

from eglb.live.signals.memory import Memory
from eglb.live.signals.reading import Point, Reading, RefusedError, UnreachableError
from eglb.live.signals.source import Place, Source
from eglb.live.signals.transport import Transport

log = logging.getLogger(__name__)

AHEAD_S = 900
"""A value may be of so much later than the clock: clocks differ, and forecasts start in some minutes."""
Outcome = Literal["ok", "refused", "unreachable", "late", "failed"]


@dataclass(frozen=True, eq=False)
class Wired:
    """A signal: where it is of, who is asked, and what is remembered of it."""

    place: Place
    source: Source
    scale: float
    memory: Memory

    @property
    def key(self) -> tuple[str, str]:
        """Kind and region."""
        return self.place.kind, self.place.region


class Signals:
    """Reads all signals of a fleet, in one thread, such as the controller's. Close it, or use it in ``with``.

    `counts` has how often each outcome was, by kind and region.
    """

    def __init__(self, wired: Sequence[Wired]) -> None:
        self._wired = {each.key: each for each in wired}
        self._runner = asyncio.Runner()
        self._transport: Transport | None = None
        self.counts: Counter[tuple[str, str, Outcome]] = Counter()
        self._outcome: dict[tuple[str, str], Outcome] = {}
        self.silenced: dict[tuple[str, str], str] = {}
        """Signals that are taken to be out of reach, and why: for rehearsals."""

    def __enter__(self) -> Signals:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._runner.run(self._transport.aclose())
            self._transport = None
        self._runner.close()

    def read_all(self, now: np.datetime64, deadline_s: float) -> dict[tuple[str, str], Reading]:
        """What every kind and region is at `now`, UTC; never later than `deadline_s` real seconds.

        Where there is no answer to be believed, a fallback stands in and the reading says so.
        """
        return self._runner.run(self._read_all(now.astype("datetime64[s]"), deadline_s))

    def remember(self, kind: str, region: str, at: np.datetime64, value: float) -> None:
        """Tell what a signal was, in the unit of its readings, as a restarted service does."""
        at = at.astype("datetime64[s]")
        self._wired[kind, region].memory.learn([Point(at, value)], at)

    async def _read_all(self, now: np.datetime64, deadline_s: float) -> dict[tuple[str, str], Reading]:
        if self._transport is None:
            self._transport = Transport()
        self._transport.begin_slot()
        tasks = {key: asyncio.create_task(self._read(each, now)) for key, each in self._wired.items()}
        _, pending = await asyncio.wait(tasks.values(), timeout=deadline_s)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        await self._transport.end_slot()
        late = f"no answer within the {deadline_s:g} s of a slot"
        return {
            key: self._stand_in(self._wired[key], now, "late", late) if task in pending else task.result()
            for key, task in tasks.items()
        }

    async def _read(self, each: Wired, now: np.datetime64) -> Reading:
        assert self._transport is not None
        try:
            if (why := self.silenced.get(each.key)) is not None:
                raise UnreachableError(why)
            points = await each.source.points(each.place, now, self._transport)
            return self._believe(each, points, now)
        except RefusedError as error:
            return self._stand_in(each, now, "refused", str(error))
        except UnreachableError as error:
            return self._stand_in(each, now, "unreachable", str(error))
        except Exception as error:
            # A slot is never lost to one source; what an unforeseen error says might quote a key.
            return self._stand_in(each, now, "failed", f"cannot be read ({type(error).__name__})")

    def _believe(self, each: Wired, points: list[Point], now: np.datetime64) -> Reading:
        """The point that holds at `now`, if all is well with it."""
        place, source = each.place, each.source
        scaled = [Point(point.at, point.value * each.scale, point.note) for point in points]
        for point in scaled:
            _check_value(point.value, place, source)
        if not scaled:
            raise RefusedError(f"{source.name}: the answer holds no value")
        ahead = now + np.timedelta64(AHEAD_S, "s")
        past = [point for point in scaled if point.at <= now]
        coming = [point for point in scaled if now < point.at <= ahead]
        each.memory.learn(past, now)
        if past:
            chosen = max(past, key=lambda point: point.at)
        elif coming:
            chosen = min(coming, key=lambda point: point.at)
        else:
            first = min(point.at for point in scaled)
            raise RefusedError(f"{source.name}: the answer is of {first}Z, which is still to come")
        age_s = _age_s(chosen.at, now)
        if age_s > source.max_age_s:
            raise RefusedError(f"{source.name}: the answer is of {chosen.at}Z, {age_s / 3600.0:.1f} h old")
        each.memory.hold(chosen, now)
        self._count(each, "ok")
        made_of = [chosen.note, _conversion(each)]
        said = self._said(", ".join(filter(None, [source.name, *made_of])))
        return Reading(chosen.value, place.unit, chosen.at, said, age_s, None, True)

    def _stand_in(self, each: Wired, now: np.datetime64, outcome: Outcome, problem: str) -> Reading:
        place, source = each.place, each.source
        problem = self._said(problem)
        found = each.memory.stand_in(source.fallback, now, source.hold_s)
        if self._count(each, outcome):
            what = "nothing" if found is None else found[0]
            log.warning("%s of %s: %s; %s stands in", place.kind, place.region, problem, what)
        if found is None:
            return Reading(float("nan"), place.unit, None, source.name, None, None, False, problem)
        fallback, value, at = found
        age_s = None if at is None else _age_s(at, now)
        return Reading(value, place.unit, at, source.name, age_s, fallback, False, problem)

    def _count(self, each: Wired, outcome: Outcome) -> bool:
        """Whether the outcome is another one than last time."""
        before = self._outcome.get(each.key)
        self._outcome[each.key] = outcome
        self.counts[*each.key, outcome] += 1
        return outcome != before

    def _said(self, text: str) -> str:
        assert self._transport is not None
        return self._transport.scrub(text)


def _age_s(at: np.datetime64, now: np.datetime64) -> float:
    return max(0.0, float((now - at) / np.timedelta64(1, "s")))


def _check_value(value: float, place: Place, source: Source) -> None:
    if not np.isfinite(value):
        raise RefusedError(f"{source.name}: the answer is no number")
    if value < 0.0 and place.kind != "price":
        raise RefusedError(f"{source.name}: the answer is below zero: {value:g} {place.unit}")
    if source.at_most is not None and value > source.at_most:
        raise RefusedError(f"{source.name}: {value:g} {place.unit} is more than at_most")


def _conversion(each: Wired) -> str:
    """``gCO2eq/kWh x 0.001`` where a value was converted."""
    if each.scale == 1.0:
        return ""
    return f"{each.source.unit or each.source.usual_unit(each.place)} x {each.scale:.6g}"

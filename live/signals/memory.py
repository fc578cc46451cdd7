"""Last known values: what stands in for a signal that does not answer."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from eglb.live.signals.reading import Fallback, Point

_KEPT = np.timedelta64(26, "h")
_DAY, _HOUR = np.timedelta64(24, "h"), "datetime64[h]"


class Memory:
    """Of one signal: its last value, those of the last day by the hour, and its mean."""

    def __init__(self, annual_mean: float) -> None:
        self.annual_mean = annual_mean
        self._last: Point | None = None
        self._hours: dict[np.datetime64, Point] = {}

    def learn(self, points: Iterable[Point], now: np.datetime64) -> None:
        """Keep what is known of the past."""
        for point in points:
            if point.at <= now and (self._last is None or point.at >= self._last.at):
                self._last = point
            if now - _KEPT <= point.at <= now:
                self._hours[point.at.astype(_HOUR)] = point
        for hour in [hour for hour in self._hours if hour < (now - _KEPT).astype(_HOUR)]:
            del self._hours[hour]

    def hold(self, point: Point, now: np.datetime64) -> None:
        """What was taken for `now`: it may be of an hour before, or of the next minutes."""
        if self._last is None or point.at >= self._last.at:
            self._last = point
        self._hours.setdefault(now.astype(_HOUR), point)

    def stand_in(
        self, order: Iterable[Fallback], now: np.datetime64, hold_s: float
    ) -> tuple[Fallback, float, np.datetime64 | None] | None:
        """The first of `order` that there is: which, its value, and what time that is of."""
        for fallback in order:
            if fallback == "annual mean":
                if np.isfinite(self.annual_mean):
                    return fallback, self.annual_mean, None
                continue
            if fallback == "last value":
                point = self._last
                if point is not None and now - point.at > np.timedelta64(round(hold_s), "s"):
                    point = None
            else:
                point = self._hours.get((now - _DAY).astype(_HOUR))
            if point is not None:
                return fallback, point.value, point.at
        return None

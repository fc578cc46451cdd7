"""Clock of a service: real time, or time that runs faster, for rehearsals."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

_LONGEST_S = 60.0
"""So often a wait looks at the clock again, which may have been set."""


class Clock:
    """Runs `speed` times as fast as real time, and showed `start` at the real time `origin`.

    Whoever knows these three goes on where another process left off, so a service that starts again is in the
    slot it would be in had it never stopped.

    Parameters
    ----------
    start : UTC. speed : infinite for a clock that stands still but for `wait_until`, which then takes no
    time.
    origin : seconds since 1970; None is now.
    """

    def __init__(self, start: np.datetime64, speed: float = 1.0, origin: float | None = None) -> None:
        self.start = start.astype("datetime64[ms]")
        self.speed = speed
        self.origin = time.time() if origin is None else origin
        self._reached = self.start

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Clock:
        """The one that `told` is about."""
        speed = math.inf if told["speed"] is None else told["speed"]
        return cls(np.datetime64(told["start"]), speed, told["origin"])

    def told(self) -> dict[str, Any]:
        """What another process has to know to have the same time, as JSON; of a clock that stands still, as
        of now.
        """
        endless = math.isinf(self.speed)
        start = self._reached if endless else self.start
        return {"start": f"{start}", "origin": self.origin, "speed": None if endless else self.speed}

    def now(self) -> np.datetime64:
        """UTC, datetime64[ms]."""
        if math.isinf(self.speed):
            return self._reached
        passed_ms = (time.time() - self.origin) * self.speed * 1e3
        return np.datetime64(self.start + np.timedelta64(math.floor(passed_ms), "ms"))

    def wait_until(self, moment: np.datetime64, wake: threading.Event) -> bool:
        """Wait until `moment`, or until `wake` is set; whether it is that time."""
        moment = moment.astype("datetime64[ms]")
        if math.isinf(self.speed):
            if not wake.is_set():
                self._reached = max(self._reached, moment)
            return bool(self._reached >= moment)
        while (left_s := self._real(moment - self.now())) > 0.0:
            if wake.wait(min(left_s, _LONGEST_S)):
                break
        return bool(self.now() >= moment)

    def passed(self, moment: np.datetime64) -> float:
        """Real seconds since `moment`; 0 before it."""
        return max(0.0, -self._real(moment.astype("datetime64[ms]") - self.now()))

    def real_seconds(self, seconds: float) -> float:
        """How long so many seconds on this clock take; infinite for one that stands still."""
        return math.inf if math.isinf(self.speed) else seconds / self.speed

    def _real(self, span: np.timedelta64) -> float:
        return float(span / np.timedelta64(1, "ms")) / 1e3 / self.speed

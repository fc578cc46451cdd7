"""By which shares requests have gone, since when: more than one table may have been in force in a slot."""

from __future__ import annotations

from collections import deque

import numpy as np

Array = np.ndarray


class Course:
    """Shares (J, N) in the order in which they came into force."""

    def __init__(self) -> None:
        self._turns: deque[tuple[np.datetime64, Array]] = deque()

    def turn(self, since: np.datetime64, share: Array) -> None:
        """Requests go by `share` from now on."""
        self._turns.append((since.astype("datetime64[ms]"), share))

    def mean(self, start: np.datetime64, end: np.datetime64) -> Array:
        """(J, N) the mean over time; before the first turn its shares count."""
        start, end = start.astype("datetime64[ms]"), end.astype("datetime64[ms]")
        total = np.zeros_like(self._turns[0][1])
        times = [time for time, _ in self._turns]
        for q, (_, share) in enumerate(self._turns):
            since = start if q == 0 else max(times[q], start)
            until = end if q + 1 == len(times) else min(times[q + 1], end)
            if until > since:
                total += share * float((until - since) / (end - start))
        return total

    def forget(self, before: np.datetime64) -> None:
        """Nobody will ask about times before this."""
        while len(self._turns) > 1 and self._turns[1][0] <= before:
            self._turns.popleft()

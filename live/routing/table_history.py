"""History of weight tables: the shares and jobs that were in force, and since when."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from eglb.foundation.arrays import Array
from eglb.live.routing.weights import WeightTable


class TableHistory:
    """Tables in the order in which they came into force."""

    def __init__(self) -> None:
        self._turns: deque[tuple[np.datetime64, WeightTable]] = deque()

    def turn(self, since: np.datetime64, table: WeightTable) -> None:
        """What is done goes by `table` from now on."""
        self._turns.append((since.astype("datetime64[ms]"), table))

    def share(self, start: np.datetime64, end: np.datetime64) -> Array:
        """(J, N) the mean over time of the shares; before the first turn its shares count."""
        mean = np.zeros_like(self._turns[0][1].share)
        for part, table in self._within(start, end):
            mean += part * table.share
        return mean

    def work(self, start: np.datetime64, end: np.datetime64) -> dict[str, Array]:
        """(N,) MW the mean over the time of a slot of what each job had."""
        mean: dict[str, Array] = {}
        for part, table in self._within(start, end):
            for name, load in zip(table.jobs, table.work_in(start), strict=True):
                mean[name] = mean.get(name, 0.0) + part * load
        return mean

    def forget(self, before: np.datetime64) -> None:
        """Nobody will ask about times before this."""
        while len(self._turns) > 1 and self._turns[1][0] <= before:
            self._turns.popleft()

    def _within(self, start: np.datetime64, end: np.datetime64) -> Iterator[tuple[float, WeightTable]]:
        """The part of a time that each table was in force."""
        start, end = start.astype("datetime64[ms]"), end.astype("datetime64[ms]")
        turns = list(self._turns)  # a plan is made in another thread
        times = [time for time, _ in turns]
        for q, (_, table) in enumerate(turns):
            since = start if q == 0 else max(times[q], start)
            until = end if q + 1 == len(times) else min(times[q + 1], end)
            if until > since:
                yield float((until - since) / (end - start)), table

"""Running certificate of a service: its cost so far against the best plan of the metered slots."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from itertools import groupby

import numpy as np

from eglb.agents.forecasting import NoForecast
from eglb.coordinator.online.running_certificate import Standing
from eglb.live.accounting.periods import Periods
from eglb.live.accounting.series import Series
from eglb.live.accounting.settlement import Settled
from eglb.live.loop.planner import Planner

_HISTORY = 300


class ServiceCertificate:
    """Asks for the running certificate of settled slots, and gathers it when it is ready.

    Parameters
    ----------
    since : slots before this one are left out: they are of periods that ended before a restart.
    """

    def __init__(self, series: Series, periods: Periods, planner: Planner, since: int) -> None:
        self._series, self._periods, self._planner = series, periods, planner
        self._since = since
        self._asked: deque[tuple[int, Future[Standing]]] = deque()
        self._standings: dict[int, tuple[int, Standing]] = {}
        self.history: list[tuple[np.datetime64, float]] = []
        """Gaps by slot; the older, the fewer."""
        self.problem = ""
        """Why the last one failed, if it did."""

    def ask(self, settled: Iterable[Settled]) -> None:
        """Slots that follow on each other have been settled."""
        wanted = [each for each in settled if each.slot >= self._since]
        for (first, last), group in groupby(wanted, lambda each: self._periods.of(each.slot)):
            slots = list(group)
            if slots[0].slot == first:
                self._planner.begin_period(self._series.begun + first)
                self._ask(slots, last)
            else:
                for each in slots:
                    self._ask([each], last)

    def collect(self, wait: bool) -> None:
        """Take what is ready, or all that was asked for."""
        while self._asked and (wait or self._asked[0][1].done()):
            slot, future = self._asked.popleft()
            try:
                standing = future.result()
            except Exception as error:  # a service goes on without a certificate
                self.problem = str(error) or type(error).__name__
                continue
            self._standings[self._periods.of(slot)[0]] = slot, standing
            self.history.append((self._periods.time(slot), _gap(standing)))
            if len(self.history) > _HISTORY:
                del self.history[1:-1:2]

    @property
    def latest(self) -> tuple[Standing, float] | None:
        """Of the newest period, and the gap; None before the first."""
        if not self._standings:
            return None
        _, standing = self._standings[max(self._standings)]
        return standing, _gap(standing)

    @property
    def total_gap(self) -> float | None:
        """Of all periods together; None before the first slot was metered."""
        found = [standing for _, standing in self._standings.values()]
        if not found:
            return None
        return _gap(Standing(sum(each.objective for each in found), sum(each.lower_bound for each in found)))

    def _ask(self, settled: list[Settled], last: int) -> None:
        begun, slot = self._series.begun, settled[-1].slot
        nothing = NoForecast()
        future = self._planner.certify(
            self._series.timeline(begun + slot, 0, nothing, None),
            self._series.demand_series(begun + slot, nothing, None),
            range(begun + settled[0].slot, begun + slot + 1),
            np.stack([each.load for each in settled], axis=1),
            slot == last,
        )
        self._asked.append((slot, future))


def _gap(standing: Standing) -> float:
    return max(standing.objective - standing.lower_bound, 0.0) / max(abs(standing.objective), 1e-300)

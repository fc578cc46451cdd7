"""Requests about jobs: submission, withdrawal and status, for the HTTP endpoints."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from eglb.live.jobs.board import JobBoard
from eglb.live.jobs.intake import Intake, JobsRefused
from eglb.live.routing.router import Router, UnknownName
from eglb.live.routing.weights import WeightTable
from eglb.live.storage.job_store import OPEN, WITHDRAWN, JobStore
from eglb.live.storage.store import NoBooks, Store, StoreError

_SHOWN = 50


class JobRequests:
    """What a service is asked about jobs; any thread may call it.

    Parameters
    ----------
    regions : names. store : where books are, None if none are kept. now : the time of the service.
    slots : the start of a slot and how long slots are. tell : called whenever jobs have changed.

    Raises
    ------
    NoBooks : by every method that does not say otherwise, where none are kept. StoreError : they cannot be
    read or written.
    """

    def __init__(
        self,
        regions: tuple[str, ...],
        router: Router,
        store: Callable[[], Store | None],
        now: Callable[[], np.datetime64],
        slots: Callable[[], tuple[np.datetime64, np.timedelta64]],
        tell: Callable[[], None],
    ) -> None:
        self._regions, self._router, self._books = regions, router, store
        self._now, self._slots, self._tell = now, slots, tell
        self._submitting = threading.Lock()
        self.changes = 0
        """Counts up when jobs are handed in or withdrawn."""

    def submit(self, asked: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
        """Take jobs in, see `Intake.submit`; names that are new, and that were known.

        Raises
        ------
        JobsRefused : something is wrong with one of them; none is kept.
        """
        store, board = self._store(), self._board()
        intake = Intake(self._regions, self._now().astype("datetime64[s]"), board.next_slot, board.step)
        with self._submitting:
            told = intake.submit(store, asked)
        self._changed()
        return told

    def withdraw(self, name: str) -> dict[str, str]:
        """Do no more of a job, from the next slot on; what is said of that.

        Raises
        ------
        UnknownName : there is no such job. JobsRefused : it has ended.
        """
        store = self._store()
        if not store.withdraw(name):
            self.know([name])
            (known,) = store.jobs(names=[name])
            raise JobsRefused([(409, f"job {name} has ended: it is {known.state}")])
        self._changed()
        return {"job": name, "state": WITHDRAWN, "from_utc": f"{self._board().next_slot}Z"}

    def know(self, names: Sequence[str]) -> None:
        """Nothing, if there are jobs by all these names.

        Raises
        ------
        UnknownName : there are not.
        """
        if not names:
            return
        strange = set(names) - {job.name for job in self._store().jobs(names=names)}
        if strange:
            raise UnknownName(f"no job is called {min(strange)!a}")

    def answer(self, states: Sequence[str], limit: int) -> dict[str, Any]:
        """Jobs in some states, the soonest deadline first, and the table that their power is of."""
        return self._board().answer(self._store().jobs(states, limit=limit + 1), limit)

    def explain(self, name: str) -> dict[str, Any]:
        """One job, and in words how it stands.

        Raises
        ------
        UnknownName : there is no such job.
        """
        self.know([name])
        (job,), board = self._store().jobs(names=[name]), self._board()
        return {"about": board.row(job), "reasons": board.reasons(job)}

    def counts(self) -> dict[str, int]:
        """How many there are by state; empty where there are no books, or they cannot be read."""
        try:
            return self._store().counts()
        except (NoBooks, StoreError):
            return {}

    def shown(self) -> dict[str, Any] | None:
        """What a dashboard shows; None where there are no books, or they cannot be read."""
        try:
            store = self._store()
            return {"counts": store.counts(), "open": self.answer(OPEN, _SHOWN)["jobs"]}
        except (NoBooks, StoreError):
            return None

    def _changed(self) -> None:
        self.changes += 1
        self._tell()

    def _store(self) -> JobStore:
        if (books := self._books()) is None:
            raise NoBooks("this service keeps no books")
        return JobStore(books)

    def _board(self) -> JobBoard:
        first, step = self._slots()
        begun = (self._now().astype("datetime64[s]") - first) // step
        return JobBoard(self._router.table, self._router.down(), first + (begun + 1) * step, step)


def work_rows(table: WeightTable) -> list[dict[str, Any]]:
    """MW by job and region."""
    work = table.work_in(table.start)
    return [
        {"job": table.jobs[m], "region": table.regions[i], "mw": float(work[m, i])}
        for m, i in np.argwhere(work > 0.0)
    ]

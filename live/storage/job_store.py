"""Store of jobs: what was submitted, what became of it, and what was done when."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sql

from eglb.live.storage import schema
from eglb.live.storage.store import Store, from_seconds, to_seconds

SUBMITTED, ADMITTED = "submitted", "admitted"
REFUSED, DONE, MISSED, WITHDRAWN = "refused", "done", "missed", "withdrawn"
STATES = (SUBMITTED, ADMITTED, REFUSED, DONE, MISSED, WITHDRAWN)
OPEN = (SUBMITTED, ADMITTED)
"""States of jobs that something is still to become of."""


@dataclass(frozen=True)
class Job:
    """One job, see `eglb.scenarios.jobs.Jobs`; `release` and `deadline` are datetime64[s], UTC.

    `state` is one of `STATES`, `why` says why it was refused or missed. `left_mwh` of IT energy are not done
    yet.
    """

    name: str
    release: np.datetime64
    deadline: np.datetime64
    energy_mwh: float
    max_mw: float
    min_mw: float
    regions: tuple[str, ...]
    home: str | None = None
    checkpoint_cost_mwh: float = 0.0
    state: str = SUBMITTED
    why: str = ""
    left_mwh: float = np.nan

    def same(self, other: Job) -> bool:
        """Whether both ask for the same, whatever has become of it."""
        return self == replace(other, state=self.state, why=self.why, left_mwh=self.left_mwh)


class Done(NamedTuple):
    """A job had `mw` of IT power in a region in a slot."""

    slot: np.datetime64
    job: str
    region: str
    mw: float


class JobStore:
    """The tables ``jobs`` and ``work`` of a store; any thread may call it, and two processes at once do.

    Raises
    ------
    StoreError : by every method, when the store cannot be read or written.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def submit(self, jobs: Sequence[Job]) -> tuple[list[str], list[str]]:
        """Take jobs in, or none of them: names that are new, and names that ask for something else than a job
        that is known by the same name; then nothing is taken in.
        """
        known = {each.name: each for each in self.jobs(names=[job.name for job in jobs])}
        others = [job.name for job in jobs if job.name in known and not job.same(known[job.name])]
        fresh = [] if others else [job for job in jobs if job.name not in known]
        self._store.upsert(schema.jobs, [_row(replace(job, left_mwh=job.energy_mwh)) for job in fresh])
        return [job.name for job in fresh], others

    def jobs(
        self, states: Sequence[str] = STATES, names: Sequence[str] | None = None, limit: int | None = None
    ) -> list[Job]:
        """Those in some states, the soonest deadline first."""
        table = schema.jobs
        query = sql.select(table).where(table.c.state.in_(states)).limit(limit)
        if names is not None:
            query = query.where(table.c.name.in_(names))
        rows = self._store.rows(query.order_by(table.c.deadline, table.c.name))
        return [_job(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many there are, by state."""
        state = schema.jobs.c.state
        found = dict.fromkeys(STATES, 0)
        query = sql.select(state, sql.func.count()).group_by(state)
        return found | {row[0]: row[1] for row in self._store.rows(query)}

    def turn(self, jobs: Iterable[Job]) -> None:
        """Keep state, reason and what is left of jobs; those that were withdrawn meanwhile stay so."""
        table = schema.jobs
        kept = ("state", "why", "left_mwh")
        update = (
            sql.update(table)
            .where(table.c.name == sql.bindparam("of"), table.c.state != WITHDRAWN)
            .values({name: sql.bindparam(f"new_{name}") for name in kept})
        )
        rows = [{"of": job.name, **{f"new_{name}": getattr(job, name) for name in kept}} for job in jobs]
        if rows:
            self._store.execute(update, rows)

    def withdraw(self, name: str) -> bool:
        """Do no more of a job; whether there was one that was still open."""
        table = schema.jobs
        update = sql.update(table).where(table.c.name == name, table.c.state.in_(OPEN))
        return self._store.execute(update.values(state=WITHDRAWN, why="")) > 0

    def save_work(self, done: Iterable[Done]) -> None:
        """Keep what was done."""
        rows = [{**each._asdict(), "slot": to_seconds(each.slot)} for each in done]
        self._store.upsert(schema.work, rows)

    def work(self, since: np.datetime64, until: np.datetime64) -> list[Done]:
        """What was done in the slots from `since` on and before `until`."""
        w = schema.work.c
        a, b = to_seconds(since), to_seconds(until)
        rows = self._store.rows(
            sql.select(w.slot, w.job, w.region, w.mw).where(w.slot >= a, w.slot < b).order_by(w.slot, w.job)
        )
        return [Done(from_seconds(slot), job, region, mw) for slot, job, region, mw in rows]

    def work_by_region(self, since: np.datetime64, until: np.datetime64) -> dict[str, float]:
        """The sum of MW over these slots, as far as jobs ran."""
        w = schema.work.c
        a, b = to_seconds(since), to_seconds(until)
        query = sql.select(w.region, sql.func.sum(w.mw)).where(w.slot >= a, w.slot < b).group_by(w.region)
        return {region: float(mw) for region, mw in self._store.rows(query)}


def _row(job: Job) -> dict[str, Any]:
    times = {name: to_seconds(getattr(job, name)) for name in ("release", "deadline")}
    return {**vars(job), **times, "regions": json.dumps(job.regions)}


def _job(row: Any) -> Job:
    told = dict(row._mapping)
    times = {name: from_seconds(told[name]) for name in ("release", "deadline")}
    return Job(**{**told, **times, "regions": tuple(json.loads(told["regions"]))})

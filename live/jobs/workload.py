"""Job life cycle: from submission to the end, what is left of each job and what runs in a slot.

A job becomes known by the store, is admitted or refused before the first slot that it may run in, see
`eglb.coordinator.online.backlog`, and is done when meters, or the tables that were in force, say so.
Everything is in the store, so that a service which starts again knows the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eglb.coordinator.market.jobs import JobSet
from eglb.coordinator.market.market import Market
from eglb.coordinator.online.backlog import ROUNDING, Backlog
from eglb.foundation.arrays import Array
from eglb.live.accounting.periods import Periods
from eglb.live.accounting.series import Series
from eglb.live.jobs.slot_backlog import SlotBacklog, WorkInForce
from eglb.live.storage.job_store import ADMITTED, DONE, MISSED, OPEN, REFUSED, SUBMITTED, Done, Job, JobStore
from eglb.live.storage.store import Event, Store
from eglb.planning.job_columns import Columns, ways_of
from eglb.scenarios.jobs import Jobs
from eglb.scenarios.scenario import Scenario

_HISTORY_H = 4 * 7 * 24.0
_GRACE = 0.01
"""Of a slot at its most power: a job that lacks no more than that at its deadline is done right after it. So
long may pass in a slot before it has its table."""
_SETTLED = "work"
"""Note of the store: the start of the first slot that is not accounted for."""


@dataclass(frozen=True, eq=False)
class Placement:
    """Slots `first` to `last` of a job, its columns in the market, and `gain` (N,) MW of load for a MW of
    work, NaN where it may not run.
    """

    first: int
    last: int
    columns: tuple[int, ...]
    way_gain: tuple[float, ...]
    gain: Array


class Workload:
    """The jobs of one service.

    Parameters
    ----------
    series, periods : of the service; jobs are in no gateway of the series' market.
    promised : (D, J') MW that gateways may ask for at most in the slots of a day, counted from the first of
        the series.
    plans : whether the policy decides when jobs run; if not, they are refused.
    """

    def __init__(
        self, series: Series, periods: Periods, store: Store, promised: Array, plans: bool = True
    ) -> None:
        self._series, self._periods, self._store = series, periods, store
        self._jobs, self._promised, self._plans = JobStore(store), promised, plans
        self._columns = Columns(series.parts.market.gateways)
        self._market = series.parts.market
        self._placements: dict[str, Placement] = {}
        self._open: dict[str, Job] = {}
        self._ended: dict[str, Job] = {}
        """Jobs that were admitted, up to a day after the first slot that they could run in."""
        self._ran: dict[int, Array] = {}
        """(N,) MW that jobs had in the slots in which any ran."""
        self._done: dict[str, dict[int, float]] = defaultdict(dict)
        """MWh of work by the tables, by job and slot."""
        self._load = np.zeros((0, self._market.gateways))
        self.settled = 0
        """Slots before this one are accounted for."""
        self._forced: set[int] = set()
        """Slots in which more had to run than the policy wanted, since this process began."""

    @property
    def known(self) -> bool:
        """Whether there are jobs, or were."""
        return bool(self._placements)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take in the jobs that a scenario has.

        Raises
        ------
        StoreError : they cannot be kept.
        """
        self._jobs.submit(jobs)

    def summary(self) -> dict[str, Any]:
        """How many jobs there are, by state, who was refused or missed, and the MWh that were done."""
        jobs = self._jobs.jobs()
        return {
            **self._jobs.counts(),
            "energy_mwh": sum(
                job.energy_mwh - job.left_mwh for job in jobs if job.state not in (SUBMITTED, REFUSED)
            ),
            **{
                f"{state}_names": sorted(job.name for job in jobs if job.state == state)
                for state in (REFUSED, MISSED)
            },
            "forced_slots": len(self._forced),
        }

    def resume(self, now: int) -> None:
        """Know again what was done before slot `now`, and by which jobs.

        Raises
        ------
        StoreError : the store cannot be read.
        """
        kept = self._store.note(_SETTLED)
        self.settled = now if kept is None else min(self._periods.slot_at(np.datetime64(kept)), now)
        since = now - round(_HISTORY_H * 3600.0 / self._periods.slot_seconds)
        rows = self._jobs.work(self._periods.time(since), self._periods.time(now))
        ran = {each.job for each in rows}
        for job in sorted(self._jobs.jobs(), key=_order):
            if job.state == ADMITTED or job.name in ran:
                self._seat(job, self._window(job)[0])
            if job.state == ADMITTED:
                self._open[job.name] = job
            elif job.name in self._placements:
                self._ended[job.name] = job
        row = {name: i for i, name in enumerate(self._series.parts.scenario.regions)}
        by_slot: dict[int, dict[str, Array]] = defaultdict(dict)
        for each in rows:
            if each.job in self._placements:
                load = by_slot[self._periods.slot_at(each.slot)].setdefault(each.job, np.zeros(len(row)))
                load[row[each.region]] += each.mw
        for slot, done in by_slot.items():
            self._remember(slot, done)

    def load(self, slot: int) -> Array:
        """(N,) MW that jobs had in a slot that is settled."""
        return self._ran.get(slot, np.zeros(self._market.regions))

    def settle(self, slot: int, work: WorkInForce) -> None:
        """A slot is over, in which jobs ran as `work`; what a job had no more to do, it did not do.

        Raises
        ------
        StoreError : it cannot be kept.
        """
        done: dict[str, Array] = {}
        for name, load in work.items():
            job, placement = self._open.get(name), self._placements.get(name)
            if job is None or placement is None or not placement.first <= slot < placement.last:
                continue
            energy = self._energy(placement, load)
            if energy > 0.0:
                part = min(1.0, job.left_mwh / energy)
                done[name] = load * part
                self._open[name] = replace(job, left_mwh=job.left_mwh - energy * part)
        start, regions = self._periods.time(slot), self._series.parts.scenario.regions
        self._jobs.save_work(
            Done(start, name, regions[i], float(load[i]))
            for name, load in done.items()
            for i in np.flatnonzero(load)
        )
        self._remember(slot, done)
        self.settled = slot + 1
        if self.known:
            self._store.save_note(_SETTLED, f"{self._periods.time(self.settled)}")

    def turn_to(self, slot: int) -> None:
        """A slot begins: hear what was submitted, withdrawn and metered; end what is done, or late.

        A job that was not heard of before the slot began starts in the next one.

        Raises
        ------
        StoreError : the store cannot be read or written.
        """
        self.listen(slot)
        ended: list[Job] = []
        for name, job in self._measured(slot).items():
            if job.left_mwh <= ROUNDING * job.energy_mwh:
                ended.append(replace(job, state=DONE, left_mwh=0.0))
            elif self._placements[name].last <= slot and job.state == ADMITTED:
                ended.append(self._late(job))
            else:
                self._open[name] = job
        self._end(ended)
        self._jobs.turn(self._open.values())

    def listen(self, slot: int) -> bool:
        """Hear what was submitted or withdrawn up to now, in `slot`; whether there are jobs to be admitted.

        Raises
        ------
        StoreError : the store cannot be read or written.
        """
        told = {job.name: job for job in self._jobs.jobs(OPEN)}
        self._open = {name: job for name, job in self._open.items() if name in told}
        heard = {name: self._window(job) for name, job in told.items() if name not in self._open}
        late = []
        for name, (first, last) in sorted(heard.items(), key=lambda each: (each[1][0], each[0])):
            if last <= slot + 1:
                why = "no whole slot is left before its deadline"
                late.append(replace(told[name], state=REFUSED, why=why))
            elif first <= slot + 1:
                self._seat(told[name], slot + 1)
                self._open[name] = told[name]
        self._end(late)
        return any(job.state == SUBMITTED for job in self._open.values())

    def task(
        self,
        slot: int,
        demand: Array,
        capacity: Array,
        in_force: WorkInForce,
        so_far: Callable[[], tuple[float, WorkInForce]],
    ) -> SlotBacklog | None:
        """What there is to do, with jobs admitted or refused that have not been yet; None if there never was
        a job.

        Parameters
        ----------
        demand : (J',) MW in this slot that there is room for. capacity : (N,) MW of the regions that are up;
        the others are taken to stay away. in_force : what runs now. so_far : see `SlotBacklog`.

        Raises
        ------
        StoreError : it cannot be kept who was admitted.
        """
        if not self._plans:
            why = "the policy of this service does not decide when jobs run"
            self._end([replace(job, state=REFUSED, why=why) for job in self._open.values()])
        if not self.known:
            return None
        hours = self._series.parts.scenario.slot_hours
        day = 24.0 / hours
        self._ended = {n: job for n, job in self._ended.items() if self._placements[n].first > slot - day}
        at, jobs = self._series.begun + slot, (*self._open.values(), *self._ended.values())
        market = self._extended()
        backlog = Backlog(
            market.over(np.zeros((1, market.gateways)), self._work(jobs, at)),
            self._promised,
            self._load_up_to(at, jobs),
            lead=1,
        )
        for m, job in enumerate(jobs):
            if job.name in self._ended:
                backlog.resume(m, 0.0)
            elif job.state == ADMITTED:
                backlog.resume(m, job.left_mwh / hours)
        if slots := backlog.turn_to(at):
            self._series.reserve(at + slots)
            ahead = np.where(capacity > 0.0, self._series.planned[:, at : at + slots].T, 0.0)
            ahead[0] = capacity
            running = np.array(
                [
                    self._energy(self._placements[job.name], in_force[job.name]) / hours
                    if job.name in in_force
                    else 0.0
                    for job in jobs
                ]
            )
            backlog.promise(demand[None], np.ascontiguousarray(ahead), running)
        self._decide(jobs, backlog)
        gains = np.array([self._placements[job.name].gain for job in jobs]).reshape(len(jobs), market.regions)
        return SlotBacklog(market, backlog, jobs, gains, at, so_far)

    def taken(self, task: SlotBacklog, route: Array, before: WorkInForce) -> dict[str, Array]:
        """(N,) MW that each job has by a `route` (E,) that was decided for a task; see `SlotBacklog.work`."""
        if task.backlog.forced:
            self._forced.add(task.slot)
        return task.work(route, before)

    def _decide(self, jobs: tuple[Job, ...], backlog: Backlog) -> None:
        """Keep who was admitted and who was refused."""
        new = [m for m, job in enumerate(jobs) if job.state == SUBMITTED]
        for m in new:
            if backlog.admitted[m]:
                self._open[jobs[m].name] = replace(jobs[m], state=ADMITTED)
        self._jobs.turn(self._open[jobs[m].name] for m in new if backlog.admitted[m])
        why = "there is no room for all of it before its deadline, beside what is promised"
        self._end([replace(jobs[m], state=REFUSED, why=why) for m in new if not backlog.admitted[m]])

    def _end(self, jobs: list[Job]) -> None:
        self._jobs.turn(jobs)
        for job in jobs:
            self._open.pop(job.name, None)
            if job.state in (DONE, MISSED):
                self._ended[job.name] = job
            if job.state != DONE:
                level = "critical" if job.state == MISSED else "warning"
                text = f"{job.name} is {job.state}: {job.why}"
                self._store.save_event(Event(self._periods.time(self.settled), level, "job", text))

    def _measured(self, slot: int) -> dict[str, Job]:
        """Open jobs with what is left of them, by meters as far as these have spoken."""
        if not self._open:
            return {}
        first = min(self._placements[name].first for name in self._open)
        since, until = self._periods.time(first), self._periods.time(slot)
        told: dict[str, dict[int, float]] = defaultdict(dict)
        for each in self._store.read("meter", since, until, "work_mwh"):
            told[each.place][self._periods.slot_at(each.slot)] = each.value
        found = {}
        for name, job in self._open.items():
            done = self._done[name] | told[name]
            left = job.energy_mwh - sum(done.values())
            found[name] = replace(job, left_mwh=max(left, 0.0))
        return found

    def _late(self, job: Job) -> Job:
        """A job that is not done at its deadline."""
        hours = job.left_mwh / job.max_mw
        if hours <= _GRACE * self._series.parts.scenario.slot_hours:
            return replace(job, state=DONE, why=f"{3600.0 * hours:.2g} s after its deadline", left_mwh=0.0)
        return replace(job, state=MISSED, why=f"{job.left_mwh:.6g} MWh were not done in time")

    def _energy(self, placement: Placement, load: Array) -> float:
        """MWh of work that a job's `load` (N,) does in a slot."""
        return float(np.nansum(load / placement.gain)) * self._series.parts.scenario.slot_hours

    def _window(self, job: Job) -> tuple[int, int]:
        """First slot of a job and the slot after its last."""
        first, step = self._periods.first.astype("datetime64[s]"), np.timedelta64(1, "s")
        begin, end = (
            (each - first) / step / self._periods.slot_seconds for each in (job.release, job.deadline)
        )
        return int(np.ceil(begin - 1e-9)), int(np.floor(end + 1e-9))

    def _seat(self, job: Job, first: int) -> None:
        """Give a job its columns, to be in from slot `first` on."""
        regions = self._series.parts.scenario.regions
        rows = np.array(sorted(regions.index(name) for name in job.regions))
        away = 1.0 + job.checkpoint_cost_mwh / job.energy_mwh
        gain = np.array([1.0 if job.home in (None, regions[i]) else away for i in rows])
        ways, last = ways_of(rows, gain), max(self._window(job)[1], first)
        columns = self._columns.take(ways, first, last)
        everywhere = np.full(len(regions), np.nan)
        everywhere[rows] = gain
        self._placements[job.name] = Placement(
            first, last, columns, tuple(each for each, _ in ways), everywhere
        )

    def _extended(self) -> Market:
        """The market with all columns that were ever taken."""
        base = self._series.parts.market
        if self._market.gateways - base.gateways < (count := len(self._columns.regions)):
            column = [base.gateways + c for c, regions in enumerate(self._columns.regions) for _ in regions]
            region = [i for regions in self._columns.regions for i in regions]
            self._market = replace(
                base,
                demand=np.zeros((1, base.gateways + count)),
                edge_gateway=np.concatenate([base.edge_gateway, column]),
                edge_region=np.concatenate([base.edge_region, region]),
            )
        return self._market

    def _work(self, jobs: tuple[Job, ...], at: int) -> JobSet:
        """Open jobs, in slots of the series."""
        placements, hours = (
            [self._placements[job.name] for job in jobs],
            self._series.parts.scenario.slot_hours,
        )
        begun = self._series.begun
        ways = [len(placement.columns) for placement in placements]
        energy, most = (np.array([getattr(job, name) for job in jobs]) for name in ("energy_mwh", "max_mw"))
        slots = np.array([max(placement.last - placement.first, 1) for placement in placements])
        return JobSet(
            first=np.array([placement.first for placement in placements], np.int64) + begun,
            last=np.array([placement.last for placement in placements], np.int64) + begun,
            energy=energy / hours,
            most=most,
            least=np.minimum([job.min_mw for job in jobs], energy / hours / slots),
            way_start=np.concatenate([[0], np.cumsum(ways)]),
            way_column=np.concatenate([placement.columns for placement in placements])
            if placements
            else np.zeros(0, np.int64),
            way_gain=np.concatenate([placement.way_gain for placement in placements])
            if placements
            else np.zeros(0),
        )

    def _remember(self, slot: int, done: WorkInForce) -> None:
        """Know what jobs did in a slot, and for the policy what they had in their columns."""
        if not done:
            return
        self._ran[slot] = sum(done.values(), start=np.zeros(self._market.regions))
        at = self._series.begun + slot
        load = self._load_up_to(at, ())
        load[at] = 0.0
        for name, each in done.items():
            placement = self._placements[name]
            self._done[name][slot] = self._energy(placement, each)
            for column, gain in zip(placement.columns, placement.way_gain, strict=True):
                load[at, column] += each[placement.gain == gain].sum()

    def _load_up_to(self, at: int, jobs: tuple[Job, ...]) -> Array:
        """(T, C) what jobs did, with room for all that `jobs` may do from slot `at` on."""
        last = max([self._placements[job.name].last for job in jobs], default=0) + self._series.begun
        slots, columns = max(at + 1, last), self._columns_taken()
        if slots > self._load.shape[0] or columns > self._load.shape[1]:
            shape = max(slots, self._load.shape[0], self._series.slots), max(columns, self._load.shape[1])
            load = np.zeros(shape)
            load[: self._load.shape[0], : self._load.shape[1]] = self._load
            self._load = load
        return self._load

    def _columns_taken(self) -> int:
        return self._series.parts.market.gateways + len(self._columns.regions)


def _order(job: Job) -> tuple[np.datetime64, str]:
    return job.release, job.name


def jobs_of(scenario: Scenario) -> list[Job]:
    """The jobs of a scenario, as they are submitted."""
    jobs: Jobs | None = scenario.jobs
    if jobs is None:
        return []
    allowed: list[list[str]] = [[] for _ in jobs.names]
    for m, i in zip(jobs.pair_job, jobs.pair_region, strict=True):
        allowed[m].append(scenario.regions[i])
    return [
        Job(
            name=name,
            release=jobs.release[m],
            deadline=jobs.deadline[m],
            energy_mwh=float(jobs.energy_mwh[m]),
            max_mw=float(jobs.max_mw[m]),
            min_mw=float(jobs.min_mw[m]),
            regions=tuple(allowed[m]),
            home=None if jobs.home[m] < 0 else scenario.regions[jobs.home[m]],
            checkpoint_cost_mwh=float(jobs.checkpoint_cost_mwh[m]),
        )
        for m, name in enumerate(jobs.names)
    ]

"""Control loop of a service, slot by slot: read signals, decide, publish, read meters, by the clock.

A table is published in every slot: the policy's plan; if that is late or fails, the last plan moved to what
is up and has room; with fewer than half of the regions up, the nearest that has room. A plan that comes late
is still used in its slot.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace

import numpy as np

from eglb.agents.forecasting import NoForecast
from eglb.coordinator.fleet.fleet import FleetError
from eglb.coordinator.online.policy import Policy
from eglb.coordinator.online.running_certificate import Standing
from eglb.foundation.arrays import Array
from eglb.live.accounting.alerts import Solve
from eglb.live.accounting.series import Slot
from eglb.live.accounting.settlement import Settled, Settlement
from eglb.live.jobs.slot_backlog import SlotBacklog, WorkInForce
from eglb.live.jobs.workload import Workload
from eglb.live.loop.certificate import ServiceCertificate
from eglb.live.loop.planner import Planner
from eglb.live.loop.records import Served, SignalReader
from eglb.live.loop.rehearsal import Rehearsal
from eglb.live.loop.slot_inputs import SlotInputs
from eglb.live.loop.status import certificate_shown, kept_signals, prices_shown, signal_rows
from eglb.live.routing.fallback import FallbackPlan, Routed
from eglb.live.routing.table_history import TableHistory
from eglb.live.routing.weights import WeightTable
from eglb.live.signals.reading import Reading
from eglb.live.state.clock import Clock
from eglb.live.state.service_state import ServiceState
from eglb.live.storage.store import Store

PLAN, LAST_PLAN, NEAREST = "plan", "last plan", "nearest"
_FEWEST_UP = 0.5
"""Of the regions; with fewer nothing is optimised."""
_WARM_S, _LOOK_S = 60.0, 0.25
"""How long agents may take to be there for the first time, and how often they are looked for."""
_ROUNDING, _KEPT = 1e-6, 10_000
_OFF = 0.02
"""Of the demand that a plan is for; if what is metered differs by more, the slot is planned anew."""
_SIGNALS_SHARE = 0.25
"""Of the time until a decision is late, that signals may take."""


class Controller:
    """Runs a service until its last slot or until it is told to stop.

    Parameters
    ----------
    books : its series and periods. service_state : where tables and state go. planner : decides.
    workload : its jobs. deadline : of a decision, as a part of a slot.
    headroom : plans are made for so much more than the demand foretold, as a part of it.
    rehearsal : plays demand and meters; None where they are posted.
    on_slot : hears of every slot that is served.
    """

    def __init__(
        self,
        books: Settlement,
        service_state: ServiceState,
        clock: Clock,
        planner: Planner,
        signals: SignalReader,
        fallback_plan: FallbackPlan,
        slot_inputs: SlotInputs,
        workload: Workload,
        *,
        deadline: float,
        headroom: float,
        rehearsal: Rehearsal | None = None,
        on_slot: Callable[[Served], None] = lambda served: None,
    ) -> None:
        assert service_state.store is not None
        self.books, self.series, self.periods = books, books.series, books.periods
        self.service_state, self.router, self.store = service_state, service_state.router, service_state.store
        self._store: Store = service_state.store
        self._clock, self._planner, self._signals = clock, planner, signals
        self._fallback_plan, self._slot_inputs, self._headroom = fallback_plan, slot_inputs, headroom
        self.workload = workload
        self._deadline, self._rehearsal, self._on_slot = deadline, rehearsal, on_slot
        self._wake, self._stop = threading.Event(), threading.Event()
        self._table_history = TableHistory()
        self._version = 0
        self._last_share: Array | None = None
        self._late: tuple[Future[Array], SlotBacklog | None] | None = None
        self._demand = np.zeros(len(books.series.parts.scenario.gateways))
        self._unheard: list[Settled] = []
        self._played = self._told = self._jobs_heard = 0
        self._readings: dict[tuple[str, str], Reading] = {}
        self.tables: dict[str, int] = {}
        self.slots = 0
        self.served: deque[Served] = deque(maxlen=_KEPT)

    @property
    def latest(self) -> tuple[Standing, float] | None:
        """Where the newest period stands, and its certified gap; None before the first slot was metered."""
        return self._certificate.latest

    @property
    def total_gap(self) -> float | None:
        """Certified gap of all periods together; None before the first slot was metered."""
        return self._certificate.total_gap

    def stop(self) -> None:
        """End the loop, from any thread, in the middle of a slot."""
        self._stop.set()
        self._wake.set()

    def run(self) -> None:
        """Serve slot after slot.

        Raises
        ------
        StoreError : books cannot be kept.
        """
        with self.router.watched(self._wake.set), self.service_state.watched(self._wake.set):
            slot = self.resume()
            if self.router.table is None:
                self.workload.listen(slot - 1)  # of what was there before the first slot
            while not self._stop.is_set() and slot < (self.periods.slots or slot + 1):
                self._serve(slot)
                self._wait_out(slot)
                if not self._stop.is_set():
                    slot = max(slot + 1, self.periods.slot_at(self._clock.now()))
            if not self._stop.is_set():
                slot = self.periods.slots or slot  # it may have ended while nobody planned
                self._close(slot)
                self.workload.turn_to(slot)
                self.books.write_up()
                self._certificate.collect(wait=True)
                self._show(slot - 1)

    def warm_up(self, policy: Policy) -> None:
        """Decide in vain, by a `policy` of its own, until all agents are there: what is loaded or compiled at
        first use is so before a slot begins.
        """
        series, at = self.series, self.series.begun
        price, intensity = series.per_mw({}, at - 1)
        demand = series.foretell_demand(at, NoForecast(), np.empty((len(self._demand), 0)))
        capacity = series.planned[:, at]
        unmet = self._fallback_plan.nearest(demand, capacity).unmet
        series.enter(at, Slot(price, intensity, capacity, demand))
        hour, until = self._slot_inputs.hour(0, demand - unmet, ()), time.monotonic() + _WARM_S
        while True:
            with suppress(FleetError):  # who is missing may be there when it counts
                self._planner.plan(hour, self._slot_inputs.timeline(hour), policy=policy).result()
            if not self._planner.lost or time.monotonic() > until:
                return
            self._wake.wait(_LOOK_S)

    def resume(self) -> int:
        """Take up what the store knows and serve the last table; the slot to go on with."""
        now = max(self.periods.slot_at(self._clock.now()), 0)
        since = self.periods.of(min(now, (self.periods.slots or now + 1) - 1))[0]
        self._certificate = ServiceCertificate(self.series, self.periods, self._planner, since)
        last = self._store.last_table()
        if last is not None:
            self._version, self._last_share = last.version, last.share
            tables = {self.periods.slot_at(t.start): t for t in reversed(self._store.tables(limit=now + 10))}
            for table in tables.values():
                self._table_history.turn(table.start, table)
            self._mark(self._clock.now())
            self.router.publish(last)
            self.books.resume(min(now, self.periods.slots or now), tables)
            self.workload.resume(now)
            if self._rehearsal is not None:
                told = self._store.read("meter", self.periods.first, self.periods.time(now), "load_mw")
                self._played = max((self.periods.slot_at(each.slot) + 1 for each in told), default=0)
        return now

    def _serve(self, slot: int) -> None:
        """Everything that is done at the start of a slot."""
        start = self.periods.time(slot)
        late_s = self._clock.passed(start)
        began = time.perf_counter()
        self._close(slot)
        self.workload.turn_to(slot)
        if self.books.ledger.first != self.periods.time(self.periods.of(slot)[0]):
            self.books.begin_period(slot)
        allowed_s = self._clock.real_seconds(self._deadline * self.periods.slot_seconds) - late_s
        self._mark(self._clock.now())
        known = self._look_ahead(slot, min(_SIGNALS_SHARE * max(allowed_s, 0.1), 60.0))
        planned_at = time.perf_counter()
        routed, source, note = self._decide(slot, known, allowed_s - (planned_at - began))
        planned_s = time.perf_counter() - planned_at
        self._publish(slot, routed, source, note)
        self._first_s = late_s + time.perf_counter() - began
        self._store.save_signals(start, kept_signals(self._readings, self.series, start, known))
        self.books.write_up()
        self.books.monitor.solved(Solve(f"{start}Z", planned_s, min(allowed_s, 1e9), source, note))
        self._certificate.collect(wait=False)
        self._show(slot)
        self._report(slot, source, note, planned_s)

    def _look_ahead(self, slot: int, deadline_s: float) -> Slot:
        """What is known of a slot that begins."""
        series, start = self.series, self.periods.time(slot)
        if self._rehearsal is not None:
            self._signals.silenced = self._rehearsal.silenced(start)
        self._readings = self._signals.read_all(start, deadline_s)
        at = series.begun + slot
        price, intensity = series.per_mw({key: r.value for key, r in self._readings.items()}, at - 1)
        if self._rehearsal is not None:
            intensity = intensity * self._rehearsal.distortion(start)
        self._demand = self._slot_inputs.foretell(slot)
        return Slot(price, intensity, self._capacity(slot), self._demand)

    def _decide(self, slot: int, known: Slot, allowed_s: float) -> tuple[Routed, str, str]:
        """Shares for a slot, where they come from and why."""
        at = self.series.begun + slot
        up = known.capacity > 0.0
        nominal = self.series.planned[:, at] > 0.0
        self.series.enter(at, known)
        if up.sum() < _FEWEST_UP * nominal.sum():
            why = f"only {up.sum()} of {nominal.sum()} regions are up"
            return (
                self._carry_on(slot, self._fallback_plan.nearest(known.demand, known.capacity)),
                NEAREST,
                why,
            )
        if self._late is not None and not self._late[0].done():
            return self._fall_back(slot, "the decision of an earlier slot is not done yet")
        return self._plan(slot, (1.0 + self._headroom) * known.demand, known.capacity, allowed_s)

    def _plan(self, slot: int, asked: Array, capacity: Array, allowed_s: float) -> tuple[Routed, str, str]:
        """The policy's shares for `asked` (J,) MW, as far as there is room for it."""
        asked = asked - self._fallback_plan.near(self._fallback_plan.reach / 1.0, asked, capacity).unmet
        task = self._task(slot, asked, capacity)
        hour, self._unheard = self._slot_inputs.hour(slot, asked, self._unheard, task), []
        future = self._planner.plan(hour, self._slot_inputs.timeline(hour), task)
        self._late = future, task
        future.add_done_callback(lambda done: self._wake.set())
        if not self._await(future, allowed_s):
            return self._fall_back(slot, f"not decided within {max(allowed_s, 0.0):.2g} s")
        self._late = None
        return self._take(slot, future, task)

    def _take(self, slot: int, future: Future[Array], task: SlotBacklog | None) -> tuple[Routed, str, str]:
        """The plan that was decided, on what is up now."""
        if (error := future.exception()) is not None:
            return self._fall_back(slot, f"not decided: {str(error) or type(error).__name__}")
        self._mark(self._clock.now())
        if self._deaf:
            return self._fall_back(slot, "")
        route = future.result()
        share = self.series.share_of(route)
        self._last_share = share
        return self._with_jobs(slot, share, task, route), PLAN, ""

    def _fall_back(self, slot: int, why: str) -> tuple[Routed, str, str]:
        capacity = self._capacity(slot)
        if self._deaf:
            why = f"{len(self._planner.lost)} of {len(self.router.regions)} agents do not answer"
        if self._deaf or self._last_share is None:
            return self._carry_on(slot, self._fallback_plan.nearest(self._demand, capacity)), NEAREST, why
        near = self._fallback_plan.near(self._last_share, self._demand, capacity)
        return self._carry_on(slot, near), LAST_PLAN, why

    def _carry_on(self, slot: int, routed: Routed) -> Routed:
        """Requests as `routed`; jobs go on as before as far as there is room, and what cannot wait runs."""
        capacity, met = self._capacity(slot), self._demand - routed.unmet
        task = self._task(slot, met, capacity)
        if task is None:
            return routed
        room = np.maximum(capacity - met @ routed.share, 0.0)
        route = task.carry_on(self.series.merged(met[:, None] * routed.share), self._in_force, room)
        return self._with_jobs(slot, routed.share, task, route)

    def _with_jobs(self, slot: int, share: Array, task: SlotBacklog | None, route: Array) -> Routed:
        """Requests by `share`, beside what a `route` (E,) that was decided for a task does of jobs."""
        demand, capacity = self._demand, self._capacity(slot)
        if task is None:
            return self._fallback_plan.near(share, demand, capacity)
        work = self.workload.taken(task, route, self._in_force)
        return replace(self._fallback_plan.beside(share, work, demand, capacity), ahead=task.ahead(work))

    def _task(self, slot: int, asked: Array, capacity: Array) -> SlotBacklog | None:
        """What there is to do of jobs beside `asked` (J,) MW that there is room for."""
        start = self.periods.time(slot)

        def so_far() -> tuple[float, WorkInForce]:
            now = min(self._clock.now(), self.periods.time(slot + 1))
            part = float((now - start) / np.timedelta64(1, "s")) / self.periods.slot_seconds
            return (part, self._table_history.work(start, now)) if part > 0.0 else (0.0, {})

        return self.workload.task(slot, self.series.merged(asked), capacity, self._in_force, so_far)

    @property
    def _in_force(self) -> WorkInForce:
        """(N,) MW that each job has by the table in force."""
        table = self.router.table
        if table is None:
            return {}
        return dict(zip(table.jobs, table.work_in(self._clock.now()), strict=True))

    @property
    def _committed(self) -> list[tuple[int, str, int, float]]:
        """What the table in force says of the slots after its own."""
        table = self.router.table
        if table is None or table.ahead is None:
            return []
        return [(int(slot), table.jobs[int(job)], int(i), mw) for slot, job, i, mw in table.ahead.tolist()]

    def _hear_of_jobs(self, slot: int) -> None:
        """Admit jobs that were submitted in the course of a slot."""
        table = self.router.table
        if table is None or self._jobs_heard == self.service_state.jobs.changes:
            return
        self._jobs_heard = self.service_state.jobs.changes
        if self.workload.listen(slot):
            unmet = np.zeros_like(self._demand) if table.unmet is None else table.unmet
            self._publish(slot, self._carry_on(slot, Routed(table.share, unmet)), table.source, table.note)

    def _await(self, future: Future[Array], allowed_s: float) -> bool:
        """Wait for a decision; whether it came in time. Meanwhile requests are kept off regions that fail."""
        until = time.perf_counter() + allowed_s
        while not future.done() and not self._stop.is_set():
            left_s = until - time.perf_counter()
            if left_s <= 0.0:
                break
            self._wake.clear()
            if not future.done():
                self._wake.wait(min(left_s, 60.0))
        return future.done()

    def _wait_out(self, slot: int) -> None:
        """Until the next slot: take a plan that is late, and move off regions that fail."""
        end, mine = self.periods.time(slot + 1), self.router.down()
        while not self._stop.is_set():
            self._wake.clear()
            if self._late is not None and self._late[0].done():
                (late, task), self._late = self._late, None
                if late.exception() is None and len(self.router.down()) == len(mine):
                    self._publish(slot, *self._take(slot, late, task))
            if self.router.down() != mine:
                mine = self.router.down()
                self._publish(slot, *self._moved(slot))
            self._relieve(slot)
            self._hear_of_jobs(slot)
            change = end if self._rehearsal is None else self._rehearsal.next_change(self._clock.now())
            if self._late is None or not self._late[0].done():
                self._clock.wait_until(min(end, change), self._wake)
            if self._clock.now() >= end:
                return
            self._mark(self._clock.now())

    def _moved(self, slot: int) -> tuple[Routed, str, str]:
        """What is published when regions fail or come back in the middle of a slot."""
        capacity, down = self._capacity(slot), self.router.down()
        nominal = self.series.planned[:, self.series.begun + slot] > 0.0
        why = ", ".join(f"{name} is down" for name in down) or "all regions are up again"
        if (capacity > 0.0).sum() < _FEWEST_UP * nominal.sum():
            return self._carry_on(slot, self._fallback_plan.nearest(self._demand, capacity)), NEAREST, why
        return self._fall_back(slot, why)

    def _relieve(self, slot: int) -> None:
        """Move off regions that get more than they have, by what gateways meter of the slot that runs; plan
        anew if that is not what the plan was for.
        """
        start, fleet = self.periods.time(slot), self.series.parts.scenario
        if self._rehearsal is not None and slot >= self._told:
            rows = self._rehearsal.demand(slot, self._clock.now())
            if rows:
                self._told = slot + 1
                self.service_state.meter(rows)
        until = start + np.timedelta64(1, "s")
        told = {each.place: each.value for each in self._store.read("meter", start, until, "demand_mw")}
        demand = np.array([told.get(name, self._demand[j]) for j, name in enumerate(fleet.gateways)])
        table, capacity = self.router.table, self._capacity(slot)
        if table is None or np.array_equal(demand, self._demand):
            return
        self._demand = self.series.demand[:, self.series.begun + slot] = demand
        overloaded = (demand @ table.share + table.work_load > (1.0 + _ROUNDING) * capacity).any()
        if overloaded:
            routed = self._fallback_plan.beside(table.share, self._in_force, demand, capacity)
            routed = replace(routed, ahead=self._committed)
            self._publish(slot, routed, table.source, "moved to the demand that is metered")
        off = np.abs(demand - table.demand).sum() > _OFF * table.demand.sum()
        if (overloaded or off) and table.source == PLAN and self._late is None:
            allowed_s = self._clock.real_seconds(self._deadline * self.periods.slot_seconds)
            again = self._plan(slot, demand, capacity, allowed_s - self._clock.passed(start))
            if again[1] == PLAN:
                self._publish(slot, *again)

    def _publish(self, slot: int, routed: Routed, source: str, note: str) -> None:
        """Keep a table, and route by it."""
        fleet = self.series.parts.scenario
        if routed.unmet.any():
            note = "; ".join(filter(None, [note, f"no room for {routed.unmet.sum():.6g} MW"]))
        self._version += 1
        table = WeightTable(
            self._version, self.periods.time(slot), self.periods.slot_seconds, fleet.gateways, fleet.regions,
            routed.share, self._demand, self._capacity(slot), self._fallback_plan.reach, source, note,
            routed.unmet if routed.unmet.any() else None,
            **routed.of_jobs(),
        )  # fmt: skip
        if problems := table.problems():
            raise RuntimeError(f"table {table.version} is not feasible: {'; '.join(problems)}")
        self._store.save_table(table)
        self.router.publish(table)
        self._table_history.turn(self._clock.now(), table)

    def _mark(self, now: np.datetime64) -> None:
        """Tell the router who is out, by what is known here; it knows by itself what was reported to it.

        A region whose agent is lost is taken to be out. Where most agents are, it is the way to them that is,
        and nothing is said of their regions.
        """
        rehearsed = {} if self._rehearsal is None else self._rehearsal.regions_down(now)
        lost = {} if self._deaf else self._planner.lost
        for by, down in (("agents", lost), ("rehearsal", rehearsed)):
            for region in self.series.parts.scenario.regions:
                self.router.mark(region, region not in down, down.get(region, ""), by=by)

    @property
    def _deaf(self) -> bool:
        """Whether most agents are lost."""
        return len(self._planner.lost) > (1.0 - _FEWEST_UP) * len(self.router.regions)

    def _capacity(self, slot: int) -> Array:
        """(N,) MW of the regions that are up."""
        down, planned = self.router.down(), self.series.planned[:, self.series.begun + slot]
        return np.where([name in down for name in self.router.regions], 0.0, planned)

    def _close(self, slot: int) -> None:
        """Read the meters of the slots before `slot`."""

        def span(slot: int) -> tuple[np.datetime64, np.datetime64]:
            return self.periods.time(slot), self.periods.time(slot + 1)

        def gone(slot: int) -> tuple[Array, Array]:
            return self._table_history.share(*span(slot)), self.workload.load(slot)

        for before in range(self.workload.settled, slot):
            self.workload.settle(before, self._table_history.work(*span(before)))
        if self._rehearsal is not None:
            for before in range(self._played, slot):
                self.service_state.meter(list(self._rehearsal.meters(before, *gone(before))))
            self._played = slot
        settled = self.books.close(slot, gone)
        self._table_history.forget(self.periods.time(self.books.settled))
        self._unheard += settled
        if not self.workload.known:
            self._certificate.ask(settled)

    def _report(self, slot: int, source: str, note: str, planned_s: float) -> None:
        latest = self._certificate.latest
        standing, gap = (None, None) if latest is None else latest
        self.served.append(
            Served(
                slot,
                f"{self.periods.time(slot)}",
                source,
                note,
                self._first_s,
                planned_s,
                len(self.router.regions) - len(self.router.down()),
                None if standing is None else standing.objective,
                None if standing is None else standing.lower_bound,
                gap,
            )
        )
        self.slots += 1
        self.tables[source] = self.tables.get(source, 0) + 1
        self._on_slot(self.served[-1])

    def _show(self, slot: int) -> None:
        """Lay open where the service stands."""
        signals = signal_rows(self._readings)
        self.books.monitor.look(self.periods.time(slot), signals, self.router.down())
        self.service_state.show(
            slot={"number": slot + 1, "of": self.periods.slots},
            certificate=certificate_shown(self._certificate),
            signals=signals,
            regions=prices_shown(self.series, slot),
        )

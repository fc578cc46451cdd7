"""Service assembly: agents, signals, store, router, and the loop that runs them."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.foundation.numbers import plain
from eglb.live.accounting.alerts import Thresholds
from eglb.live.accounting.periods import Periods
from eglb.live.accounting.series import Series
from eglb.live.accounting.settlement import Settlement
from eglb.live.jobs.workload import Workload, jobs_of
from eglb.live.loop.controller import Controller
from eglb.live.loop.planner import Planner
from eglb.live.loop.records import Forecasts, Outlooks, Served
from eglb.live.loop.rehearsal import Rehearsal, read_events
from eglb.live.loop.slot_inputs import SlotInputs
from eglb.live.routing.fallback import FallbackPlan
from eglb.live.routing.router import Router
from eglb.live.signals import open_signals
from eglb.live.state.clock import Clock
from eglb.live.state.service_state import ServiceState
from eglb.live.storage.job_store import Job
from eglb.live.storage.store import NOTE, Store
from eglb.planning.audit import energy_cost, footprint_totals, plan_objective
from eglb.planning.launch import launch, place_problems
from eglb.planning.online.forecasts import Forecast, parse_forecast
from eglb.planning.online.policies import parse_policy
from eglb.planning.partition import Partition, declared_demand, partition
from eglb.scenarios.scenario import Scenario

_LEFT_S = 5.0
"""How long a decision that nobody waits for any more may take to end."""
_HISTORY_H = 4 * 7 * 24.0
_RECALLED = np.timedelta64(26, "h")
"""Signals since then are known again after a restart: what was last, and at the same hour yesterday."""


@dataclass(frozen=True)
class Wanted:
    """What a service is asked to be.

    Parameters
    ----------
    policy, forecast, period : as for `eglb.simulate`. demand_forecast : of the slot that begins, see
        `eglb.planning.online.forecasts.FORECASTS`.
    address, regions_per_actor, deadline : as for `eglb.solve`.
    recorded : demand and meters are those that the scenario recorded; else they are posted.
    start : of the clock, UTC; None is the scenario's first slot, or where meters are posted the present.
    slots : to serve; None is all recorded ones, or no end. speed : of the clock.
    signals : file that says where they come from; None: the scenario's own.
    events : file of what goes wrong in a rehearsal.
    headroom : plans are made for so much more than the demand foretold, as a part of it.
    keep_days : what the store remembers of periods that are over; None is all. thresholds : of alerts.
    solve_deadline : of a decision, as a part of a slot. patience : slots after which missing meters are not
    waited for.
    """

    policy: str = "soft"
    forecast: str = "none"
    demand_forecast: str = "corrected"
    period: str = "whole"
    address: str = "inprocess"
    regions_per_actor: int | None = None
    deadline: float = 20.0
    recorded: bool = True
    start: np.datetime64 | None = None
    slots: int | None = None
    speed: float = 1.0
    signals: Path | None = None
    events: Path | None = None
    headroom: float = 0.0
    keep_days: int | None = None
    thresholds: Thresholds | None = None
    solve_deadline: float = 0.5
    patience: int = 3


@dataclass(frozen=True, eq=False)
class Service:
    """A service that is about to run, or has."""

    scenario: Scenario
    wanted: Wanted
    service_state: ServiceState
    store: Store
    controller: Controller
    rehearsal: Rehearsal | None
    resumed: bool
    actors: int

    def summary(self) -> dict[str, Any]:
        """The object that ``eglb serve --json`` prints.

        Of a rehearsal objective and footprints are of all slots that were served, restarts included, from the
        recorded series, as those of ``eglb simulate`` are.
        """
        served = self.controller.served
        waited = np.array([each.seconds for each in served] or [math.nan])
        planned = np.array([each.seconds_plan for each in served if each.source == "plan"] or [math.nan])
        found: dict[str, Any] = {
            "status": "done" if served else "nothing_served",
            "scenario": self.scenario.name,
            "policy": self.wanted.policy,
            "forecast": self.wanted.forecast,
            "demand_forecast": self.wanted.demand_forecast,
            "period": self.controller.periods.length,
            "address": self.wanted.address,
            "actors": self.actors,
            "speed": self.wanted.speed,
            "resumed": self.resumed,
            "slots": self.controller.slots,
            "tables": dict(self.controller.tables),
            "seconds_to_table": {"median": float(np.median(waited)), "max": float(waited.max())},
            "seconds_plan": {"median": float(np.median(planned)), "max": float(planned.max())},
            "running_gap": self.controller.total_gap,
        }
        if self.controller.workload.known:
            found["jobs"] = self.controller.workload.summary()
        if self.rehearsal is not None:
            found |= self._audit(self.rehearsal.scenario)
        return plain(found)

    def _audit(self, recorded: Scenario) -> dict[str, Any]:
        """What serving has cost, from the recorded series and the loads that were metered."""
        periods = self.controller.periods
        load = np.full((len(recorded.regions), recorded.slots), np.nan)
        row = {name: i for i, name in enumerate(recorded.regions)}
        for each in self.store.read("meter", periods.first, periods.time(recorded.slots), "load_mw"):
            load[row[each.place], periods.slot_at(each.slot)] = each.value
        count = int(np.isfinite(load).all(0).argmin()) if np.isnan(load).any() else recorded.slots
        if not count:
            return {}
        whole = recorded.window(0, count)
        load = load[:, :count]
        spans: list[tuple[int, int]] = []
        while (first := spans[-1][1] + 1 if spans else 0) < count:
            spans.append((first, min(periods.of(first)[1], count - 1)))
        objective = math.fsum(
            plan_objective(recorded.window(a, b - a + 1), load[:, a : b + 1]) for a, b in spans
        )
        over = (load - whole.capacity).max(initial=0.0)
        return {
            "slots_metered": count,
            "objective": objective,
            "energy_cost_usd": energy_cost(whole, load),
            "footprints": {
                kind: {"unit": t.unit, "total": t.total, "avg": t.avg, "max": t.max, "par": t.par}
                for kind, t in footprint_totals(whole, load).items()
            },
            "largest_overload_mw": float(over),
        }


@contextmanager
def open_service(
    scenario: Scenario,
    wanted: Wanted,
    store: Store,
    history: Scenario | None = None,
    serving: Callable[[ServiceState], AbstractContextManager[None]] = lambda service_state: nullcontext(),
    on_slot: Callable[[Served], None] = lambda served: None,
) -> Iterator[Service]:
    """Put a service together; it goes on where the store left off, if it knows one of this fleet.

    Parameters
    ----------
    history : the slots right before the scenario's, as for `eglb.simulate`.
    serving : what serves the state, entered before agents are started: the last table is routed by at once.
    on_slot : hears of every slot.

    Raises
    ------
    InputError : something that is wanted is wrong. FleetError : the agents do not start. StoreError : the
    store cannot be read or written.
    """
    problems = place_problems(wanted.address, wanted.regions_per_actor, wanted.deadline)
    if problems:
        raise InputError(problems)
    policy = parse_policy(wanted.policy)
    if scenario.jobs is not None and not policy.plans_work:
        raise InputError(
            f"{scenario.name} has jobs, and policy {wanted.policy} does not decide when they run"
        )
    signals_forecast = parse_forecast(wanted.forecast)
    demand_forecast = parse_forecast(wanted.demand_forecast)
    if not wanted.recorded and any(
        each.forecaster.reads_outlook for each in (signals_forecast, demand_forecast)
    ):
        raise InputError("this forecast reads what was recorded: it is for rehearsals")
    clock, periods, resumed = _time(scenario, wanted, store)
    plain_fleet = replace(scenario, jobs=None)
    recorded, before = _recorded(plain_fleet, history, periods, wanted.recorded)
    joined = recorded if before is None else recorded.after(before)
    fleet = replace(recorded.window(0, 1), times=np.array([periods.first]))
    parts = partition(fleet, merge=not policy.needs_distance)
    alone = partition(fleet, merge=False)
    planned = recorded.capacity if wanted.recorded else recorded.capacity[:, :1]
    fallback_plan = FallbackPlan(alone.market, alone.pair_values(fleet.rtt_ms()))
    series = Series.after(before, parts, planned)
    series.reserve(series.begun + periods.of(0)[1] + 1)
    declared = _declared(joined if wanted.recorded else plain_fleet, series)
    workload = Workload(series, periods, store, (1.0 + wanted.headroom) * declared, plans=policy.plans_work)
    if not resumed:
        workload.submit(_jobs(scenario, periods, wanted.recorded))
    books = Settlement(
        series, periods, store, fallback_plan, wanted.patience, wanted.thresholds, wanted.keep_days
    )
    router = Router(fleet.gateways, fleet.regions, fallback_plan.distance)
    service_state = ServiceState(scenario, router, clock, store, books.monitor)
    service_state.show(policy=wanted.policy)
    rehearsal = None
    if wanted.recorded:
        events = [] if wanted.events is None else read_events(wanted.events, recorded)
        rehearsal = Rehearsal(recorded, events)
    with ExitStack() as opened:
        if resumed and (last := store.last_table()) is not None:
            router.publish(last)
        opened.enter_context(serving(service_state))
        signals = opened.enter_context(open_signals(wanted.signals, joined))
        for row in store.signals(clock.now() - _RECALLED, clock.now()):
            if row["fallback"] is None:
                signals.remember(row["kind"], row["region"], row["at"], row["value"])
        agents = opened.enter_context(
            launch(
                parts.market,
                series.timeline(series.begun, 0, signals_forecast.forecaster, None),
                address=wanted.address,
                regions_per_actor=wanted.regions_per_actor,
                deadline=wanted.deadline,
            )
        )
        planner = Planner(agents, parts.market, policy)
        forecasts = Forecasts(
            signals_forecast.forecaster,
            demand_forecast.forecaster,
            _outlooks(joined, parts, signals_forecast, demand_forecast),
        )
        opened.callback(planner.close, _LEFT_S)
        controller = Controller(
            books, service_state, clock, planner, signals, fallback_plan,
            SlotInputs(books, forecasts, parts.pair_values(fleet.rtt_ms())), workload,
            deadline=wanted.solve_deadline,
            headroom=wanted.headroom,
            rehearsal=rehearsal,
            on_slot=on_slot,
        )  # fmt: skip
        controller.warm_up(parse_policy(wanted.policy))
        if not resumed:
            if wanted.recorded or wanted.start is not None:
                clock.origin = time.time()  # starting agents took a while
            _remember(scenario, store, clock, periods)
        yield Service(
            scenario, wanted, service_state, store, controller, rehearsal, resumed, len(agents.hosts)
        )


def _time(scenario: Scenario, wanted: Wanted, store: Store) -> tuple[Clock, Periods, bool]:
    """Clock and periods, as the store knows them or as is wanted now; whether it knew them."""
    step_s = scenario.slot_hours * 3600.0
    if (kept := store.note(NOTE)) is not None:
        told = json.loads(kept)
        if told["fleet"] != _fleet(scenario):
            raise InputError(f"store {store.name} has the books of another fleet, {told['scenario']}")
        periods = Periods(np.datetime64(told["first"]), step_s, told["period"], told["slots"])
        last = store.last_table()
        if told["speed"] is None and last is not None:
            told["start"] = f"{last.start}"
        return Clock.of(told), periods, True
    slots = wanted.slots
    if wanted.recorded:
        start = scenario.times[0] if wanted.start is None else wanted.start
        left = scenario.slots - int((start - scenario.times[0]) / np.timedelta64(round(step_s), "s"))
        slots = left if slots is None else slots
        if not 0 < slots <= left <= scenario.slots:
            raise InputError(f"{scenario.name} has {left} slots from {start}Z on, not {slots}")
        first = start
    else:
        start = np.datetime64(round(time.time() * 1e3), "ms") if wanted.start is None else wanted.start
        grid = Periods(scenario.times[0], step_s, "month", None)
        first = grid.time(grid.slot_at(start))
    periods = Periods(first.astype("datetime64[s]"), step_s, wanted.period, slots)
    return Clock(start, wanted.speed), periods, False


def _remember(scenario: Scenario, store: Store, clock: Clock, periods: Periods) -> None:
    """What a service that starts again has to know."""
    told = {
        "scenario": scenario.name,
        "fleet": _fleet(scenario),
        "first": f"{periods.first}",
        "slots": periods.slots,
        "period": periods.length,
        **clock.told(),
    }
    store.save_note(NOTE, json.dumps(told))


def _fleet(scenario: Scenario) -> dict[str, Any]:
    kinds = [kind.name for kind in scenario.footprints]
    return {
        "regions": list(scenario.regions),
        "gateways": list(scenario.gateways),
        "footprints": kinds,
        "slot_hours": scenario.slot_hours,
    }


def _recorded(
    scenario: Scenario, history: Scenario | None, periods: Periods, recorded: bool
) -> tuple[Scenario, Scenario | None]:
    """The slots that are served, only the first where meters are posted; and those before."""
    kept = round(_HISTORY_H / scenario.slot_hours)
    if not recorded:
        first = replace(scenario.window(0, 1), times=np.array([periods.first]))
        return first, _as_if_before(scenario, periods, kept)
    assert periods.slots is not None
    index = _index(scenario, periods)
    served = scenario.window(index, periods.slots)
    before = scenario.window(0, index) if index else None
    if history is not None:
        history = replace(history, jobs=None)
        before = history if before is None else before.after(history)
    if before is not None and before.slots > kept:
        before = before.window(before.slots - kept, kept)
    return served, before


def _index(scenario: Scenario, periods: Periods) -> int:
    """The slot of `scenario` that is the first that is served."""
    return round(float((periods.first - scenario.times[0]) / np.timedelta64(1, "s")) / periods.slot_seconds)


def _as_if_before(scenario: Scenario, periods: Periods, slots: int) -> Scenario:
    """The recorded series as if they were of the slots before the first, at the same hours of the week, or of
    the day where there is less.
    """
    spans = (round(hours / scenario.slot_hours) for hours in (168.0, 24.0))
    cycle = next((span for span in spans if 0 < span <= scenario.slots), scenario.slots)
    ago = np.arange(-slots, 0)
    passed = periods.first - scenario.times[0].astype("datetime64[s]")
    offset = round(float(passed / np.timedelta64(1, "s")) / periods.slot_seconds)
    last = scenario.slots // cycle * cycle
    taken = (ago + offset) % last

    def series(values: Array) -> Array:
        return np.ascontiguousarray(values[:, taken])

    return replace(
        scenario,
        times=np.array([periods.time(int(slot)) for slot in ago]),
        capacity=series(scenario.capacity),
        demand=series(scenario.demand),
        price=series(scenario.price),
        footprints=tuple(kind.over_time(series) for kind in scenario.footprints),
    )


def _jobs(scenario: Scenario, periods: Periods, recorded: bool) -> list[Job]:
    """The jobs of the slots that are served, where they are recorded, else all that are still to come."""
    if recorded:
        assert periods.slots is not None
        return jobs_of(scenario.window(_index(scenario, periods), periods.slots))
    return [job for job in jobs_of(scenario) if job.release >= periods.first]


def _declared(scenario: Scenario, series: Series) -> Array:
    """(D, J') MW that gateways ask for at most in the slots of a day, from the first of the series on."""
    declared = declared_demand(partition(scenario, merge=series.parts.merged))
    passed = series.time(0) - scenario.times[0].astype("datetime64[s]")
    slots = round(float(passed / np.timedelta64(1, "h")) / scenario.slot_hours)
    return np.roll(declared, -slots, axis=0)


def _outlooks(joined: Scenario, parts: Partition, signals: Forecast, demand: Forecast) -> Outlooks:
    """What the forecasters are told of all slots that were recorded, where they ask for it."""
    regions = gateways = each = None
    if signals.forecaster.reads_outlook:
        told = partition(signals.outlook(joined), merge=parts.merged)
        regions = np.concatenate([told.region.price[:, None], told.region.intensity], axis=1)
        gateways = told.market.demand
    if demand.forecaster.reads_outlook:
        each = demand.outlook(joined).demand
    return Outlooks(regions, gateways, each)

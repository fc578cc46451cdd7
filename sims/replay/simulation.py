"""Replay of a scenario hour by hour: what a controller would have done that knew no more than it could.

The agents hold their series and answer for every moment from what was known then; forecasts and footprint
estimates may be wrong, meters are read later. What the run cost is recomputed from the raw scenario, and set
beside the best plan that knows all hours.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.foundation.numbers import plain
from eglb.planning.audit import (
    FootprintTotals,
    energy_cost,
    footprint_totals,
    plan_objective,
    region_load,
    violations,
)
from eglb.planning.online.policies import parse_policy
from eglb.scenarios.scenario import Scenario
from eglb.sims.replay.admission import Admission, what_became_of

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from eglb.agents.forecasting import Forecaster
    from eglb.coordinator.online.policy import Policy
    from eglb.planning.online.forecasts import Forecast

FEEDBACK = {
    "calibrated": "meters are read and teach the agents to correct their estimates (default)",
    "metered": "meters are read, estimates stay as they are",
    "open": "meters are never read",
}
_OFFLINE_GAP = 1e-6


@dataclass(frozen=True)
class SlotRecord:
    """Where a run stands after one slot.

    `objective` is what the accounting periods so far have cost, and `lower_bound` what the best plan of these
    slots would have cost at least, both USD and by the controller's own account of metered values; `gap` is
    between them, None without a certificate. `seconds` the decision took, `seconds_certificate` the
    certificate.
    """

    slot: int
    time_utc: str
    objective: float | None
    lower_bound: float | None
    gap: float | None
    seconds: float
    seconds_certificate: float


@dataclass(frozen=True, eq=False, repr=False)
class Simulation:
    """A run hour by hour, audited.

    `route` (E, T) MW on the scenario's reach pairs, `load` (N, T). `objective` (USD) adds up energy and, by
    accounting period, the equity terms; `offline_lower_bound` is a certified bound of the best plan that
    knows all hours, None if it was not asked for. With jobs, `admission` says what became of them, `work` is
    (P, T) MW on the pairs of the admitted ones, and the best plan is that of demand and the admitted ones.
    Prints as a table.
    """

    scenario: Scenario
    policy: str
    forecast: str
    estimates: str
    feedback: str
    meter_delay: int
    period: str
    declared_slots: int | None
    history_slots: int
    address: str
    actors: int
    route: Array
    load: Array
    objective: float
    energy_cost_usd: float
    footprints: dict[str, FootprintTotals]
    violations: dict[str, float]
    offline_lower_bound: float | None
    trace: tuple[SlotRecord, ...]
    rounds: int
    bytes_up: int
    bytes_down: int
    seconds_start: float
    seconds_total: float
    admission: Admission | None = None
    work: Array | None = None

    @property
    def problem(self) -> Scenario:
        """What the plan is for: the scenario without the jobs that were refused."""
        if self.admission is None:
            return self.scenario
        return self.scenario.without_jobs(self.admission.refused)

    @property
    def gap_to_offline(self) -> float | None:
        """objective / offline lower bound - 1: at most so much above the best plan that knows all hours."""
        if self.offline_lower_bound is None:
            return None
        return (self.objective - self.offline_lower_bound) / max(abs(self.offline_lower_bound), 1e-300)

    @property
    def running_gap(self) -> float | None:
        """What the controller itself could certify at the end, from the past alone; None if it did not."""
        return self.trace[-1].gap

    @property
    def seconds_per_hour(self) -> tuple[float, float]:
        """(median, max) seconds of a decision."""
        seconds = [record.seconds for record in self.trace]
        return float(np.median(seconds)), max(seconds)

    def to_dict(self) -> dict[str, Any]:
        """The object that ``eglb simulate --json`` prints; None stands for what was not asked for."""
        median, most = self.seconds_per_hour
        return plain(
            {
                "status": "done",
                "scenario": self.scenario.name,
                "policy": self.policy,
                "forecast": self.forecast,
                "estimates": self.estimates,
                "feedback": self.feedback,
                "meter_delay": self.meter_delay,
                "period": self.period,
                "declared_slots": self.declared_slots,
                "history_slots": self.history_slots,
                "address": self.address,
                "regions": len(self.scenario.regions),
                "gateways": len(self.scenario.gateways),
                "slots": self.scenario.slots,
                "hours": self.scenario.slots * self.scenario.slot_hours,
                "actors": self.actors,
                "objective": self.objective,
                "offline_lower_bound": self.offline_lower_bound,
                "gap_to_offline": self.gap_to_offline,
                "running_gap": self.running_gap,
                "energy_cost_usd": self.energy_cost_usd,
                "footprints": {kind: asdict(totals) for kind, totals in self.footprints.items()},
                "violations": self.violations,
                **({} if self.admission is None else {"jobs": self.admission.to_dict()}),
                "rounds": self.rounds,
                "bytes_up": self.bytes_up,
                "bytes_down": self.bytes_down,
                "seconds_per_hour": {"median": median, "max": most},
                "seconds": {"start": self.seconds_start, "total": self.seconds_total},
            }
        )

    def __repr__(self) -> str:
        return f"<Simulation of {self.scenario.name} by {self.policy}: objective {self.objective:,.2f} USD>"

    def __str__(self) -> str:
        from eglb.foundation.console import as_text

        return as_text(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from eglb.sims.replay.tables import simulation_table

        yield from simulation_table(self, options.max_width)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def simulate(
    scenario: Scenario,
    policy: str | Policy = "soft",
    *,
    forecast: str | Forecast | Forecaster = "none",
    history: Scenario | None = None,
    estimates: str = "exact",
    feedback: str = "calibrated",
    meter_delay: int = 1,
    period: str = "whole",
    declared_slots: int | None = None,
    certify: bool = True,
    offline: bool = True,
    address: str = "inprocess",
    regions_per_actor: int | None = None,
    deadline: float = 20.0,
    on_slot: Callable[[SlotRecord], None] | None = None,
) -> Simulation:
    """Plan hour by hour, with only what was known at each hour.

    Parameters
    ----------
    policy : one of `eglb.coordinator.online.policies.POLICIES`, with parameters: ``"guard:eps=0.1"``, or a
        `Policy` of one's own, of which a copy decides, so that one object serves any number of runs.
    forecast : one of `eglb.planning.online.forecasts.FORECASTS`, with parameters:
        ``"noisy:hours=24,sd=0.2"``, or a forecaster class of one's own, ``"module.Class"``, or a
        `Forecaster`, or a `Forecast`.
    history : the hours right before, of the same fleet, that policies and forecasters may learn from.
    estimates : how far footprint estimates are off until meters are read: exact, iid, drift or bias, such as
        ``"bias:sd=0.2"``.
    feedback : one of `FEEDBACK`. meter_delay : slots after which meters are read; 1 is before the next.
    period : after which footprints are accounted: whole, month, or a number of slots.
    declared_slots : how long the policy believes every period to be, if not as it is.
    certify : keep a running certificate. offline : compare with the best plan that knows all hours.
    address, regions_per_actor, deadline : as for `eglb.solve`.
    on_slot : told where the run stands after every slot.

    Raises
    ------
    InputError : an argument is wrong. InfeasibleError : no plan can meet demand. FleetError : the cluster
    failed.
    """
    from eglb.coordinator.online.backlog import Backlog
    from eglb.coordinator.online.loop import Period, control
    from eglb.planning.launch import launch, place_problems
    from eglb.planning.online.forecasts import as_forecast
    from eglb.planning.partition import declared_demand, partition
    from eglb.scenarios.feasibility import require_served
    from eglb.sims.replay.estimate_errors import parse_estimate_error
    from eglb.sims.replay.series import accounting_periods, timelines

    began = time.perf_counter()
    problems = place_problems(address, regions_per_actor, deadline)
    if feedback not in FEEDBACK:
        problems.append(f"feedback {feedback!r} is none of {', '.join(FEEDBACK)}")
    for name, value in (("meter_delay", meter_delay), ("declared_slots", declared_slots)):
        if value is not None and value < 1:
            problems.append(f"{name} must be at least 1, not {value!r}")
    problems += [
        f"{scenario.name}: footprint {kind.name} has the equity shape {kind.shape}; "
        "policies that plan hour by hour know the maximum only"
        for kind in scenario.footprints
        if str(kind.shape) != "max"
    ]
    if scenario.jobs is not None and period != "whole":
        problems.append(f"jobs may wait across accounting periods: period must be whole, not {period!r}")
    if problems:
        raise InputError(problems)
    decider = parse_policy(policy) if isinstance(policy, str) else _own_policy(policy)
    named = policy if isinstance(policy, str) else type(policy).__name__
    if scenario.jobs is not None and not decider.plans_work:
        raise InputError([f"{scenario.name} has jobs, and policy {named} does not decide when they run"])
    foretold = as_forecast(forecast)
    error = parse_estimate_error(estimates)
    joined = scenario
    if history is not None:
        try:
            joined = scenario.after(replace(history, jobs=None))
        except ValueError as trouble:
            raise InputError([f"history: {trouble}"]) from None
    first = joined.slots - scenario.slots
    spans = accounting_periods(scenario, period)
    require_served(scenario)
    parts = partition(joined, merge=not decider.needs_distance, merge_jobs=False)
    timeline, demand = timelines(parts, foretold, error, feedback)
    backlog = None if scenario.jobs is None else Backlog(parts.market, declared_demand(parts))
    seconds_before = time.perf_counter()
    route = np.empty((len(parts.market.edge_region), scenario.slots))
    trace: list[SlotRecord] = []
    spent = bound = 0.0
    with launch(
        parts.market,
        timeline,
        address=address,
        regions_per_actor=regions_per_actor,
        deadline=deadline,
    ) as agents:
        seconds_start = time.perf_counter() - seconds_before
        for decided in control(
            agents.fleet,
            parts.market,
            demand,
            parts.pair_values(joined.rtt_ms()),
            decider,
            [Period(first + a, first + b, declared_slots or b - a + 1) for a, b in spans],
            meter_delay=None if feedback == "open" else meter_delay,
            certify=certify,
            backlog=backlog,
        ):
            slot = decided.slot - first
            route[:, slot] = decided.route
            standing = decided.standing
            total = low = gap = None
            if standing is not None:
                total, low = spent + standing.objective, bound + standing.lower_bound
                gap = max(total - low, 0.0) / max(abs(total), 1e-300)
                if any(slot == last for _, last in spans):
                    spent, bound = total, low
            trace.append(
                SlotRecord(
                    slot,
                    str(scenario.times[slot]),
                    total,
                    low,
                    gap,
                    decided.seconds,
                    decided.seconds_certificate,
                )
            )
            if on_slot is not None:
                on_slot(trace[-1])
        traffic = agents.fleet.traffic
        actors = len(agents.hosts)
    padded = np.zeros((joined.slots, len(parts.market.edge_region)))
    padded[first:] = route.T
    whole_route = parts.expand_route(padded)[:, first:]
    admission, problem, work = None, scenario, parts.expand_work(padded)
    if backlog is not None and scenario.jobs is not None and work is not None:
        work = work[:, first:]
        admission = what_became_of(scenario, work, backlog.admitted, backlog.forced)
        problem = scenario.without_jobs(admission.refused)
        work = work[backlog.admitted[scenario.jobs.pair_job]] if problem.jobs is not None else None
    load = region_load(problem, whole_route, work)
    windows = [problem.window(a, b - a + 1) for a, b in spans]
    return Simulation(
        scenario=scenario,
        policy=named,
        forecast=forecast if isinstance(forecast, str) else type(foretold.forecaster).__name__,
        estimates=estimates,
        feedback=feedback,
        meter_delay=meter_delay,
        period=period,
        declared_slots=declared_slots,
        history_slots=first,
        address=address,
        actors=actors,
        route=whole_route,
        load=load,
        objective=sum(
            plan_objective(w, load[:, a : b + 1]) for w, (a, b) in zip(windows, spans, strict=True)
        ),
        energy_cost_usd=energy_cost(scenario, load),
        footprints=footprint_totals(scenario, load),
        violations=violations(problem, whole_route, work),
        offline_lower_bound=sum(map(offline_bound, windows)) if offline else None,
        trace=tuple(trace),
        rounds=traffic.rounds,
        bytes_up=traffic.bytes_up,
        bytes_down=traffic.bytes_down,
        seconds_start=seconds_start,
        seconds_total=time.perf_counter() - began,
        admission=admission,
        work=work,
    )


def _own_policy(policy: Policy) -> Policy:
    """A copy of a policy of the caller's own.

    Raises
    ------
    InputError : it is none.
    """
    from eglb.coordinator.online.policy import Policy

    if not isinstance(policy, Policy):
        raise InputError([f"policy {policy!r} is neither a name nor an eglb.Policy object"])
    return deepcopy(policy)


def offline_bound(scenario: Scenario) -> float:
    """USD: a certified lower bound of the best plan that knows all hours, a millionth below it at most."""
    from eglb.planning.solve import solve

    algorithm = "newton" if scenario.jobs is None else "central"
    return solve(scenario, algorithm, gap=_OFFLINE_GAP, address="inprocess").audit.lower_bound

"""The central solver: the whole scenario as one linear program, given to HiGHS with all data in one place.

The yardstick for the decentralised algorithms, so it is given every advantage: the reduced and scaled model
of `linear_model`, and for each class of instance the method measured to be fastest
(``benchmarks/central_methods.py``). Its prices go through the same `audit` as any other solver's; its own
claims are not used.
"""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Thread
from time import perf_counter
from types import MappingProxyType
from typing import Any

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InfeasibleError
from eglb.planning.audit import lower_bound, region_load, violations
from eglb.planning.central.flow_repair import repair_flow
from eglb.planning.central.linear_model import LinearModel, build_model, to_highs
from eglb.planning.feasibility import require_feasible
from eglb.planning.gateway_merging import Pairs, merge_gateways, separate_gateways
from eglb.scenarios.feasibility import TOLERANCE
from eglb.scenarios.highs import open_highs
from eglb.scenarios.jobs import fit_work
from eglb.scenarios.scenario import Scenario

Row = tuple[Array, Array]


@dataclass(frozen=True)
class Method:
    """A form of the model (see `linear_model.FORMS`) and the HiGHS options it is solved with."""

    form: str
    options: dict[str, Any]


_SIMPLEX = {"solver": "simplex", "presolve": "off"}
_INTERIOR = {"solver": "ipm", "presolve": "off", "run_crossover": "off"}
METHODS: MappingProxyType[str, Method] = MappingProxyType(
    {
        "simplex": Method("load", _SIMPLEX),
        "simplex-flow": Method("flow", _SIMPLEX),
        "simplex-presolved": Method("load", {**_SIMPLEX, "presolve": "on"}),
        "interior": Method("load", _INTERIOR),
        "interior-flow": Method("flow", _INTERIOR),
        "interior-presolved": Method("load", {**_INTERIOR, "presolve": "on"}),
        "interior-loose": Method("load", {**_INTERIOR, "ipm_optimality_tolerance": 1e-6}),
        "interior-crossover": Method("load", {**_INTERIOR, "run_crossover": "on"}),
        "first-order": Method("load", {"solver": "pdlp", "presolve": "off"}),
    }
)
# From how many columns on the interior point is faster than dual simplex; see `solve_central`.
INTERIOR_FROM_COLUMNS = 140_000
# Of a norm, by which tangents may fall short of it.
_TANGENT_TOLERANCE = 1e-7
# Columns of one linear program of a policy without equity, whose slots are independent.
COLUMNS_AT_ONCE = 10_000


@dataclass(frozen=True, eq=False)
class CentralResult:
    """What the central solver found.

    `route` is (E, T) MW on the scenario's pairs, `demand_price` (J, T) USD per MW-slot and `equity_price`
    (K, N) USD per region-weighted unit: the arguments of `audit`. `status` is ``"optimal"``,
    ``"time_limit"`` (a feasible plan all the same, and valid prices, with the gap that the audit finds) or
    ``"imprecise"`` (HiGHS could not reach its tolerances; likewise). `claimed_objective` (USD) is HiGHS's
    own, NaN if it gave none. With jobs, `work` is (P, T) MW of load on their pairs and `work_price` (M, T)
    USD per MW-slot of work. `seconds_solve` is HiGHS alone, from arrays to optimum; `peak_rss_mb` is the
    process's so far.
    """

    route: Array
    demand_price: Array
    equity_price: Array
    status: str
    method: str
    seconds_build: float
    seconds_solve: float
    seconds_repair: float
    peak_rss_mb: float
    rows: int
    columns: int
    nonzeros: int
    iterations: int
    claimed_objective: float
    work: Array | None = None
    work_price: Array | None = None


def solve_central(
    scenario: Scenario, *, time_limit: float | None = None, method: str = "auto", threads: int = 1
) -> CentralResult:
    """The optimal plan of `scenario` and the prices that prove it.

    ``method="auto"`` takes dual simplex on the model with load variables, presolve off, and from
    `INTERIOR_FROM_COLUMNS` columns on interior point without crossover, on the same model. Figures behind
    that are in ``benchmarks/results/central_methods.md``. After interior point the plan is repaired to meet
    demand and capacity to the last digits.

    Parameters
    ----------
    time_limit : seconds, building included; the repair of what was reached by then comes on top.
    method : ``"auto"`` or one of `METHODS`.
    threads : for HiGHS; its simplex and interior point hardly use more than one.

    Raises
    ------
    InfeasibleError : no feasible plan exists.
    ValueError : unknown method.
    """
    if method != "auto" and method not in METHODS:
        raise ValueError(f"method {method!r} is not one of auto, {', '.join(METHODS)}")
    started = perf_counter()
    pairs = merge_gateways(scenario)
    model = build_model(scenario, form=METHODS["simplex" if method == "auto" else method].form, pairs=pairs)
    if method == "auto":
        method = "interior" if len(model.cost) >= INTERIOR_FROM_COLUMNS else "simplex"
    seconds_build = perf_counter() - started
    left = None if time_limit is None else max(0.0, time_limit - seconds_build)
    answer = _run(scenario, model, METHODS[method].options, left, threads, _tangents_wanted(scenario, model))
    started = perf_counter()
    work = model.work_on_pairs(answer.columns)
    left_over = pairs
    if work is not None:
        assert scenario.jobs is not None
        work = fit_work(scenario.jobs, scenario.times, scenario.slot_hours, work)
        taken = region_load(scenario, np.zeros((len(scenario.reach_region), scenario.slots)), work)
        left_over = replace(pairs, capacity=np.maximum(pairs.capacity - taken, 0.0))
    flow = repair_flow(left_over, model.flow(answer.columns), _repair_to(scenario))
    route = pairs.expand_flow(scenario, flow)
    if max(violations(scenario, route, work).values()) > 10.0 * _repair_to(scenario):
        # HiGHS was cut short or content with less; the exact test decides, and says what is short.
        require_feasible(scenario)
    prices = (
        model.demand_price(answer.row_dual),
        model.equity_price(answer.row_dual),
        model.work_price(answer.row_dual),
    )
    if answer.status != "optimal":
        # A solver cut short may hold worse prices than none.
        prices = max(prices, _plain_prices(scenario), key=lambda prices: lower_bound(scenario, *prices))
    seconds_repair = perf_counter() - started
    return CentralResult(
        route=route,
        demand_price=prices[0],
        equity_price=prices[1],
        status=answer.status,
        method=method,
        seconds_build=seconds_build,
        seconds_solve=answer.seconds,
        seconds_repair=seconds_repair,
        peak_rss_mb=_peak_rss_mb(),
        rows=model.matrix.shape[0],
        columns=model.matrix.shape[1],
        nonzeros=model.matrix.nnz,
        iterations=answer.iterations,
        claimed_objective=model.optimum(answer.objective),
        work=work,
        work_price=prices[2],
    )


def solve_cheapest(scenario: Scenario, region_cost: Array) -> Array:
    """(E, T) MW: the route of least total `region_cost`, (N, T) per MW of IT load and slot, in any unit.

    Raises
    ------
    InfeasibleError : no feasible plan exists.
    """
    pairs = merge_gateways(scenario)
    return pairs.expand_flow(scenario, _cheapest_flow(scenario, pairs, region_cost[pairs.region]))


def solve_cheapest_pairs(scenario: Scenario, pair_cost: Array) -> Array:
    """(E, T) MW: the route of least total `pair_cost`, (E,) per MW on each pair of the scenario, in any unit.

    Raises
    ------
    InfeasibleError : no feasible plan exists.
    """
    pairs = separate_gateways(scenario)
    cost = np.empty(len(pairs.region))
    cost[pairs.of_pair] = pair_cost
    flow = _cheapest_flow(scenario, pairs, np.repeat(cost[:, None], scenario.slots, axis=1))
    return pairs.expand_flow(scenario, flow)


def _repair_to(scenario: Scenario) -> float:
    """MW: a tenth of the violation that a plan may be reported with, a share of the largest single demand."""
    return 0.1 * TOLERANCE * float(scenario.demand.max(initial=0.0))


def _cheapest_flow(scenario: Scenario, pairs: Pairs, cost: Array) -> Array:
    """(E', T) MW: slots are independent, and simplex is faster on a few at a time than on all."""
    flow = np.empty(cost.shape)
    slots_at_once = max(1, COLUMNS_AT_ONCE // len(cost))
    for start in range(0, cost.shape[1], slots_at_once):
        span = slice(start, start + slots_at_once)
        part = replace(pairs, demand=pairs.demand[:, span], capacity=pairs.capacity[:, span])
        model = build_model(scenario, pairs=part, cost=cost[:, span])
        answer = _run(scenario, model, _SIMPLEX, None, 1)
        flow[:, span] = repair_flow(part, model.flow(answer.columns), _repair_to(scenario))
    return flow


@dataclass(frozen=True, eq=False)
class _Answer:
    columns: Array
    row_dual: Array
    objective: float
    status: str
    iterations: int
    seconds: float


def _tangents_wanted(scenario: Scenario, model: LinearModel) -> Callable[[Array], list[Row]] | None:
    """What finds the tangents of the norms that a solution lacks; None if no footprint has a norm's shape.

    Cutting planes (Kelley 1960): first the axes, which make the norm the maximum, then where solutions lie.
    """
    powers = {
        k: scenario.footprints[model.kinds[k]].shape.parameter
        for k in model.own_levels
        if scenario.footprints[model.kinds[k]].shape.family == "lq"
    }
    if not powers:
        return None

    def wanted(columns: Array) -> list[Row]:
        rows = []
        for k, power in powers.items():
            level = np.maximum(model.own_level(k, columns), 0.0)
            size = float(np.linalg.norm(level, ord=power))
            place, value = model.tangent(k, (level / size) ** (power - 1) if size > 0.0 else level)
            missing = float(value @ columns[place])
            if size > 0.0 and missing > _TANGENT_TOLERANCE * size:
                rows.append((place, value))
        return rows

    return wanted


def _run(
    scenario: Scenario,
    model: LinearModel,
    options: dict[str, Any],
    time_limit: float | None,
    threads: int,
    further_rows: Callable[[Array], list[Row]] | None = None,
) -> _Answer:
    """Solve `model`; zeros stand for what HiGHS has no value for.

    `further_rows` tells of a solution which rows it lacks (columns and values, at most zero); they are added
    until it lacks none.
    """
    import highspy

    # HiGHS keeps its worker threads for the life of the process and refuses another number of them.
    highspy.Highs.resetGlobalScheduler(True)
    solver = open_highs()
    chosen = {"threads": threads, "time_limit": math.inf if time_limit is None else time_limit, **options}
    for name, value in chosen.items():
        # An option that this build lacks (such as solver=hipo) is otherwise ignored and another solver runs.
        if solver.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise ValueError(f"this build of HiGHS does not take {name}={value!r}")
    started = perf_counter()
    solver.passModel(to_highs(model))
    if further_rows is not None:
        axes = np.eye(len(scenario.regions))
        _add_rows(solver, [model.tangent(k, axis) for k in model.own_levels for axis in axes])
    _run_interruptibly(solver)
    while further_rows is not None and solver.getModelStatus() == highspy.HighsModelStatus.kOptimal:
        rows = further_rows(np.array(solver.getSolution().col_value))
        if not rows:
            break
        _add_rows(solver, rows)
        if time_limit is not None:
            solver.setOptionValue("time_limit", max(0.0, time_limit - (perf_counter() - started)))
        _run_interruptibly(solver)
    seconds = perf_counter() - started
    status = solver.getModelStatus()
    ends = highspy.HighsModelStatus
    if status in (ends.kInfeasible, ends.kUnboundedOrInfeasible):
        require_feasible(scenario)
        why = "demand exceeds the capacity within reach by a rounding error"
        if scenario.jobs is not None:
            why = "no plan does all work beside demand"
        raise InfeasibleError(f"{scenario.name}: {why}")
    height, width = model.matrix.shape
    solution, info = solver.getSolution(), solver.getInfo()
    columns = np.array(solution.col_value) if solution.value_valid else np.zeros(width)
    row_dual = np.array(solution.row_dual) if solution.dual_valid else np.zeros(height)
    return _Answer(
        columns=np.where(np.isfinite(columns), columns, 0.0),
        row_dual=np.where(np.isfinite(row_dual), row_dual, 0.0),
        objective=float(info.objective_function_value) if solution.value_valid else math.nan,
        status={ends.kOptimal: "optimal", ends.kTimeLimit: "time_limit"}.get(status, "imprecise"),
        iterations=int(
            max(info.simplex_iteration_count, info.ipm_iteration_count, info.pdlp_iteration_count)
        ),
        seconds=seconds,
    )


def _add_rows(solver: Any, rows: list[Row]) -> None:
    """Add rows that are to be at most zero."""
    for place, value in rows:
        solver.addRow(-math.inf, 0.0, len(place), place.astype(np.int32), value)


def _run_interruptibly(solver: Any) -> None:
    """Run `solver` on a thread of its own, so that Ctrl-C ends it rather than waits for it."""
    thread = Thread(target=solver.run, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.5)
    except BaseException:
        # Looked at in every iteration of simplex and interior point. A process that ends while HiGHS still
        # runs is aborted with a message of its own, hence the wait.
        solver.setOptionValue("time_limit", 0.0)
        thread.join(10.0)
        raise


def _plain_prices(scenario: Scenario) -> tuple[Array, Array, Array | None]:
    """Prices of no solver: equity weights spread evenly, each gateway and job at the cheapest region it
    reaches.
    """
    n = len(scenario.regions)
    equity_price = np.array([np.full(n, kind.weight / n) for kind in scenario.footprints]).reshape(-1, n)
    cost = scenario.price_per_mw_slot()
    for kind in scenario.footprints:
        cost += (kind.weight / n * kind.region_weight)[:, None] * scenario.intensity_per_mw_slot(kind)
    demand_price = np.full(scenario.demand.shape, np.inf)
    np.minimum.at(demand_price, scenario.reach_gateway, cost[scenario.reach_region])
    work_price = None
    if (jobs := scenario.jobs) is not None:
        work_price = np.full((len(jobs), scenario.slots), np.inf)
        np.minimum.at(work_price, jobs.pair_job, cost[jobs.pair_region] * jobs.pair_gain[:, None])
    return np.where(np.isfinite(demand_price), demand_price, 0.0), equity_price, work_price


def _peak_rss_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024

"""What it buys to schedule training and inference together, rather than one after the other.

Apart, inference is planned as if there were no jobs, and jobs then take what capacity is left: where and when
it is cheapest, where there is least carbon, or where eGLB would have them if inference cannot move any more.
Together, one plan has both. What is left to jobs is a fleet of its own, in which every region's inference is
a gateway that reaches that region alone, so the same algorithms and the same certificates serve. Without
equity the cheapest places are found exactly (`eglb.coordinator.market.min_cost_flow`, successive shortest
paths).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InfeasibleError, InputError
from eglb.foundation.numbers import plain
from eglb.planning.audit import energy_cost, footprint_totals, plan_objective
from eglb.planning.feasibility import find_unmet_work
from eglb.planning.job_totals import counted, measure_jobs
from eglb.planning.progress import RoundRecord
from eglb.planning.solution import Solution
from eglb.planning.solve import solve
from eglb.planning.storage.folder import write_solution
from eglb.scenarios.scenario import Scenario
from eglb.sims.baselines import CARBON, at_cost, cheapest_with_jobs
from eglb.sims.co_scheduling.ways import IN_TURN, TOGETHER, WAYS, WITHOUT_EQUITY, Scheduling
from eglb.sims.comparison.comparison import change

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult


@dataclass(frozen=True, eq=False, repr=False)
class Coordination:
    """Every way of `WAYS`, in that order, and the `plan` that has both loads. Prints as a table.

    `certain` is the largest certified gap of the plans of eGLB that are compared: smaller differences may be
    theirs.
    """

    scenario: Scenario
    ways: tuple[Scheduling, ...]
    plan: Solution
    certain: float

    def way(self, name: str) -> Scheduling | None:
        """The way of that name, None if it was not tried."""
        return next((way for way in self.ways if way.name == name), None)

    @property
    def best_without_equity(self) -> Scheduling | None:
        """The way without equity for training of the least objective; None if none can do all work."""
        blind = [way for way in self.ways if way.name in WITHOUT_EQUITY and not way.problem]
        return min(blind, key=lambda way: way.objective or 0.0, default=None)

    def saved(self, way: Scheduling) -> float | None:
        """The share of its objective that going together saves; None where it cannot do all work."""
        if way.objective is None:
            return None
        return (way.objective - self.plan.audit.objective) / max(abs(way.objective), 1e-300)

    def buys(self) -> list[str]:
        """What one plan for both buys, in sentences; nothing where it is less than is certain."""
        return [
            self._against("training without equity", self.best_without_equity),
            self._against("training by eGLB after inference", self.way(IN_TURN)),
        ]

    def _against(self, what: str, way: Scheduling | None) -> str:
        if way is None or (saved := self.saved(way)) is None:
            return f"Against {what}: only in one plan can all work be done."
        named = f" ({way.name})" if way.name in WITHOUT_EQUITY else ""
        if saved <= self.certain:
            within = f"{100.0 * saved:.3f} % is within the certified gaps"
            return f"Against {what}{named}, one plan saves nothing: {within}."
        audit = self.plan.audit
        moves = [f"energy cost {_moved(way.energy_cost_usd or 0.0, audit.energy_cost_usd)}"]
        moves += [
            f"the worst region's {kind} {_moved(totals.max, audit.footprints[kind].max)}"
            for kind, totals in (way.footprints or {}).items()
        ]
        most = f"{100.0 * saved:.2f} % of the objective"
        return f"Against {what}{named}, one plan saves {most}: {', '.join(moves)}."

    def to_dict(self) -> dict[str, Any]:
        """The object that ``eglb compare --jobs --json`` prints: the plan together as ``eglb solve`` does,
        and all ways as ``schedulings``.
        """
        return {**self.plan.to_dict(), **self.further()}

    def further(self) -> dict[str, Any]:
        """What this knows beside the plan, for JSON."""
        return {"schedulings": self.rows(), "certain": self.certain, "buys": self.buys()}

    def rows(self) -> list[dict[str, Any]]:
        """All ways, for JSON."""
        return [plain({**asdict(way), "saved_together": self.saved(way)}) for way in self.ways]

    def __repr__(self) -> str:
        return f"<Coordination of {self.scenario.name}: {self.buys()[-1]}>"

    def __str__(self) -> str:
        from eglb.foundation.console import as_text

        return as_text(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from eglb.sims.co_scheduling.tables import coordination_table

        yield from coordination_table(self, options.max_width)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def coordinate(
    scenario: Scenario,
    algorithm: str = "admm",
    *,
    gap: float = 1e-4,
    time_limit: float | None = None,
    address: str = "local",
    regions_per_actor: int | None = None,
    on_start: Callable[[str], None] | None = None,
    on_round: Callable[[RoundRecord], None] | None = None,
) -> Coordination:
    """Schedule the jobs and the demand of `scenario` apart and together.

    Parameters
    ----------
    algorithm, gap, time_limit, address, regions_per_actor : as in `eglb.solve`, for every plan of eGLB; plans
        without equity are made in process, exactly.
    on_start : told what is planned next. on_round : told every round of eGLB.

    Raises
    ------
    InputError : there are no jobs, or an option is wrong. InfeasibleError : not even together all is met.
    """
    if scenario.jobs is None:
        raise InputError(
            f"{scenario.name} has no jobs to schedule: add a table jobs, or a part ,jobs=SHARE[:HOURS] to "
            "its name"
        )
    start = on_start or (lambda name: None)

    gaps = [0.0]

    def plan(fleet: Scenario, what: str) -> Solution:
        start(f"{algorithm}, {what}")
        found = solve(
            fleet,
            algorithm,
            gap=gap,
            time_limit=time_limit,
            address=address,
            regions_per_actor=regions_per_actor,
            on_round=on_round,
        )
        gaps.append(found.audit.gap)
        return found

    together = plan(scenario, TOGETHER)
    inference = plan(replace(scenario, jobs=None), "inference alone")
    left = after_inference(scenario, inference.load)
    ways = []
    carbon = next((kind for kind in scenario.footprints if kind.name == CARBON), None)
    short = find_unmet_work(left)
    for name in WAYS:
        if name == TOGETHER:
            ways.append(_measured(scenario, name, together))
            continue
        if name == "carbon-first" and carbon is None:
            continue
        if short.any():
            problem = f"{short.sum():,.6g} MWh of {counted(int(np.count_nonzero(short)))} find no capacity"
            ways.append(Scheduling(name, problem=problem))
            continue
        try:
            if name == "cheapest-first":
                found = cheapest_with_jobs(at_cost(left, left.price_per_mw_slot()))
            elif name == "carbon-first":
                assert carbon is not None
                found = cheapest_with_jobs(at_cost(left, left.intensity_per_mw_slot(carbon)))
            else:
                found = plan(left, "training, inference fixed")
            ways.append(_measured(scenario, name, found))
        except InfeasibleError as error:
            ways.append(Scheduling(name, problem=error.problems[0]))
    return Coordination(scenario, tuple(ways), together, max(gaps))


def after_inference(scenario: Scenario, load: Array) -> Scenario:
    """The same fleet and jobs where inference is `load`, (N, T) MW, and cannot be moved."""
    everywhere = np.arange(len(scenario.regions))
    return replace(
        scenario,
        gateways=scenario.regions,
        gateway_lat=scenario.region_lat,
        gateway_lon=scenario.region_lon,
        gateway_utc_offset_h=np.round(scenario.region_lon / 15.0),
        demand=np.minimum(load, scenario.capacity),
        reach_gateway=everywhere,
        reach_region=everywhere,
        reach_rtt_ms=np.zeros(len(everywhere)),
    )


def write_coordination(found: Coordination, folder: Path) -> None:
    """Fill `folder` with the plan together, as a solve does, the ways apart in run.json, and the picture."""
    from eglb.sims.co_scheduling.tables import draw_coordination

    draw_coordination(found, folder)
    write_solution(found.plan, folder, found.further())


def _moved(before: float, after: float) -> str:
    """A relative change in percent, without a sign if there is none to speak of."""
    return change(before, after).replace("-0.0 %", "0.0 %").replace("+0.0 %", "0.0 %")


def _measured(scenario: Scenario, name: str, found: Solution) -> Scheduling:
    """A plan, whatever it was made for, by what counts in `scenario`."""
    assert found.work is not None
    jobs = measure_jobs(scenario, found.work)
    return Scheduling(
        name,
        energy_cost_usd=energy_cost(scenario, found.load),
        objective=plan_objective(scenario, found.load),
        footprints=footprint_totals(scenario, found.load),
        moved_in_time=jobs.moved_in_time,
        moved_in_space=jobs.moved_in_space,
    )

"""Every policy and every algorithm on one scenario, side by side with the central solver."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from eglb.foundation.errors import InputError
from eglb.foundation.numbers import plain
from eglb.planning.progress import RoundRecord
from eglb.planning.solution import Solution
from eglb.planning.solve import ALGORITHMS, solve
from eglb.scenarios.scenario import Scenario
from eglb.sims.baselines import PolicyRow, policy_names, policy_row
from eglb.sims.replay.simulation import simulate
from eglb.sims.sweep.sweep import Sweep, sweep

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult


# Hour by hour: the policies that need neither forecast nor tuning, and the published one.
ONLINE = ("soft", "guard", "eg", "adahedge", "dmd")


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Policies by what they cost (those that decide hour by hour last), and solvers by how they reach the
    same optimum, the central one first.

    Every solver is a whole `Solution`, its plan, certificate and trace included. `sweep` is what equity costs
    at other weights, where that was asked for. Prints as tables.
    """

    scenario: Scenario
    policies: tuple[PolicyRow, ...]
    solvers: tuple[Solution, ...]
    sweep: Sweep | None = None

    @property
    def central(self) -> Solution:
        """The central solver's run, what the others are measured against."""
        return next(run for run in self.solvers if run.algorithm == "central")

    @property
    def cheapest(self) -> Solution:
        """The run with the best plan, of those that leave out the fewest regions."""
        return min(self.solvers, key=lambda run: (len(run.out), run.audit.objective))

    def solvers_with_gap(self) -> Iterator[tuple[Solution, float]]:
        """Each run with its gap to the central objective: (objective - central) / |central|."""
        reference = self.central.audit.objective
        for run in self.solvers:
            yield run, (run.audit.objective - reference) / max(abs(reference), 1e-300)

    def equity_lines(self) -> list[str]:
        """What equity costs: the equitable optimum against the cheapest plan, one sentence per quantity."""
        by_name = {row.name: row for row in self.policies}
        if not {"GLB-Cost", "eGLB-Off"} <= by_name.keys():
            return []
        cheap, fair = by_name["GLB-Cost"], by_name["eGLB-Off"]
        energy = change(cheap.energy_cost_usd, fair.energy_cost_usd)
        lines = [f"Equity (eGLB-Off) against cheapest-first (GLB-Cost): energy cost {energy},"]
        lines += [
            f"  the worst region's {kind} {change(cheap.footprints[kind].max, totals.max)}, "
            f"max/avg {cheap.footprints[kind].par:.2f} -> {totals.par:.2f}"
            for kind, totals in fair.footprints.items()
        ]
        return lines if len(lines) > 1 else []

    def to_dict(self) -> dict[str, Any]:
        """The object that ``eglb compare --json`` prints; `seconds` of a solver leave its start-up out."""
        return plain(
            {
                "scenario": self.scenario.name,
                "regions": len(self.scenario.regions),
                "gateways": len(self.scenario.gateways),
                "slots": self.scenario.slots,
                "policies": [asdict(row) for row in self.policies],
                "solvers": [
                    {
                        "name": run.algorithm,
                        "status": run.status,
                        "objective": run.audit.objective,
                        "lower_bound": run.audit.lower_bound,
                        "gap": run.audit.gap,
                        "gap_to_central": above,
                        "rounds": run.rounds,
                        "bytes_up": run.bytes_up,
                        "bytes_down": run.bytes_down,
                        "seconds": run.seconds_solve,
                        "seconds_start": run.seconds_start,
                        "actors": run.actors,
                        "peak_rss_mb": run.peak_rss_mb,
                        "violations": run.audit.violations,
                    }
                    for run, above in self.solvers_with_gap()
                ],
                **({} if self.sweep is None else {"sweep": self.sweep.to_dict()}),
            }
        )

    def __repr__(self) -> str:
        sizes = f"{len(self.policies)} policies, {len(self.solvers)} solvers"
        return f"<Comparison on {self.scenario.name}: {sizes}>"

    def __str__(self) -> str:
        from eglb.foundation.console import as_text

        return as_text(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from eglb.sims.comparison.tables import comparison_table

        yield from comparison_table(self, options.max_width)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def compare(
    scenario: Scenario,
    *,
    algorithms: Sequence[str] | None = None,
    gap: float = 1e-4,
    time_limit: float | None = 60.0,
    address: str = "local",
    regions_per_actor: int | None = None,
    with_sweep: bool = False,
    on_start: Callable[[str], None] | None = None,
    on_round: Callable[[RoundRecord], None] | None = None,
) -> Comparison:
    """Run every policy, the central solver and the algorithms, one after the other; online policies too, if
    the equity shape is the maximum that they know, and there are no jobs.

    Parameters
    ----------
    algorithms : names out of `eglb.planning.solve.ALGORITHMS`, default all. The central solver always runs,
        first and without a limit: it is what the others are measured against.
    gap : certified gap at which an algorithm stops.
    time_limit : seconds one algorithm may take; None is no limit.
    address, regions_per_actor : as in `eglb.solve`, for the algorithms.
    with_sweep : also sweep the equity weights, in process, see `eglb.sims.sweep.sweep`.
    on_start : told the name of each policy, solver and point of the sweep as it starts.
    on_round : told every round of every solver.

    Raises
    ------
    InfeasibleError : no feasible plan exists.
    InputError : an option is out of range or unknown.
    """
    chosen = [name for name in dict.fromkeys(algorithms or ALGORITHMS) if name != "central"]
    if unknown := [name for name in chosen if name not in ALGORITHMS]:
        known = ", ".join(ALGORITHMS)
        raise InputError(f"unknown algorithm {name!r}; there are {known}" for name in unknown)
    start = on_start or (lambda name: None)
    policies = []
    for name in policy_names(scenario):
        start(name)
        policies.append(policy_row(name, scenario))
    hourly = scenario.jobs is None and all(str(kind.shape) == "max" for kind in scenario.footprints)
    for name in ONLINE if hourly else ():
        start(f"{name}, hour by hour")
        policies.append(_online_row(name, scenario))
    solvers = []
    for name in ["central", *chosen]:
        start(name)
        solvers.append(
            solve(
                scenario,
                name,
                gap=gap,
                time_limit=None if name == "central" else time_limit,
                address=address,
                regions_per_actor=regions_per_actor,
                on_round=on_round,
            )
        )
    curve = sweep(scenario, on_start=start, on_round=on_round) if with_sweep else None
    return Comparison(scenario, tuple(policies), tuple(solvers), curve)


def _online_row(name: str, scenario: Scenario) -> PolicyRow:
    """A policy that decides hour by hour and foretells nothing."""
    run = simulate(scenario, name, certify=False, offline=False)
    return PolicyRow(name, run.energy_cost_usd, run.footprints, run.objective)


def change(before: float, after: float) -> str:
    """A relative change in percent, such as ``-41.3 %``."""
    if before == 0 or not math.isfinite(before):
        return f"{after - before:+,.4g}"
    return f"{100 * (after - before) / abs(before):+.1f} %"

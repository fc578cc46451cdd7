"""How a plan fares if the footprints are not at their central estimates but at an end of their ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from eglb.foundation.errors import InputError
from eglb.foundation.numbers import amount, plain
from eglb.planning.audit import FootprintTotals, footprint_totals, plan_objective
from eglb.planning.solution import Solution
from eglb.planning.solution_table import worst_regions
from eglb.scenarios.scenario import Scenario

LEVELS = ("low", "central", "high")


@dataclass(frozen=True, eq=False)
class Outcome:
    """One plan under the footprints of one level, `scenario`; `best` is the plan that was made for them."""

    scenario: Scenario
    objective: float
    footprints: dict[str, FootprintTotals]
    best: Solution


@dataclass(frozen=True, eq=False)
class FootprintRange:
    """The plan of the central estimates at every level of `LEVELS`."""

    solution: Solution
    outcomes: dict[str, Outcome]

    @property
    def converged(self) -> bool:
        """Whether every one of the plans was reached within the gap asked for."""
        return all(outcome.best.converged for outcome in self.outcomes.values())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from range_table(self, width=options.max_width)

    def to_dict(self) -> dict[str, Any]:
        """What ``--json`` has under ``footprint_range``: by level, this plan and the one made for that level.

        `worst_total` is the region-weighted one, which is what equity prices.
        """
        return plain(
            {
                level: {
                    "this_plan": _as_dict(outcome.scenario, outcome.objective, outcome.footprints),
                    "planned_for_it": {
                        **_as_dict(
                            outcome.scenario, outcome.best.audit.objective, outcome.best.audit.footprints
                        ),
                        "gap": outcome.best.audit.gap,
                        "status": outcome.best.status,
                    },
                }
                for level, outcome in self.outcomes.items()
            }
        )


def require_ranges(scenario: Scenario, option: str) -> None:
    """Raises InputError, naming `option`, unless some footprint kind has a low and a high end."""
    if not any(kind.low is not None and kind.high is not None for kind in scenario.footprints):
        names = " and ".join(f"{k.name}_low, {k.name}_high" for k in scenario.footprints) or "none"
        raise InputError(
            f"{option}: the footprints of {scenario.name} have no ranges (tables {names}); "
            "eglb scenario estimate makes them from cooling, weather and fuel mix"
        )


def footprint_range(solution: Solution, solve: Callable[[Scenario, str], Solution]) -> FootprintRange:
    """The plan of `solution`, and the plans that ``solve(scenario, level)`` makes for both ends."""
    outcomes = {}
    for level in LEVELS:
        there = solution.scenario.at(level)
        best = solution if level == "central" else solve(there, level)
        outcomes[level] = Outcome(
            there, plan_objective(there, solution.load), footprint_totals(there, solution.load), best
        )
    return FootprintRange(solution, outcomes)


def range_table(found: FootprintRange, width: int) -> Iterator[RenderableType]:
    """Worst regions by kind and level, and objectives, for a terminal `width` columns wide."""
    wide = width >= 96
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2 if wide else 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("\nFootprints", no_wrap=True)
    table.add_column("\nat", no_wrap=True)
    table.add_column("this plan's\nworst", justify="right", no_wrap=True)
    table.add_column("\nregion", overflow="ellipsis", no_wrap=True)
    table.add_column("\nmax/avg", justify="right", no_wrap=True)
    table.add_column("planned for it,\nworst", justify="right", no_wrap=True)
    if wide:
        table.add_column("\nregion", overflow="ellipsis", no_wrap=True)
    kinds = found.solution.scenario.footprints
    for kind in kinds:
        for level, outcome in found.outcomes.items():
            region, total = worst_regions(outcome.scenario, outcome.footprints)[kind.name]
            best_region, best_total = worst_regions(outcome.scenario, outcome.best.audit.footprints)[
                kind.name
            ]
            cells = [
                f"{kind.name} {kind.unit}" if level == "low" else "",
                level,
                amount(total),
                region,
                f"{outcome.footprints[kind.name].par:.2f}",
                amount(best_total),
            ]
            table.add_row(*cells, *([best_region] if wide else []), end_section=level == "high")
    for level, outcome in found.outcomes.items():
        best = outcome.best.audit.objective
        above = f"{outcome.objective / best - 1:.2%} more" if best > 0 and level != "central" else ""
        cells = ["objective USD" if level == "low" else "", level, amount(outcome.objective), above, ""]
        table.add_row(*cells, amount(best), *([""] if wide else []))
    yield Padding(table, (1, 0, 0, 0))
    without = [kind.name for kind in kinds if kind.low is None and kind.high is None]
    if without:
        yield Text(f"Without a range: {', '.join(without)}.", style="dim")


def _as_dict(scenario: Scenario, objective: float, footprints: dict[str, FootprintTotals]) -> dict[str, Any]:
    worst = worst_regions(scenario, footprints)
    return {
        "objective": objective,
        "footprints": {
            name: {
                "worst_region": worst[name][0],
                "worst_total": worst[name][1],
                "total": totals.total,
                "par": totals.par,
                "unit": totals.unit,
            }
            for name, totals in footprints.items()
        },
    }

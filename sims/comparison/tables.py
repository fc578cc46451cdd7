"""Comparison tables: policies, solvers and online runs, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from eglb.foundation.console import borderless_table
from eglb.foundation.numbers import amount, byte_count, small

if TYPE_CHECKING:
    from eglb.planning.solution import Solution
    from eglb.sims.comparison.comparison import Comparison


def _ended(run: Solution) -> str:
    """The status of a solver's run, and how many regions it is without."""
    return run.status.replace("_", " ") + (f", {len(run.out)} regions out" if run.out else "")


def comparison_table(comparison: Comparison, width: int) -> Iterator[RenderableType]:
    """Policies, what equity costs, and solvers, for a terminal `width` columns wide."""
    scenario = comparison.scenario
    yield Text.assemble(
        (scenario.name, "bold"),
        f"  {len(scenario.regions)} regions, {len(scenario.gateways)} gateways, {scenario.slots} slots",
    )
    if comparison.policies:
        # What of a footprint is shown when there is no room for all: the worst region, then the imbalance.
        room = (width - 45) // max(1, len(scenario.footprints))
        parts = (
            ("total", "worst", "max/avg")
            if room >= 28
            else ("worst", "max/avg")
            if room >= 17
            else ("worst",)
        )
        policies = borderless_table()
        policies.add_column("\nPolicy", no_wrap=True)
        policies.add_column("energy\nUSD", justify="right", no_wrap=True)
        policies.add_column("objective\nUSD", justify="right", no_wrap=True)
        for kind in scenario.footprints:
            for place, part in enumerate(parts):
                heading = f"{kind.name} {kind.unit}" if place == 0 else ""
                policies.add_column(f"{heading}\n{part}", justify="right", no_wrap=True)
        for row in comparison.policies:
            cells = [row.name, amount(row.energy_cost_usd), amount(row.objective)]
            for kind in scenario.footprints:
                totals = row.footprints[kind.name]
                largest = max(other.footprints[kind.name].total for other in comparison.policies)
                shown = {
                    "total": amount(totals.total, like=largest),
                    "worst": amount(totals.max, like=largest),
                    "max/avg": f"{totals.par:.2f}" if math.isfinite(totals.par) else "-",
                }
                cells += [shown[part] for part in parts]
            last = row.name == "eGLB-Off"
            policies.add_row(*cells, style="bold" if last else "", end_section=last)
        yield Padding(policies, (1, 0))
        if comparison.policies[-1].name != "eGLB-Off":
            below = Text("Below the line: hour by hour, with nothing foretold.", style="dim")
            yield Padding(below, (0, 0, 1, 0))
    for line in comparison.equity_lines():
        yield Text(line)

    solvers = borderless_table(gap=1)
    solvers.add_column("\nSolver", no_wrap=True)
    columns = [
        "objective\nUSD",
        "certified\ngap",
        "above\ncentral",
        "\nrounds",
        "up per\nregion",
        "\nseconds",
    ]
    for name in columns:
        solvers.add_column(name, justify="right", no_wrap=True)
    solvers.add_column("\nstatus", no_wrap=True)
    for run, above in comparison.solvers_with_gap():
        solvers.add_row(
            run.algorithm,
            amount(run.audit.objective),
            small(run.audit.gap),
            small(above),
            str(run.rounds),
            byte_count(run.bytes_up // len(scenario.regions)),
            f"{run.seconds_solve:.2f}",
            Text(_ended(run), style="green" if run.converged and not run.out else "yellow"),
        )
    yield Padding(solvers, (1, 0, 0, 0))
    if comparison.sweep is not None:
        from eglb.sims.sweep.tables import sweep_table

        yield Text()
        yield from sweep_table(comparison.sweep, width)

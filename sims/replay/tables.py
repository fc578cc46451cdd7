"""A simulation as people read it in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from eglb.foundation.console import rows_table
from eglb.foundation.numbers import byte_count, dollars, duration, small
from eglb.planning.solution_table import equity_rows, region_table

if TYPE_CHECKING:
    from eglb.sims.replay.simulation import Simulation


def percent(share: float) -> str:
    """A share of one, such as ``1.81 %``."""
    return f"{100 * share:.2f} %" if abs(share) >= 1e-4 or share == 0 else f"{100 * share:.1e} %"


def simulation_table(simulation: Simulation, width: int) -> Iterator[RenderableType]:
    """The run's parts for a terminal `width` columns wide: heading, costs, footprints by region, effort."""
    scenario = simulation.scenario
    yield Text.assemble(
        (scenario.name, "bold"),
        f"  {len(scenario.regions)} regions, {len(scenario.gateways)} gateways, {scenario.slots} slots  ",
        (simulation.policy, "bold green"),
    )
    yield Text(_circumstances(simulation), style="dim")
    rows = [("Energy cost", dollars(simulation.energy_cost_usd), "")]
    if simulation.period == "whole":
        rows += equity_rows(scenario, simulation.footprints)
    else:
        equity = simulation.objective - simulation.energy_cost_usd
        rows.append(("Equity", dollars(equity), f"accounting period: {simulation.period}"))
    remark = ""
    if (gap := simulation.gap_to_offline) is not None:
        remark = f"at most {percent(gap)} above the best plan that knows all hours"
    rows.append(("Objective", dollars(simulation.objective), remark))
    if (running := simulation.running_gap) is not None:
        rows.append(
            ("Running gap", percent(running), "against the best possible up to now, from the past alone")
        )
    if simulation.admission is not None:
        rows.append(("Work", f"{simulation.admission.energy_mwh:,.6g} MWh", str(simulation.admission)))
    yield Padding(rows_table(rows), (1, 0))
    if simulation.footprints:
        shown = region_table(scenario, simulation.footprints, simulation.load, width)
        yield Padding(shown, (0, 0, 1, 0))
    for line in _effort(simulation):
        yield Text(line, style="dim")


def _circumstances(simulation: Simulation) -> str:
    parts = [f"forecast: {simulation.forecast}"]
    if simulation.estimates != "exact":
        parts.append(f"estimates: {simulation.estimates}, feedback: {simulation.feedback}")
    if simulation.meter_delay != 1:
        parts.append(f"meters read after {simulation.meter_delay} slots")
    if simulation.declared_slots is not None:
        parts.append(f"period declared as {simulation.declared_slots} slots")
    if simulation.history_slots:
        parts.append(f"{simulation.history_slots} slots of history")
    return " · ".join(parts)


def _effort(simulation: Simulation) -> list[str]:
    median, most = simulation.seconds_per_hour
    actors = f"{simulation.actors} actor{'s' * (simulation.actors != 1)} ({simulation.address})"
    return [
        f"{1e3 * median:.1f} ms a decision, {1e3 * most:.1f} ms at most · {simulation.rounds} rounds · "
        f"{actors} · {byte_count(simulation.bytes_up)} up, {byte_count(simulation.bytes_down)} down",
        f"{duration(simulation.seconds_total)} in all · "
        f"largest violation {small(max(simulation.violations.values(), default=0.0))} MW",
    ]

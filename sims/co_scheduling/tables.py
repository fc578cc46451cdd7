"""Ways to schedule training beside inference, as a table for a terminal and as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from eglb.foundation.numbers import amount, small
from eglb.foundation.plots import STYLES, keep_home_clean
from eglb.planning.job_totals import counted
from eglb.sims.co_scheduling.ways import TOGETHER

if TYPE_CHECKING:
    from eglb.sims.co_scheduling.co_scheduling import Coordination
    from eglb.sims.co_scheduling.ways import Scheduling

# Footprint columns that there is room for, by the characters left for each kind.
ROOM_FOR_BOTH = 17
MARKERS = ("o", "^", "s")


def coordination_table(found: Coordination, width: int) -> Iterator[RenderableType]:
    """A row for every way, and what going together buys, for a terminal `width` columns wide."""
    s = found.scenario
    yield Text.assemble(
        (s.name, "bold"),
        f"  {len(s.regions)} regions, {len(s.gateways)} gateways, {s.slots} slots  {found.plan.algorithm}",
    )
    if (jobs := found.plan.job_measures()) is not None:
        energy = f"{amount(jobs.energy_mwh, 'MWh')}, {jobs.share_of_energy:.1%} of all energy"
        yield Text(f"{counted(jobs.count)}, {energy}")
    both = (width - 66) // max(1, len(s.footprints)) >= ROOM_FOR_BOTH
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("\nTraining", no_wrap=True)
    for head in ("energy\nUSD", "objective\nUSD"):
        table.add_column(head, justify="right", no_wrap=True)
    for kind in s.footprints:
        table.add_column(f"{kind.name} {kind.unit}\nworst", justify="right", no_wrap=True)
        if both:
            table.add_column("\nmax/avg", justify="right", no_wrap=True)
    for head in ("moved in\ntime", "\nspace", "\nsaved"):
        table.add_column(head, justify="right", no_wrap=True)
    for way in found.ways:
        if way.footprints is None:
            table.add_row(way.name, "-", "-")
            continue
        cells = [way.name, amount(way.energy_cost_usd or 0.0), amount(way.objective or 0.0)]
        for totals in way.footprints.values():
            cells.append(amount(totals.max))
            cells += [f"{totals.par:.2f}" if math.isfinite(totals.par) else "-"] if both else []
        together = way.name == TOGETHER
        cells += [f"{way.moved_in_time:.1%}", f"{way.moved_in_space:.1%}"]
        cells.append("" if together else f"{found.saved(way) or 0.0:.2%}")
        table.add_row(*cells, style="bold" if together else "")
    yield Padding(table, (1, 0))
    for problem in dict.fromkeys(way.problem for way in found.ways if way.problem):
        yield Text(f"Not possible apart: {problem}", style="yellow")
    for line in found.buys():
        yield Text(line)
    yield Text(f"All plans of eGLB are certified to {small(found.certain)}.", style="dim")


def measures(found: Coordination) -> list[tuple[str, list[tuple[Scheduling, float]]]]:
    """(what, each way apart and how much more of it that has than going together, as a share)."""
    audit = found.plan.audit
    apart = [way for way in found.ways if way.name != TOGETHER and way.footprints is not None]
    rows = [
        ("objective", [(way, way.objective or 0.0) for way in apart], audit.objective),
        ("energy cost", [(way, way.energy_cost_usd or 0.0) for way in apart], audit.energy_cost_usd),
    ]
    for name, totals in audit.footprints.items():
        rows.append(
            (f"worst region's {name}", [(way, (way.footprints or {})[name].max) for way in apart], totals.max)
        )
    return [
        (what, [(way, value / own - 1.0) for way, value in values])
        for what, values, own in rows
        if math.isfinite(own) and own > 0.0
    ]


def draw_coordination(found: Coordination, folder: Path) -> None:
    """coordination.svg and .png: how much more every way apart costs than going together."""
    keep_home_clean()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = measures(found)
    figure, axis = plt.subplots(figsize=(8, 1.2 + 0.5 * len(rows)), layout="constrained")
    try:
        apart = list(dict.fromkeys(way.name for _, values in rows for way, _ in values))
        for place, name in enumerate(apart):
            more = [next(100.0 * share for way, share in values if way.name == name) for _, values in rows]
            colour, marker = STYLES[place % len(STYLES)][0], MARKERS[place % len(MARKERS)]
            axis.plot(more, range(len(rows)), linestyle="none", marker=marker, color=colour, label=name)
        axis.axvline(0.0, color="0.35", linewidth=1)
        axis.set_yticks(range(len(rows)), [what for what, _ in rows])
        axis.invert_yaxis()
        axis.set_xlabel("more than together, %")
        axis.grid(True, axis="x", color="0.9")
        axis.spines[["top", "right", "left"]].set_visible(False)
        if apart:
            axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        figure.suptitle(f"{found.scenario.name}: training scheduled apart from inference", fontsize="medium")
        figure.savefig(folder / "coordination.svg", metadata={"Date": None})
        figure.savefig(folder / "coordination.png", dpi=150)
    finally:
        plt.close(figure)

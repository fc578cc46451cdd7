"""A sweep of equity weights as people read it in a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from eglb.foundation.numbers import amount, duration, small
from eglb.planning.audit import FootprintTotals
from eglb.planning.solution_table import STATUS_MEANING

if TYPE_CHECKING:
    from eglb.sims.sweep.sweep import Sweep, SweepPoint

# What is shown when there is no room for all, whether gaps and rounds are, and the space between columns.
_FORMS = (
    (("total", "worst", "max/avg"), True, 2),
    (("worst", "max/avg"), True, 2),
    (("worst", "max/avg"), False, 1),
    (("worst",), False, 1),
)


def sweep_table(sweep: Sweep, width: int) -> Iterator[RenderableType]:
    """The curve for a terminal `width` columns wide: heading, one row for each point, what it says."""
    scenario = sweep.scenario
    yield Text.assemble(
        (scenario.name, "bold"),
        f"  {len(scenario.regions)} regions, {len(scenario.gateways)} gateways, {scenario.slots} slots  ",
        (f"equity in {' and '.join(sweep.swept)}", "bold green"),
        f"  {_shapes(sweep)}" if _shapes(sweep) != "max" else "",
    )
    tables = [_points(sweep, *form) for form in _FORMS]
    measure = Console(width=1000).measure
    fits = [table for table in tables if measure(table).maximum <= width]
    yield Padding(fits[0] if fits else tables[-1], (1, 0))
    said = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    said.add_column(style="bold", no_wrap=True)
    said.add_column(overflow="fold")
    for label, line in sweep_lines(sweep):
        said.add_row(label, line)
    yield Padding(said, (0, 0, 1, 0))
    yield Text(_effort(sweep), style="dim")


def _points(sweep: Sweep, parts: tuple[str, ...], effort: bool, space: int) -> Table:
    """One row for each point, with these parts of every kind's footprint."""
    kinds, knee = sweep.scenario.footprints, sweep.knee
    table = Table(box=box.SIMPLE_HEAD, padding=(0, space, 0, 0), pad_edge=False, show_edge=False)
    for name in ("weights\ntimes", "energy\nUSD", "cost of\nequity"):
        table.add_column(name, justify="right", no_wrap=True)
    for kind in kinds:
        for place, part in enumerate(parts):
            heading = f"{kind.name} {kind.unit}" if place == 0 else ""
            table.add_column(f"{heading}\n{part}", justify="right", no_wrap=True)
    for name in ("\ngap", "\nrounds") if effort else ():
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    most = max(abs(point.energy_usd) for point in sweep.points)
    for point in sweep.points:
        cost = sweep.cost_of_equity(point)
        cells: list[RenderableType] = [
            f"{point.factor:.4g}",
            amount(point.energy_usd, like=most),
            "-" if cost is None else f"{100 * cost:+.1f} %" if point.factor else "",
        ]
        for kind in kinds:
            totals = point.solution.audit.footprints[kind.name]
            largest = max(p.solution.audit.footprints[kind.name].total for p in sweep.points)
            cells += [_part(part, totals, largest) for part in parts]
        if effort:
            late = "" if point.solution.converged else "yellow"
            cells.append(Text(small(max(point.solution.audit.gap, 0.0)), style=late))
            cells.append(str(point.solution.rounds))
        marks = [name for name, is_it in (("own", point.factor == 1.0), ("knee", point is knee)) if is_it]
        table.add_row(*cells, ", ".join(marks), style="bold" if marks else "")
    return table


def _part(part: str, totals: FootprintTotals, largest: float) -> str:
    if part == "max/avg":
        return f"{totals.par:.2f}" if math.isfinite(totals.par) else "-"
    return amount(totals.total if part == "total" else totals.max, like=largest)


def sweep_lines(sweep: Sweep) -> list[tuple[str, str]]:
    """(label, sentence) of what the curve says: own weights, knee, where it ends and what it leaves out."""
    lines = []
    if (own := sweep.own) is not None:
        lines.append(("own", f"the scenario's own weights: {_against_cheapest(sweep, own)}"))
    if (knee := sweep.knee) is not None:
        against = "" if knee is own else f"; {_against_cheapest(sweep, knee)}"
        lines.append(
            ("knee", f"farthest below the line from first to last point, both axes from 0 to 1{against}")
        )
    if sweep.saturated is not None:
        what = "worst region" if _shapes(sweep) == "max" else "priced footprint"
        more = f"no kind's {what} by more" if sweep.saturated else f"some kind's {what} still by more"
        lines.append(("end", f"doubling the weights lowers {more} than {100 * IMPROVEMENT:g} %"))
    followed = [k.name for k in sweep.scenario.footprints if k.name not in sweep.swept]
    if followed:
        lines.append(("free", f"followed, but not priced: {', '.join(followed)}"))
    late: dict[str, list[str]] = {}
    for point in sweep.points:
        if not point.solution.converged:
            late.setdefault(point.solution.status, []).append(f"{point.factor:.4g}")
    for status, factors in late.items():
        lines.append(("gap", f"above {sweep.gap:g} at {', '.join(factors)}: {STATUS_MEANING[status]}"))
    return lines


def _shapes(sweep: Sweep) -> str:
    """What of the footprints the weights price."""
    shapes = dict.fromkeys(str(k.shape) for k in sweep.scenario.footprints if k.name in sweep.swept)
    return ", ".join(shapes)


def _against_cheapest(sweep: Sweep, point: SweepPoint) -> str:
    """Energy and worst regions of a point against those of the first, which is at weight zero by default."""
    first = sweep.points[0]
    parts = [f"energy {_change(first.energy_usd, point.energy_usd)}"]
    for name in sweep.swept:
        before, after = (p.solution.audit.footprints[name] for p in (first, point))
        parts.append(f"worst {name} {_change(before.max, after.max)}")
    return f"{', '.join(parts)}, against factor {first.factor:g}"


def _change(before: float, after: float) -> str:
    return f"{100 * (after - before) / abs(before):+.1f} %" if before else f"{after - before:+,.4g}"


def _effort(sweep: Sweep) -> str:
    rounds = sum(point.solution.rounds for point in sweep.points)
    warm = sum(point.started_from is not None for point in sweep.points)
    started = f"{warm} of {len(sweep.points)} points from a neighbour's" if warm else "every point afresh"
    widest = small(max(point.solution.audit.gap for point in sweep.points))
    return (
        f"{sweep.algorithm} ({sweep.address}) · certified gaps up to {widest} · {rounds} rounds, {started} · "
        f"{duration(sweep.seconds)}"
    )


IMPROVEMENT = 1e-3
"""Of a kind's worst-region total: a doubling that improves none by more is the last."""

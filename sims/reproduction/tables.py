"""A reproduction as people read it in a terminal: plans, printed against obtained figures, experiments."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from eglb.foundation.numbers import amount, duration, small
from eglb.planning.audit import FootprintTotals
from eglb.sims.reproduction.published import FIGURES, NOT_REPRODUCIBLE, PARTIAL, SOURCES

if TYPE_CHECKING:
    from eglb.sims.reproduction.reproduction import Cell, ReproducedRow, Reproduction

_STYLES = {"same": "green", "close": "yellow", "differs": "bold red", "not public": "dim"}
_WIDE = 100
"""Columns from which averages are shown beside the worst regions."""


def reproduction_tables(found: Reproduction, width: int) -> Iterator[RenderableType]:
    """All of it for a terminal `width` columns wide."""
    for case, rows in found.rows.items():
        yield from _section(f"{case}: equity against the baselines")
        yield _plans(rows, wide=width >= _WIDE)
    note = "Below the line: hour by hour, with nothing foretold; eGLB is the published dual mirror descent."
    yield Padding(Text(note, style="dim"), (1, 0, 0, 0))
    yield from _section("A partial future and noisy estimates, paper10")
    yield _online(found)
    yield from _section(f"Sensitivity to the weights, {PARTIAL}")
    yield _weights(found)
    yield from _section("Published against obtained")
    for source, said in SOURCES.items():
        yield Text(f"{source}: {said}", style="dim")
        for case in found.rows:
            mine = [c for c in found.cells if (c.figure.source, c.figure.case) == (source, case)]
            if mine:
                yield Padding(Text(case, style="bold"), (1, 0, 0, 0))
                yield _printed(mine)
        yield Text("")
    yield Text("What public data cannot give, and why", style="bold")
    why = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    why.add_column(width=22)
    why.add_column(style="dim")
    for what, reason in NOT_REPRODUCIBLE:
        why.add_row(what, reason)
    yield Padding(why, (0, 0, 1, 0))
    for line in summary_lines(found):
        yield Text(line)


def summary_lines(found: Reproduction) -> list[str]:
    """The whole in three sentences."""
    lines = []
    for case in found.rows:
        cheap, fair = found.row(case, "GLB-Cost"), found.row(case, "eGLB-Off")
        cost = 100 * (fair.energy_cost_usd / cheap.energy_cost_usd - 1.0)
        pairs = ", ".join(
            f"{kind} max/avg {cheap.footprints[kind].par:.2f} -> {totals.par:.2f}"
            for kind, totals in fair.footprints.items()
        )
        lines.append(f"{case}: equity costs {cost:+.1f} % energy; {pairs}.")
    counts = [f"{found.count(name)} {name}" for name in _STYLES if found.count(name)]
    lines.append(
        f"{len(found.cells)} comparisons with {len(FIGURES)} printed figures: {', '.join(counts)}. "
        f"{duration(found.seconds)}"
    )
    return lines


def _section(title: str) -> Iterator[RenderableType]:
    yield Padding(Text(title, style="bold"), (1, 0))


def _table(columns: Sequence[str], left: int = 1, space: int = 2) -> Table:
    """`left` of the columns are text, the others numbers; `space` is between them."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, space, 0, 0), pad_edge=False, show_edge=False)
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place < left else "right", no_wrap=True)
    return table


def _plans(rows: Sequence[ReproducedRow], wide: bool) -> Table:
    kinds = rows[0].footprints
    parts = ("avg", "worst", "max/avg") if wide else ("worst", "max/avg")
    headings = [
        f"{f'{kind} {kinds[kind].unit}' if place == 0 else ''}\n{part}"
        for kind in kinds
        for place, part in enumerate(parts)
    ]
    table = _table(("\nplan", "energy\nUSD", *(["against\ncheapest"] if wide else []), *headings, "\ngap"))
    cheapest = next(row for row in rows if row.name == "GLB-Cost").energy_cost_usd
    for row in rows:
        cells = [row.name, amount(row.energy_cost_usd)]
        if wide:
            cells.append(
                f"{100 * (row.energy_cost_usd / cheapest - 1):+.1f} %" if row.name != "GLB-Cost" else ""
            )
        for totals in row.footprints.values():
            cells += _totals(totals, rows, parts)
        last = row.name == "eGLB-Off, agents"
        cells.append("" if row.gap is None else small(row.gap))
        table.add_row(*cells, style="bold" if row.name.startswith("eGLB-Off") else "", end_section=last)
    return table


def _totals(totals: FootprintTotals, rows: Sequence[ReproducedRow], parts: Sequence[str]) -> list[str]:
    like = max(other.max for row in rows for other in row.footprints.values() if other.unit == totals.unit)
    shown = {
        "avg": amount(totals.avg, like=like),
        "worst": amount(totals.max, like=like),
        "max/avg": f"{totals.par:.2f}" if math.isfinite(totals.par) else "-",
    }
    return [shown[part] for part in parts]


def _online(found: Reproduction) -> Table:
    kinds = found.partial_future[0].footprints
    table = _table(
        ("\npolicy", "\nforetold", "\nestimates", "above\nbest", *(f"{kind}\nmax/avg" for kind in kinds)),
        left=3,
    )
    for row in found.partial_future:
        table.add_row(
            "eGLB" if row.policy == "dmd" else row.policy,
            _spoken(row.forecast),
            _spoken(row.estimates),
            f"{100 * row.above_best:.2f} %",
            *(f"{totals.par:.2f}" for totals in row.footprints.values()),
        )
    return table


def _spoken(spec: str) -> str:
    """``noisy:hours=24,sd=0.2`` as ``24 h, 20 % noise``."""
    name, _, rest = spec.partition(":")
    given = dict(part.split("=") for part in rest.split(",") if part)
    if name == "noisy":
        return f"{given['hours']} h, {100 * float(given['sd']):.0f} % noise"
    return f"{100 * float(given['sd']):.0f} % {name}" if given else name


def _weights(found: Reproduction) -> Table:
    kinds = found.sensitivity.scenario.footprints
    headings = [f"{kind.name} {kind.unit}\nworst" for kind in kinds]
    table = _table(
        (
            *(f"USD per\n{kind.unit}" for kind in kinds),
            "energy\nUSD",
            "cost of\nequity",
            *(column for heading in headings for column in (heading, "\nmax/avg")),
        ),
        left=0,
    )
    cheapest = found.sensitivity.points[0].energy_usd
    sweeps = (found.sensitivity, *found.alone.values())
    points = [point for sweep in sweeps for point in sweep.points]
    for point in points:
        audit = point.solution.audit
        weights = [kind.weight for kind in point.solution.scenario.footprints]
        cells = [f"{weight:,.4g}" if weight < 1e4 else f"{weight:,.0f}" for weight in weights]
        cells += [amount(audit.energy_cost_usd), f"{100 * (audit.energy_cost_usd / cheapest - 1):+.1f} %"]
        for kind in kinds:
            like = max(other.solution.audit.footprints[kind.name].max for other in points)
            totals = audit.footprints[kind.name]
            cells += [amount(totals.max, like=like), f"{totals.par:.2f}"]
        own = point.factor == 1.0 and all(weights)
        table.add_row(*cells, style="bold" if own else "", end_section=point is found.sensitivity.points[-1])
    return table


def _printed(cells: Sequence[Cell]) -> Table:
    table = _table(("plan", "quantity", "published", "obtained", "off", ""), left=2, space=1)
    before = None
    for cell in cells:
        published, obtained = _digits(cell)
        table.add_row(
            "" if cell.obtained_by == before else cell.obtained_by,
            cell.figure.quantity,
            published,
            obtained,
            f"{100 * cell.difference:+.1f} %" if abs(cell.difference) >= 5e-4 else f"{cell.difference:+.0e}",
            Text(cell.verdict, style=_STYLES[cell.verdict]),
        )
        before = cell.obtained_by
    return table


def _digits(cell: Cell) -> tuple[str, str]:
    """The printed figure to at most three decimals, and what came out to one more if there are fewer."""
    decimals = len(cell.figure.text.partition(".")[2])
    shown = (min(decimals, 3), min(decimals + 1, 3)) if cell.figure.value < 1e6 else (1, 1)
    return f"{cell.figure.value:,.{shown[0]}f}", f"{cell.obtained:,.{shown[1]}f}"

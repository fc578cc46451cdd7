"""The robustness study as people read it: gaps in percent, one block for each group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from eglb.sims.robustness.conditions import GROUPS, Condition

TITLES = {
    "forecast": "What is foretold",
    "no forecast": "Policies that use no forecast",
    "estimates": "Wrong footprint estimates, by what metering is used for",
    "period": "The accounting period is T, but declared otherwise",
    "guard": "Guarded advice, by budget",
}


def blocks(
    gaps: Mapping[Condition, float],
) -> Iterator[tuple[str, list[str], list[tuple[str, list[float | None]]]]]:
    """For each group: its title, the columns, and rows of (label, a gap for each column or None)."""
    for group in GROUPS:
        mine = {c: gap for c, gap in gaps.items() if c.group == group}
        if not mine:
            continue
        if group == "estimates":
            cells = {(c.label, f"{c.policy}\n{c.feedback}"): gap for c, gap in mine.items()}
        elif group == "guard":
            cells = {
                (c.label.split(", ")[0], f"advice: soft\n{c.label.split(', ')[1]}"): gap
                for c, gap in mine.items()
            }
        elif group == "no forecast":
            cells = {(c.label, "gap"): gap for c, gap in mine.items()}
        else:
            cells = {(c.label, c.policy): gap for c, gap in mine.items()}
        labels = list(dict.fromkeys(label for label, _ in cells))
        columns = list(dict.fromkeys(column for _, column in cells))
        rows = [(label, [cells.get((label, column)) for column in columns]) for label in labels]
        yield TITLES[group], columns, rows


def robustness_table(name: str, gaps: Mapping[Condition, float]) -> Iterator[RenderableType]:
    """The study for a terminal: gaps to the best plan that knows all hours, %."""
    yield Text.assemble((name, "bold"), "  above the best plan that knows all hours, %")
    for title, columns, rows in blocks(gaps):
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
        table.add_column("", no_wrap=True, min_width=26)
        for column in columns:
            table.add_column(column, justify="right", no_wrap=True)
        for label, values in rows:
            known = [value for value in values if value is not None]
            cells = [
                Text("-" if v is None else f"{100 * v:.2f}", style="bold" if v == min(known) else "")
                for v in values
            ]
            table.add_row(label, *cells)
        yield Padding(Text(title, style="bold"), (1, 0, 0, 0))
        yield table

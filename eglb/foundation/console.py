"""Rich tables as the command prints them: rows of label, amount and note, and any table as plain text."""

from __future__ import annotations

import io

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

# More regions than fit a screen are cut to the worst of each kind; the plan itself is in the results folder.
REGION_ROWS = 16


def as_text(renderable: RenderableType, width: int = 100) -> str:
    """What a terminal of `width` columns without colour would show."""
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False)
    console.print(renderable)
    return console.file.getvalue().rstrip("\n")  # type: ignore[attr-defined]


def borderless_table(gap: int = 2) -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, gap, 0, 0), pad_edge=False, show_edge=False)


def rows_table(rows: list[tuple[str, str, str]]) -> Table:
    """Rows of (label, amount, remark), the objective in bold."""
    costs = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    costs.add_column(no_wrap=True)
    costs.add_column(justify="right", no_wrap=True)
    costs.add_column(style="dim", overflow="fold")
    for label, value, remark in rows:
        costs.add_row(label, value, remark, style="bold" if label == "Objective" else "")
    return costs

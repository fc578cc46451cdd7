"""Cells and sentences that explanations of regions, gateways and jobs share."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text


def minute(time: str) -> str:
    return time[:16].replace("T", " ")


def sentences(lines: list[tuple[str, str]]) -> Table:
    """(about, sentence) below each other."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for about, said in lines:
        table.add_row(about, Text(said))
    return table


def ruled() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def price_cell(value: float) -> str:
    """USD per MWh to the cent, with no sign on nothing."""
    return f"{value + 0.0:,.2f}" if abs(value) >= 0.005 else "0.00"

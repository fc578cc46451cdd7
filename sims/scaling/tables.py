"""A scaling experiment as people read it: a table for each class of fleets, and how things grow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from eglb.foundation.numbers import small
from eglb.sims.scaling.run import GAPS, Row

if TYPE_CHECKING:
    from eglb.sims.scaling.scaling import Growth, Scaling

_WIDTH_WITHOUT_GAPS, _WIDTH_OF_GAP = 57, 17
_QUANTITIES = {"rounds": "rounds", "seconds": "seconds", "peak_rss_mb": "memory"}


def scaling_table(scaling: Scaling, width: int) -> Iterator[RenderableType]:
    """Medians over the seeds by regions and algorithm; one table for each class of fleets."""
    asked = [row["gap_asked"] for row in scaling.rows]
    # As many of the gaps as there is room for, the smallest ones first.
    room = max(1, (width - _WIDTH_WITHOUT_GAPS) // _WIDTH_OF_GAP)
    shown = [name for name, gap in GAPS.items() if gap >= min(asked, default=0.0) * (1 - 1e-9)]
    for number, kind in enumerate(scaling.families()):
        slots, reach, utilisation, weight = kind
        seeds = len({row["seed"] for row in scaling.select(family=kind)})
        title = Text("synthetic", style="bold")
        title.append(
            f"  {slots} slots, reach {reach}, utilisation {utilisation:g}"
            + (f", equity weights x {weight:g}" if weight != 1.0 else "")
            + (f"; medians of {seeds} seeds" if seeds > 1 else ""),
            style="not bold",
        )
        yield Padding(title, (1 if number else 0, 0, 1, 0))
        yield _table(scaling, kind, (shown or list(GAPS)[:1])[-room:])
        yield from _notes(scaling.select(family=kind))
        if (growth := _growth_table(scaling, kind)) is not None:
            yield Padding(growth, (1, 0, 0, 0))
    if "central" in scaling.algorithms():
        yield Padding(
            Text("The central solver goes on to the optimum, whatever gap is asked.", style="dim"),
            (1, 0, 0, 0),
        )


def _table(scaling: Scaling, kind: tuple[Any, ...], gaps: Sequence[str]) -> Table:
    table = _bare_table()
    for name in ("regions", "algorithm"):
        table.add_column(f"\n{name}", justify="right" if name == "regions" else "left", no_wrap=True)
    for gap in gaps:
        table.add_column(f"{gap}\nrounds", justify="right", no_wrap=True)
        table.add_column("\nseconds", justify="right", no_wrap=True)
    for name in ("peak\nMB", "kB/agent\n& round", "x speed\nof central"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("\nstatus", no_wrap=True)
    rows = scaling.select(family=kind)
    for count in sorted({row["regions"] for row in rows}):
        here = [row for row in rows if row["regions"] == count]
        reference = middle(here, "central", lambda row: row["seconds"])
        for place, name in enumerate(n for n in scaling.algorithms() if _of(here, n)):
            cells: list[RenderableType] = [f"{count:,}" if place == 0 else "", name]
            for gap in gaps:
                rounds = middle(here, name, lambda row, gap=gap: row[f"rounds_at_{gap}"])  # type: ignore[misc]
                took = middle(here, name, lambda row, gap=gap: row[f"seconds_at_{gap}"])  # type: ignore[misc]
                cells += ["-" if not rounds else f"{rounds:,.0f}", _seconds(took)]
            memory, traffic = (
                middle(here, name, lambda row: row["peak_rss_mb"]),
                middle(here, name, kilobytes),
            )
            took = middle(here, name, lambda row: row["seconds"])
            faster = reference / took if reference is not None and took and _all_well(here, name) else None
            cells += [
                "-" if memory is None else f"{memory:,.0f}",
                "-" if traffic is None else f"{traffic:,.2f}",
                "-" if faster is None or name == "central" else f"{faster:.3g}",
                _status(_of(here, name)),
            ]
            table.add_row(*cells, style="dim" if name == "central" else "")
    return table


def _bare_table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def _of(rows: Sequence[Row], algorithm: str) -> list[Row]:
    return [row for row in rows if row["algorithm"] == algorithm]


def middle(rows: Sequence[Row], algorithm: str, value: Callable[[Row], float | None]) -> float | None:
    """The median over an algorithm's rows; None as soon as one of them has no value."""
    values = [value(row) for row in _of(rows, algorithm)]
    known = [v for v in values if v is not None]
    return median(known) if known and len(known) == len(values) else None


def kilobytes(row: Row) -> float | None:
    """kB that one agent sends and receives in one round; None for the central solver."""
    if not row["rounds"]:
        return None
    return float((row["bytes_up"] + row["bytes_down"]) / row["regions"] / row["rounds"] / 1e3)


def _all_well(rows: Sequence[Row], algorithm: str) -> bool:
    """Whether seconds of the algorithm and of the central solver are those of work that was done."""
    return all(row["status"] == "converged" for row in rows if row["algorithm"] in (algorithm, "central"))


def _status(rows: Sequence[Row]) -> Text:
    short = [row["status"].partition(":")[0].replace("_", " ") for row in rows]
    said = " ".join(dict.fromkeys(short))
    return Text(said, style="green" if said == "converged" else "yellow")


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def _notes(rows: Sequence[Row]) -> Iterator[Text]:
    """Where runs stopped short of the gap asked for, or why they never got anywhere."""
    stopped = [row for row in rows if row["status"] != "converged"]
    for count, name, status in dict.fromkeys((r["regions"], r["algorithm"], r["status"]) for r in stopped):
        same = [r for r in stopped if (r["regions"], r["algorithm"], r["status"]) == (count, name, status)]
        worst = max((row["gap"] for row in same if row["gap"] is not None), default=None)
        said = f"{name}, {count:,} regions: {status.replace('_', ' ')}"
        yield Text(said + (f" at gap {small(worst)}" if worst is not None else ""), style="yellow")


def _growth_table(scaling: Scaling, kind: tuple[Any, ...]) -> Table | None:
    """Exponents by algorithm for one class of fleets; None where there is no fit."""
    fits: dict[str, dict[str, Growth]] = {}
    for fit in scaling.growth():
        if fit.family == kind:
            fits.setdefault(fit.algorithm, {})[fit.quantity] = fit
    if not fits:
        return None
    table = _bare_table()
    for name in ("growth", *_QUANTITIES.values(), "regions N"):
        table.add_column(name, no_wrap=True)
    for algorithm, by_quantity in fits.items():
        cells = [algorithm]
        for quantity in _QUANTITIES:
            found = by_quantity.get(quantity)
            cells.append(f"N^{found.exponent:.2f} ± {found.error:.2f}" if found else "-")
        sizes = next(iter(by_quantity.values())).sizes
        table.add_row(*cells, f"{sizes[0]:,} to {sizes[-1]:,}")
    return table

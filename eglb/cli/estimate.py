"""``eglb scenario estimate``: water and carbon tables from cooling, weather and electricity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eglb.cli import options, streams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from eglb.scenarios.estimation.estimating import FootprintTables
    from eglb.scenarios.physics.figure import Estimate

_COLUMNS = (
    ("onsite", "on site\nL/kWh IT"),
    ("offsite", "off site\nL/kWh"),
    ("water", "water\nm3/MWh IT"),
    ("carbon", "carbon\nt/MWh"),
)


@click.command("estimate")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--factors",
    type=click.Choice(["macknick", "ren", "wri"]),
    default="macknick",
    show_default=True,
    help="Water of electricity: by fuel (Macknick 2012, or the eGLB authors'), or by country (WRI 2020).",
)
@click.option(
    "--carbon-factors",
    type=click.Choice(["ipcc", "ren"]),
    default="ipcc",
    show_default=True,
    help="Carbon of electricity by fuel: IPCC AR5, or the eGLB authors'.",
)
@click.option(
    "--hydro/--no-hydro",
    default=None,
    help="Whether what reservoirs of hydropower evaporate counts; default no, but with wri, which has it.",
)
@click.option("--force", is_flag=True, help="Write over tables that are there.")
@options.output_options
def estimate_command(
    folder: Path,
    factors: str,
    carbon_factors: str,
    hydro: bool | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Write water.csv and carbon.csv of FOLDER, and the low and high ends of their ranges beside them.

    FOLDER holds regions.csv, with the optional columns cooling (tower, dry or constant), wue_l_kwh (a
    published mean), cycles, elevation_m, ewif_l_kwh and country; weather.csv, with time_utc and
    <region>.temp_c, <region>.rh_pct; and fuel_mix.csv, with region, a column for every fuel (shares or MW)
    and time_utc if it changes, or carbon_intensity.csv, with time_utc and a column for every region (g/kWh).
    The hours are those of demand.csv if it is there, else those of the weather.
    """
    from eglb.scenarios.estimation.estimating import Method, estimate, write

    with streams.stdout_kept_clean():
        tables = estimate(folder, Method(factors, carbon_factors, hydro))
        written = write(tables, folder, force=force)
    if as_json:
        streams.print_json({"folder": str(folder), "files": written, **_as_dict(tables)})
    elif not quiet:
        for part in _shown(tables):
            streams.print_table(part)
        streams.print_note(f"{folder}: {', '.join(written)}")
    return 0


def _as_dict(tables: FootprintTables) -> dict[str, Any]:
    """What ``--json`` prints: means over the hours, and every figure used with its source."""
    ends = ("low", "central", "high")
    return {
        "hours": len(tables.times),
        "signals": dict(tables.signals),
        "regions": [
            {
                "region": region,
                "cooling": how,
                **{
                    name: {end: float(getattr(getattr(tables, name), end)[i].mean()) for end in ends}
                    for name, _ in _COLUMNS
                },
            }
            for i, (region, how) in enumerate(zip(tables.regions, tables.cooling, strict=True))
        ],
        "used": [{"what": row.what, "value": row.value, "source": row.source} for row in tables.used],
    }


def _shown(tables: FootprintTables) -> Iterator[RenderableType]:
    """Means over the hours by region, and every figure used with its source."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    def cell(found: Estimate, i: int) -> Text:
        low, central, high = (
            f"{float(values[i].mean()):.3g}" for values in (found.low, found.central, found.high)
        )
        return Text.assemble(central, ("" if low == high else f"\n{low}-{high}", "dim"))

    regions = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    regions.add_column("\nRegion", no_wrap=True)
    regions.add_column("\nCooling", overflow="fold")
    for _, heading in _COLUMNS:
        regions.add_column(heading, justify="right", no_wrap=True)
    for i, (region, how) in enumerate(zip(tables.regions, tables.cooling, strict=True)):
        regions.add_row(region, how, *(cell(getattr(tables, name), i) for name, _ in _COLUMNS))
    yield regions
    hours = f"Means over {len(tables.times)} hours, low-high below."
    signals = "; ".join(f"{kind} {signal}" for kind, signal in tables.signals.items())
    yield Text(f"{hours} Signals: {signals}.", "dim")
    yield Text()
    figures = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    figures.add_column(no_wrap=True)
    figures.add_column(overflow="fold", ratio=2)
    figures.add_column(style="dim", overflow="fold", ratio=3)
    for row in tables.used:
        figures.add_row(Text(row.what), Text(row.value), Text(row.source))
    yield figures

"""``eglb scenario``: list, look at, check and start fleets."""

from __future__ import annotations

from pathlib import Path

import click

from eglb.cli import options, streams


@click.group("scenario", short_help="List, look at, check and start fleets.")
def scenario_group() -> None:
    """Fleets to plan: built-in ones and folders anyone can write by hand."""


@scenario_group.command("list")
@options.output_options
def list_command(as_json: bool, quiet: bool) -> int:
    """The built-in scenarios."""
    from rich.table import Table
    from rich.text import Text

    from eglb.sims.catalog import known

    if as_json:
        rows = [{"name": name, "description": description} for name, description in known()]
        streams.print_json({"scenarios": rows})
    elif not quiet:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column(style="bold", overflow="fold")
        table.add_column(overflow="fold")
        for name, description in known():
            table.add_row(Text(name), Text(description))
        streams.print_table(table)
    return 0


@scenario_group.command("show")
@options.scenario_options
@options.output_options
def show_command(scenario: str, data: Path | None, seed: int | None, as_json: bool, quiet: bool) -> int:
    """Sizes, levels, weights and sources of SCENARIO."""
    from rich.table import Table
    from rich.text import Text

    from eglb.sims.scenario_description import describe

    with streams.stdout_kept_clean():
        fleet = options.load_weighted(scenario, data, seed)
    if as_json:
        streams.print_json(
            {
                "scenario": fleet.name,
                "regions": list(fleet.regions),
                "gateways": list(fleet.gateways),
                "slots": fleet.slots,
                "slot_hours": fleet.slot_hours,
                "start_utc": str(fleet.times[0]) + "Z",
                "equity": {
                    kind.name: {"unit": kind.unit, "weight": kind.weight} for kind in fleet.footprints
                },
                "description": [{"label": label, "value": value} for label, value in describe(fleet)],
            }
        )
    elif not quiet:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for label, value in describe(fleet):
            table.add_row(Text(label), Text(value))
        streams.print_table(table)
    return 0


@scenario_group.command("check")
@options.scenario_options
@options.output_options
def check_command(scenario: str, data: Path | None, seed: int | None, as_json: bool, quiet: bool) -> int:
    """Read SCENARIO and say everything that is wrong with it.

    Exit code 2 if it cannot be read, each problem with file, column, row and value; 3 if some slot has no
    feasible plan.
    """
    with streams.stdout_kept_clean():
        fleet = options.load_weighted(scenario, data, seed)
    sizes = {"regions": len(fleet.regions), "gateways": len(fleet.gateways), "slots": fleet.slots}
    if as_json:
        streams.print_json({"status": "ok", "scenario": fleet.name, **sizes})
    elif not quiet:
        click.echo(f"{fleet.name}: ok, " + ", ".join(f"{count} {noun}" for noun, count in sizes.items()))
    return 0


@scenario_group.command("new")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--from", "source", metavar="SCENARIO", help="Start from this scenario, not the example.")
@click.option(
    "--format",
    "suffix",
    type=click.Choice(["csv", "csv.gz", "parquet"]),
    default="csv",
    show_default=True,
    help="Format of the tables with --from.",
)
@options.read_options
@options.output_options
def new_command(
    folder: Path,
    source: str | None,
    suffix: str,
    data: Path | None,
    seed: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Write a fleet to FOLDER, to edit: a small commented example, or any scenario with --from.

    FOLDER must not exist yet, or be empty.
    """
    from eglb.sims.scenario_folder_writing import new, save

    if source is None:
        new(folder)
    else:
        with streams.stdout_kept_clean():
            save(options.load_weighted(source, data, seed), folder, suffix=f".{suffix}")
    files = sorted(path.name for path in folder.iterdir())
    if as_json:
        streams.print_json({"folder": str(folder), "files": files})
    elif not quiet:
        click.echo(f"{folder}: {', '.join(files)}")
        click.echo(f"next: eglb scenario check {folder}; eglb solve {folder}")
    return 0

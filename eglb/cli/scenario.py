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

    from eglb.scenarios.catalog import known

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
    """Sizes, levels, weights and sources of SCENARIO, and a map of its regions."""
    from eglb.scenarios.description import ScenarioView, describe

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
                **({} if fleet.jobs is None else {"jobs": len(fleet.jobs)}),
                "equity": {
                    kind.name: {
                        "unit": kind.unit,
                        "weight": kind.weight,
                        "shape": str(kind.shape),
                        "region_weight": dict(zip(fleet.regions, kind.region_weight.tolist(), strict=True)),
                    }
                    for kind in fleet.footprints
                },
                "description": [{"label": label, "value": value} for label, value in describe(fleet)],
            }
        )
    elif not quiet:
        streams.print_table(ScenarioView(fleet))
    return 0


@scenario_group.command("check")
@options.scenario_options
@options.output_options
def check_command(scenario: str, data: Path | None, seed: int | None, as_json: bool, quiet: bool) -> int:
    """Read SCENARIO and say everything that is wrong with it.

    Exit code 2 if it cannot be read, each problem with file, column, row and value; 3 if some slot has no
    feasible plan, or jobs cannot all be done beside demand.
    """
    from eglb.foundation.errors import InfeasibleError
    from eglb.planning.feasibility import describe_unmet_work

    with streams.stdout_kept_clean():
        fleet = options.load_weighted(scenario, data, seed)
        if unmet := describe_unmet_work(fleet):
            raise InfeasibleError([*unmet, "eglb simulate would admit what can be done, and refuse the rest"])
    sizes = {"regions": len(fleet.regions), "gateways": len(fleet.gateways), "slots": fleet.slots}
    sizes |= {} if fleet.jobs is None else {"jobs": len(fleet.jobs)}
    if as_json:
        streams.print_json({"status": "ok", "scenario": fleet.name, **sizes})
    elif not quiet:
        click.echo(f"{fleet.name}: ok, " + ", ".join(f"{count} {noun}" for noun, count in sizes.items()))
    return 0


@scenario_group.command("new")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--like", metavar="SCENARIO", help="Start from this scenario, not the example.")
@click.option("--start", metavar="HOUR", help="First slot to take: its number from 0, or a UTC time.")
@click.option(
    "--slots", type=click.IntRange(min=1), help="How many slots to take; default all from there on."
)
@click.option(
    "--format",
    "suffix",
    type=click.Choice(["csv", "csv.gz", "parquet"]),
    default="csv",
    show_default=True,
    help="Format of the tables.",
)
@options.read_options
@options.output_options
def new_command(
    folder: Path,
    like: str | None,
    start: str | None,
    slots: int | None,
    suffix: str,
    data: Path | None,
    seed: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Write a fleet to FOLDER, to edit: a small example, or any scenario with --like.

    Its scenario.toml explains every key. FOLDER must not exist yet, or be empty.
    """
    from eglb.scenarios.folder.writing import example, save

    with streams.stdout_kept_clean():
        fleet = example() if like is None else options.load_weighted(like, data, seed)
        save(options.window_of(fleet, start, slots), folder, suffix=f".{suffix}")
    files = sorted(path.name for path in folder.iterdir())
    if as_json:
        streams.print_json({"folder": str(folder), "files": files})
    elif not quiet:
        click.echo(f"{folder}: {', '.join(files)}")
        click.echo(f"next: eglb scenario check {folder}; eglb solve {folder}")
    return 0

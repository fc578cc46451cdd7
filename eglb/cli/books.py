"""``eglb books``: what a service has kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eglb.cli import options, streams

if TYPE_CHECKING:
    from eglb.live.storage.store import Store

_DATABASE = click.argument("store", metavar="STORE")


@click.group("books", short_help="What a service has kept: show, export, forget.")
def books_group() -> None:
    """Statement of `eglb serve --store STORE`: a SQLite file or postgresql://USER@HOST/NAME.

    A service may be at work on them meanwhile.
    """


@books_group.command("show")
@_DATABASE
@options.output_options
def show_command(store: str, as_json: bool, quiet: bool) -> int:
    """Periods and regions of STORE: energy, cost, footprints, missing meters; jobs; active alerts."""
    with _opened(store) as books:
        from eglb.live.accounting.statement import describe

        found = describe(books)
    if as_json:
        streams.print_json(found)
    elif not quiet:
        _print(found)
    return 0


@books_group.command("export")
@_DATABASE
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@options.output_options
def export_command(store: str, folder: Path, as_json: bool, quiet: bool) -> int:
    """Write all of STORE to DIR as Parquet: series, tables, signals, events, jobs and work.

    DIR must not exist yet, or be empty; it is whole or absent.
    """
    with streams.staging(folder) as staged, _opened(store) as books:
        assert staged is not None
        files = sorted(path.name for path in books.export(staged))
    if as_json:
        streams.print_json({"status": "ok", "folder": str(folder), "files": files})
    elif not quiet:
        click.echo(f"{folder}: {', '.join(files)}")
    return 0


@books_group.command("prune")
@_DATABASE
@click.option("--before", metavar="TIME", help="Forget slots and events before this time, UTC.")
@click.option(
    "--keep", metavar="DAYS", type=click.IntRange(min=1), help="Keep this many days before the newest slot."
)
@options.output_options
def prune_command(store: str, before: str | None, keep: int | None, as_json: bool, quiet: bool) -> int:
    """Forget what is old in STORE, and say what went. The newest accounting period is never touched."""
    import numpy as np

    from eglb.foundation.errors import InputError

    if (before is None) == (keep is None):
        raise InputError("give one of --before and --keep")
    try:
        time = None if before is None else np.datetime64(before.removesuffix("Z"), "s")
    except ValueError:
        raise InputError(f"--before {before}: is no UTC time such as 2026-01-31T12:00") from None
    with _opened(store) as books:
        from eglb.live.accounting.statement import forget

        found = forget(books, time, keep)
    if as_json:
        streams.print_json(found)
    elif not quiet:
        rows = ", ".join(f"{count} {name}" for name, count in found["rows"].items())
        click.echo(f"forgotten before {found['before_utc']}: {rows}")
    return 0


@contextmanager
def _opened(url: str) -> Iterator[Store]:
    """The store, which must be there."""
    try:
        from eglb.live.storage.store import Store, StoreError
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error}: install it with pip install 'eglb[serve]'") from None
    from eglb.foundation.errors import InputError

    try:
        store = Store(url, create=False)
        try:
            yield store
        finally:
            store.close()
    except StoreError as error:
        raise InputError(str(error)) from None


def _print(found: dict[str, Any]) -> None:
    from rich.table import Table

    kinds = list(found["units"])
    names = [f"{kind}, {unit}" for kind, unit in found["units"].items()]
    jobs = {state: count for state, count in found["jobs"].items() if count}
    click.echo(f"{found['scenario']}  {found['store']}")
    tables = ", ".join(f"{count} by {source}" for source, count in found["tables"].items())
    click.echo(f"tables: {tables or 'none'}")
    if jobs:
        click.echo(f"jobs: {', '.join(f'{count} {state}' for state, count in jobs.items())}")
    if not found["periods"]:
        click.echo("no slot has been accounted for yet")
    for period in found["periods"]:
        click.echo(f"\n{period['first_utc']} to {period['last_utc']}")
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column("region", overflow="fold")
        work = ["work, IT MWh"] if jobs else []
        for name in ("slots", "not metered", "energy, MWh", "cost, USD", *work, *names):
            table.add_column(name, justify="right")
        for each in period["regions"]:
            missing = each["slots"] - each["slots_metered"]
            figures = [each["energy_mwh"], each["cost_usd"], *([each["work_mwh"]] if jobs else [])]
            figures += [each["footprints"][kind]["actual"] for kind in kinds]
            table.add_row(
                each["name"], str(each["slots"]), str(missing or ""), *(f"{value:,.2f}" for value in figures)
            )
        figures = [period["energy_mwh"], period["cost_usd"], *([period["work_mwh"]] if jobs else [])]
        figures += [period["footprints"][kind]["total"] for kind in kinds]
        table.add_row("all", str(period["slots"]), "", *(f"{value:,.2f}" for value in figures))
        streams.print_table(table)
    if found["alerts"]:
        click.echo()
    for alert in found["alerts"]:
        click.echo(f"{alert['level']} since {alert['since_utc']}: {alert['text']}")

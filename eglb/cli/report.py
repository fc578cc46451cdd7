"""``eglb report``: the HTML report of a results folder, written anew."""

from __future__ import annotations

from pathlib import Path

import click

from eglb.cli import options, streams


@click.command("report", short_help="The HTML report of a results folder.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to FILE instead of DIR/report.html.",
)
@options.output_options
def report_command(folder: Path, out: Path | None, as_json: bool, quiet: bool) -> int:
    """Rebuild the report of a results folder that `solve`, `compare`, `simulate` or `sweep` left at DIR.

    One file that opens without a network: figures, tables, sources. Everything in it comes from the folder.
    """
    from eglb.report import write

    with streams.stdout_kept_clean():
        path = write(folder, out)
    if as_json:
        streams.print_json({"folder": str(folder), "report": str(path), "bytes": path.stat().st_size})
    elif not quiet:
        click.echo(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    return 0

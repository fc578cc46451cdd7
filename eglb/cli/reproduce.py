"""``eglb reproduce``: the published tables and experiments, from public data."""

from __future__ import annotations

from pathlib import Path

import click

from eglb.cli import options, streams


@click.command("reproduce", short_help="The published tables and experiments, from public data.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Data directory; else $EGLB_DATA, else the user's cache directory.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the noise in forecasts and estimates.",
)
@options.out_option
@options.output_options
def reproduce_command(data: Path | None, seed: int, out: Path | None, as_json: bool, quiet: bool) -> int:
    """Rerun what the eGLB papers report on ten regions, as far as public data allow, in under a minute.

    All baselines, the equitable plan (by the central solver, and by agents with a certificate) and the online
    policies, with full reach and with the published mask; every printed figure beside what came out, with the
    cells that public data cannot give and why; and three experiments: equity against the baselines, a partial
    and noisy future, other weights.
    """
    from eglb.cli.progress import RunsShown
    from eglb.sims.reproduction.reproduction import reproduce, runs

    with streams.stdout_kept_clean(), streams.staging(out) as folder:
        with RunsShown(runs(), quiet=quiet) as shown:
            found = reproduce(data=data, seed=seed, on_start=shown.begin)
        if folder is not None:
            from eglb.sims.reproduction.storage import write_reproduction

            write_reproduction(found, folder)
    streams.print_result(found, as_json, quiet, out)
    return 0

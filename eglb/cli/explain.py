"""``eglb explain``: why load went where it did, from the dual prices."""

from __future__ import annotations

from pathlib import Path

import click

from eglb.cli import options, streams


@click.command("explain", short_help="Why load went where it did, from the dual prices.")
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--region", metavar="R", help="Only this region: what it costs whom, and what binds it.")
@click.option(
    "--hour", metavar="H", help="Only this slot: its number from 0, or a UTC time as 2022-09-22T05."
)
@click.option("--gateway", metavar="G", help="Only this gateway: what every region would cost it.")
@click.option("--job", metavar="J", help="Only this job: its price, where and when it runs, and why.")
@options.output_options
def explain_command(
    result: Path,
    region: str | None,
    hour: str | None,
    gateway: str | None,
    job: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Why load went where it did in RESULT, a results folder of `eglb solve --out`.

    Without options: who is worst off and how the price of inequity is shared, what binds every region, and of
    what the certified gap is made. Energy + surcharges for footprints + price of capacity is a region's full
    price; less the gateway's demand price it is the reduced cost, zero where load goes.

    With --job, a reduced cost is what a MWh of its work would cost more in a region and slot than the dearest
    of it costs now; below zero it runs at its most power there.

    With --json and any option, every pair of gateway and region is listed too, slot by slot.
    """
    from eglb.planning.explanation.explain import explain
    from eglb.planning.explanation.rows import as_dict, select
    from eglb.planning.explanation.tables import ExplanationView

    if job is not None:
        if (region, hour, gateway) != (None, None, None):
            raise click.UsageError("--job goes with none of --region, --hour and --gateway.")
        return _explain_job(result, job, as_json, quiet)
    with streams.stdout_kept_clean():
        explanation = explain(result)
        chosen = select(explanation, region, hour, gateway)
    if as_json:
        streams.print_json(as_dict(explanation, chosen))
    elif not quiet:
        streams.print_table(ExplanationView(explanation, chosen))
    return 0


def _explain_job(result: Path, job: str, as_json: bool, quiet: bool) -> int:
    from eglb.planning.explanation.explain import explain
    from eglb.planning.explanation.jobs import explain_job

    with streams.stdout_kept_clean():
        found = explain_job(explain(result), job)
    if as_json:
        streams.print_json(found.to_dict())
    elif not quiet:
        streams.print_table(found)
    return 0

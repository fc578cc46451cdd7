"""``eglb sweep``: what equity costs, from weight zero to where the worst region gains no more."""

from __future__ import annotations

from pathlib import Path

import click

from eglb.cli import options, streams


def _factors(value: str) -> tuple[float, ...]:
    """Numbers of at least zero, separated by commas."""
    found = []
    for text in value.split(","):
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not 0.0 <= number < float("inf"):
            raise click.BadParameter(
                f"{text!r} is not a finite number of at least 0; write them as 0,0.5,1,2."
            )
        found.append(number)
    return tuple(found)


@click.command("sweep", short_help="What equity costs: weights from zero upward.")
@options.scenario_options
@click.option("--kind", metavar="KIND", help="Sweep this footprint alone; all others then cost nothing.")
@click.option(
    "--factors",
    type=_factors,
    metavar="F,F,...",
    help="Multiples of the weights to solve at; default chosen along the curve, 0 and 1 among them.",
)
@click.option(
    "--points",
    type=click.IntRange(min=3),
    default=20,
    show_default=True,
    help="How many to choose, at most, unless doubling the weights to the end alone takes more.",
)
@click.option(
    "--algorithm",
    type=options.algorithm,
    metavar="NAME",
    help="As for solve; default newton up to 50 regions, crossover above.",
)
@click.option(
    "--gap",
    type=options.positive,
    metavar="NUMBER",
    default=1e-5,
    show_default=True,
    help="Certified gap of every point; looser ones leave the energy cost alone less certain.",
)
@click.option("--time-limit", type=options.positive, metavar="SECONDS", help="Most that one point may take.")
@options.weight_option
@options.place_options("inprocess")
@options.out_option
@options.output_options
def sweep_command(
    scenario: str,
    data: Path | None,
    seed: int | None,
    kind: str | None,
    factors: tuple[float, ...] | None,
    points: int,
    algorithm: str | None,
    gap: float,
    time_limit: float | None,
    weights: options.Weights,
    address: str,
    regions_per_actor: int | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """What equity costs on SCENARIO: energy cost against the worst region's footprint, as the equity weights
    grow together from zero (the cheapest plan) to where the worst region gains nothing more.

    Factor 1 is the scenario's own weights. A footprint without a weight is followed, not priced. Every point
    is a plan with a certificate. With --out, the folder holds the curve as a picture too (sweep.svg and .png)
    and the plan at the scenario's own weights.
    """
    from eglb.cli.progress import RunsShown
    from eglb.sims.sweep.sweep import sweep

    with streams.stdout_kept_clean(), streams.staging(out) as folder:
        fleet = options.load_weighted(scenario, data, seed, weights)
        with RunsShown(len(factors) if factors else points, quiet=quiet) as shown:
            found = sweep(
                fleet,
                kind=kind,
                factors=factors,
                points=points,
                algorithm=algorithm,
                gap=gap,
                time_limit=time_limit,
                address=address,
                regions_per_actor=regions_per_actor,
                on_start=shown.begin,
            )
        if folder is not None:
            from eglb.sims.sweep.storage import write_sweep

            write_sweep(found, folder)
            streams.write_report(found.kept.solution.problem, folder)
    streams.print_result(found, as_json, quiet, out)
    return 0 if found.converged else 4

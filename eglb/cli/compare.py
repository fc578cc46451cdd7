"""``eglb compare``: every policy and every algorithm side by side, against the central solver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from eglb.cli import options, streams


@click.command("compare", short_help="Every policy and algorithm beside the central solver.")
@options.scenario_options
@click.option(
    "--algorithm",
    "algorithms",
    type=options.algorithm,
    metavar="NAME",
    multiple=True,
    help="Only these algorithms, beside the central solver. Repeatable; default all.",
)
@click.option(
    "--gap",
    type=options.positive,
    metavar="NUMBER",
    default=1e-4,
    show_default=True,
    help="Certified gap at which an algorithm stops.",
)
@click.option(
    "--time-limit",
    type=options.positive,
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Most that one decentralised algorithm may take.",
)
@click.option(
    "--sweep",
    "with_sweep",
    is_flag=True,
    help="Also what equity costs at other weights, as `eglb sweep` does, for the table and the report.",
)
@click.option(
    "--online",
    is_flag=True,
    help="Instead of algorithms: what online policies lose to poor forecasts, wrong estimates and a period "
    "that is not as declared.",
)
@click.option(
    "--jobs",
    is_flag=True,
    help="Instead of algorithms: training scheduled after inference, cheapest-first, carbon-first and by "
    "eGLB, against both in one plan.",
)
@options.history_option
@options.fleet_options
@options.out_option
@options.output_options
def compare_command(
    scenario: str,
    data: Path | None,
    seed: int | None,
    algorithms: tuple[str, ...],
    gap: float,
    time_limit: float,
    with_sweep: bool,
    online: bool,
    jobs: bool,
    history: str | None,
    weights: options.Weights,
    address: str,
    regions_per_actor: int | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Every policy and every algorithm on SCENARIO side by side, against the central solver.

    With --out, the results folder also holds convergence.svg and .png: certified gap against rounds and
    seconds.
    An algorithm that stops at its time limit is a row like any other; its status says so.

    With --online, policies decide hour by hour, in process, under many circumstances (a few minutes); the
    folder then holds rows.jsonl and robustness.svg and .png.

    With --jobs, SCENARIO has jobs: a table of them, or a part ,jobs=SHARE[:HOURS] of its name. The folder
    then holds the plan of both, as one of `eglb solve` does, and coordination.svg and .png.
    """
    if jobs:
        if online or with_sweep or history is not None or len(algorithms) > 1:
            raise click.UsageError("--jobs takes one --algorithm, and no --online, --sweep or --history.")
        chosen = algorithms[0] if algorithms else "admm"
        limits = {"gap": gap, "time_limit": time_limit}
        places = {"address": address, "regions_per_actor": regions_per_actor}
        return _coordinate(scenario, data, seed, weights, out, as_json, quiet, chosen, {**limits, **places})
    if online:
        return _study(scenario, data, seed, history, weights, out, as_json, quiet)
    if history is not None:
        raise click.UsageError("--history is for --online.")
    from eglb.cli.progress import RoundsShown
    from eglb.sims.comparison.comparison import compare

    with streams.stdout_kept_clean(), streams.staging(out) as folder:
        fleet = options.load_weighted(scenario, data, seed, weights)
        with RoundsShown(gap, quiet=quiet) as shown:
            comparison = compare(
                fleet,
                algorithms=algorithms or None,
                gap=gap,
                time_limit=time_limit,
                address=address,
                regions_per_actor=regions_per_actor,
                with_sweep=with_sweep,
                on_start=shown.begin,
                on_round=shown.round,
            )
        if folder is not None:
            from eglb.sims.comparison.storage import write_comparison

            write_comparison(comparison, folder)
            streams.write_report(comparison.cheapest.problem, folder)
    streams.print_result(comparison, as_json, quiet, out)
    return 0


def _coordinate(
    scenario: str,
    data: Path | None,
    seed: int | None,
    weights: options.Weights,
    out: Path | None,
    as_json: bool,
    quiet: bool,
    algorithm: str,
    how: dict[str, Any],
) -> int:
    """Training and inference, apart and together."""
    from eglb.cli.progress import RoundsShown
    from eglb.sims.co_scheduling.co_scheduling import coordinate, write_coordination

    with streams.stdout_kept_clean(), streams.staging(out) as folder:
        fleet = options.load_weighted(scenario, data, seed, weights)
        with RoundsShown(how["gap"], quiet=quiet) as shown:
            found = coordinate(fleet, algorithm, **how, on_start=shown.begin, on_round=shown.round)
        if folder is not None:
            write_coordination(found, folder)
            streams.write_report(found.plan.problem, folder)
    streams.print_result(found, as_json, quiet, out)
    return 0 if found.plan.converged else 4


def _study(
    scenario: str,
    data: Path | None,
    seed: int | None,
    history: str | None,
    weights: options.Weights,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """The robustness study of online policies."""
    from eglb.cli.progress import RunsShown
    from eglb.sims.robustness.conditions import conditions
    from eglb.sims.robustness.robustness import study

    with streams.stdout_kept_clean(), streams.staging(out) as folder:
        fleet = options.load_weighted(scenario, data, seed, weights)
        before = options.history_of(fleet, scenario, history, data, seed)
        with RunsShown(len(conditions()) + 1, quiet=quiet) as shown:
            found = study(fleet, history=before, on_start=shown.begin)
        if folder is not None:
            from eglb.sims.robustness.storage import write_robustness

            write_robustness(found, folder)
    streams.print_result(found, as_json, quiet, out)
    return 0

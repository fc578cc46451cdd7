"""``eglb solve``: one plan for the whole horizon, decentralised, with a certificate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from eglb.cli import options, streams

if TYPE_CHECKING:
    from eglb.planning.solution import Solution
    from eglb.scenarios.scenario import Scenario


class _ListsAlgorithms(click.Command):
    """Help that ends with the algorithms, asked of the solver only when somebody reads it."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from eglb.planning.solve import ALGORITHMS

        with formatter.section("Algorithms"):
            formatter.write_dl(list(ALGORITHMS.items()))


@click.command("solve", cls=_ListsAlgorithms, short_help="One plan for the horizon, with a certificate.")
@click.argument("scenario", required=False)
@options.read_options
@click.option(
    "--algorithm",
    type=options.algorithm,
    metavar="NAME",
    default="admm",
    show_default=True,
    help="How agents and coordinator reach the plan; listed below.",
)
@click.option(
    "--gap",
    type=options.positive,
    metavar="NUMBER",
    default=1e-4,
    show_default=True,
    help="Stop once (objective - lower bound) / objective is certified to be at most this.",
)
@click.option("--max-rounds", type=click.IntRange(min=1), help="Stop after this many exchanges.")
@click.option("--time-limit", type=options.positive, metavar="SECONDS", help="Stop after this long.")
@options.fleet_options
@options.deadline_option
@click.option(
    "--without",
    metavar="REGION",
    multiple=True,
    help="Leave a region out from the start. Repeatable. During a solve: `eglb cluster drain` and `admit`.",
)
@click.option(
    "--faults",
    metavar="TEXT",
    help="For experiments with --address inprocess: what goes wrong between coordinator and agents, such as "
    "drop=0.1,late=0.3:5,out=REGION@20+50,seed=3.",
)
@click.option(
    "--network",
    metavar="measured|modelled|FILE",
    help="Also say how long the exchanges would take on a wide-area network with these round trips. "
    "FILE is a table region,rtt_ms[,down_mbit_s,up_mbit_s].",
)
@click.option(
    "--coordinator",
    metavar="REGION",
    help="Region of the coordinator on that network. Default: the one with the shortest slowest round trip.",
)
@click.option(
    "--warm-start",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Results folder of an earlier solve of much the same fleet. The solve starts where that one ended.",
)
@click.option(
    "--footprint",
    type=click.Choice(["low", "central", "high"]),
    default="central",
    show_default=True,
    help="Plan for this end of the footprints' ranges, where the scenario has them.",
)
@click.option(
    "--footprint-range",
    "show_range",
    is_flag=True,
    help="Also show the worst regions at the low and the high end of the ranges, and plan for both ends.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="New folder for what --resume needs to go on if this command is killed.",
)
@click.option(
    "--checkpoint-every",
    type=click.IntRange(min=1),
    metavar="ROUNDS",
    help="Number of rounds between two checkpoints. Default: 10, or more if writing them would take more "
    "than a tenth of the time.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Go on with the solve that had this --checkpoint. SCENARIO and options are those of that solve. "
    "These may change: --algorithm, --gap, --max-rounds, --time-limit, --address, --regions-per-actor and "
    "--deadline.",
)
@options.out_option
@options.output_options
def solve_command(
    scenario: str | None,
    data: Path | None,
    seed: int | None,
    algorithm: str,
    gap: float,
    max_rounds: int | None,
    time_limit: float | None,
    weights: options.Weights,
    address: str,
    regions_per_actor: int | None,
    deadline: float,
    without: tuple[str, ...],
    faults: str | None,
    network: str | None,
    coordinator: str | None,
    warm_start: Path | None,
    footprint: str,
    show_range: bool,
    checkpoint: Path | None,
    checkpoint_every: int | None,
    resume: Path | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """One plan for the whole horizon of SCENARIO, reached by agents that keep their data to themselves.

    The plan is feasible, and its distance from the best possible plan is certified by a lower bound.
    At a limit, the best plan so far and its gap are still given (exit code 4). If regions are lost and demand
    cannot be met without them, the plan says what it leaves out (exit code 3).
    """
    from eglb.cli.progress import RoundsShown
    from eglb.planning.solve import solve
    from eglb.sims.footprint_range import footprint_range, require_ranges

    if coordinator is not None and network is None:
        raise click.UsageError("--coordinator says where on a --network: give that too.")
    if scenario is None and resume is None:
        raise click.UsageError("Missing argument 'SCENARIO'.")
    if checkpoint_every is not None and checkpoint is None:
        raise click.UsageError("--checkpoint-every is about a --checkpoint: give that too.")
    if show_range and checkpoint is not None:
        raise click.UsageError("--footprint-range plans several times, which no --checkpoint holds.")
    if resume is not None:
        changes = _changes_on_the_way(scenario)
        return _resume(resume, changes, out, as_json, quiet)
    assert scenario is not None
    if show_range and footprint != "central":
        raise click.UsageError("--footprint-range is about the plan for the central footprints.")
    with streams.stdout_kept_clean(), streams.staging(out) as folder:
        fleet = options.load_weighted(scenario, data, seed, weights)
        if show_range or footprint != "central":
            require_ranges(fleet, "--footprint-range" if show_range else f"--footprint {footprint}")
            fleet = fleet.at(footprint)
        lines = None
        if network is not None:
            from eglb.planning.wide_area import lay_network

            lines = lay_network(fleet, network, coordinator=coordinator, data=data)
        wrong = None
        if faults is not None:
            from eglb.coordinator.fleet.faults import Faults

            wrong = Faults.parse(faults)
        with RoundsShown(gap, quiet=quiet) as shown:

            def plan(fleet: Scenario, start: Path | Solution | None, footprints: str = "") -> Solution:
                starting = f"starting {len(fleet.regions)} agents ({address}){footprints}"
                shown.begin(algorithm, starting)
                return solve(
                    fleet,
                    algorithm,
                    gap=gap,
                    max_rounds=max_rounds,
                    time_limit=time_limit,
                    address=address,
                    regions_per_actor=regions_per_actor,
                    deadline=deadline,
                    without=without,
                    faults=wrong,
                    network=lines,
                    warm_start=start,
                    checkpoint=checkpoint,
                    checkpoint_every=checkpoint_every,
                    on_round=shown.round,
                    warn=shown.note,
                )

            solution = plan(fleet, warm_start)
            known = None if algorithm == "central" else solution
            ranges = None
            if show_range:
                ranges = footprint_range(
                    solution, lambda there, level: plan(there, known, f", footprints at their {level} end")
                )
        _write(solution, folder)
    if as_json:
        at_ends = {} if ranges is None else {"footprint_range": ranges.to_dict()}
        streams.print_json(solution.to_dict() | at_ends)
    elif not quiet:
        streams.print_table(solution)
        if ranges is not None:
            streams.print_table(ranges)
    if out is not None and not quiet:
        streams.print_note(f"results in {out}")
    converged = (solution if ranges is None else ranges).converged
    return _conclude(solution, converged, shown=not (as_json or quiet))


_CHANGEABLE = ("algorithm", "gap", "max_rounds", "time_limit", "address", "regions_per_actor", "deadline")
_ABOUT_OUTPUT = ("resume", "out", "as_json", "quiet")


def _changes_on_the_way(scenario: str | None) -> dict[str, Any]:
    """What the command line wants otherwise than the run that is resumed; all else is refused."""
    context = click.get_current_context()
    said = {
        parameter.name: parameter.opts[0]
        for parameter in context.command.params
        if context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    }
    if scenario is not None:
        raise click.UsageError("--resume has its SCENARIO in its folder: leave it out.")
    fixed = [option for name, option in said.items() if name not in (*_CHANGEABLE, *_ABOUT_OUTPUT)]
    if fixed:
        raise click.UsageError(f"{', '.join(fixed)} cannot be changed by --resume: a new solve can.")
    return {name: context.params[name] for name in said if name in _CHANGEABLE}


def _resume(checkpoint: Path, changes: dict[str, Any], out: Path | None, as_json: bool, quiet: bool) -> int:
    from eglb.cli.progress import RoundsShown
    from eglb.planning.running.checkpoint import resume_checkpoint
    from eglb.planning.solve import solve

    with (
        streams.stdout_kept_clean(),
        streams.staging(out) as folder,
        resume_checkpoint(checkpoint, streams.print_note) as kept,
    ):
        wanted = kept.options.changed(changes)
        if not quiet:
            streams.print_note(str(kept))
        with RoundsShown(wanted["gap"], quiet=quiet) as shown:
            shown.begin(
                wanted["algorithm"], f"starting {len(kept.scenario.regions)} agents ({wanted['address']})"
            )
            solution = solve(kept.scenario, **wanted, checkpoint=kept, on_round=shown.round, warn=shown.note)
        _write(solution, folder)
    streams.print_result(solution, as_json, quiet, out)
    return _conclude(solution, solution.converged, shown=not (as_json or quiet))


def _conclude(solution: Solution, converged: bool, shown: bool) -> int:
    """The exit code: 3 if the plan leaves demand out. What that is, and who had no part, is said on stderr,
    the latter unless the table is `shown` on the same screen.
    """
    from eglb.planning.feasibility import describe_infeasibility
    from eglb.planning.lost_regions import member_lines

    lines = [] if shown and sys.stdout.isatty() else member_lines(**solution.membership())
    short = solution.status == "shortfall"
    if short:
        lines += describe_infeasibility(solution.scenario.without(solution.out), out=solution.out)
    for line in lines:
        streams.print_note(f"eglb: {line}")
    return 3 if short else 0 if converged else 4


def _write(solution: Solution, folder: Path | None) -> None:
    if folder is not None:
        from eglb.planning.storage.folder import write_solution

        write_solution(solution, folder)
        streams.write_report(solution.problem, folder)

"""``eglb scale``: more regions, and what they cost in rounds, time, memory and bytes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eglb.cli import options, streams

if TYPE_CHECKING:
    from eglb.sims.scaling.run import Case, Row
    from eglb.sims.scaling.scaling import Scaling

Number = TypeVar("Number", int, float)


def listed(one: Callable[[str], Number]) -> Callable[[str], tuple[Number, ...]]:
    """An option type: numbers with commas between them, each read by `one`."""

    def read(value: str | tuple[Number, ...]) -> tuple[Number, ...]:
        return tuple(map(one, value.split(","))) if isinstance(value, str) else value

    return read


def whole(least: int) -> Callable[[str], int]:
    """Reads a whole number of at least `least`."""

    def read(text: str) -> int:
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit() and int(digits) >= least):
            raise click.BadParameter(f"{text!r} is not a whole number of at least {least}.")
        return int(digits)

    return read


def share(text: str) -> float:
    """A number above 0 and at most 1."""
    number = options.positive(text)
    if number > 1:
        raise click.BadParameter(f"{text!r} is not above 0 and at most 1.")
    return number


@click.command("scale", short_help="More regions: rounds, time, memory and bytes.")
@click.option(
    "--regions",
    type=listed(whole(1)),
    metavar="N,...",
    default="10,20,50,100",
    show_default=True,
    help="Sizes of the generated fleets; each has as many gateways as regions.",
)
@click.option(
    "--hours", type=listed(whole(1)), metavar="T,...", default="168", show_default=True, help="Slots."
)
@click.option(
    "--algorithm",
    "algorithms",
    type=options.algorithm,
    metavar="NAME",
    multiple=True,
    default=("admm", "newton", "central"),
    show_default=True,
    help="Repeatable; `eglb solve --help` lists them.",
)
@click.option(
    "--seeds",
    type=listed(whole(0)),
    metavar="S,...",
    default="0",
    show_default=True,
    help="Of the generated fleets; the table shows medians over them.",
)
@click.option(
    "--reach",
    type=listed(whole(1)),
    metavar="K,...",
    help="How many regions each gateway reaches.  [default: 8, or all of fewer]",
)
@click.option(
    "--util",
    "utilisation",
    type=listed(share),
    metavar="U,...",
    default="0.7",
    show_default=True,
    help="Demand as a part of capacity, over the horizon.",
)
@click.option(
    "--weight-scale",
    type=listed(options.positive),
    metavar="X,...",
    default="1",
    show_default=True,
    help="Multiplies all equity weights.",
)
@click.option(
    "--gap",
    type=options.positive,
    metavar="NUMBER",
    default=1e-4,
    show_default=True,
    help="Certified gap at which an algorithm stops.",
)
@click.option("--max-rounds", type=click.IntRange(min=1), help="Stop a run after this many exchanges.")
@click.option(
    "--time-limit",
    type=options.positive,
    metavar="SECONDS",
    default=60.0,
    show_default=True,
    help="Stop a run after this long. Fleets larger than one on which `central` did so are not given to it.",
)
@options.place_options("inprocess")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A results folder: rows.jsonl grows run by run; table, pictures and scale.json come at the end.",
)
@click.option("--resume", is_flag=True, help="Go on in --out DIR: rows that are there are not run again.")
@options.output_options
def scale_command(
    algorithms: tuple[str, ...],
    gap: float,
    out: Path | None,
    resume: bool,
    as_json: bool,
    quiet: bool,
    **grid: Any,
) -> int:
    """Run algorithms on generated fleets of growing size, beside the central solver.

    Every run is a process of its own and one row: rounds and seconds to each gap, memory, bytes. With several
    values for several options, all combinations are run. Exit code 4 if a run stopped short of its gap.
    """
    from rich.console import Console

    from eglb.cli.progress import RoundsShown
    from eglb.sims.scaling.folder import open_rows, write_scaling
    from eglb.sims.scaling.scaling import scale

    if resume and out is None:
        raise click.UsageError("--resume goes on with an earlier run: name its folder with --out DIR.")
    grid["reach"] = grid["reach"] or (None,)
    console = Console(stderr=True, highlight=False)
    rows = nullcontext() if out is None else open_rows(out, resume)
    try:
        # One line for each run stays; between them, in a terminal, one that lives.
        with rows as log, RoundsShown(gap, quiet or not console.is_terminal, console) as shown:

            def start(case: Case) -> None:
                shown.begin(f"{case.algorithm} {case.fleet.regions}", "starting")

            def keep(row: Row) -> None:
                if log is not None:
                    log.append(row)
                if not quiet:
                    console.print(_line(row), soft_wrap=True)

            scaling = scale(
                **grid,
                algorithms=algorithms,
                gap=gap,
                earlier=() if log is None else tuple(log.rows),
                on_start=start,
                on_round=shown.round,
                on_row=keep,
            )
            if out is not None:
                write_scaling(scaling, out)
    except KeyboardInterrupt:
        if out is not None:
            # Told to the user in place of what is true of all other commands.
            raise KeyboardInterrupt(f"interrupted; finished runs are in {out}, --resume goes on") from None
        raise
    if as_json:
        streams.print_json(scaling.to_dict())
    elif not quiet:
        streams.print_table(scaling)
    if out is not None and not quiet:
        streams.print_note(f"results in {out}")
    return _exit_code(scaling)


def _line(row: Row) -> str:
    from eglb.foundation.numbers import duration, small

    name = f"{row['algorithm']}, {row['regions']} regions, seed {row['seed']}: "
    if row["gap"] is None:
        return name + str(row["status"]).replace("_", " ")
    return (
        f"{name}{row['status'].replace('_', ' ')}, gap {small(max(row['gap'], 0.0))}, "
        f"{row['rounds']} rounds, {duration(row['seconds'])}, {row['peak_rss_mb']:,.0f} MB"
    )


def _exit_code(scaling: Scaling) -> int:
    """The worst of the rows: a failed cluster, an infeasible fleet, a run short of its gap."""
    statuses = [row["status"] for row in scaling.rows]
    for beginning, code in (("cluster_failed", 5), ("infeasible", 3)):
        if any(status.startswith(beginning) for status in statuses):
            return code
    return 0 if scaling.converged else 4

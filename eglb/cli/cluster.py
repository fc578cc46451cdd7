"""``eglb cluster``: files that start a cluster of agents, and the members of a solve that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from eglb.cli import options, streams


@click.group("cluster", short_help="Check launch files; drain and admit regions of a running solve.")
def cluster_group() -> None:
    """A Ray cluster for the agents. docs/clusters.md: how to get one."""


@cluster_group.command("check", short_help="Look for mistakes in a launch file, without a cluster.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--scenario",
    metavar="SCENARIO",
    default="world10",
    show_default=True,
    help="Whose regions the nodes' labels are to name: a folder or a built-in name.",
)
@options.read_options
@options.output_options
def check_command(
    file: Path, scenario: str, data: Path | None, seed: int | None, as_json: bool, quiet: bool
) -> int:
    """Check FILE without a cluster: a file for `ray up`, or a RayCluster or RayJob of KubeRay.

    Its form, every Ray version in it against the installed one, nodes and their labels against the regions of
    the scenario, a head without agents, authentication, and what installs eglb. Exit code 2 if anything is
    wrong, each problem with its place in the file.
    """
    from eglb.clusters.checking import check_file

    with streams.stdout_kept_clean():
        found = check_file(file, options.load_weighted(scenario, data, seed))
    streams.print_result(found, as_json, quiet, None)
    return 0


_checkpoint = click.argument("checkpoint", metavar="DIR", type=click.Path(path_type=Path))
_regions = click.argument("regions", metavar="REGION...", nargs=-1, required=True)


@cluster_group.command("drain", short_help="Take regions out of a running solve.")
@_checkpoint
@_regions
@options.output_options
def drain_command(checkpoint: Path, regions: tuple[str, ...], as_json: bool, quiet: bool) -> int:
    """Take regions out of the solve whose --checkpoint is DIR, on purpose.

    Their load goes to what else reaches its gateways; what cannot be met without them is left out, as little
    as possible, and said so. It is done before the next exchange; a solve that is not running does it when it
    goes on.
    """
    return _leave("drain", checkpoint, regions, as_json, quiet)


@cluster_group.command("admit", short_help="Let drained regions take part again.")
@_checkpoint
@_regions
@options.output_options
def admit_command(checkpoint: Path, regions: tuple[str, ...], as_json: bool, quiet: bool) -> int:
    """Let drained regions take part again in the solve whose --checkpoint is DIR.

    Regions that were lost need no order: they take part again once they answer.
    """
    return _leave("admit", checkpoint, regions, as_json, quiet)


def _leave(
    what: Literal["drain", "admit"], checkpoint: Path, regions: tuple[str, ...], as_json: bool, quiet: bool
) -> int:
    from eglb.planning.running.checkpoint import glimpse
    from eglb.planning.running.membership_orders import Order, leave_order

    order = Order(what, regions)
    with streams.stdout_kept_clean():
        seen = glimpse(checkpoint)
        leave_order(checkpoint, order, seen.scenario)
    if as_json:
        streams.print_json({"order": what, "regions": list(regions), "running": seen.held})
    elif not quiet:
        when = "before the next exchange" if seen.held else "once the solve goes on, as it is not running now"
        streams.print_note(f"{order}: {when}")
    return 0


@cluster_group.command("status", short_help="Where a solve stands, who is out of it and why.")
@_checkpoint
@options.output_options
def status_command(checkpoint: Path, as_json: bool, quiet: bool) -> int:
    """Where the solve whose --checkpoint is DIR stood when it last kept its state, and who is out of it."""
    from eglb.planning.running.status import status_of

    with streams.stdout_kept_clean():
        found = status_of(checkpoint)
    streams.print_result(found, as_json, quiet, None)
    return 0

"""``eglb cluster``: files that start a cluster of agents."""

from __future__ import annotations

from pathlib import Path

import click

from eglb.cli import options, streams


@click.group("cluster", short_help="Check files that start a cluster.")
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
    from eglb.sims.cluster_files.checking import check_file

    with streams.stdout_kept_clean():
        found = check_file(file, options.load_weighted(scenario, data, seed))
    streams.print_result(found, as_json, quiet, None)
    return 0

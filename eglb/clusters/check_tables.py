"""A checked launch file for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from eglb.clusters.checking import ClusterCheck
from eglb.clusters.rules import Cluster, Group, installed_ray


def check_table(check: ClusterCheck) -> Iterator[RenderableType]:
    """Each cluster's parts, its nodes by region, and what is worth knowing."""
    for cluster in check.clusters:
        yield Text.assemble(
            (check.file, "bold"), f"  {cluster.kind}, cluster {cluster.name}  ", ("ok", "bold green")
        )
        yield Padding(_parts(cluster), (1, 0))
        yield _nodes(check, cluster)
    if check.notes:
        yield Text()
    for note in check.notes:
        yield Text(f"note: {note}", style="yellow")


def _parts(cluster: Cluster) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    places = f"{cluster.versions} place{'s' * (cluster.versions != 1)}"
    table.add_row("Ray", f"{installed_ray()}, as installed here; named in {places}")
    table.add_row("Head", f"{cluster.head} for the coordinator, no CPU for agents")
    table.add_row("Authentication", f"token, from {cluster.token}")
    table.add_row("eglb", cluster.wheel)
    return table


def _nodes(check: ClusterCheck, cluster: Cluster) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(f"Region of {check.scenario}", no_wrap=True)
    table.add_column("Nodes", justify="right", no_wrap=True)
    table.add_column("Started as", overflow="fold")
    for region in check.regions:
        groups = [group for group in cluster.groups if group.region == region and group.most > 0]
        if groups:
            table.add_row(region, _count(groups), ", ".join(group.name for group in groups))
    if free := [group for group in cluster.groups if group.region is None and group.most > 0]:
        table.add_row(Text("any", style="dim"), _count(free), ", ".join(group.name for group in free))
    if absent := check.without_node(cluster):
        table.add_row(
            Text(f"{len(absent)} without", style="dim"), "0", Text("agents go to any node", style="dim")
        )
    return table


def _count(groups: list[Group]) -> str:
    least, most = sum(group.least for group in groups), sum(group.most for group in groups)
    return str(least) if least == most else f"{least} to {most}"

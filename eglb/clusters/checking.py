"""A launch file from a path to what it starts, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from eglb.clusters.kuberay import KINDS, read_kuberay
from eglb.clusters.launcher import read_launcher
from eglb.clusters.reading import Findings, Place, read_documents, shown
from eglb.clusters.rules import Cluster, Group, check_placeholders, installed_ray
from eglb.foundation.errors import InputError
from eglb.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType


@dataclass(frozen=True)
class ClusterCheck:
    """A file that is well: the clusters it starts, for the regions of a scenario."""

    file: str
    scenario: str
    regions: tuple[str, ...]
    clusters: tuple[Cluster, ...]
    notes: tuple[str, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        pass

        yield from check_table(self)

    def to_dict(self) -> dict[str, Any]:
        """As ``--json`` has it."""
        return {
            "status": "ok",
            "exit_code": 0,
            "file": self.file,
            "scenario": self.scenario,
            "ray_version": installed_ray(),
            "clusters": [
                {
                    "kind": cluster.kind,
                    "name": cluster.name,
                    "head": cluster.head,
                    "groups": [
                        {"name": g.name, "nodes_min": g.least, "nodes_max": g.most, "region": g.region}
                        for g in cluster.groups
                    ],
                    "regions_without_node": list(self.without_node(cluster)),
                    "ray_versions_named": cluster.versions,
                    "authentication": "token",
                    "token": cluster.token,
                    "wheel": cluster.wheel,
                }
                for cluster in self.clusters
            ],
            "notes": list(self.notes),
        }

    def without_node(self, cluster: Cluster) -> tuple[str, ...]:
        """Regions of the scenario that no node of a cluster is for."""
        served = {group.region for group in cluster.groups if group.most > 0}
        return tuple(region for region in self.regions if region not in served)


def check_file(path: Path, scenario: Scenario) -> ClusterCheck:
    """Look at a launch file without a cluster or a network.

    Raises
    ------
    InputError : with every problem, where it stands and what is there.
    """
    findings = Findings()
    documents = read_documents(path, findings)
    clusters = [
        cluster
        for document in documents
        if (cluster := _read(document, scenario, findings, len(documents))) is not None
    ]
    if not clusters and not findings.problems:
        findings.problems.append(f"{path}: holds no cluster: {_WANTED}")
    if findings.problems:
        raise InputError(findings.problems)
    return ClusterCheck(str(path), scenario.name, scenario.regions, tuple(clusters), tuple(findings.notes))


_WANTED = "neither a file for `ray up` (cluster_name, provider) nor a KubeRay RayCluster or RayJob (kind)"


def _read(document: Place, scenario: Scenario, findings: Findings, documents: int) -> Cluster | None:
    """The cluster of a document, if it is one; others may stand beside a KubeRay file's."""
    regions, name = scenario.regions, scenario.name
    if not isinstance(document.value, dict):
        findings.wrong(document, f"{shown(document.value)} is not a mapping: {_WANTED}")
        return None
    kind, version = document.at("kind"), document.at("apiVersion")
    if kind.text in KINDS:
        check_placeholders(document, findings)
        return read_kuberay(document, regions, name, findings)
    if version.text.startswith("ray.io/"):
        findings.wrong(kind, f"{shown(kind.value)} must be {' or '.join(KINDS)}")
    elif document.at("provider").there or document.at("cluster_name").there:
        check_placeholders(document, findings)
        return read_launcher(document, regions, name, findings)
    elif not (kind.there and version.there) or documents == 1:
        findings.wrong(document, _WANTED)
    return None


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

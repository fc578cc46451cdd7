"""A launch file from a path to what it starts, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eglb.clusters.kuberay import KINDS, read_kuberay
from eglb.clusters.launcher import read_launcher
from eglb.clusters.reading import Findings, Place, read_documents, shown
from eglb.clusters.rules import Cluster, check_placeholders, installed_ray
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
        from eglb.clusters.check_tables import check_table

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

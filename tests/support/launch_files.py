"""Launch files for tests: those that ship, changed, and what is said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from eglb.clusters.checking import check_file
from eglb.clusters.rules import installed_ray
from eglb.foundation.errors import InputError
from eglb.scenarios.catalog import load

HOUSE = Path(__file__).parents[2]
WORLD = load("world10")
SHIPPED = ("cluster.yaml", *sorted(f"deploy/{path.name}" for path in (HOUSE / "deploy").glob("*.yaml")))
AWS, PREMISE, CLUSTER, JOB = (
    "cluster.yaml",
    "deploy/on_premise.yaml",
    "deploy/kuberay-raycluster.yaml",
    "deploy/kuberay-rayjob.yaml",
)
PIN = installed_ray()


def shipped(name: str) -> Any:
    return yaml.safe_load((HOUSE / name).read_text("utf-8"))


def found(path: Path) -> list[str]:
    """What is said of a file, without its own name; none if it is well."""
    try:
        check_file(path, WORLD)
    except InputError as error:
        assert all(problem.startswith(f"{path}: ") for problem in error.problems)
        return [problem.removeprefix(f"{path}: ") for problem in error.problems]
    return []


def checked(tmp_path: Path, document: Any) -> list[str]:
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    return found(path)


def apart(name: str) -> Any:
    """A file that ships, its aliases values of their own that can be changed alone."""
    return yaml.safe_load(_without_aliases(shipped(name)))


def _without_aliases(document: Any) -> str:
    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump(document, Dumper=Plain, sort_keys=False)

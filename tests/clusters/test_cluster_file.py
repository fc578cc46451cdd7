"""Launch files: those that ship are well, and no file, however wrong, makes a traceback."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from support.launch_files import (
    AWS,
    CLUSTER,
    HOUSE,
    JOB,
    PIN,
    PREMISE,
    SHIPPED,
    WORLD,
    apart,
    checked,
    found,
    shipped,
)

from eglb.clusters.checking import ClusterCheck, check_file
from eglb.clusters.rules import PYTHON
from eglb.clusters.schemas import kuberay_schema, launcher_schema
from eglb.foundation.errors import InputError
from eglb.scenarios.catalog import load


def well(tmp_path: Path, document: Any) -> ClusterCheck:
    path = tmp_path / "well.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    return check_file(path, WORLD)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_is_well(name: str) -> None:
    check = check_file(HOUSE / name, WORLD)
    (cluster,) = check.clusters
    assert cluster.name.startswith("eglb") and cluster.token and cluster.wheel and cluster.versions
    assert sum(group.least for group in cluster.groups) == (4 if "premise" in name else 10)
    if "premise" not in name:
        assert {group.region for group in cluster.groups} == set(WORLD.regions)


def test_all_kinds_of_launch_ship() -> None:
    assert set(SHIPPED) == {AWS, "deploy/gcp.yaml", PREMISE, CLUSTER, JOB}


def test_the_job_brings_the_cluster_that_stays() -> None:
    assert shipped(JOB)["spec"]["rayClusterSpec"] == shipped(CLUSTER)["spec"]


def test_what_ships_names_the_locked_ray_everywhere() -> None:
    (locked,) = re.findall(r"^ray==(.*)$", (HOUSE / "requirements.lock").read_text(), re.M)
    assert locked == PIN
    named = re.compile(r"(?:\bray:|\beglb:|\bray\[default\]==)(\d+\.\d+\.\d+)")
    for name in (*SHIPPED, "deploy/Dockerfile", "docs/clusters.md"):
        assert set(named.findall((HOUSE / name).read_text())) == {PIN}, name


def test_the_page_about_clusters_names_every_file() -> None:
    page = (HOUSE / "docs" / "clusters.md").read_text()
    linked = [HOUSE / "docs" / name for name in re.findall(r"\]\((\.\./[^)]+)\)", page)]
    assert {path.resolve() for path in linked} == {HOUSE / name for name in SHIPPED}


def test_the_oldest_python_is_the_one_that_the_project_declares() -> None:
    declared = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]["requires-python"]
    assert declared == ">=" + ".".join(map(str, PYTHON))


def test_schemas_are_schemas() -> None:
    for schema in (launcher_schema(), kuberay_schema()):
        jsonschema.Draft7Validator.check_schema(schema)


def test_regions_are_those_of_the_scenario() -> None:
    with pytest.raises(InputError) as error:
        check_file(HOUSE / AWS, load("synthetic:3x24"))
    assert len(error.value.problems) == 10
    assert "'virginia' is no region of synthetic:3x24" in error.value.problems[0]


def head(document: Any) -> Any:
    return document["spec"]["headGroupSpec"]


def workers(document: Any) -> Any:
    return document["spec"]["workerGroupSpecs"]


def container(group: Any) -> Any:
    return group["template"]["spec"]["containers"][0]


# What stands in a file that is no launch file at all, and what is said.
_FILES: list[tuple[str, bytes, str]] = [
    ("empty", b"", "is empty"),
    ("only comments", b"# nothing\n---\n", "is empty"),
    (
        "a list",
        b"- cluster_name: eglb\n",
        "[{'cluster_name': 'eglb'}] is not a mapping: neither a file for `ray up`",
    ),
    ("a word", b"eglb\n", "'eglb' is not a mapping"),
    ("another mapping", b"a: 1\n", "neither a file for `ray up`"),
    ("broken YAML", b"a: [1, 2\nb: 3\n", "line 2, column 2: is not YAML"),
    ("a tab", b"a:\n\tb: 1\n", "line 2, column 1: is not YAML"),
    ("binary", bytes(range(256)), "is not text: byte 129 is not UTF-8"),
    ("control characters", b"a: \x00\x01\n", "is not YAML"),
    ("a zip archive", b"PK\x03\x04\x00\x00\xff\xff", "is not text"),
    ("a tag of Python", b"a: !!python/object/apply:os.getcwd []\n", "line 1, column 4: is not YAML"),
    ("the thirteenth month", b"a: 2024-13-45\n", "is not YAML: a value does not fit its type"),
    ("a list as key", b"? [a, b]\n: 1\n", "is not YAML"),
    ("an alias to nothing", b"a: *b\n", "line 1, column 4: is not YAML"),
    ("itself inside itself", b"a: &a [*a]\n", "its aliases stand for more than 100,000 values"),
    (
        "a billion laughs",
        b"a0: &a0 [x, x]\n"
        + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 40)),
        "its aliases stand for more than 100,000 values",
    ),
    ("deep nesting", b"[" * 5000, "is nested too deeply"),
    ("a huge file", b"a: 1\n" * 300_000, "is larger than 1 MiB"),
    (
        "a key twice",
        b"cluster_name: a\ncluster_name: b\n",
        "cluster_name: stands twice, the second time in line 2",
    ),
    ("a pod", b"apiVersion: v1\nkind: Pod\n", "neither a file for `ray up`"),
]


@pytest.mark.parametrize(("content", "said"), [c[1:] for c in _FILES], ids=[c[0] for c in _FILES])
def test_what_is_no_launch_file_is_told_so(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(content)
    problems = found(path)
    assert any(said in problem for problem in problems), problems
    assert all(len(problem) < 400 for problem in problems)


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    assert found(tmp_path / "absent.yaml") == ["no such file"]
    assert found(tmp_path) == ["is a folder; name the file in it"]
    assert found(HOUSE / AWS / "below") == ["cannot be read: Not a directory"]


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    document = shipped(AWS)
    del document["docker"], document["file_mounts"], document["setup_commands"]
    document["max_workers"] = True
    document["head_node_type"] = "nobody"
    problems = checked(tmp_path, document)
    assert len(problems) >= 7
    assert len(set(problems)) == len(problems)


def test_documents_beside_the_cluster_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    other = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: eglb-wheel}\n"
    path.write_text((HOUSE / CLUSTER).read_text("utf-8") + other)
    assert len(check_file(path, WORLD).clusters) == 1
    path.write_text(other)
    assert "neither a file for `ray up`" in found(path)[0]


def test_an_image_of_ones_own_stands_for_the_wheel(tmp_path: Path) -> None:
    image = "registry.example:5000/eglb:1"
    document = shipped(AWS)
    document["docker"]["image"] = image
    document["setup_commands"] = []
    check = well(tmp_path, document)
    assert check.clusters[0].wheel == f"in the image {image}"
    assert any("is not one of Ray's images" in note for note in check.notes)
    document = apart(CLUSTER)
    for group in (head(document), *workers(document)):
        container(group)["image"] = image
        del container(group)["args"]
    assert well(tmp_path, document).clusters[0].wheel == f"in the image {image}"


def test_an_image_of_the_heads_own_is_no_excuse_for_the_workers(tmp_path: Path) -> None:
    document = shipped(AWS)
    document["docker"]["head_image"] = "registry.example/eglb:1"
    document["setup_commands"] = []
    (problem,) = checked(tmp_path, document)
    assert problem == "setup_commands: nothing installs eglb on the workers: pip install its wheel"


def test_a_token_may_be_on_the_machines_already(tmp_path: Path) -> None:
    document = shipped(PREMISE)
    del document["file_mounts"]["/home/ray/.ray/auth_token"]
    document["docker"]["run_options"] += ["-v /etc/ray:/etc/ray", "-e RAY_AUTH_TOKEN_PATH=/etc/ray/token"]
    assert well(tmp_path, document).clusters[0].token == "/etc/ray/token on every node"


def test_a_token_that_pods_name_themselves_will_do(tmp_path: Path) -> None:
    document = apart(CLUSTER)
    del document["spec"]["authOptions"]
    secret = {"secretKeyRef": {"name": "eglb", "key": "auth_token"}}
    for group in (head(document), *workers(document)):
        container(group)["env"] += [
            {"name": "RAY_AUTH_MODE", "value": "token"},
            {"name": "RAY_AUTH_TOKEN", "valueFrom": secret},
        ]
    assert well(tmp_path, document).clusters[0].token == "RAY_AUTH_TOKEN of every container"
    container(workers(document)[5])["env"].pop()
    (problem,) = checked(tmp_path, document)
    assert "spec.workerGroupSpecs[5]: RAY_AUTH_MODE is token, but there is no RAY_AUTH_TOKEN" in problem


def test_fewer_nodes_than_regions_are_worth_a_note(tmp_path: Path) -> None:
    document = shipped(AWS)
    del document["available_node_types"]["tokyo"]
    document["available_node_types"]["sydney"] = {
        **document["available_node_types"]["sydney"],
        "min_workers": 0,
    }
    check = well(tmp_path, document)
    assert check.without_node(check.clusters[0]) == ("tokyo",)
    assert any("no node for tokyo: their agents go to any" in note for note in check.notes)
    assert any("sydney: no node is there from the start" in note for note in check.notes)


_SCRAPS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=5) | st.builds(list) | st.builds(dict)
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nothing_in_the_place_of_something_makes_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    document = apart(data.draw(st.sampled_from(SHIPPED)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = document
        while True:
            keys = sorted(place, key=str) if isinstance(place, dict) else list(range(len(place)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
                break
            place = place[key]
        place[key] = data.draw(_SCRAPS)
        if not isinstance(document, dict) or not document:
            break
    folder = tmp_path_factory.getbasetemp() / "scraps"
    folder.mkdir(exist_ok=True)
    checked(folder, document)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@,? \n\t0129.<=", max_size=60) | st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    found(path)

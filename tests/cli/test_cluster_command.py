"""``eglb cluster check`` as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.launch_files import AWS, HOUSE, PREMISE, SHIPPED, apart

Run = Callable[..., Any]


@pytest.mark.parametrize("columns", [80, 120])
def test_a_file_that_is_well_is_shown(eglb: Run, columns: int) -> None:
    ran = eglb("cluster", "check", HOUSE / AWS, COLUMNS=str(columns))
    assert (ran.code, ran.err) == (0, "")
    lines = [line.rstrip() for line in ran.out.splitlines()]
    assert max(map(len, lines)) <= columns
    assert any(line.startswith("Authentication  token") for line in lines)
    assert any(line.split() == ["virginia", "1", "virginia"] for line in lines)


def test_every_file_that_ships_is_well(eglb: Run) -> None:
    for name in SHIPPED:
        found = eglb("cluster", "check", HOUSE / name, "--json").json()
        assert (found["status"], found["exit_code"]) == ("ok", 0)
        (cluster,) = found["clusters"]
        assert cluster["authentication"] == "token"
        absent = 6 if name == PREMISE else 0
        assert len(cluster["regions_without_node"]) == absent
    assert eglb("cluster", "check", HOUSE / AWS, "--quiet").out == ""


def test_all_that_is_wrong_is_said_with_exit_code_2(eglb: Run, tmp_path: Path) -> None:
    document = apart(AWS)
    document["available_node_types"]["tokyo"]["labels"]["region"] = "tokio"
    del document["docker"]["run_options"]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    ran = eglb("cluster", "check", path, "--json")
    assert ran.code == 2
    found = ran.json()
    assert (found["status"], found["exit_code"], len(found["problems"])) == ("wrong_input", 2, 3)
    assert ran.err.splitlines() == [f"eglb: {problem}" for problem in found["problems"]]
    place = "available_node_types.tokyo.labels.region"
    assert f"{path}: {place}: 'tokio' is no region of world10; did you mean tokyo?" in found["problems"]


def test_labels_are_checked_against_the_scenario_that_is_named(eglb: Run, tmp_path: Path) -> None:
    assert eglb("scenario", "new", tmp_path / "fleet").code == 0
    ran = eglb("cluster", "check", HOUSE / PREMISE, "--scenario", tmp_path / "fleet")
    assert ran.code == 2 and "'frankfurt' is no region of" in ran.err
    ran = eglb("cluster", "check", HOUSE / PREMISE, "--scenario", tmp_path / "nowhere")
    assert ran.code == 2 and "nowhere" in ran.err


def test_what_is_no_file_is_refused(eglb: Run, tmp_path: Path) -> None:
    assert "no such file" in eglb("cluster", "check", tmp_path / "absent.yaml").err
    assert "is a folder" in eglb("cluster", "check", tmp_path).err
    assert eglb("cluster", "check").code == 2


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from eglb.cli import main\n"
        "try: main(['cluster', 'check', '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = [n for n in ('ray', 'numpy', 'yaml', 'jsonschema', 'rich') if n in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ray up" in done.stdout

"""README is true: its Python runs, its commands run, and what it shows of their output is what they print."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from eglb.cli import cli

README = Path(__file__).parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S)


def session() -> list[tuple[str, list[str]]]:
    """(command, lines shown below it) of every console block, in order."""
    steps: list[tuple[str, list[str]]] = []
    for block in blocks("console"):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            elif line.strip() and line != "...":
                steps[-1][1].append(line)
    return steps


def alike(line: str) -> str:
    """A line with its numbers, names of worst regions and spacing taken out."""
    line = re.sub(r"worst: \S+", "worst", line)
    return re.sub(r"\s+", " ", re.sub(r"[0-9][0-9.,]*(e-?[0-9]+)?( [kMG]?B)?", "N", line)).strip()


@pytest.mark.cluster
@pytest.mark.slow
def test_commands_run_and_print_what_is_shown(eglb: Callable[..., object], tmp_path: Path) -> None:
    """Every command as it stands, on Ray the first of its kind only: there it goes the same way as here."""
    steps = session()
    assert len(steps) >= 10
    on_ray: set[str] = set()
    for command, shown in steps:
        words = shlex.split(command, comments=True)
        assert words[0] == "eglb"
        if "--address" not in words and "address" in _parameters(words[1]):
            words += ["--address", "inprocess"] if words[1] in on_ray else []
            on_ray.add(words[1])
        broken = "my-broken-fleet" in command
        if broken:
            _break(tmp_path)
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == (2 if broken else 0), f"{command}\n{done.stderr}"
        printed = {alike(line) for line in (done.stdout + done.stderr).splitlines()}
        for line in shown:
            assert alike(line) in printed, f"{command}\n{line}\n{done.stdout}{done.stderr}"
    assert (tmp_path / "results" / "world10" / "plan.parquet").exists()
    assert (tmp_path / "results" / "compare" / "convergence.svg").exists()


def _parameters(name: str) -> set[str | None]:
    return {parameter.name for parameter in cli.commands[name].params}


def _break(folder: Path) -> None:
    """README's broken fleet is its example with one number turned."""
    (folder / "my-fleet").rename(folder / "my-broken-fleet")
    table = folder / "my-broken-fleet" / "demand.csv"
    rows = table.read_text().splitlines()
    rows[3] = rows[3].rsplit(",", 1)[0] + ",-5.5"
    table.write_text("\n".join(rows) + "\n")


def test_python_runs(tmp_path: Path) -> None:
    (program,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("converged") and done.stdout.endswith("True\n")
    assert "(10, 336)" in done.stdout


def test_every_command_and_exit_code_is_described() -> None:
    text = README.read_text("utf-8")
    assert all(f"eglb {name}" in text for name in cli.commands)
    assert all(f"| {code} |" in text for code in (0, 2, 3, 4, 5, 130))


def test_every_algorithm_is_described() -> None:
    from eglb.planning.solve import ALGORITHMS

    assert all(f"| `{name}`" in README.read_text("utf-8") for name in ALGORITHMS)


def test_every_linked_file_and_folder_of_the_map_exists() -> None:
    text = README.read_text("utf-8")
    named = re.findall(r"\]\(([^)#]+)\)", text) + re.findall(r"^    (\w+/)  ", text, re.M)
    assert len(named) >= 8
    assert all((README.parent / name).exists() for name in named)

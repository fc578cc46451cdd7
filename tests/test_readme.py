"""README and docs are true: their Python and commands run, and print what is shown of their output."""

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

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
README = ROOT / "README.md"
COMMANDS = ROOT / "docs" / "commands.md"
ELSEWHERE = {"live.md", "own_fleet.md", "results.md"}
"""Pages whose blocks have a test of their own."""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)


def pages(language: str) -> list[Path]:
    return [page for page in (README, *DOCS) if page.name not in ELSEWHERE and blocks(page, language)]


def session(page: Path) -> list[tuple[str, list[str]]]:
    """(command, lines shown below it) of every console block, in order."""
    steps: list[tuple[str, list[str]]] = []
    for block in blocks(page, "console"):
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
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.long] if page == COMMANDS else []) for page in pages("console")],
    ids=lambda page: page.name,
)
def test_commands_run_and_print_what_is_shown(
    eglb: Callable[..., object], tmp_path: Path, page: Path
) -> None:
    """Every command as it stands, on Ray the first of its kind only: there it goes the same way as here."""
    steps = session(page)
    assert len(steps) >= {README: 6, COMMANDS: 30}.get(page, 1)
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
    files = {README: ["first/report.html"], COMMANDS: ["world10/plan.parquet", "compare/convergence.svg"]}
    assert all((tmp_path / "results" / name).exists() for name in files.get(page, []))


def test_the_pages_that_are_run() -> None:
    assert {README, COMMANDS} <= set(pages("console"))
    assert COMMANDS in pages("python")


def _parameters(name: str) -> set[str | None]:
    return {parameter.name for parameter in cli.commands[name].params}


def _break(folder: Path) -> None:
    """The broken fleet is the example with one number turned."""
    (folder / "my-fleet").rename(folder / "my-broken-fleet")
    table = folder / "my-broken-fleet" / "demand.csv"
    rows = table.read_text().splitlines()
    rows[3] = rows[3].rsplit(",", 1)[0] + ",-5.5"
    table.write_text("\n".join(rows) + "\n")


@pytest.mark.parametrize("page", pages("python"), ids=lambda page: page.name)
def test_python_runs(tmp_path: Path, page: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(blocks(page, "python"))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    if page == COMMANDS:
        assert done.stdout.startswith("converged") and done.stdout.endswith("True\n")
        assert "(10, 336)" in done.stdout


def test_every_command_and_exit_code_is_described() -> None:
    text = COMMANDS.read_text("utf-8")
    assert all(f"eglb {name}" in text for name in cli.commands)
    assert all(f"| {code} |" in text for code in (0, 2, 3, 4, 5, 130))


def test_every_algorithm_is_described() -> None:
    from eglb.planning.solve import ALGORITHMS

    text = (ROOT / "docs" / "algorithms.md").read_text("utf-8")
    assert all(f"| `{name}`" in text for name in ALGORITHMS)


def test_readme_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", [README, ROOT / "RELIABILITY.md", *DOCS], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file there is, and to a heading there is in it."""
    text = page.read_text("utf-8")
    for name, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text):
        target = page.parent / name if name else page
        assert target.exists(), name
        if anchor:
            assert anchor in anchors(target), f"{name}#{anchor}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_lists_every_page() -> None:
    text = (ROOT / "docs" / "index.md").read_text("utf-8")
    assert all(f"]({page.name})" in text for page in DOCS if page.name != "index.md")

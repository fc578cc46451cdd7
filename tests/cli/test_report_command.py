"""``eglb report``, and what docs/results.md promises of a results folder."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

Run = Callable[..., Any]
DOCUMENT = Path(__file__).parents[2] / "docs" / "results.md"


@pytest.fixture(scope="module")
def results(eglb: Run, fleet_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``eglb solve --out`` leaves."""
    out = tmp_path_factory.mktemp("results") / "solved"
    words = [
        "solve",
        fleet_folder,
        "--algorithm",
        "newton",
        "--address",
        "inprocess",
        "--quiet",
        "--out",
        out,
    ]
    assert eglb(*words).code == 0
    return out


def test_solve_writes_the_report_and_the_command_writes_the_same(
    eglb: Run, results: Path, tmp_path: Path
) -> None:
    written = (results / "report.html").read_bytes()
    ran = eglb("report", results, "--out", tmp_path / "again.html", "--json")
    assert ran.code == 0
    assert ran.json() == {
        "folder": str(results),
        "report": str(tmp_path / "again.html"),
        "bytes": len(written),
    }
    assert (tmp_path / "again.html").read_bytes() == written
    (results / "report.html").unlink()
    ran = eglb("report", results)
    assert ran.code == 0 and ran.out == f"{results / 'report.html'}: {len(written) / 1e6:.2f} MB\n"
    assert (results / "report.html").read_bytes() == written


def test_what_is_no_results_folder_is_refused(eglb: Run, tmp_path: Path, fleet_folder: Path) -> None:
    for folder in (tmp_path / "nothing", tmp_path, fleet_folder):
        ran = eglb("report", folder)
        assert ran.code == 2 and ran.out == ""
        assert ran.err == f"eglb: {folder}: not a results folder: run.json: No such file or directory\n"
    answer = eglb("report", tmp_path, "--json").json()
    assert answer["status"] == "wrong_input" and answer["exit_code"] == 2


def test_without_out_the_library_that_draws_is_not_loaded(fleet_folder: Path) -> None:
    program = (
        "import sys\n"
        "from eglb.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "drawing = ('vl_convert', 'eglb.report')\n"
        "loaded = [name for name in sys.modules if name.startswith(drawing)]\n"
        "assert not loaded, loaded\n"
    )
    words = ["solve", str(fleet_folder), "--algorithm", "newton", "--address", "inprocess", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def documented(section: str) -> set[str]:
    """The names in code of the first column of the tables of a section of the document."""
    text = DOCUMENT.read_text().split(f"## {section}\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_every_key_and_column_is_documented(results: Path) -> None:
    run = json.loads((results / "run.json").read_text())
    assert run.keys() <= documented("run.json")
    first = json.loads((results / "rounds.jsonl").read_text().splitlines()[0])
    assert first.keys() <= documented("rounds.jsonl")
    for table in ("plan.parquet", "prices.parquet"):
        assert set(pq.read_table(results / table).column_names) == documented(table)
    for path in results.iterdir():
        assert f"`{path.name}" in DOCUMENT.read_text()


def test_the_lines_that_read_a_folder_work(results: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) == 6
    tried = 0
    for line in lines:
        module = re.findall(r"import ([\w.]+)(?: as|,|;)", line)[0]
        try:
            importlib.import_module(module)
        except ImportError:
            continue  # pandas and polars are the reader's, not this project's
        names: dict[str, Any] = {}
        exec(line.replace("DIR/", f"{results}/"), names)
        tried += 1
        if "plan" in names:
            assert len(names["plan"]) == pq.read_metadata(results / "plan.parquet").num_rows > 0
        elif "run" in names:
            assert names["run"]["status"] == "converged"
        else:
            assert len(names["rounds"]) == names["rounds"].shape[0] > 0
    assert tried >= 2

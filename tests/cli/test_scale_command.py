"""``eglb scale``: rows of the contract, exit codes, and runs that are interrupted and gone on with."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

ROW_KEYS = {
    "regions", "gateways", "slots", "edges", "algorithm", "gap", "rounds", "seconds", "peak_rss_mb",
    "bytes_up", "bytes_down", "status",
}  # fmt: skip
WORDS = ("scale", "--regions", "2,3,4", "--hours", "3", "--algorithm", "newton", "--algorithm", "central")


@pytest.fixture(scope="module")
def folder(eglb: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    out = tmp_path_factory.mktemp("scale") / "out"
    return eglb(*WORDS, "--reach", "2", "--json", "--out", out), out


def test_rows_are_those_of_the_contract(folder: tuple[Any, Path]) -> None:
    ran, out = folder
    assert ran.code == 0
    rows = ran.json()["rows"]
    assert [(r["regions"], r["algorithm"]) for r in rows] == [
        (n, name) for n in (2, 3, 4) for name in ("newton", "central")
    ]
    assert all(row.keys() >= ROW_KEYS and row["status"] == "converged" for row in rows)
    assert all(row["gap"] <= 1e-4 for row in rows)
    assert {fit["algorithm"] for fit in ran.json()["growth"]} == {"newton", "central"}
    assert [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()] == rows
    assert json.loads((out / "scale.json").read_text()) == ran.json()
    assert "newton, 4 regions, seed 0: converged" in ran.err


def test_finished_rows_are_not_run_again(eglb: Run, folder: tuple[Any, Path]) -> None:
    first, out = folder
    before = (out / "rows.jsonl").read_bytes()
    again = eglb(*WORDS, "--reach", "2", "--json", "--quiet", "--out", out, "--resume")
    assert again.code == 0 and again.err == "" and again.json() == first.json()
    assert (out / "rows.jsonl").read_bytes() == before
    refused = eglb(*WORDS, "--out", out)
    assert refused.code == 2 and "--resume" in refused.err


def test_a_row_at_its_limit_is_kept_and_makes_the_exit_code(eglb: Run) -> None:
    words = ("--regions", "6", "--hours", "24", "--algorithm", "subgradient", "--max-rounds", "5")
    ran = eglb("scale", *words, "--gap", "1e-9", "--json", "--quiet")
    (row,) = ran.json()["rows"]
    assert ran.code == 4 and row["status"] == "round_limit" and row["gap"] > 1e-9
    assert eglb("scale", "--regions", "2", "--address", "127.0.0.1:1", "--algorithm", "admm").code == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--regions", "10,x"), "'x'"),
        (("--regions", "10", "--reach", "16"), "reach=16"),
        (("--util", "1.5"), "'1.5'"),
        (("--weight-scale", "1,0"), "'0'"),
        (("--seeds", "-1"), "'-1'"),
        (("--algorithm", "simplex"), "'simplex'"),
        (("--resume",), "--out"),
    ],
)
def test_wrong_options_are_refused_by_value(eglb: Run, words: tuple[str, ...], said: str) -> None:
    ran = eglb("scale", *words, "--json")
    assert ran.code == 2 and said in ran.err and ran.json()["status"] == "wrong_input"


def test_an_interrupted_run_keeps_its_rows_leaves_no_process_and_goes_on(eglb: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["scale", "--regions", "3,800", "--algorithm", "central", "--out", str(out), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "eglb", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    rows, children = out / "rows.jsonl", Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 60
    while not (rows.exists() and rows.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    while not (child := children.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    said, complained = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in complained
    assert "--resume" in json.loads(said)["problems"][0] and "nothing was written" not in said
    assert not Path(f"/proc/{child[0]}").exists()
    assert len(rows.read_text().splitlines()) == 1 and not (out / "scale.json").exists()
    kept = rows.read_text()
    words[2] = "3"
    ran = eglb(*words, "--resume")
    assert ran.code == 0 and rows.read_text() == kept and (out / "scale.json").exists()

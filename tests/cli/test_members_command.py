"""Regions that are lost, left out, drained and admitted, on the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

ENOUGH, SHORT = "synthetic:4x48,util=0.4", "synthetic:6x24,reach=2,util=0.8"
HERE = ("--address", "inprocess")


def test_a_plan_without_a_region_says_so_and_ends_well(eglb: Run, tmp_path: Path) -> None:
    ran = eglb("solve", ENOUGH, *HERE, "--without", "r1", "--out", tmp_path / "plan")
    assert ran.code == 0
    assert "Without r1 (drained); certified against the best plan without it." in ran.out
    assert "eglb: Without r1 (drained)" in ran.err
    assert "Without r1 (drained)" in eglb("explain", tmp_path / "plan").out
    assert eglb("report", tmp_path / "plan").code == 0
    quiet = eglb("solve", ENOUGH, *HERE, "--without", "r1", "--json", "--quiet")
    told = quiet.json()
    assert told["status"] == "converged" and told["members"]["out"] == {"r1": "drained"}
    assert told["shortfall"] == {"mwh": 0.0, "slots": 0, "worst": None}
    assert "Without r1 (drained)" in quiet.err  # never silently


def test_demand_that_cannot_be_met_ends_with_3_and_everything_is_written(eglb: Run, tmp_path: Path) -> None:
    ran = eglb("solve", SHORT, *HERE, "--without", "r0", "--json", "--out", tmp_path / "plan")
    assert ran.code == 3
    told = ran.json()
    assert told["status"] == "shortfall" and told["shortfall"]["mwh"] > 0
    assert told["gap"] <= 1e-4 and max(told["violations"].values()) < 1e-6
    assert json.loads((tmp_path / "plan" / "run.json").read_text())["shortfall"] == told["shortfall"]
    assert (tmp_path / "plan" / "unmet.parquet").exists() and (tmp_path / "plan" / "report.html").exists()
    assert "MWh of demand cannot be met without it" in ran.err
    assert "r0 (out)" in ran.err and "MW short" in ran.err and "of 24 slots are short" in ran.err


def test_a_whole_fleet_has_empty_members(eglb: Run) -> None:
    ran = eglb("solve", ENOUGH, *HERE, "--json", "--quiet")
    assert ran.code == 0 and ran.err == ""
    assert ran.json()["members"] == {"out": {}, "events": [], "rejected": {}}


def test_a_region_that_is_lost_is_a_line_of_progress(eglb: Run) -> None:
    ran = eglb("solve", ENOUGH, *HERE, "--faults", "out=r2@6+9999", "--deadline", "4")
    assert ran.code == 0
    assert "r2 lost: no answer within 4 s" in ran.err
    assert "Without r2 since round" in ran.out


@pytest.mark.parametrize(
    ("words", "problems"),
    [
        ((*HERE, "--without", "atlantis", "--without", "mu"), ("atlantis", "mu")),
        ((*HERE, *(w for r in range(4) for w in ("--without", f"r{r}"))), ("no region would be left",)),
        ((*HERE, "--faults", "dorp=0.1,late=2"), ("did you mean drop", "between 0 and 1")),
        ((*HERE, "--faults", "out=atlantis@1+2"), ("atlantis",)),
        (("--faults", "drop=0.1"), ("in process",)),
        ((*HERE, "--deadline", "0"), ("--deadline",)),
    ],
)
def test_what_makes_no_sense_is_refused(eglb: Run, words: tuple[str, ...], problems: tuple[str, ...]) -> None:
    ran = eglb("solve", ENOUGH, *words, "--json")
    assert ran.code == 2
    told = "\n".join(ran.json()["problems"])
    assert all(problem in told for problem in problems)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A solve that goes on until it is killed, and its checkpoint folder."""
    folder = tmp_path / "run"
    words = ("--gap", "1e-13", "--checkpoint", folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "eglb", "solve", "synthetic:20x48", *HERE, *map(str, words), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    yield process, folder
    process.kill()
    process.communicate()


def wait_for(condition: Callable[[], bool], patience_s: float = 25.0) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def test_drain_status_admit_from_another_process(
    eglb: Run, running: tuple[subprocess.Popen[str], Path]
) -> None:
    process, folder = running
    wait_for(lambda: any(folder.glob("state-*")))
    before = eglb("cluster", "status", folder, "--json").json()
    assert before["running"] and before["round"] > 0 and before["members"]["out"] == {}

    done = eglb("cluster", "drain", folder, "r07", "r08")
    assert done.code == 0 and "drain r07, r08: before the next exchange" in done.err
    wait_for(lambda: not any((folder / "orders").iterdir()))
    told = eglb("cluster", "status", folder, "--json").json()
    assert told["members"]["out"] == {"r07": "drained", "r08": "drained"}
    assert told["waiting"] == [] and told["running"]
    shown = eglb("cluster", "status", folder)
    assert "Without r07, r08 since round" in shown.out and "running" in shown.out

    assert eglb("cluster", "admit", folder, "r08", "--json").json()["running"]
    wait_for(lambda: not any((folder / "orders").iterdir()))
    told = eglb("cluster", "status", folder, "--json").json()
    assert told["members"]["out"] == {"r07": "drained"}
    assert [event["what"] for event in told["members"]["events"]] == ["drained", "admitted"]

    process.kill()
    process.communicate()
    waits = eglb("cluster", "admit", folder, "r07")
    assert waits.code == 0 and "not running" in waits.err
    assert "Waiting: admit r07" in eglb("cluster", "status", folder).out
    resumed = eglb("solve", "--resume", folder, "--gap", "1e-3", "--json")
    assert resumed.code == 0 and resumed.json()["members"]["out"] == {}
    assert "r07 admitted" in resumed.err


def test_orders_to_nobody_are_refused(eglb: Run, tmp_path: Path) -> None:
    for what in ("drain", "admit", "status"):
        ran = eglb("cluster", what, tmp_path, *(["r0"] if what != "status" else []), "--json")
        assert ran.code == 2 and "holds no checkpoint" in ran.json()["problems"][0]
    folder = tmp_path / "run"
    assert eglb("solve", ENOUGH, *HERE, "--checkpoint", folder, "--quiet").code == 0
    ran = eglb("cluster", "drain", folder, "atlantis", "r0", "r1", "r2", "r3", "--json")
    assert ran.code == 2 and len(ran.json()["problems"]) == 2
    assert not (folder / "orders").exists()
    assert eglb("cluster", "drain", folder).code == 2

"""``eglb solve`` as a user meets it: the JSON of the contract, exit codes, the results folder, Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eglb.planning.storage import folder
from eglb.scenarios.catalog import load

Run = Callable[..., Any]

NUMBER = (int, float)
FOOTPRINT = {"unit": str, "total": NUMBER, "avg": NUMBER, "max": NUMBER, "par": NUMBER, "by_region": dict}
SOLVE = {
    "status": str,
    "scenario": str,
    "algorithm": str,
    "address": str,
    "regions": int,
    "gateways": int,
    "slots": int,
    "actors": int,
    "objective": NUMBER,
    "lower_bound": NUMBER,
    "gap": NUMBER,
    "energy_cost_usd": NUMBER,
    "equity": {kind: {"weight": NUMBER, "shape": str} for kind in ("water", "carbon")},
    "footprints": {"water": FOOTPRINT, "carbon": FOOTPRINT},
    "signals": dict,
    "rounds": int,
    "bytes_up": int,
    "bytes_down": int,
    "seconds": {"start": NUMBER, "solve": NUMBER, "total": NUMBER},
    "peak_rss_mb": NUMBER,
    "violations": {"demand": NUMBER, "capacity": NUMBER, "reach": NUMBER},
    "members": {"out": dict, "events": list, "rejected": dict},
    "shortfall": {"mwh": NUMBER, "slots": NUMBER, "worst": type(None)},
}


def matches(value: Any, shape: Any, where: str = "") -> None:
    """Fails unless `value` has exactly the keys of `shape`, and the types at its leaves."""
    if isinstance(shape, dict):
        assert list(value) == list(shape), where
        for key, inner in shape.items():
            matches(value[key], inner, f"{where}.{key}")
    else:
        assert isinstance(value, shape) and not isinstance(value, bool), where


def check_numbers(answer: dict[str, Any], largest_demand: float) -> None:
    """What must hold between the numbers of any answer."""
    assert answer["lower_bound"] <= answer["objective"] * (1 + 1e-12)
    gap = (answer["objective"] - answer["lower_bound"]) / abs(answer["objective"])
    assert answer["gap"] == pytest.approx(gap, rel=1e-9, abs=1e-15)
    for totals in answer["footprints"].values():
        values = totals["by_region"].values()
        assert len(values) == answer["regions"]
        assert totals["total"] == pytest.approx(sum(values))
        assert totals["max"] == pytest.approx(max(values))
        assert totals["avg"] == pytest.approx(sum(values) / len(values))
        assert totals["par"] == pytest.approx(totals["max"] / totals["avg"])
    assert max(answer["violations"].values()) <= 1e-9 * largest_demand
    assert answer["seconds"]["total"] >= answer["seconds"]["solve"] > 0


@pytest.mark.parametrize("algorithm", ["admm", "dual", "newton", "subgradient", "central"])
def test_json_is_that_of_the_contract(eglb: Run, fleet_folder: Path, algorithm: str) -> None:
    gap = 1e-2 if algorithm == "subgradient" else 1e-4
    ran = eglb(
        "solve", fleet_folder, "--algorithm", algorithm, "--gap", gap, "--address", "inprocess", "--json"
    )
    answer = ran.json()
    matches(answer, SOLVE)
    fleet = load(fleet_folder)
    check_numbers(answer, float(fleet.demand.max()))
    assert ran.code == 0, ran.err
    assert answer["status"] == "converged" and answer["gap"] <= gap
    assert answer["algorithm"] == algorithm and answer["address"] == "inprocess"
    assert (answer["regions"], answer["gateways"], answer["slots"]) == (3, 2, 48)
    exchanged = [answer[key] for key in ("rounds", "bytes_up", "bytes_down")]
    assert all(count > 0 for count in exchanged) != (algorithm == "central")


def test_a_limit_ends_with_4_and_the_best_plan_is_written(
    eglb: Run, fleet_folder: Path, tmp_path: Path
) -> None:
    words = ["solve", fleet_folder, "--address", "inprocess", "--json"]
    for limit, status in ((["--max-rounds", 3], "round_limit"), (["--time-limit", 0.001], "time_limit")):
        out = tmp_path / status
        ran = eglb(*words, "--gap", 1e-12, *limit, "--out", out)
        assert ran.code == 4, ran.err
        answer = ran.json()
        assert answer["status"] == status and answer["gap"] > 1e-12
        run = folder.read(out).run
        assert {key: run[key] for key in answer} == answer
        plan = folder.read(out).plan
        assert plan is not None and plan.num_rows > 0


def test_the_results_folder_is_the_json_and_every_round(
    eglb: Run, fleet_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ran = eglb("solve", fleet_folder, "--address", "inprocess", "--json", "--out", out, "--quiet")
    assert ran.code == 0 and ran.err == ""
    answer, stored = ran.json(), folder.read(out)
    assert {key: stored.run[key] for key in answer} == answer
    assert stored.rounds[-1]["round"] == answer["rounds"]
    assert stored.rounds[-1]["bytes_up"] == answer["bytes_up"]
    objectives = [row["objective"] for row in stored.rounds if row["objective"] is not None]
    assert objectives == sorted(objectives, reverse=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    again = eglb("solve", fleet_folder, "--address", "inprocess", "--out", out)
    assert again.code == 2 and "exists and is not empty" in again.err


def test_a_results_folder_is_a_place_to_start_from(eglb: Run, fleet_folder: Path, tmp_path: Path) -> None:
    words = ("solve", fleet_folder, "--algorithm", "dual", "--address", "inprocess", "--json")
    cold = eglb(*words, "--out", tmp_path / "cold")
    warm = eglb(*words, "--warm-start", tmp_path / "cold")
    assert cold.code == warm.code == 0
    assert warm.json()["gap"] <= 1e-4 and warm.json()["rounds"] < cold.json()["rounds"]
    (tmp_path / "cold" / "plan.parquet").write_text("damaged")
    refused = eglb(*words, "--warm-start", tmp_path / "cold", "--out", tmp_path / "warm")
    assert refused.code == 2 and "plan.parquet" in refused.json()["problems"][0]
    assert not (tmp_path / "warm").exists()


def test_weights_of_the_command_line_are_those_solved_for(eglb: Run, fleet_folder: Path) -> None:
    words = ["solve", fleet_folder, "--address", "inprocess", "--json", "--quiet"]
    free = eglb(*words, "--weight", "water=0", "--weight", "carbon=0").json()
    priced = eglb(*words).json()
    assert free["objective"] == pytest.approx(free["energy_cost_usd"])
    assert free["energy_cost_usd"] < priced["energy_cost_usd"] < priced["objective"]
    assert free["footprints"]["carbon"]["max"] > priced["footprints"]["carbon"]["max"]


def test_the_table_goes_to_stdout_and_progress_to_stderr(eglb: Run, fleet_folder: Path) -> None:
    words = ["solve", fleet_folder, "--address", "inprocess"]
    ran = eglb(*words)
    assert ran.code == 0 and "certified gap" in ran.out and "worst: " in ran.out
    assert "admm: round" in ran.err and "round" not in ran.out.split("Objective")[0]
    quiet = eglb(*words, "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_seeds_make_generated_fleets(eglb: Run) -> None:
    words = ["solve", "synthetic:3x6", "--address", "inprocess", "--json", "--quiet"]
    one, same, other = (eglb(*words, "--seed", seed).json()["objective"] for seed in (1, 1, 2))
    assert one == same != other


def test_an_unreachable_cluster_ends_with_5_in_seconds(eglb: Run, fleet_folder: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    ran = eglb("solve", fleet_folder, "--address", "127.0.0.1:1", "--json", "--out", tmp_path / "out")
    assert ran.code == 5 and time.monotonic() - began < 30
    answer = ran.json()
    assert answer["status"] == "cluster_failed" and "127.0.0.1:1" in answer["problems"][0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.cluster
def test_on_ray_the_same_plan_and_nothing_in_the_home_folder(
    eglb: Run, fleet_folder: Path, tmp_path: Path, cluster_processes_started: Callable[[], dict[int, str]]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    words = ["solve", fleet_folder, "--algorithm", "newton", "--json"]
    here = eglb(*words, "--address", "inprocess").json()
    ran = eglb(*words, HOME=str(home), XDG_CACHE_HOME="")
    answer = ran.json()
    matches(answer, SOLVE)
    assert ran.code == 0 and answer["actors"] == 3 and answer["address"] == "local"
    for key in ("objective", "lower_bound", "rounds"):
        assert answer[key] == here[key]
    assert list(home.rglob("*")) == []
    assert not _still_there(cluster_processes_started)


def _still_there(started: Callable[[], dict[int, str]], patience_s: float = 10.0) -> dict[int, str]:
    deadline = time.monotonic() + patience_s
    while (left := started()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def _interrupted(words: list[str], wait_for: str, number: int, times: int = 1) -> tuple[int, str, str]:
    """Run the command, signal it once `wait_for` appears on stderr; its exit code, stdout and stderr."""
    process = subprocess.Popen(
        [sys.executable, "-m", "eglb", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    said = ""
    while wait_for not in said:
        line = process.stderr.readline()
        assert line, f"ended before {wait_for!r}: {said}"
        said += line
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.05)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, said + err


@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_is_one_line_and_130_and_leaves_no_folder(
    fleet_folder: Path, tmp_path: Path, times: int
) -> None:
    words = ["solve", str(fleet_folder), "--gap", "1e-15", "--algorithm", "subgradient", "--json"]
    words += ["--address", "inprocess", "--out", str(tmp_path / "out")]
    code, out, err = _interrupted(words, "subgradient: round", signal.SIGINT, times)
    assert code == 130
    assert json.loads(out)["status"] == "interrupted"
    assert err.splitlines()[-1] == "eglb: interrupted; nothing was written"
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("moment", "number"),
    [("starting", signal.SIGINT), ("starting", signal.SIGTERM), ("round", signal.SIGTERM)],
)
def test_an_interrupted_cluster_leaves_no_process(
    fleet_folder: Path,
    moment: str,
    number: int,
    cluster_processes_started: Callable[[], dict[int, str]],
) -> None:
    """The command alone is told, as by a supervisor; a terminal tells all of it (tests/system)."""
    words = ["solve", str(fleet_folder), "--gap", "1e-15", "--algorithm", "subgradient"]
    code, out, err = _interrupted(words, f"subgradient: {moment}", number)
    assert (code, out) == (128 + number, "")
    assert "Traceback" not in err
    assert not _still_there(cluster_processes_started)


def test_in_a_terminal_progress_is_live_and_leaves_the_table_alone(fleet_folder: Path) -> None:
    leader, follower = pty.openpty()
    words = ["solve", str(fleet_folder), "--algorithm", "subgradient", "--gap", "1e-15", "--time-limit", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "eglb", *words, "--address", "inprocess"],
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"},
    )
    os.close(follower)
    screen = b""
    while select.select([leader], [], [], 60)[0]:
        try:
            chunk = os.read(leader, 65536)
        except OSError:
            break
        if not chunk:
            break
        screen += chunk
    os.close(leader)
    assert process.wait(60) == 4
    text = screen.decode()
    assert "round" in text.split("Energy cost")[0]
    assert text.count("Energy cost") == 1
    assert text.rstrip().splitlines()[-1].startswith("\x1b[2m")
    assert "\x1b[?25h" in text


def test_the_equity_shape_is_priced_reported_and_certified(eglb: Callable[..., Any]) -> None:
    fleet = ("synthetic:5x12,seed=2,reach=3", "--algorithm", "newton", "--address", "inprocess", "--json")
    done = {shape: eglb("solve", *fleet, "--equity", shape) for shape in ("max", "worst:2", "lq:4")}
    for shape, ran in done.items():
        assert ran.code == 0
        said = ran.json()
        assert {kind["shape"] for kind in said["equity"].values()} == {shape}
        assert said["gap"] <= 1e-4
    objective = {shape: ran.json()["objective"] for shape, ran in done.items()}
    assert objective["worst:2"] < objective["max"] < objective["lq:4"]
    refused = eglb("solve", "world10", "--equity", "lq:3")
    assert refused.code == 2 and "'lq:3' is none of max, lq:2, lq:4, lq:8 and worst:M" in refused.err

"""The command line: what is refused, with which words and exit code; and that stdout holds nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import eglb as package

Run = Callable[..., Any]


def test_help_answers_in_a_third_of_a_second(eglb: Run) -> None:
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        ran = eglb("--help")
        seconds.append(time.perf_counter() - began)
        assert ran.code == 0 and "solve" in ran.out
    assert min(seconds) < 0.3


def test_version_and_module_and_script_are_the_same_command(eglb: Run) -> None:
    assert eglb("--version").out == f"eglb, version {package.__version__}\n"
    script = Path(sys.executable).parent / "eglb"
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == eglb("--version").out


def test_solve_help_lists_the_algorithms(eglb: Run) -> None:
    from eglb.planning.solve import ALGORITHMS

    out = eglb("solve", "--help").out
    assert {"admm", "dual", "newton", "subgradient", "central"} <= ALGORITHMS.keys()
    for name in ALGORITHMS:
        assert f"\n  {name} " in out


BAD_OPTIONS = [
    (["--algorithm", "simplex"], "'simplex' is none of: admm,"),
    (["--gap", "0"], "'0' is not a finite number above 0"),
    (["--gap", "-1e-4"], "'-1e-4' is not a finite number above 0"),
    (["--gap", "nan"], "'nan' is not a finite number above 0"),
    (["--gap", "small"], "'small' is not a finite number above 0"),
    (["--max-rounds", "0"], "0 is not in the range x>=1"),
    (["--max-rounds", "1.5"], "'1.5' is not a valid integer"),
    (["--time-limit", "inf"], "'inf' is not a finite number above 0"),
    (["--time-limit", "0"], "'0' is not a finite number above 0"),
    (["--weight", "water"], "'water' is not KIND=VALUE"),
    (["--weight", "=3"], "'=3' is not KIND=VALUE"),
    (["--weight", "water=-1"], "'water=-1' is not KIND=VALUE"),
    (["--weight", "water=much"], "'water=much' is not KIND=VALUE"),
    (["--address", "somewhere"], "'somewhere' is none of: local"),
    (["--address", "host:"], "'host:' is none of: local"),
    (["--address", "host:70000"], "'host:70000' is none of: local"),
    (["--address", ":6379"], "':6379' is none of: local"),
    (["--regions-per-actor", "0"], "'0' is neither auto nor a whole number"),
    (["--regions-per-actor", "few"], "'few' is neither auto nor a whole number"),
    (["--seed", "-1"], "-1 is not in the range x>=0"),
    (["--seed", "x"], "'x' is not a valid integer"),
    (["--data", "/no/such/folder"], "Directory '/no/such/folder' does not exist"),
    (["--warm-start", "x"], "x: not a results folder"),
    (["--checkpoint-every", "5"], "--checkpoint-every is about a --checkpoint"),
    (["--resume", "x"], "--resume has its SCENARIO in its folder"),
    (["--deadline", "0"], "'0' is not a finite number above 0"),
    (["--without", "atlantis"], "no region is called atlantis"),
    (["--faults", "drop=2"], "2 does not"),
    (["--no-such-option", "x"], "No such option"),
]


@pytest.mark.parametrize(
    ("words", "says"), BAD_OPTIONS, ids=lambda value: "=".join(value) if isinstance(value, list) else ""
)
def test_a_bad_option_is_refused_with_its_choices(
    words: list[str], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    from eglb.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["solve", "world10", *words, "--json"])
    said = capfd.readouterr()
    assert ended.value.code == 2
    assert says in said.err
    answer = json.loads(said.out)
    assert answer["status"] == "wrong_input" and answer["exit_code"] == 2
    assert says in answer["problems"][0]


def test_usage_errors_are_json_too_where_json_is_asked_for(eglb: Run) -> None:
    for words in (["solv"], ["solve"], ["solve", "a", "b"], ["scenario", "shw"]):
        ran = eglb(*words, "--json")
        assert ran.code == 2 and ran.json()["problems"]
        plain = eglb(*words)
        assert plain.code == 2 and plain.out == "" and "Usage: eglb" in plain.err


def test_an_unknown_scenario_lists_the_known_ones(eglb: Run) -> None:
    ran = eglb("solve", "nowhere", "--json")
    assert ran.code == 2
    (problem,) = ran.json()["problems"]
    assert "nowhere" in problem and "world10" in problem and "synthetic:N" in problem


def test_an_unknown_weight_names_the_kinds_there_are(eglb: Run, fleet_folder: Path) -> None:
    ran = eglb("solve", fleet_folder, "--weight", "noise=3", "--weight", "dust=1", "--address", "inprocess")
    assert ran.code == 2 and ran.out == ""
    assert "no footprint 'noise'; it has water, carbon" in ran.err and "'dust'" in ran.err


def test_a_used_output_folder_is_refused_before_the_scenario_is_even_read(eglb: Run, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    for command in ("solve", "compare"):
        ran = eglb(command, "nowhere", "--out", tmp_path)
        assert ran.code == 2 and "exists and is not empty" in ran.err and "nowhere" not in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_an_unwritable_output_folder_is_refused_before_any_work(eglb: Run) -> None:
    ran = eglb("solve", "nowhere", "--out", "/proc/results")
    assert ran.code == 2 and "/proc/results: cannot be created" in ran.err and "nowhere" not in ran.err


def test_every_problem_of_a_folder_is_said_at_once(eglb: Run, fleet_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    for path in fleet_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    rows = (folder / "demand.csv").read_text().splitlines()
    rows[3] = rows[3].rsplit(",", 1)[0] + ",-5.5"
    rows[7] = rows[7].rsplit(",", 1)[0] + ",nan"
    (folder / "demand.csv").write_text("\n".join(rows) + "\n")
    ran = eglb("scenario", "check", folder, "--json")
    assert ran.code == 2
    problems = ran.json()["problems"]
    assert any("demand.csv" in p and "row 4" in p and "-5.5" in p for p in problems)
    assert any("demand.csv" in p and "row 8" in p and "nan" in p for p in problems)
    assert all(problem in ran.err for problem in problems)


def test_an_infeasible_fleet_ends_with_3_and_names_slot_and_gateway(
    eglb: Run, fleet_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    for path in fleet_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    rows = (folder / "demand.csv").read_text().splitlines()
    rows[5] = rows[5].rsplit(",", 1)[0] + ",5000"
    (folder / "demand.csv").write_text("\n".join(rows) + "\n")
    for command in (["scenario", "check"], ["solve"], ["compare"]):
        out = ["--out", tmp_path / "out"] if len(command) == 1 else []
        ran = eglb(*command, folder, "--json", *out)
        assert ran.code == 3
        answer = ran.json()
        assert answer["status"] == "infeasible"
        assert "2024-07-01" in answer["problems"][0] and "east" in " ".join(answer["problems"])
    assert not (tmp_path / "out").exists()


def test_scenario_list_show_check_and_new(eglb: Run, tmp_path: Path) -> None:
    names = [row["name"] for row in eglb("scenario", "list", "--json").json()["scenarios"]]
    assert names[0] == "world10" and any(name.startswith("synthetic:N[xHOURS]") for name in names)
    assert "synthetic:N[xHOURS]" in eglb("scenario", "list").out

    made = eglb("scenario", "new", tmp_path / "fleet", "--json").json()
    assert "scenario.toml" in made["files"]
    assert eglb("scenario", "check", tmp_path / "fleet", "--json").json()["status"] == "ok"
    again = eglb("scenario", "new", tmp_path / "fleet")
    assert again.code == 2 and "exists and is not empty" in again.err

    copy = tmp_path / "copy"
    assert (
        eglb("scenario", "new", copy, "--like", "synthetic:3x4", "--seed", "5", "--format", "parquet").code
        == 0
    )
    shown = eglb("scenario", "show", copy, "--json").json()
    assert shown["slots"] == 4 and len(shown["regions"]) == 3
    assert eglb("scenario", "show", copy).out.startswith("name")
    assert eglb("scenario", "check", copy, "--quiet").out == ""


def test_a_reader_that_leaves_early_is_no_error_worth_a_traceback() -> None:
    command = [sys.executable, "-m", "eglb", "scenario", "show", "world10"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    process.wait(60)
    assert b"Traceback" not in said and b"BrokenPipe" not in said

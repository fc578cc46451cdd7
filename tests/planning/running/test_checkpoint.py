"""The checkpoint folder: what a run leaves, what another finds there, and every way it can be wrong."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from support.known_answers import build_backwards

from eglb.coordinator.algorithms.algorithm import Incumbent
from eglb.coordinator.durability.resumption import RunState, pack
from eglb.coordinator.exchange import Traffic
from eglb.foundation.errors import InputError
from eglb.planning.progress import RoundRecord
from eglb.planning.running.checkpoint import SolveOptions, fingerprint_of, open_checkpoint, resume_checkpoint
from eglb.scenarios.catalog import load
from eglb.scenarios.scenario import Scenario

OPTIONS = SolveOptions(
    algorithm="dual",
    gap=1e-4,
    max_rounds=None,
    time_limit=60.0,
    address="inprocess",
    regions_per_actor=None,
    deadline=20.0,
)
ROUND = RoundRecord(3, 1.5, math.inf, -math.inf, math.inf, 7, 8)


def scenario() -> Scenario:
    return load("synthetic:3x4")


def kept(rounds: int) -> RunState:
    return RunState(
        traffic=Traffic(rounds, 7, 8, [7]),
        seconds=1.5,
        incumbent=Incumbent(objective=float(rounds)),
        equity_prices=np.zeros((0, 3, 2)),
        closed=np.zeros(3, bool),
        meets_all=True,
        drained=[],
        events=[],
        rejected=[],
        trace={name: np.array([value]) for name, value in asdict(ROUND).items()},
        state=[b"state"],
    )


def left_by_a_run(folder: Path, *rounds: int) -> Path:
    with open_checkpoint(folder, scenario(), OPTIONS, 10) as checkpoint:
        for number in rounds:
            checkpoint.journal.write(number, pack(kept(number), checkpoint.fingerprint))
    return folder


def problem_of(folder: Path) -> str:
    """Why it cannot be resumed."""
    with pytest.raises(InputError) as error, resume_checkpoint(folder):
        pass
    return str(error.value)


def test_a_run_is_found_again(tmp_path: Path) -> None:
    folder = left_by_a_run(tmp_path / "run", 10, 20)
    with resume_checkpoint(folder) as found:
        assert found.options == OPTIONS and found.skipped == () and found.journal.every == 10
        assert fingerprint_of(found.scenario) == fingerprint_of(scenario())
        assert found.kept is not None
        assert found.kept.round == 20 and found.kept.incumbent.objective == 20.0
        assert found.trace == [ROUND] and found.kept.state == [b"state"]
        found.journal.write(30, pack(kept(30), found.fingerprint))
    with resume_checkpoint(folder) as found:
        assert found.kept is not None and found.kept.round == 30


def test_a_run_killed_before_its_first_state_starts_afresh(tmp_path: Path) -> None:
    with resume_checkpoint(left_by_a_run(tmp_path / "run")) as found:
        assert found.kept is None and found.skipped == ()


def test_a_torn_state_is_named_and_the_one_before_is_used(tmp_path: Path) -> None:
    folder = left_by_a_run(tmp_path / "run", 10, 20)
    last = folder / "state-00000020.msgpack"
    last.write_bytes(last.read_bytes()[:-1])
    with resume_checkpoint(folder) as found:
        assert found.kept is not None and found.kept.round == 10
        assert len(found.skipped) == 1 and str(last) in found.skipped[0] and "torn" in found.skipped[0]


@pytest.mark.parametrize("name", ["world10", "synthetic:6x30,reach=2", "backwards"])
def test_the_scenario_in_the_folder_has_the_same_fingerprint(name: str, tmp_path: Path) -> None:
    fleet = build_backwards(4)[0].scenario if name == "backwards" else load(name)
    with open_checkpoint(tmp_path / "run", fleet, OPTIONS, 10):
        pass
    with resume_checkpoint(tmp_path / "run") as found:
        assert fingerprint_of(found.scenario) == fingerprint_of(fleet)


def test_the_fingerprint_is_about_everything_a_plan_depends_on() -> None:
    fleet = scenario()
    kind = fleet.footprints[0]
    others = [
        replace(fleet, demand=np.nextafter(fleet.demand, 0.0)),
        replace(fleet, capacity=2.0 * fleet.capacity),
        replace(fleet, price=-fleet.price),
        replace(fleet, pue=fleet.pue + 0.1),
        replace(fleet, regions=fleet.regions[::-1]),
        replace(fleet, reach_gateway=fleet.reach_gateway[::-1]),
        replace(fleet, times=fleet.times + np.timedelta64(3600, "s")),
        replace(fleet, slot_hours=0.5),
        fleet.with_weights({kind.name: 1.0}),
        replace(fleet, footprints=fleet.footprints[1:]),
        replace(fleet, footprints=(replace(kind, intensity=2 * kind.intensity), *fleet.footprints[1:])),
        replace(fleet, footprints=(replace(kind, per="it" if kind.per != "it" else "facility"),)),
    ]
    found = [fingerprint_of(each) for each in (fleet, *others)]
    assert len(set(found)) == len(found)
    assert fingerprint_of(replace(fleet, note="another note")) == found[0]


def test_a_used_folder_is_refused_and_says_how_to_go_on(tmp_path: Path) -> None:
    folder = left_by_a_run(tmp_path / "run", 10)
    before = sorted(os.listdir(folder))
    with (
        pytest.raises(InputError, match=f"--resume {folder}"),
        open_checkpoint(folder, scenario(), OPTIONS, 10),
    ):
        pass
    assert sorted(os.listdir(folder)) == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    with (
        pytest.raises(InputError, match="not empty"),
        open_checkpoint(tmp_path / "other", scenario(), OPTIONS, 10),
    ):
        pass


def test_another_scenario_is_refused(tmp_path: Path) -> None:
    folder = left_by_a_run(tmp_path / "run", 10)
    settings = folder / "scenario" / "scenario.toml"
    text = settings.read_text()
    settings.write_text(re.sub("weight = .*", "weight = 7.5", text))
    assert settings.read_text() != text
    assert "was changed since the run began" in problem_of(folder)


def test_states_of_another_scenario_are_skipped(tmp_path: Path) -> None:
    folder = left_by_a_run(tmp_path / "run", 10)
    other = tmp_path / "other"
    with open_checkpoint(other, scenario().with_weights({"water": 1.0}), OPTIONS, 10) as checkpoint:
        checkpoint.journal.write(20, pack(kept(20), checkpoint.fingerprint))
    shutil.copy(other / "state-00000020.msgpack", folder)
    with resume_checkpoint(folder) as found:
        assert found.kept is not None and found.kept.round == 10
        assert "another scenario" in found.skipped[0]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("not json", ["options.json: the file: Invalid JSON"]),
        ('{"format": 2}', ["format: ", "fingerprint: ", "every: ", "options: "]),
        ({"every": "often"}, ["every: "]),
        ({"surprise": 1}, ["surprise: "]),
        ({"options": {**asdict(OPTIONS), "gap": "small", "deadline": None}}, ["gap: ", "deadline: "]),
    ],
)
def test_wrong_options_are_all_named(
    change: str | dict[str, object], wanted: list[str], tmp_path: Path
) -> None:
    path = left_by_a_run(tmp_path / "run") / "options.json"
    path.write_text(change if isinstance(change, str) else json.dumps(json.loads(path.read_text()) | change))
    found = problem_of(tmp_path / "run").splitlines()
    assert len(found) == len(wanted)
    assert all(str(path) in line and each in line for line, each in zip(found, wanted, strict=True))


def test_folders_that_hold_no_checkpoint_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    assert "holds no checkpoint" in problem_of(tmp_path / "none")
    assert "holds no checkpoint" in problem_of(tmp_path / "empty")
    assert "options.json" in problem_of(tmp_path / "file")
    folder = left_by_a_run(tmp_path / "run")
    shutil.rmtree(folder / "scenario")
    assert "scenario: no such folder" in problem_of(folder)


def test_two_runs_cannot_share_a_folder(tmp_path: Path) -> None:
    folder = left_by_a_run(tmp_path / "run", 10)
    with resume_checkpoint(folder):
        assert "another run" in problem_of(folder)
    with resume_checkpoint(folder) as found:
        assert found.kept is not None


FULL = """
import json, resource, signal, sys
from pathlib import Path
from eglb.scenarios.catalog import load
from eglb.planning.running.checkpoint import SolveOptions, open_checkpoint
from eglb.foundation.errors import InputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
fleet = load("synthetic:3x4")
options = SolveOptions(**json.loads(sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    with open_checkpoint(Path(sys.argv[1]), fleet, options, 10):
        print("opened")
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [100, 2500])
def test_a_full_disk_is_said_before_work_begins(room: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "run"), json.dumps(asdict(OPTIONS)), str(room)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot be written: " in done.stdout and "too large" in done.stdout, done.stdout
    assert os.listdir(tmp_path) == []

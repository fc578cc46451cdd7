"""``eglb simulate`` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import eglb as api
from eglb.planning.audit import plan_objective
from eglb.planning.storage.folder import read

SMALL = "synthetic:5x30"


def test_json_is_what_the_contract_says(eglb: Callable[..., Any]) -> None:
    done = eglb("simulate", SMALL, "--json")
    assert done.code == 0, done.err
    run = done.json()
    assert {
        "policy",
        "forecast",
        "objective",
        "offline_lower_bound",
        "gap_to_offline",
        "running_gap",
        "energy_cost_usd",
        "footprints",
        "violations",
        "hours",
        "seconds_per_hour",
    } <= run.keys()
    assert run["policy"] == "soft"
    assert run["hours"] == 30
    assert set(run["seconds_per_hour"]) == {"median", "max"}
    assert run["gap_to_offline"] == pytest.approx(run["objective"] / run["offline_lower_bound"] - 1)
    assert max(run["violations"].values()) < 1e-9 * 1e4
    bare = eglb("simulate", SMALL, "--json", "--no-offline", "--no-certificate", "--policy", "eg").json()
    assert bare["offline_lower_bound"] is bare["gap_to_offline"] is bare["running_gap"] is None


def test_results_folder_and_its_numbers(eglb: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = eglb("simulate", SMALL, "--period", "12", "--policy", "adahedge", "--out", out)
    assert done.code == 0, done.err
    assert "at most" in done.out
    assert "results in" in done.err
    stored = read(out)
    fleet = api.load(SMALL)
    plan = pq.read_table(out / "plan.parquet").to_pydict()
    load = np.zeros((5, 30))
    slot = {str(t): s for s, t in enumerate(fleet.times)}
    for time, region, mw in zip(plan["time_utc"], plan["region"], plan["mw"], strict=True):
        load[fleet.regions.index(region), slot[time.strftime("%Y-%m-%dT%H:%M:%S")]] += mw
    parts = ((0, 12), (12, 12), (24, 6))
    objective = sum(plan_objective(fleet.window(a, n), load[:, a : a + n]) for a, n in parts)
    assert stored.run["objective"] == pytest.approx(objective, rel=1e-12)
    assert len(stored.rounds) == 30
    assert stored.rounds[-1]["objective"] == pytest.approx(objective, rel=1e-9)
    assert all(row["lower_bound"] <= row["objective"] for row in stored.rounds)
    assert (out / "course.svg").read_text().startswith("<?xml")
    assert (out / "course.png").stat().st_size > 10_000
    again = eglb("simulate", SMALL, "--out", out)
    assert again.code == 2
    assert "exists and is not empty" in again.err


def test_everything_that_can_be_wrong_on_purpose(eglb: Callable[..., Any], tmp_path: Path) -> None:
    done = eglb(
        *("simulate", SMALL, "--policy", "guard:eps=0.1,advice=mpc", "--forecast", "noisy:sd=0.1,hours=6"),
        *("--estimates", "drift:sd=0.3", "--feedback", "metered", "--meter-delay", 3, "--declared-slots", 40),
        *("--weight", "water=3", "--regions-per-actor", 2, "--json"),
    )
    assert done.code == 0, done.err
    run = done.json()
    assert run["actors"] == 3
    assert (run["estimates"], run["feedback"], run["meter_delay"]) == ("drift:sd=0.3", "metered", 3)
    assert run["declared_slots"] == 40


def test_history_from_a_folder(eglb: Callable[..., Any], tmp_path: Path) -> None:
    from eglb.scenarios.folder.writing import save

    fleet = api.load(SMALL)
    save(fleet.window(0, 24), tmp_path / "before")
    save(fleet.window(24, 6), tmp_path / "now")
    done = eglb("simulate", tmp_path / "now", "--history", tmp_path / "before", "--json")
    assert done.code == 0, done.err
    assert done.json()["history_slots"] == 24
    assert eglb("simulate", tmp_path / "now", "--json").json()["history_slots"] == 0
    wrong = eglb("simulate", tmp_path / "before", "--history", tmp_path / "now")
    assert wrong.code == 2
    assert "ends at 2024-01-02T06:00:00" in wrong.err


def test_measured_fleets_bring_their_history(eglb: Callable[..., Any], data_directory: Path) -> None:
    name = "world16@2023-02-01/2d,regions=4"
    known = eglb("simulate", name, "--json", "--data", data_directory).json()
    assert known["history_slots"] == 28 * 24
    assert eglb("simulate", name, "--json", "--history", "none").json()["history_slots"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--policy", "sofd"), "policy 'sofd' is not known; did you mean soft?"),
        (("--policy", "soft:steps"), "'steps' is no parameter=value of soft; it has"),
        (("--forecast", "oracle"), "forecast 'oracle' is not known; there are none, yesterday"),
        (("--estimates", "iid:sd=x"), "sd: 'x' is not a number"),
        (("--feedback", "none"), "feedback 'none' is none of calibrated, metered, open"),
        (("--period", "day"), "period 'day' is none of whole, month and a number of slots"),
        (("--meter-delay", "0"), "0 is not in the range"),
        (("--history", "nowhere"), "nowhere: no such folder"),
        (("--weight", "iron=3"), "has no footprint 'iron'"),
    ],
)
def test_mistakes_are_said_before_any_work(
    eglb: Callable[..., Any], tmp_path: Path, options: tuple[str, str], message: str
) -> None:
    done = eglb("simulate", SMALL, *options, "--json", "--out", tmp_path / "out")
    assert done.code == 2
    assert message in done.err
    assert json.loads(done.out)["status"] == "wrong_input"
    assert not (tmp_path / "out").exists()


def test_help_lists_what_there_is(eglb: Callable[..., Any]) -> None:
    text = eglb("simulate", "--help").out
    for word in ("guard", "eps=0.05", "learned", "drift", "calibrated", "module.Class"):
        assert word in text


def test_quiet_says_nothing(eglb: Callable[..., Any]) -> None:
    done = eglb("simulate", SMALL, "--policy", "eg", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")

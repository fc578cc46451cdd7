"""``eglb sweep``: the object of the contract, the folder, the exit codes and the table."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import eglb as package
from eglb.foundation.console import as_text
from eglb.planning.storage import folder
from eglb.scenarios.scenario import Scenario
from eglb.sims.sweep.storage import write_sweep
from eglb.sims.sweep.sweep import Sweep

Run = Callable[..., Any]

POINT_KEYS = {
    "weight_factor",
    "weights",
    "energy_cost_usd",
    "objective",
    "lower_bound",
    "gap",
    "rounds",
    "footprints",
    "knee",
}


@pytest.fixture(scope="module")
def curve(fleet: Scenario) -> Sweep:
    return package.sweep(fleet)


def test_the_command_prints_the_curve_and_keeps_a_folder(
    eglb: Run, fleet_folder: Path, tmp_path: Path
) -> None:
    ran = eglb("sweep", fleet_folder, "--json", "--out", tmp_path / "out")
    assert ran.code == 0 and "factor" in ran.err
    answer = ran.json()
    assert answer["status"] == "converged" and answer["kinds"] == ["water", "carbon"]
    factors = [point["weight_factor"] for point in answer["points"]]
    assert factors[0] == 0 and 1 in factors and factors == sorted(factors)
    for point in answer["points"]:
        assert point.keys() >= POINT_KEYS and point["gap"] <= answer["gap"]
        for totals in point["footprints"].values():
            assert totals.keys() >= {"unit", "total", "avg", "max", "par"}
        assert point["knee"] == (point["weight_factor"] == answer["knee_factor"])
    stored = folder.read(tmp_path / "out")
    assert {key: stored.run[key] for key in answer} == answer and stored.run["plan_factor"] == 1
    assert {row["weight_factor"] for row in stored.rounds} == set(factors)
    assert stored.plan is not None and stored.plan.num_rows > 0
    assert ElementTree.parse(tmp_path / "out" / "sweep.svg").getroot().tag.endswith("svg")
    assert (tmp_path / "out" / "sweep.png").read_bytes().startswith(b"\x89PNG")
    kept = folder.read_scenario(tmp_path / "out")
    assert {k.name: k.weight for k in kept.footprints} == answer["points"][factors.index(1)]["weights"]


def test_a_later_solve_starts_from_the_plan_that_is_kept(
    curve: Sweep, fleet: Scenario, tmp_path: Path
) -> None:
    write_sweep(curve, tmp_path)
    warm = package.solve(fleet, "dual", address="inprocess", warm_start=tmp_path)
    assert warm.rounds < package.solve(fleet, "dual", address="inprocess").rounds


def test_the_table_fits_and_marks_own_weights_and_knee(curve: Sweep) -> None:
    for width in (80, 100, 120):
        lines = as_text(curve, width).splitlines()
        assert max(map(len, lines)) <= width and not any("…" in line for line in lines)
        assert sum(" own" in line or "own " in line[:4] for line in lines) >= 2
    assert "max/avg" in as_text(curve, 80) and "total" in as_text(curve, 120)
    assert "<pre>" in curve._repr_html_()


def test_factors_by_hand_and_one_kind(eglb: Run, fleet_folder: Path) -> None:
    ran = eglb("sweep", fleet_folder, "--factors", "2,0,0.5", "--kind", "carbon", "--json", "--quiet")
    assert ran.code == 0 and ran.err == ""
    points = ran.json()["points"]
    assert [point["weight_factor"] for point in points] == [0, 0.5, 2]
    assert [point["weights"]["water"] for point in points] == [0, 0, 0]


def test_points_short_of_the_gap_are_said_with_code_four(eglb: Run, fleet_folder: Path) -> None:
    words = ("sweep", fleet_folder, "--factors", "0,1", "--algorithm", "subgradient")
    ran = eglb(*words, "--gap", 1e-9, "--time-limit", 0.2, "--json", "--quiet")
    assert ran.code == 4
    answer = ran.json()
    assert answer["status"] in ("time_limit", "stalled") and answer["points"][1]["gap"] > 1e-9
    assert answer["points"][1]["lower_bound"] <= answer["points"][1]["objective"]


def test_wrong_words_are_refused(eglb: Run, fleet_folder: Path) -> None:
    for words, message in (
        (("--factors", "1,x"), "'x' is not a finite number of at least 0"),
        (("--kind", "noise"), "has no such footprint; it has water, carbon"),
        (("--weight", "water=0", "--weight", "carbon=0"), "weight of every footprint is 0"),
        (("--points", "2"), "2 is not in the range x>=3"),
    ):
        ran = eglb("sweep", fleet_folder, *words)
        assert ran.code == 2 and message in ran.err, ran.err

"""``eglb scenario estimate``, and plans for either end of the ranges that it writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eglb.planning.audit import footprint_totals
from eglb.planning.solve import solve
from eglb.planning.storage.folder import read_scenario
from eglb.scenarios.folder import reading
from eglb.scenarios.folder.writing import new

Run = Callable[..., Any]


def prepare(folder: Path) -> Path:
    """The example fleet, its weather and its fuel mixes; the first region is cooled dry."""
    new(folder)
    (folder / "water.csv").unlink()
    (folder / "carbon.csv").unlink()
    lines = (folder / "regions.csv").read_text().splitlines()
    cooling = ["cooling", "dry", "tower", "tower"]
    (folder / "regions.csv").write_text("".join(f"{a},{b}\n" for a, b in zip(lines, cooling, strict=True)))
    weather = ["time_utc,region,temp_c,rh_pct"]
    for h in range(48):
        for i, region in enumerate(("oregon", "texas", "virginia")):
            time = f"2024-07-{1 + h // 24:02d}T{h % 24:02d}:00Z"
            weather.append(f"{time},{region},{18 + 6 * i + 5 * np.cos(h * np.pi / 12):.1f},{45 + 5 * i}")
    (folder / "weather.csv").write_text("\n".join(weather) + "\n")
    (folder / "fuel_mix.csv").write_text(
        "region,coal,gas,nuclear,hydro,wind\n"
        "oregon,0.05,0.35,0.05,0.5,0.05\ntexas,0.15,0.45,0.1,0,0.3\nvirginia,0.15,0.5,0.35,0,0\n"
    )
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, eglb: Run) -> Path:
    """With its footprints estimated."""
    made = prepare(tmp_path_factory.mktemp("estimated") / "fleet")
    assert eglb("scenario", "estimate", made, "--quiet").code == 0
    return made


def test_tables_figures_and_sources(tmp_path: Path, eglb: Run) -> None:
    made = prepare(tmp_path / "fleet")
    ran = eglb("scenario", "estimate", made, COLUMNS="100")
    assert ran.code == 0
    for text in (
        "oregon",
        "dry",
        "tower, 6 cycles",
        "Macknick et al. 2012",
        "IPCC AR5",
        "average, lifecycle",
    ):
        assert text in ran.out
    assert max(map(len, ran.out.splitlines())) <= 100
    refused = eglb("scenario", "estimate", made)
    assert refused.code == 2 and "water.csv: exists; --force writes over it" in refused.err
    answer = eglb("scenario", "estimate", made, "--force", "--hydro", "--json").json()
    assert answer["hours"] == 48 and answer["signals"]["carbon"] == "average, lifecycle"
    oregon = answer["regions"][0]
    assert oregon["cooling"] == "dry" and oregon["onsite"]["central"] == 0.0
    assert oregon["offsite"]["low"] < oregon["offsite"]["central"] < oregon["offsite"]["high"]
    assert oregon["offsite"]["central"] > 8.0  # half of it from reservoirs
    assert {row["what"] for row in answer["used"]} >= {"water, hydro", "carbon, coal", "on site, tower"}
    assert eglb("scenario", "check", made).code == 0


def test_problems_are_all_said_at_once(tmp_path: Path, eglb: Run) -> None:
    made = prepare(tmp_path / "fleet")
    (made / "weather.csv").unlink()
    (made / "fuel_mix.csv").write_text("region,coal\noregon,x\n")
    ran = eglb("scenario", "estimate", made, "--json")
    assert ran.code == 2 and len(ran.json()["problems"]) == 2
    assert eglb("scenario", "estimate", made, "--factors", "ren", "--hydro").code == 2
    assert not (made / "water.csv").exists()


def test_show_says_signal_and_range(folder: Path, eglb: Run) -> None:
    shown = eglb("scenario", "show", folder, COLUMNS="200").out
    assert "of IT energy; average, operational; range -" in shown


def test_plan_for_one_end(folder: Path, tmp_path: Path, eglb: Run) -> None:
    out = tmp_path / "out"
    command = ("solve", folder, "--algorithm", "newton", "--address", "inprocess", "--footprint", "high")
    ran = eglb(*command, "--out", out, COLUMNS="200")
    assert ran.code == 0
    expected = solve(reading.read(folder).at("high"), "central")
    found = json.loads((out / "run.json").read_text())["objective"]
    assert found == pytest.approx(expected.audit.objective, rel=2e-4)
    assert read_scenario(out).footprints[0].signal == "average, operational, high end of range"
    assert "Signals: water average, operational, high end of range; carbon" in ran.out


def test_how_a_plan_fares_at_both_ends(folder: Path, eglb: Run) -> None:
    command = ("solve", folder, "--algorithm", "newton", "--address", "inprocess", "--footprint-range")
    ran = eglb(*command, "--json", "--quiet")
    assert ran.code == 0
    answer = ran.json()
    ends = answer["footprint_range"]
    assert list(ends) == ["low", "central", "high"]
    assert ends["central"]["this_plan"]["objective"] == pytest.approx(answer["objective"])
    fleet = reading.read(folder)
    for level, end in ends.items():
        best, mine = end["planned_for_it"], end["this_plan"]
        optimum = solve(fleet.at(level), "central").audit.objective
        assert best["status"] == "converged" and best["gap"] <= 1e-4
        assert best["objective"] == pytest.approx(optimum, rel=2e-4)
        assert mine["objective"] >= optimum * (1 - 1e-9)
        for kind in ("water", "carbon"):
            assert mine["footprints"][kind]["worst_region"] in fleet.regions
    for kind in ("water", "carbon"):
        totals = [ends[level]["this_plan"]["footprints"][kind]["worst_total"] for level in ends]
        assert totals == sorted(totals) and totals[0] < totals[2]
    plan = solve(fleet, "newton", address="inprocess")
    high = footprint_totals(fleet.at("high"), plan.load)["water"]
    assert ends["high"]["this_plan"]["footprints"]["water"]["par"] == pytest.approx(high.par)
    for width in (80, 120):
        shown = eglb(*command, COLUMNS=str(width)).out
        assert "planned for it" in shown and max(map(len, shown.splitlines())) <= width


def test_without_ranges_there_is_nothing_to_say(eglb: Run) -> None:
    for option in (("--footprint-range",), ("--footprint", "low")):
        ran = eglb("solve", "synthetic:4x24", "--address", "inprocess", *option, "--json")
        assert ran.code == 2 and "have no ranges" in ran.json()["problems"][0]
    both = eglb("solve", "synthetic:4x24", "--footprint-range", "--footprint", "low")
    assert both.code == 2

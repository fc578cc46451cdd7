"""``eglb compare``: rows of the contract, numbers that agree with the runs behind them, and the picture."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import eglb as package
from eglb.foundation.console import as_text
from eglb.foundation.errors import InputError
from eglb.foundation.staging import staged_folder
from eglb.planning.storage import folder as results_folder
from eglb.scenarios.scenario import Scenario
from eglb.sims.comparison.comparison import Comparison, compare
from eglb.sims.comparison.storage import write_comparison

Run = Callable[..., Any]

POLICIES = [
    *("GLB-Nearest", "GLB-Cost", "GLB-Carbon", "GLB-Water", "GLB-C2", "GLB-All", "eGLB-Off"),
    *("soft", "guard", "eg", "adahedge", "dmd"),
]
SOLVER_KEYS = {
    "name",
    "objective",
    "lower_bound",
    "gap",
    "gap_to_central",
    "rounds",
    "bytes_up",
    "bytes_down",
    "seconds",
    "peak_rss_mb",
}


@pytest.fixture(scope="module")
def comparison(fleet: Scenario) -> Comparison:
    return compare(fleet, algorithms=["newton", "dual"], address="inprocess", gap=1e-5)


def test_with_the_sweep_the_curve_is_in_the_json_the_table_and_the_report(
    eglb: Run, fleet_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ["compare", fleet_folder, "--algorithm", "newton", "--address", "inprocess", "--sweep"]
    said = eglb(*words, "--out", out)
    assert said.code == 0 and "cost of" in said.out and "knee" in said.out
    curve = json.loads((out / "run.json").read_text())["sweep"]
    assert curve["points"][0]["weight_factor"] == 0.0 and curve["status"] == "converged"
    assert "What equity costs" in (out / "report.html").read_text()
    plain = eglb(*words[:-1], "--json")
    assert "sweep" not in plain.json()


def test_rows_are_those_of_the_contract(comparison: Comparison) -> None:
    answer = comparison.to_dict()
    assert [row["name"] for row in answer["policies"]] == POLICIES
    for row in answer["policies"]:
        assert {"name", "energy_cost_usd", "footprints", "objective"} <= row.keys()
        assert set(row["footprints"]) == {"water", "carbon"}
    assert [row["name"] for row in answer["solvers"]] == ["central", "newton", "dual"]
    assert all(row.keys() >= SOLVER_KEYS for row in answer["solvers"])


def test_no_policy_beats_the_optimum_and_each_wins_at_what_it_minimises(comparison: Comparison) -> None:
    rows = {row.name: row for row in comparison.policies}
    optimum = comparison.central.audit.objective
    assert rows["eGLB-Off"].objective == pytest.approx(optimum, rel=1e-6)
    assert all(row.objective >= optimum * (1 - 1e-9) for row in rows.values())
    slack = 1 + 1e-9
    for row in rows.values():
        assert rows["GLB-Cost"].energy_cost_usd <= row.energy_cost_usd * slack
        assert rows["GLB-Carbon"].footprints["carbon"].total <= row.footprints["carbon"].total * slack
        assert rows["GLB-Water"].footprints["water"].total <= row.footprints["water"].total * slack


def test_policy_objectives_are_energy_plus_the_worst_regions(comparison: Comparison) -> None:
    weights = {kind.name: kind.weight for kind in comparison.scenario.footprints}
    for row in comparison.policies:
        equity = sum(weights[kind] * totals.max for kind, totals in row.footprints.items())
        assert row.objective == pytest.approx(row.energy_cost_usd + equity, rel=1e-9)


def test_gaps_to_central_are_within_the_certified_gap(comparison: Comparison) -> None:
    for run, above in comparison.solvers_with_gap():
        assert run.converged and run.audit.gap <= 1e-5
        assert -1e-9 <= above <= 1e-5 + 1e-9
        assert run.trace


def test_what_equity_costs_is_said(comparison: Comparison) -> None:
    energy, *kinds = comparison.equity_lines()
    assert "energy cost +" in energy and len(kinds) == 2
    text = str(comparison)
    assert all(line in text for line in [energy, *kinds])
    assert all(name in text for name in [*POLICIES, "central", "newton", "dual"])
    assert max(map(len, text.splitlines())) <= 100
    narrow = as_text(comparison, 80)
    assert "…" not in narrow and max(map(len, narrow.splitlines())) <= 80
    assert "<pre>" in comparison._repr_html_()


def test_the_folder_holds_numbers_rounds_plan_and_picture(comparison: Comparison, tmp_path: Path) -> None:
    with staged_folder(tmp_path / "out") as folder:
        write_comparison(comparison, folder)
    stored = results_folder.read(tmp_path / "out")
    answer = comparison.to_dict()
    assert {key: stored.run[key] for key in answer} == answer
    assert {row["solver"] for row in stored.rounds} == {"central", "newton", "dual"}
    assert stored.plan is not None and stored.plan.num_rows > 0
    png = (tmp_path / "out" / "convergence.png").read_bytes()
    assert png.startswith(b"\x89PNG") and len(png) > 10_000
    svg = ElementTree.parse(tmp_path / "out" / "convergence.svg").getroot()
    assert svg.tag.endswith("svg")


def test_the_command_gives_the_same_and_an_unknown_algorithm_is_refused(
    eglb: Run, fleet_folder: Path
) -> None:
    words = ["compare", fleet_folder, "--address", "inprocess", "--algorithm", "newton", "--json"]
    ran = eglb(*words)
    assert ran.code == 0
    answer = ran.json()
    assert [row["name"] for row in answer["policies"]] == POLICIES
    assert [row["name"] for row in answer["solvers"]] == ["central", "newton"]
    assert "GLB-Cost" in ran.err and "newton: round" in ran.err
    wrong = eglb("compare", fleet_folder, "--algorithm", "simplex")
    assert wrong.code == 2 and "'simplex' is none of: admm," in wrong.err


def test_the_picture_writes_nothing_into_the_home_folder(
    eglb: Run, fleet_folder: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    words = ["compare", fleet_folder, "--address", "inprocess", "--algorithm", "newton", "--quiet"]
    places = {"HOME": str(home), "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "", "TMPDIR": str(tmp_path)}
    assert eglb(*words, "--out", tmp_path / "out", **places).code == 0
    assert (tmp_path / "out" / "convergence.svg").exists()
    assert list(home.rglob("*")) == []


def test_an_algorithm_at_its_time_limit_is_a_row_like_any_other(eglb: Run, fleet_folder: Path) -> None:
    words = ["compare", fleet_folder, "--address", "inprocess", "--algorithm", "subgradient"]
    ran = eglb(*words, "--gap", 1e-15, "--time-limit", 0.2, "--json", "--quiet")
    assert ran.code == 0 and ran.err == ""
    row = ran.json()["solvers"][1]
    assert row["status"] == "time_limit" and 0 < row["gap"] < 1


def test_unknown_algorithms_are_refused_before_any_work(fleet: Scenario) -> None:
    started: list[str] = []
    with pytest.raises(InputError, match="simplex"):
        package.compare(fleet, algorithms=["simplex"], address="inprocess", on_start=started.append)
    assert started == []

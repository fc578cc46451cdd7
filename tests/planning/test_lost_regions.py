"""Plans without some regions: against a general solver, what they leave out, and what folders say of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog
from support.small_fleets import draw_scenario, optimum

from eglb.coordinator.fleet.faults import Faults
from eglb.foundation.console import as_text
from eglb.foundation.errors import InputError
from eglb.foundation.staging import staged_folder
from eglb.planning.audit import audit
from eglb.planning.explanation.explain import explain
from eglb.planning.feasibility import describe_infeasibility
from eglb.planning.solution import Solution
from eglb.planning.solve import solve
from eglb.planning.storage import folder as results_folder
from eglb.planning.storage.folder import read_problem, read_scenario, write_solution
from eglb.report import write
from eglb.scenarios.catalog import load
from eglb.scenarios.scenario import Scenario

ALGORITHMS = ("admm", "dual", "newton", "crossover", "subgradient")


def least_shortfall(scenario: Scenario, out: Sequence[str]) -> np.ndarray:
    """(T,) MW that must be left out in each slot, by a linear program."""
    pairs, slots = len(scenario.reach_region), scenario.slots
    closed = np.isin(scenario.regions, list(out))
    found = np.zeros(slots)
    into_gateway = np.zeros((len(scenario.gateways), pairs))
    into_gateway[scenario.reach_gateway, np.arange(pairs)] = 1.0
    into_region = np.zeros((len(scenario.regions), pairs))
    into_region[scenario.reach_region, np.arange(pairs)] = 1.0
    for t in range(slots):
        scale = float(scenario.demand.max()) or 1.0
        room = np.where(closed, 0.0, scenario.capacity[:, t]) / scale
        limits = np.concatenate([scenario.demand[:, t] / scale, room])
        served = linprog(-np.ones(pairs), np.concatenate([into_gateway, into_region]), limits)
        found[t] = scenario.demand[:, t].sum() + served.fun * scale
    return found


def test_plans_without_a_region_are_of_the_least_shortfall_and_certified_against_the_best_of_them() -> None:
    endings = Counter[str]()
    for seed in range(80):
        scenario = draw_scenario(seed)
        if len(scenario.regions) < 2:
            continue
        out = [scenario.regions[seed % len(scenario.regions)]]
        found = solve(scenario, "dual", max_rounds=200, address="inprocess", without=out)
        endings[found.status] += 1
        size = float(scenario.demand.max())
        unmet = np.zeros_like(scenario.demand) if found.unmet is None else found.unmet
        assert (unmet >= 0.0).all() and (unmet <= scenario.demand * (1.0 + 1e-12)).all(), seed
        np.testing.assert_allclose(unmet.sum(0), least_shortfall(scenario, out), atol=1e-7 * size)
        assert found.out == {out[0]: "drained"}
        assert not found.load[scenario.regions.index(out[0])].any()
        assert max(found.audit.violations.values()) <= 1e-9 * size
        best = optimum(found.problem)
        money = 1e-7 * max(float(np.abs(scenario.price_per_mw_slot()).max() * scenario.demand.sum()), 1e-300)
        assert found.audit.lower_bound <= best + money, seed
        assert found.audit.objective >= best - money, seed
    assert endings["converged"] >= 10 and endings["shortfall"] >= 20, endings


@pytest.fixture(scope="module")
def fleet() -> Scenario:
    """Of this one, region r0 can be missed only in part."""
    return load("synthetic:6x24,reach=2,util=0.8")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_says_what_it_leaves_out(fleet: Scenario, algorithm: str) -> None:
    found = solve(fleet, algorithm, gap=1e-3, max_rounds=300, address="inprocess", without=("r0",))
    assert found.status == "shortfall" and not found.converged
    assert found.unmet is not None and found.audit.gap <= 1e-3
    assert found.shortfall_mwh == pytest.approx(least_shortfall(fleet, ["r0"]).sum(), rel=1e-9)
    told = found.to_dict()
    worst = told["shortfall"]["worst"]
    assert told["shortfall"]["mwh"] == found.shortfall_mwh
    assert worst["mw"] == pytest.approx(found.unmet.sum(0).max()) and worst["gateway"] in fleet.gateways
    assert told["shortfall"]["slots"] == int(found.unmet.any(0).sum())
    text = as_text(found)
    assert "no plan of the regions that are left can cost less" in text
    assert "Without r0 (drained)" in text and "MWh of demand cannot be met without it" in text


def test_merged_gateways_share_what_is_left_out_by_what_they_ask() -> None:
    """Two gateways with the same reach, one asking twice as much, lose in that proportion."""
    base = load("synthetic:2x6")
    count = len(base.gateways)
    pairs = np.arange(count * 2)
    demand = np.tile(np.linspace(1.0, 2.0, count)[:, None], (1, base.slots))
    scenario = replace(
        base,
        demand=demand,
        capacity=np.full_like(base.capacity, 0.5 * demand.sum(0).max()),
        reach_region=pairs // count,
        reach_gateway=pairs % count,
        reach_rtt_ms=np.full(len(pairs), np.nan),
    )
    found = solve(scenario, "dual", address="inprocess", without=scenario.regions[:1])
    assert found.unmet is not None
    np.testing.assert_allclose(found.unmet, 0.5 * demand, rtol=1e-9)


def test_a_region_that_falls_silent_is_planned_without_and_the_trace_says_since_when() -> None:
    scenario, said = load("synthetic:6x24,util=0.4"), list[str]()
    silent = Faults.parse("out=r2@6+10000")
    found = solve(scenario, "admm", address="inprocess", faults=silent, deadline=4.0, warn=said.append)
    assert found.converged and list(found.out) == ["r2"]
    assert found.out["r2"].startswith("lost: no answer within 4 s")
    (event,) = found.events
    assert said == [str(event)]
    since = [record.round for record in found.trace if record.regions_out]
    assert since == [record.round for record in found.trace if record.round >= event.round]
    assert found.audit.lower_bound <= optimum(found.problem) * (1.0 + 1e-9)
    assert "Without r2 since round" in as_text(found)
    alone = solve(scenario, "admm", address="inprocess", without=("r2",))
    assert found.audit.objective == pytest.approx(alone.audit.objective, rel=2.2e-4)


def test_a_region_that_comes_back_is_planned_with_again() -> None:
    scenario = load("synthetic:6x24,util=0.4")
    away = Faults.parse("out=r2@6+20")
    found = solve(scenario, "admm", address="inprocess", faults=away, deadline=4.0)
    assert [event.what for event in found.events] == ["lost", "back"]
    assert found.converged and not found.out and found.load[2].any()
    whole = solve(scenario, "admm", address="inprocess")
    assert found.audit.objective == pytest.approx(whole.audit.objective, rel=2.2e-4)


def test_replies_that_are_not_used_are_counted() -> None:
    scenario = load("synthetic:4x24,util=0.4")
    found = solve(scenario, "dual", address="inprocess", faults=Faults.parse("corrupt=0.05,seed=1"))
    assert found.converged
    assert sum(sum(counts.values()) for counts in found.rejected.values()) > 0
    assert found.to_dict()["members"]["rejected"] == {name: dict(c) for name, c in found.rejected.items()}


def test_faults_are_refused_where_they_make_no_sense(fleet: Scenario, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    drop = Faults.parse("drop=0.1")
    with pytest.raises(InputError, match="in process"):
        solve(fleet, "dual", faults=drop)
    with pytest.raises(InputError, match="in process"):
        solve(fleet, "central", address="inprocess", faults=drop)
    with pytest.raises(InputError, match="atlantis"):
        solve(fleet, "dual", address="inprocess", faults=Faults.parse("out=atlantis@1+2"), checkpoint=folder)
    assert not folder.exists()  # refused before any work


@pytest.fixture(scope="module")
def short(fleet: Scenario) -> Solution:
    return solve(fleet, "dual", address="inprocess", without=("r0", "r3"))


@pytest.fixture(scope="module")
def folder(short: Solution, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("results") / "short"
    with staged_folder(target) as aside:
        write_solution(short, aside)
    return target


def test_a_folder_holds_the_whole_fleet_and_the_problem_of_its_plan(short: Solution, folder: Path) -> None:
    np.testing.assert_array_equal(read_scenario(folder).capacity, short.scenario.capacity)
    problem = read_problem(folder, results_folder.read(folder))
    np.testing.assert_array_equal(problem.capacity, short.problem.capacity)
    np.testing.assert_array_equal(problem.demand, short.problem.demand)
    run = json.loads((folder / "run.json").read_text())
    assert run["status"] == "shortfall" and run["members"]["out"] == {"r0": "drained", "r3": "drained"}
    rows = [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]
    assert {row["regions_out"] for row in rows} == {2}


def test_its_explanation_is_of_that_problem(short: Solution, folder: Path) -> None:
    run = json.loads((folder / "run.json").read_text())
    for found in (explain(folder), explain(short)):
        assert found.audit.objective == pytest.approx(run["objective"], rel=1e-12)
        assert found.audit.lower_bound == pytest.approx(run["lower_bound"], rel=1e-12)
        assert found.missing[0].startswith("Without r0, r3 (drained)") and len(found.missing) == 2
        assert max(found.audit.violations.values()) <= 1e-9 * short.scenario.demand.max()
    assert "Without r0, r3" in as_text(explain(folder))
    assert explain(folder).to_dict()["missing"] == list(explain(short).missing)


def test_its_report_says_so(short: Solution, folder: Path, tmp_path: Path) -> None:
    page = write(folder, tmp_path / "again.html").read_text()
    assert page == write(folder, tmp_path / "at hand.html", scenario=short.problem).read_text()
    assert "Regions that were missing" in page and "Without r0, r3 (drained)" in page
    worst = short.to_dict()["shortfall"]["worst"]
    assert "no plan of the regions that are left can be cheaper" in page
    assert worst["gateway"] in page and worst["time_utc"] in page


def test_a_report_tells_of_members_that_came_back(tmp_path: Path) -> None:
    away = Faults.parse("out=r2@6+20")
    scenario = load("synthetic:6x24,util=0.4")
    found = solve(scenario, "admm", address="inprocess", faults=away, deadline=4.0)
    with staged_folder(tmp_path / "back") as aside:
        write_solution(found, aside)
    page = write(tmp_path / "back").read_text()
    assert "All regions took part in the end" in page and "no answer within 4 s" in page
    assert "regions were lost or came back" in page
    assert not (tmp_path / "back" / "unmet.parquet").exists()


def test_a_folder_of_another_fleet_is_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    other = tmp_path / "other"
    shutil.copytree(folder, other)
    run = json.loads((other / "run.json").read_text())
    run["members"]["out"] = {"atlantis": "drained"}
    (other / "run.json").write_text(json.dumps(run))
    with pytest.raises(InputError, match="not of the fleet"):
        explain(other)


def test_a_later_solve_starts_warm_from_it(short: Solution, folder: Path) -> None:
    for start in (folder, short):
        again = solve(short.scenario, "dual", address="inprocess", without=("r0", "r3"), warm_start=start)
        assert again.status == "shortfall" and again.audit.gap <= 1e-4
        assert again.rounds < short.rounds
    whole = solve(short.scenario, "dual", address="inprocess", warm_start=folder)
    assert whole.converged and not whole.out


def test_the_shortage_is_described_by_slot_and_gateway(short: Solution) -> None:
    lines = describe_infeasibility(short.scenario.without(short.out), out=short.out)
    assert any("(out)" in line and "MW short" in line for line in lines)
    assert describe_infeasibility(short.problem) == []


def test_the_audit_of_the_whole_fleet_finds_what_is_missing(short: Solution) -> None:
    """Audited as if nobody were missing, the same plan is short by exactly what it declares."""
    assert short.unmet is not None
    whole = audit(short.scenario, short.route, short.demand_price, short.equity_price)
    assert whole.violations["demand"] == pytest.approx(short.unmet.max(), rel=1e-9)

"""`eglb compare --jobs`: what is apart is what it says, and no way apart beats going together."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog
from support.job_mixes import draw_scenario_with_jobs, jobs_of

import eglb as api
from eglb import report
from eglb.foundation.console import as_text
from eglb.foundation.errors import InputError
from eglb.planning.audit import region_load
from eglb.planning.job_totals import at_once, measure_jobs, moved_in_space, moved_in_time, origins
from eglb.planning.solve import solve
from eglb.scenarios.catalog import load
from eglb.scenarios.folder.writing import example
from eglb.scenarios.jobs import build_jobs
from eglb.scenarios.scenario import Scenario
from eglb.sims.baselines import policy_names, policy_row
from eglb.sims.co_scheduling.co_scheduling import (
    Coordination,
    after_inference,
    coordinate,
    write_coordination,
)
from eglb.sims.co_scheduling.ways import IN_TURN, TOGETHER, WAYS

Run = Callable[..., Any]
GAP = 1e-4


@pytest.fixture(scope="module")
def found() -> Coordination:
    return api.coordinate(api.load("synthetic:6x48,jobs=0.25:12"), gap=GAP, address="inprocess")


def cheapest(s: Scenario, load_of_inference: np.ndarray, cost: np.ndarray) -> float:
    """The least cost of all work in what inference leaves, by a general solver."""
    jobs = jobs_of(s)
    first, last = jobs.slots(s.times, s.slot_hours)
    cells = [
        (p, t)
        for p, (m, _) in enumerate(zip(jobs.pair_job, jobs.pair_region, strict=True))
        for t in range(first[m], last[m])
    ]
    region, slot = np.array([(jobs.pair_region[p], t) for p, t in cells]).T
    job = np.array([jobs.pair_job[p] for p, _ in cells])
    equal = np.array([(job == m).astype(float) for m in range(len(jobs))])
    rooms = [(region == i) & (slot == t) for i, t in np.ndindex(s.capacity.shape)]
    powers = [(job == m) & (slot == t) for m in range(len(jobs)) for t in range(first[m], last[m])]
    most = [jobs.max_mw[m] for m in range(len(jobs)) for _ in range(first[m], last[m])]
    left = np.maximum(s.capacity - load_of_inference, 0.0).ravel()
    done = linprog(
        cost[region, slot],
        A_eq=equal,
        b_eq=jobs.energy_mwh / s.slot_hours,
        A_ub=np.array([*rooms, *powers], float),
        b_ub=np.concatenate([left, most]),
        method="highs",
    )
    assert done.status == 0, done.message
    return float(done.fun)


def test_training_apart_is_where_it_is_cheapest_in_what_inference_leaves() -> None:
    s = load("synthetic:4x12,jobs=0.25:6")
    found = coordinate(s, gap=GAP, address="inprocess")
    inference = solve(replace(s, jobs=None), "admm", gap=GAP, address="inprocess")
    price = s.price_per_mw_slot()
    own = float((price * inference.load).sum())
    way = found.way("cheapest-first")
    assert way is not None and way.energy_cost_usd is not None
    assert way.energy_cost_usd - own == pytest.approx(cheapest(s, inference.load, price), rel=1e-6)
    carbon = next(kind for kind in s.footprints if kind.name == "carbon")
    intensity = s.intensity_per_mw_slot(carbon)
    way = found.way("carbon-first")
    assert way is not None and way.footprints is not None
    total = way.footprints["carbon"].total - float((intensity * inference.load).sum())
    assert total == pytest.approx(cheapest(s, inference.load, intensity), rel=1e-6)


def test_no_way_apart_beats_one_plan(found: Coordination) -> None:
    assert [way.name for way in found.ways] == list(WAYS)
    assert found.certain <= GAP and found.plan.converged
    together = found.way(TOGETHER)
    assert together is not None and together.objective == pytest.approx(found.plan.audit.objective)
    for way in found.ways:
        assert not way.problem and way.objective is not None
        assert way.objective >= found.plan.audit.lower_bound
        saved = found.saved(way)
        assert saved is not None and saved >= -found.certain
    turn, blind = found.way(IN_TURN), found.best_without_equity
    assert (
        turn is not None and blind is not None and turn.objective is not None and blind.objective is not None
    )
    assert turn.objective < blind.objective
    first, second = found.buys()
    assert blind.name in first and "saves" in first and "eGLB after inference" in second


def test_inference_that_cannot_move_stays(found: Coordination) -> None:
    s = found.scenario
    fixed = after_inference(s, 0.5 * s.capacity)
    done = solve(fixed, "admm", gap=1e-3, address="inprocess")
    np.testing.assert_allclose(region_load(fixed, done.route), 0.5 * s.capacity, rtol=1e-9)


def test_what_finds_no_capacity_apart_is_said() -> None:
    """Inference fills the cheap region, which is the only one that the job may use."""
    base = example()
    full = replace(base, demand=base.demand * 0.62, reach_rtt_ms=base.reach_rtt_ms)
    cheap = int(base.price.mean(axis=1).argmin())
    allowed = np.zeros((1, 3), bool)
    allowed[0, cheap] = True
    ends = base.times[[0, -1]]
    energy = np.array([0.9 * float(base.capacity[cheap].sum())])
    jobs = build_jobs(
        ["big"], energy, ends[:1], ends[1:] + np.timedelta64(1, "h"), base.capacity[cheap, :1], allowed
    )
    found = coordinate(replace(full, jobs=jobs).with_weights({"water": 0, "carbon": 0}), address="inprocess")
    assert found.plan.converged
    assert all("MWh of 1 job find no capacity" in way.problem for way in found.ways if way.name != TOGETHER)
    assert found.best_without_equity is None and "only in one plan" in found.buys()[0]
    shown = as_text(found)
    assert "Not possible apart" in shown
    json.dumps(found.to_dict(), allow_nan=False)


def test_without_jobs_it_is_refused() -> None:
    with pytest.raises(InputError, match="has no jobs to schedule"):
        coordinate(load("synthetic:4x12"), address="inprocess")


def test_moves_are_against_running_at_once_and_at_home() -> None:
    base = example()
    t, hour = base.times, np.timedelta64(1, "h")
    jobs = build_jobs(
        ["homely", "free"],
        np.array([4.0, 6.0]),
        t[[2, 2]],
        t[[6, 6]] + hour,
        np.array([2.0, 2.0]),
        np.ones((2, 3), bool),
        home=np.array([1, -1]),
    )
    s = replace(base, jobs=jobs)
    np.testing.assert_allclose(at_once(s)[:, 1:6], [[0, 2, 2, 0, 0], [0, 2, 2, 2, 0]])
    west, east = s.demand[:, 2:7].sum(axis=1) / s.demand[:, 2:7].sum()
    # Oregon is nearest to the west, Virginia to the east.
    np.testing.assert_allclose(origins(s), [[0, 1, 0], [west, 0, east]])
    work = np.zeros((6, s.slots))
    work[1, 2:4] = 1.5
    work[0, 5] = 1.0
    work[5, 2:5] = 2.0
    np.testing.assert_allclose(moved_in_time(s, work), [0.25, 0.0])
    np.testing.assert_allclose(moved_in_space(s, work), [0.25, west])
    found = measure_jobs(s, work)
    assert found.moved_in_time == pytest.approx(0.1)
    assert found.moved_in_space == pytest.approx(0.4 * 0.25 + 0.6 * west)
    assert (found.count, found.energy_mwh, found.unserved_mwh) == (2, 10.0, 0.0)


@pytest.mark.parametrize("seed", range(12))
def test_measures_of_any_plan_are_shares(seed: int) -> None:
    s = draw_scenario_with_jobs(seed, gains=bool(seed % 2))
    jobs = jobs_of(s)
    first = at_once(s)
    np.testing.assert_allclose(first.sum(axis=1) * s.slot_hours, jobs.energy_mwh)
    assert (first <= jobs.max_mw[:, None] * (1 + 1e-12)).all()
    assert (first >= -1e-12).all()
    np.testing.assert_allclose(origins(s).sum(axis=1), 1.0)
    found = solve(s, "central")
    assert found.work is not None
    told = measure_jobs(s, found.work)
    assert 0.0 <= told.moved_in_time <= 1.0 and 0.0 <= told.moved_in_space <= 1.0


def test_the_folder_holds_the_plan_and_the_ways(found: Coordination, tmp_path: Path) -> None:
    write_coordination(found, tmp_path)
    run = json.loads((tmp_path / "run.json").read_text())
    assert [row["name"] for row in run["schedulings"]] == list(WAYS)
    assert run["jobs"]["count"] == len(jobs_of(found.scenario)) and run["jobs"]["unserved_mwh"] == 0.0
    for name in ("coordination.svg", "coordination.png", "jobs.parquet", "job_prices.parquet"):
        assert (tmp_path / name).stat().st_size > 1000
    page = report.write(tmp_path).read_text()
    assert "Training and inference, apart and together" in page and IN_TURN in page


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits(found: Coordination, width: int) -> None:
    shown = as_text(found, width)
    assert max(map(len, shown.splitlines())) <= width
    for name in WAYS:
        assert name in shown


def test_the_command(eglb: Run) -> None:
    how = ("--address", "inprocess")
    told = eglb("compare", "synthetic:4x24,jobs=0.2:6", "--jobs", *how, "--json").json()
    assert told["status"] == "converged" and len(told["schedulings"]) == len(WAYS)
    assert told["schedulings"][-1]["objective"] == pytest.approx(told["objective"])
    for arguments, said in (
        (("synthetic:4x24", "--jobs", *how), "has no jobs to schedule"),
        (("synthetic:4x24,jobs=0.2", "--jobs", "--online"), "--jobs takes one --algorithm"),
    ):
        ran = eglb("compare", *arguments)
        assert ran.code == 2 and said in ran.err


@pytest.mark.parametrize("seed", range(8))
def test_usual_policies_do_all_work_at_their_least_cost(seed: int) -> None:
    s = draw_scenario_with_jobs(seed, gains=bool(seed % 2))
    assert "GLB-Nearest" not in policy_names(s) and {"GLB-Cost", "eGLB-Off"} <= set(policy_names(s))
    blind = replace(s, footprints=())
    best = solve(blind, "central").audit.objective
    size = abs(best) + 1e-6 * float(np.abs(s.price).max()) * float(s.demand.max())
    assert policy_row("GLB-Cost", s).energy_cost_usd == pytest.approx(best, abs=1e-7 * size)

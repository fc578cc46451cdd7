"""What `eglb explain --job` says: prices of work are those of the optimum, and the gap is explained whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.job_mixes import draw_scenario_with_jobs, jobs_of, optimum_with_jobs

from eglb.foundation.console import as_text
from eglb.foundation.errors import InputError
from eglb.planning.audit import lower_bound
from eglb.planning.central.central import solve_central
from eglb.planning.explanation.explain import explain
from eglb.planning.explanation.explanation import Explanation, explain_plan
from eglb.planning.explanation.jobs import JobExplanation, explain_job
from eglb.planning.explanation.prices import energy_price
from eglb.planning.solve import solve
from eglb.planning.storage.folder import write_solution
from eglb.scenarios.catalog import load
from eglb.scenarios.scenario import Scenario

Run = Callable[..., Any]


def explained(s: Scenario) -> Explanation:
    found = solve_central(s)
    prices = (found.demand_price, found.equity_price)
    return explain_plan(s, "central", found.route, *prices, found.work, found.work_price)


def money(s: Scenario, e: Explanation) -> float:
    mw = float(s.demand.sum()) + float(jobs_of(s).energy_mwh.sum()) / s.slot_hours
    return 1e-9 * max(abs(e.audit.objective), float(np.abs(e.full_price).max()) * mw)


def check_gap(e: Explanation) -> None:
    """Parts of the gap add up, none below zero, and the prices shown prove the bound that they should."""
    s, slack = e.scenario, e.slackness
    rounding = money(s, e)
    assert abs(slack.residual) <= rounding
    parts = [slack.sharpened, slack.routing, slack.capacity, *slack.equity.values(), *slack.work.values()]
    assert min(parts) >= -rounding and set(slack.work) == {"place", "time"}
    shown = lower_bound(s, e.demand_price, e.equity_price, e.work_price)
    assert shown == pytest.approx(e.audit.lower_bound + slack.sharpened, abs=rounding)


@pytest.mark.parametrize("seed", range(24))
def test_the_gap_is_explained_whatever_the_prices(seed: int) -> None:
    s = draw_scenario_with_jobs(seed, gains=bool(seed % 2))
    best = solve_central(s)
    random = np.random.default_rng(seed)

    def near(price: np.ndarray) -> np.ndarray:
        return np.asarray(price * random.uniform(0.5, 1.5, price.shape))

    assert best.work_price is not None
    prices = (near(best.demand_price), near(best.equity_price))
    check_gap(explain_plan(s, "", best.route, *prices, best.work, near(best.work_price)))
    check_gap(explained(s))


@pytest.mark.parametrize("seed", range(24))
def test_the_price_of_a_job_is_what_more_of_its_work_costs(seed: int) -> None:
    s = draw_scenario_with_jobs(seed)
    jobs, e = jobs_of(s), explained(s)
    assert e.work_price is not None
    best, price = optimum_with_jobs(s), energy_price(s, jobs, e.work_price)
    for m in range(len(jobs)):
        for step in (-0.1, 0.1):
            first, last = (int(each[m]) for each in jobs.slots(s.times, s.slot_hours))
            least, most = (limit[m] * (last - first) * s.slot_hours for limit in (jobs.min_mw, jobs.max_mw))
            energy = jobs.energy_mwh.copy()
            energy[m] = np.clip(energy[m] * (1.0 + step), least, most)
            more = (energy[m] - jobs.energy_mwh[m]) / s.slot_hours
            # The optimum is convex in the work asked for; more of it may find no room.
            try:
                other = optimum_with_jobs(replace(s, jobs=replace(jobs, energy_mwh=energy)))
            except AssertionError:
                assert more > 0.0
                continue
            assert other >= best + price[m] * more - 100.0 * money(s, e)


@pytest.mark.parametrize("seed", range(24))
def test_work_runs_where_its_reduced_cost_says(seed: int) -> None:
    s = draw_scenario_with_jobs(seed, gains=bool(seed % 2))
    jobs, e = jobs_of(s), explained(s)
    for m, name in enumerate(jobs.names):
        found = explain_job(e, name)
        assert found.job == m
        power, reduced = found.work.sum(axis=0), found.price - found.pays
        small = 1e-7 * max(float(np.abs(found.price).max()), 1e-9)
        runs = found.work > 1e-6 * jobs.max_mw[m]
        # At more than its least it runs at no reduced cost above zero; below zero it is at its most.
        above_least = power > jobs.min_mw[m] + 1e-6 * jobs.max_mw[m]
        assert (reduced[runs & above_least[None]] <= small).all()
        at_most = power >= (1.0 - 1e-6) * jobs.max_mw[m]
        assert at_most[(reduced < -small).any(axis=0)].all()
        rows = found.regions()
        assert sum(row.work_mwh for row in rows) == pytest.approx(jobs.energy_mwh[m])
        assert sum(span.work_mwh for span in found.spans()) == pytest.approx(jobs.energy_mwh[m], rel=1e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("jobs")
    write_solution(solve(load("synthetic:6x48,jobs=0.25:12"), "admm", address="inprocess"), place)
    return place


def test_a_folder_explains_as_the_solution_does(folder: Path) -> None:
    e = explain(folder)
    check_gap(e)
    run = json.loads((folder / "run.json").read_text())
    assert e.audit.objective == pytest.approx(run["objective"], rel=1e-12)
    assert e.audit.lower_bound == pytest.approx(run["lower_bound"], rel=1e-12)
    (folder / "job_prices.parquet").rename(folder / "aside")
    with pytest.raises(InputError, match=r"there is no job_prices\.parquet"):
        explain(folder)
    (folder / "aside").rename(folder / "job_prices.parquet")


@pytest.mark.parametrize("width", [80, 120])
def test_a_job_is_told_in_sentences(folder: Path, width: int) -> None:
    found = explain_job(explain(folder), "job10")
    assert isinstance(found, JobExplanation)
    shown = as_text(found, width)
    assert max(map(len, shown.splitlines())) <= width
    for word in (
        "Price",
        "what one MWh more of it would cost",
        "Waiting",
        "Moving",
        "reduced cost",
        "When, UTC",
    ):
        assert word in shown
    assert "pay" in as_text(explain(folder)) and "--job NAME" in as_text(explain(folder), 200)


def test_the_command(eglb: Run, folder: Path) -> None:
    told = eglb("explain", folder, "--job", "job10", "--json").json()
    assert told["job"] == "job10" and told["price"] > 0.0
    assert sum(row["mw"] for row in told["slots"]) == pytest.approx(told["energy_mwh"])
    for row in told["slots"]:
        assert row["reduced_cost"] == pytest.approx(row["price"] - told["price"])
    assert "gap_usd" in eglb("explain", folder, "--json").json()
    for options, said in (
        (("--job", "jobb"), "'jobb' is no job of this fleet"),
        (("--job", "job10", "--hour", "1"), "--job goes with none of"),
    ):
        ran = eglb("explain", folder, *options)
        assert ran.code == 2 and said in ran.err


def test_work_that_is_left_out_is_named_and_the_rest_explained(eglb: Run, tmp_path: Path) -> None:
    out = tmp_path / "less"
    words = ("synthetic:6x36,jobs=0.2:8", "--address", "inprocess", "--without", "r1", "--out", out, "--json")
    ran = eglb("solve", *words)
    told = ran.json()
    left_out = told["shortfall"]["work_mwh"]
    assert ran.code == 3 and told["status"] == "shortfall" and left_out > 0.0
    assert told["jobs"]["unserved_mwh"] == left_out
    assert "cannot be done without it: as little as possible is left out" in ran.err
    unmet = pq.read_table(out / "unmet_jobs.parquet")
    assert unmet.num_rows == told["shortfall"]["jobs"]
    assert sum(unmet["mwh"].to_pylist()) == pytest.approx(left_out)
    e = explain(out)
    check_gap(e)
    assert e.audit.objective == pytest.approx(told["objective"], rel=1e-12)
    assert jobs_of(e.scenario).energy_mwh.sum() == pytest.approx(told["jobs"]["energy_mwh"] - left_out)
    assert eglb("report", out).code == 0

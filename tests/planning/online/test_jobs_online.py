"""Jobs in a simulation: what is reported is what the plan does, and its future is not known to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.job_mixes import draw_scenario_with_jobs, jobs_of
from support.online_instances import scramble_after

import eglb as api
from eglb.foundation.errors import InputError
from eglb.planning.audit import plan_objective, region_load
from eglb.planning.storage.folder import read
from eglb.scenarios.job_mix import with_jobs
from eglb.scenarios.jobs import build_jobs
from eglb.scenarios.scenario import Scenario
from eglb.sims.replay.simulation import Simulation, simulate

POLICIES = ("soft:steps=4", "mpc:rounds=5", "eg", "adahedge", "dmd", "cost", "sum")


def check(run: Simulation) -> None:
    """The plan does what its numbers say, of all jobs that were not refused."""
    s, admission = run.scenario, run.admission
    assert admission is not None
    assert run.objective == pytest.approx(plan_objective(s, run.load), rel=1e-12)
    assert run.load == pytest.approx(region_load(run.problem, run.route, run.work), rel=1e-12)
    assert max(run.violations.values()) <= 1e-9 * max(s.demand.max(), jobs_of(s).max_mw.max())
    assert not admission.missed
    names = jobs_of(s).names
    assert admission.admitted + len(admission.refused) == len(names)
    done = [e for n, e in zip(names, jobs_of(s).energy_mwh, strict=True) if n not in admission.refused]
    assert admission.energy_mwh == pytest.approx(sum(done), rel=1e-9)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(8))
def test_every_policy_that_plans_work(seed: int, policy: str) -> None:
    s = draw_scenario_with_jobs(seed, gains=seed % 2 == 1)
    forecast = ("none", "perfect", "reversed", "yesterday")[seed % 4]
    check(simulate(s, policy, forecast=forecast, offline=False))


@pytest.fixture(scope="module")
def fleet() -> Scenario:
    return with_jobs(api.load("synthetic:4x60,util=0.6"), 0.2, 8)


@pytest.mark.parametrize("policy", ["soft", "mpc:rounds=20"])
def test_close_to_the_best_plan(fleet: Scenario, policy: str) -> None:
    run = simulate(fleet, policy, forecast="perfect")
    check(run)
    assert run.gap_to_offline is not None
    assert -1e-6 <= run.gap_to_offline <= 0.03
    assert run.running_gap is None


def test_waiting_pays(fleet: Scenario) -> None:
    """Cheapest first with a perfect forecast costs less energy than if nothing could wait."""
    run = simulate(fleet, "cost", forecast="perfect", offline=False)
    rigid = simulate(api.load("synthetic:4x60,util=0.6"), "cost", offline=False, certify=False)
    assert run.energy_cost_usd < 0.995 * rigid.energy_cost_usd


@pytest.mark.parametrize("policy", ["soft:steps=4", "mpc:rounds=5"])
def test_what_is_not_released_or_not_foretold_changes_nothing(fleet: Scenario, policy: str) -> None:
    """Other prices, footprints and jobs after a slot; demand is declared, and stays."""
    now = 30
    jobs = jobs_of(fleet)
    first, _ = jobs.slots(fleet.times, 1.0)
    other = replace(jobs, energy_mwh=np.where(first > now, 0.3 * jobs.energy_mwh, jobs.energy_mwh))
    changed = replace(scramble_after(fleet, now), demand=fleet.demand, jobs=other)
    runs = [simulate(s, policy, offline=False) for s in (fleet, changed)]
    assert runs[0].load[:, : now + 1] == pytest.approx(runs[1].load[:, : now + 1], rel=1e-9)
    assert runs[0].load[:, now + 1 :] != pytest.approx(runs[1].load[:, now + 1 :], rel=1e-3)


def test_jobs_that_nobody_can_do_are_refused_by_name(fleet: Scenario) -> None:
    jobs = jobs_of(fleet)
    energy, power = jobs.energy_mwh.copy(), jobs.max_mw.copy()
    energy[[5, 17]], power[[5, 17]] = 1e4 * energy[[5, 17]], 1e4 * power[[5, 17]]
    run = simulate(replace(fleet, jobs=replace(jobs, energy_mwh=energy, max_mw=power)), "cost", offline=False)
    check(run)
    assert run.admission is not None
    assert run.admission.refused == (jobs.names[5], jobs.names[17])
    assert f"2 refused: {jobs.names[5]}, {jobs.names[17]}" in str(run)


def test_slots_before_the_run(fleet: Scenario) -> None:
    run = simulate(fleet.window(24, 24), "soft:steps=4", history=fleet.window(0, 24), offline=False)
    check(run)


@pytest.mark.parametrize(
    ("policy", "period", "said"),
    [
        ("guard", "whole", "policy guard does not decide when they run"),
        ("nearest", "whole", "policy nearest does not decide when they run"),
        ("soft", "12", "period must be whole"),
    ],
)
def test_refusals(fleet: Scenario, policy: str, period: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        simulate(fleet, policy, period=period)


def test_command_and_results_folder(eglb: Callable[..., Any], tmp_path: Path) -> None:
    """The first day is quiet, but gateways declare what they ask for on the second."""
    from eglb.scenarios.folder.writing import save

    base = api.load("synthetic:4x48,util=0.6")
    hour = np.timedelta64(3600, "s")
    power = base.capacity.sum(0).min() * np.array([0.6, 0.1])
    jobs = build_jobs(
        ["large", "small"],
        power * 8,
        base.times[[2, 3]],
        base.times[[2, 3]] + 9 * hour,
        power,
        np.ones((2, 4), bool),
    )
    demand = base.demand * np.repeat([0.3, 1.0], 24)
    save(replace(base, demand=demand, jobs=jobs), tmp_path / "fleet")
    arguments = ("simulate", tmp_path / "fleet", "--policy", "cost", "--no-offline")
    done = eglb(*arguments, "--json", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    found = done.json()["jobs"]
    assert (found["admitted"], found["refused"], found["missed"]) == (1, 1, 0)
    assert found["refused_names"] == ["large"]
    assert found["energy_mwh"] == pytest.approx(power[1] * 8)
    assert read(tmp_path / "out").run["jobs"] == found
    work = pq.read_table(tmp_path / "out" / "jobs.parquet")
    assert set(work["job"].to_pylist()) == {"small"}
    assert sum(work["mw"].to_pylist()) == pytest.approx(found["energy_mwh"])
    assert eglb("report", tmp_path / "out").code == 0
    shown = eglb(*arguments)
    assert shown.code == 0
    assert "1 jobs admitted; 1 refused: large; 0 missed" in " ".join(shown.out.split())
    refused = eglb("simulate", tmp_path / "fleet", "--policy", "guard")
    assert refused.code == 2
    assert "does not decide when they run" in refused.err

"""Deferrable jobs beside demand: every algorithm against a general solver, and what plans must not do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog
from support.job_mixes import draw_scenario_with_jobs, jobs_of, optimum_with_jobs

import eglb
from eglb.coordinator.algorithms import newton
from eglb.coordinator.interior import clearing
from eglb.foundation.arrays import Array
from eglb.foundation.errors import InfeasibleError
from eglb.planning.partition import partition
from eglb.planning.solution import Solution
from eglb.scenarios.job_mix import with_jobs
from eglb.scenarios.jobs import build_jobs
from eglb.scenarios.scenario import Scenario

GAPS = {"admm": 1e-4, "dual": 1e-4, "newton": 1e-4, "crossover": 1e-4, "subgradient": 1e-2}


def solve(scenario: Scenario, algorithm: str, **more: object) -> Solution:
    return eglb.solve(scenario, algorithm, gap=GAPS[algorithm], max_rounds=3000, address="inprocess", **more)


def check_work(done: Solution, scenario: Scenario) -> None:
    """All work is done, within windows, regions and powers, and nothing beside it is too much: by loops."""
    jobs, work = jobs_of(scenario), done.work
    assert work is not None and work.shape == (len(jobs.pair_job), scenario.slots)
    size = max(float(scenario.demand.max()), float(jobs.max_mw.max()))
    first, last = jobs.slots(scenario.times, scenario.slot_hours)
    power = np.zeros((len(jobs), scenario.slots))
    for p, (m, i) in enumerate(zip(jobs.pair_job, jobs.pair_region, strict=True)):
        away = 0 <= jobs.home[m] != i and jobs.energy_mwh[m] > 0.0
        gain = 1.0 + jobs.checkpoint_cost_mwh[m] / jobs.energy_mwh[m] if away else 1.0
        for t in range(scenario.slots):
            assert work[p, t] >= 0.0
            assert work[p, t] == 0.0 or first[m] <= t < last[m]
            power[m, t] += work[p, t] / gain
    for m in range(len(jobs)):
        inside = power[m, first[m] : last[m]]
        assert inside.sum() * scenario.slot_hours == pytest.approx(jobs.energy_mwh[m], abs=1e-7 * size)
        assert inside.max() <= jobs.max_mw[m] + 1e-7 * size
        assert inside.min() >= jobs.min_mw[m] - 1e-7 * size
    for i in range(len(scenario.regions)):
        load = done.route[scenario.reach_region == i].sum(0) + work[jobs.pair_region == i].sum(0)
        assert (load <= scenario.capacity[i] + 1e-7 * size).all()
    for j in range(len(scenario.gateways)):
        served = done.route[scenario.reach_gateway == j].sum(0)
        np.testing.assert_allclose(served, scenario.demand[j], atol=1e-7 * size)


@pytest.mark.parametrize("algorithm", list(GAPS))
@pytest.mark.parametrize("seed", range(25))
def test_every_algorithm_certifies_the_optimum_and_misses_no_work(seed: int, algorithm: str) -> None:
    s = draw_scenario_with_jobs(seed)
    best, done = optimum_with_jobs(s), solve(s, algorithm)
    size = abs(best) + 1e-6 * float(np.abs(s.price).max()) * float(s.demand.max())
    check_work(done, s)
    assert done.status == "converged" or algorithm == "subgradient"
    assert done.audit.lower_bound <= best + 1e-9 * size
    assert done.audit.objective >= best - 1e-7 * size
    if done.status == "converged":
        assert done.audit.objective <= best + 1.01 * GAPS[algorithm] * size


@pytest.mark.parametrize("algorithm", list(GAPS))
@pytest.mark.parametrize("seed", [*range(12), 74, 85, 176])
def test_moves_that_take_energy_are_certified_too(seed: int, algorithm: str) -> None:
    """Of the later ones one has slots without any room, one a region that nobody reaches and one jobs with
    and without gains that share a column.
    """
    s = draw_scenario_with_jobs(seed, gains=True)
    best, done = optimum_with_jobs(s), solve(s, algorithm)
    size = abs(best) + 1e-6 * float(np.abs(s.price).max()) * float(s.demand.max())
    check_work(done, s)
    assert done.status == "converged"
    assert done.audit.lower_bound <= best + 1e-9 * size
    assert best - 1e-7 * size <= done.audit.objective <= best + 1.01 * GAPS[algorithm] * size


def with_paid_moves(scenario: Scenario) -> Scenario:
    """Jobs all over the fleet, which take 2 to 20 % more energy away from home."""
    jobs, random = jobs_of(scenario), np.random.default_rng(0)
    home = random.integers(len(scenario.regions), size=len(jobs))
    cost = jobs.energy_mwh * random.uniform(0.02, 0.2, len(jobs))
    return replace(scenario, jobs=replace(jobs, home=home, checkpoint_cost_mwh=cost))


@pytest.fixture(scope="module")
def moving() -> tuple[Scenario, float]:
    """A fleet with moves that are paid for and the central optimum."""
    s = with_paid_moves(with_jobs(eglb.load("synthetic:6x48,reach=3"), 0.2, 12))
    return s, eglb.solve(s, "central").audit.objective


@pytest.mark.parametrize("algorithm", list(GAPS))
def test_a_fleet_whose_jobs_pay_for_moves_is_certified(
    algorithm: str, moving: tuple[Scenario, float]
) -> None:
    s, best = moving
    done = solve(s, algorithm)
    check_work(done, s)
    assert done.status == "converged" and done.audit.gap <= GAPS[algorithm]
    assert done.audit.lower_bound <= best * (1.0 + 1e-9)
    assert best * (1.0 - 1e-9) <= done.audit.objective <= best * (1.0 + 1.01 * GAPS[algorithm])


@pytest.mark.parametrize("algorithm", ["central", *GAPS])
def test_what_cannot_be_done_once_moves_are_paid_for_has_no_plan(algorithm: str) -> None:
    s = eglb.load("synthetic:3x6,reach=3")
    free = 0.6 * float((s.capacity.sum(0) - s.demand.sum(0)).sum())

    def away_from_home(gain: float) -> Scenario:
        end = s.times[-1] + np.timedelta64(1, "h")
        jobs = build_jobs(
            ["away"], np.array([free]), s.times[:1], np.array([end]), np.array([free]),
            np.array([[False, True, True]]), home=np.zeros(1, int),
            checkpoint_cost_mwh=np.array([(gain - 1.0) * free]),
        )  # fmt: skip
        return replace(s, jobs=jobs)

    found = eglb.solve(away_from_home(1.05), algorithm, gap=1e-2, address="inprocess")
    assert found.status == "converged"
    with pytest.raises(InfeasibleError, match="does all work beside demand"):
        eglb.solve(away_from_home(1.9), algorithm, address="inprocess")


@pytest.mark.parametrize("gap", [1e-3, 1e-6])
@pytest.mark.parametrize("seed", range(12))
def test_clearing_with_gains_comes_as_near_to_the_least_cost_as_asked(seed: int, gap: float) -> None:
    s = draw_scenario_with_jobs(seed, gains=True)
    market, cost = partition(s).market, np.ascontiguousarray(s.price_per_mw_slot().T)
    room = np.ascontiguousarray(s.capacity.T)
    route, price = clearing.clear(market, cost, room, gap)
    plan, unmet = market.repair(route, room)
    assert not unmet.any()
    best = np.maximum(market.best_price(price) - cost, 0.0)[:, market.degree > 0]
    bound = market.worth(price) - float((best * room[:, market.degree > 0]).sum())
    load = market.load(plan)
    assert float((cost * load).sum()) - bound <= 3.0 * gap * float((np.abs(cost) * load).sum())
    # The equity price zero has the same optimum: energy cost alone.
    least = optimum_with_jobs(replace(s, footprints=()))
    assert bound <= least + 1e-9 * float((np.abs(cost) * load).sum())


def test_interior_point_leaves_what_is_too_large_for_it_to_admm(monkeypatch: pytest.MonkeyPatch) -> None:
    s = draw_scenario_with_jobs(7)
    monkeypatch.setattr(newton, "_MOST_ENTRIES", 0)
    done, other = solve(s, "newton"), solve(s, "admm")
    assert done.status == "converged" and done.rounds == other.rounds + 1
    np.testing.assert_array_equal(done.route, other.route)
    check_work(done, s)
    again = solve(s, "crossover")
    assert again.status == "converged" and again.audit.gap <= GAPS["crossover"]
    check_work(again, s)


@pytest.fixture(scope="module")
def fleet() -> Scenario:
    """Four regions of which any can be missed."""
    return with_jobs(eglb.load("synthetic:4x24,util=0.4"), 0.2, 6)


@pytest.mark.parametrize("algorithm", list(GAPS))
def test_a_plan_without_a_region_does_all_work_elsewhere(algorithm: str, fleet: Scenario) -> None:
    done = solve(fleet, algorithm, without=[fleet.regions[1]])
    assert done.status == "converged" and not done.load[1].any()
    left = fleet.without([fleet.regions[1]], None)
    check_work(done, left)
    central = eglb.solve(left, "central").audit
    assert done.audit.lower_bound <= central.objective * (1.0 + 1e-9)
    assert done.audit.objective <= central.objective * (1.0 + 1.01 * GAPS[algorithm])


@pytest.mark.parametrize("algorithm", ["admm", "dual", "newton"])
def test_a_plan_without_most_regions_leaves_out_as_little_as_can_be(algorithm: str, fleet: Scenario) -> None:
    out = fleet.regions[1:]
    done = solve(fleet, algorithm, without=out)
    assert done.status == "shortfall" and done.unmet_mwh is not None
    check_work(done, fleet.without(out, done.unmet, done.unmet_mwh))
    jobs, room = jobs_of(fleet), fleet.capacity[0]
    first, last = jobs.slots(fleet.times, fleet.slot_hours)
    # The most that one region can do of demand, at once, and of jobs, within their windows.
    most = maximum_served(fleet.demand.sum(0), jobs.energy_mwh, jobs.max_mw, first, last, room)
    asked = float(fleet.demand.sum() + jobs.energy_mwh.sum())
    unmet = 0.0 if done.unmet is None else float(done.unmet.sum())
    assert unmet + float(done.unmet_mwh.sum()) == pytest.approx(asked - most, rel=1e-6)


@pytest.mark.parametrize("algorithm", ["admm", "dual", "newton"])
def test_jobs_left_out_altogether_do_not_weaken_the_certificate(algorithm: str, fleet: Scenario) -> None:
    paid = with_paid_moves(fleet)
    done = solve(paid, algorithm, without=fleet.regions[1:])
    assert done.status == "shortfall" and done.unmet_mwh is not None
    assert np.isclose(done.unmet_mwh, jobs_of(paid).energy_mwh).any()
    check_work(done, paid.without(fleet.regions[1:], done.unmet, done.unmet_mwh))
    assert 0.0 <= done.audit.gap <= GAPS[algorithm]


def maximum_served(
    demand: Array, energy: Array, power: Array, first: Array, last: Array, room: Array
) -> float:
    """MWh, by a linear program over slots of an hour."""
    slots, jobs = len(demand), len(energy)
    upper = np.zeros((1 + jobs, slots))
    upper[0] = demand
    for m in range(jobs):
        upper[1 + m, first[m] : last[m]] = power[m]
    by_slot = np.tile(np.eye(slots), 1 + jobs)
    by_job = np.kron(np.eye(1 + jobs)[1:], np.ones(slots))
    found = linprog(
        -np.ones(upper.size),
        A_ub=np.concatenate([by_slot, by_job]),
        b_ub=np.concatenate([room, energy]),
        bounds=np.stack([np.zeros(upper.size), upper.ravel()], axis=1),
    )
    assert found.status == 0
    return float(-found.fun)


@pytest.mark.parametrize("algorithm", ["admm", "dual", "newton", "subgradient"])
def test_a_solve_goes_on_from_its_checkpoint(algorithm: str, fleet: Scenario, tmp_path: Path) -> None:
    gap = GAPS[algorithm]
    whole = solve(fleet, algorithm)
    rounds = max(whole.rounds // 2, 3)
    eglb.solve(
        fleet, algorithm, gap=gap, max_rounds=rounds, address="inprocess", checkpoint=tmp_path / "kept"
    )
    done = eglb.resume(tmp_path / "kept", max_rounds=3000)
    assert done.status == "converged" and done.audit.gap <= gap
    check_work(done, fleet)
    if algorithm != "newton":  # its agents know what dies with them
        assert done.rounds == whole.rounds
        np.testing.assert_array_equal(done.work, whole.work)


@pytest.mark.parametrize("algorithm", list(GAPS))
def test_days_rolled_forward_by_an_hour_start_where_the_last_ones_ended(algorithm: str) -> None:
    base = with_jobs(eglb.load("synthetic:8x73"), 0.2, 6)
    now, following = base.window(0, 72), base.window(1, 72)
    warm = solve(following, algorithm, warm_start=solve(now, algorithm))
    cold = solve(following, algorithm)
    check_work(warm, following)
    assert warm.status == "converged" and warm.audit.gap <= GAPS[algorithm]
    assert warm.rounds < cold.rounds


@pytest.mark.parametrize("seed", range(20))
def test_clearing_in_folded_columns_is_of_least_cost(seed: int) -> None:
    s = draw_scenario_with_jobs(seed)
    market, cost = partition(s).market, np.ascontiguousarray(s.price_per_mw_slot().T)
    route, price, unmet = market.clear(cost, np.ascontiguousarray(s.capacity.T))
    assert not unmet.any()
    # Equal to its own dual bound: every region's best answer to these prices, the best powers of the jobs.
    load, room = market.load(route), s.capacity.T
    best = market.best_price(price) - cost
    bound = market.worth(price) - float((np.maximum(best, 0.0) * room).sum())
    spent = float((cost * load).sum())
    assert (load <= room * (1.0 + 1e-9)).all()
    assert bound == pytest.approx(spent, abs=1e-9 * float(np.abs(cost).max() * load.sum()))

"""Deferrable jobs: the model, the central solver and the audit, against loops and a general solver."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog
from support.job_mixes import draw_scenario_with_jobs, jobs_of, optimum_with_jobs

from eglb.planning.audit import audit, lower_bound, violations
from eglb.planning.central.central import solve_central
from eglb.scenarios.jobs import build_jobs, fit_work, job_problems
from eglb.scenarios.scenario import Scenario


@pytest.mark.parametrize("gains", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_central_solver_and_its_certificate_reach_the_optimum(seed: int, gains: bool) -> None:
    s = draw_scenario_with_jobs(seed, gains)
    best = optimum_with_jobs(s)
    for method in ("simplex", "interior-flow") if seed < 10 else ("auto",):
        found = solve_central(s, method=method)
        done = audit(s, found.route, found.demand_price, found.equity_price, found.work, found.work_price)
        size = abs(best) + 1e-6 * float(np.abs(s.price).max()) * float(s.demand.max())
        loose = 1e-5 if method == "interior-flow" else 1e-7
        assert done.objective == pytest.approx(best, abs=loose * size)
        assert best - loose * size <= done.lower_bound <= best + 1e-9 * size
        limit = 1e-5 if method == "interior-flow" else 1e-9
        assert max(done.violations.values()) <= limit * max(s.demand.max(), jobs_of(s).max_mw.max())


@pytest.mark.parametrize("seed", range(20))
def test_no_prices_give_a_bound_above_the_optimum(seed: int) -> None:
    s = draw_scenario_with_jobs(seed, gains=bool(seed % 2))
    best = optimum_with_jobs(s)
    random = np.random.default_rng(seed)
    scale = float(np.abs(s.price).max())
    size = abs(best) + 1e-6 * scale * float(s.demand.max())
    for spread in (0.1, 1.0, 10.0):
        bound = lower_bound(
            s,
            random.normal(scale, spread * scale, s.demand.shape),
            np.abs(random.normal(size=(len(s.footprints), len(s.regions)))),
            random.normal(scale, spread * scale, (len(jobs_of(s)), s.slots)),
        )
        assert bound <= best + 1e-9 * size


@pytest.mark.parametrize("seed", range(12))
def test_bound_is_the_minimum_of_the_lagrangian(seed: int) -> None:
    s = replace(draw_scenario_with_jobs(seed, gains=bool(seed % 2)), footprints=())
    jobs = jobs_of(s)
    random = np.random.default_rng(seed)
    cost = s.price_per_mw_slot()
    demand_price = random.uniform(0.0, 2.0, s.demand.shape) * np.abs(cost).max()
    work_price = random.uniform(0.0, 2.0, (len(jobs), s.slots)) * np.abs(cost).max()
    expected = float((demand_price * s.demand).sum())
    first, last = jobs.slots(s.times, s.slot_hours)
    for m in range(len(jobs)):
        price = work_price[m, first[m] : last[m]]
        power = jobs.max_mw[m]
        found = linprog(
            price / np.abs(cost).max(),
            A_eq=np.ones((1, len(price))),
            b_eq=[jobs.energy_mwh[m] / s.slot_hours / power],
            bounds=[(jobs.min_mw[m] / power, 1.0)] * len(price),
        )
        expected += found.fun * power * np.abs(cost).max()
    for i in range(len(s.regions)):
        for t in range(s.slots):
            offers = [
                (cost[i, t] - demand_price[j, t], s.demand[j, t])
                for j in s.reach_gateway[s.reach_region == i]
            ]
            for p in np.flatnonzero(jobs.pair_region == i):
                m = jobs.pair_job[p]
                if first[m] <= t < last[m]:
                    gain = jobs.pair_gain[p]
                    offers.append((cost[i, t] - work_price[m, t] / gain, jobs.max_mw[m] * gain))
            room = s.capacity[i, t]
            for reduced, wanted in sorted(offers):
                if reduced < 0.0:
                    expected += reduced * min(wanted, room)
                    room -= min(wanted, room)
    bound = lower_bound(s, demand_price, np.zeros((0, len(s.regions))), work_price)
    assert bound == pytest.approx(expected, rel=1e-9, abs=1e-9 * float(np.abs(cost).max() * s.demand.max()))


def by_hand() -> Scenario:
    """Two regions, four hours, no jobs yet."""
    base = draw_scenario_with_jobs(0)
    ones = np.ones((2, 4))
    return replace(
        base,
        times=np.datetime64("2024-01-01T00:00:00", "s") + np.arange(4) * np.timedelta64(3600, "s"),
        regions=("a", "b"),
        region_lat=np.zeros(2),
        region_lon=np.zeros(2),
        pue=np.ones(2),
        capacity=10.0 * ones,
        gateways=("g",),
        gateway_lat=np.zeros(1),
        gateway_lon=np.zeros(1),
        gateway_utc_offset_h=np.zeros(1),
        demand=np.full((1, 4), 6.0),
        price=np.array([[4.0, 1.0, 2.0, 8.0], [5.0, 5.0, 5.0, 5.0]]),
        footprints=(),
        reach_gateway=np.zeros(2, int),
        reach_region=np.arange(2),
        reach_rtt_ms=np.full(2, np.nan),
        jobs=None,
    )


HOUR = np.timedelta64(3600, "s")


def test_a_job_waits_for_the_cheap_hours() -> None:
    base = by_hand()
    t = base.times
    # 9 MWh at 4 MW at most: 4 in the hour of 1 USD, 4 in that of 2 USD, 1 in that of 4 USD, beside 6 MW.
    jobs = build_jobs(
        ["train"], np.array([9.0]), t[:1], t[-1:] + HOUR, np.array([4.0]), np.ones((1, 2), bool)
    )
    s = replace(base, jobs=jobs)
    found = solve_central(s)
    done = audit(s, found.route, found.demand_price, found.equity_price, found.work, found.work_price)
    assert done.objective == pytest.approx(6 * (4 + 1 + 2 + 5) + 4 * 1 + 4 * 2 + 1 * 4)
    assert done.lower_bound == pytest.approx(done.objective)
    assert found.work is not None
    np.testing.assert_allclose(found.work, [[1.0, 4.0, 4.0, 0.0], [0.0] * 4], atol=1e-9)


def test_moving_away_from_home_takes_more_energy() -> None:
    base = by_hand()
    t = base.times
    for cost, expected in ((0.2, 2.0 * (1.0 + 0.1)), (9.0, 2.0 * 5.0)):
        jobs = build_jobs(
            ["train"],
            np.array([2.0]),
            t[1:2],
            t[2:3],
            np.array([4.0]),
            np.ones((1, 2), bool),
            home=np.array([1]),
            checkpoint_cost_mwh=np.array([cost]),
        )
        s = replace(base, jobs=jobs)
        found = solve_central(s)
        done = audit(s, found.route, found.demand_price, found.equity_price, found.work, found.work_price)
        assert done.objective == pytest.approx(6 * (4 + 1 + 2 + 5) + expected)
        assert done.gap == pytest.approx(0.0, abs=1e-9)


def test_violations_say_what_a_job_lacks() -> None:
    base = by_hand()
    t = base.times
    jobs = build_jobs(
        ["train"],
        np.array([4.0]),
        t[1:2],
        t[3:4],
        np.array([3.0]),
        np.ones((1, 2), bool),
        min_mw=np.array([1.0]),
    )
    s = replace(base, jobs=jobs)
    route = np.array([[6.0] * 4, [0.0] * 4])
    fine = np.array([[0.0, 2.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    assert violations(s, route, fine)["jobs"] == 0.0
    assert violations(s, route)["jobs"] == 4.0
    for cell, change, wrong in (
        ((0, 1), -0.5, 0.5),  # half an MWh too little
        ((0, 0), 0.25, 0.25),  # outside its window
        ((1, 1), -0.75, 0.75),  # below zero
    ):
        work = fine.copy()
        work[cell] += change
        assert violations(s, route, work)["jobs"] == pytest.approx(wrong)
    above = np.array([[0.0, 3.5, 0.5, 0.0], [0.0] * 4])
    assert violations(s, route, above)["jobs"] == pytest.approx(0.5)
    assert violations(s, route, fine * 10.0)["capacity"] > 0.0


@pytest.mark.parametrize("seed", range(20))
def test_fitted_work_is_feasible_and_leaves_what_is(seed: int) -> None:
    s = draw_scenario_with_jobs(seed, gains=bool(seed % 2))
    jobs = jobs_of(s)
    random = np.random.default_rng(seed)
    rough = random.normal(0.5, 1.0, (len(jobs.pair_job), s.slots)) * jobs.max_mw[jobs.pair_job][:, None]
    fitted = fit_work(jobs, s.times, s.slot_hours, rough)
    route = np.zeros((len(s.reach_region), s.slots))
    assert violations(s, route, fitted)["jobs"] <= 1e-9 * jobs.max_mw.max()
    again = fit_work(jobs, s.times, s.slot_hours, fitted)
    np.testing.assert_allclose(again, fitted, atol=1e-9 * jobs.max_mw.max())


@pytest.mark.parametrize("seed", [seed for seed in range(20) if draw_scenario_with_jobs(seed).slots > 1])
def test_windows_hold_all_the_work_and_join_again(seed: int) -> None:
    s = draw_scenario_with_jobs(seed)
    cut = s.slots // 2
    before, after = s.window(0, cut), s.window(cut, s.slots - cut)
    work = sum(part.jobs.energy_mwh.sum() for part in (before, after) if part.jobs is not None)
    assert work == pytest.approx(jobs_of(s).energy_mwh.sum())
    for part in (before, after):
        assert part.jobs is None or job_problems(part.jobs, part.times, part.slot_hours) == []
    whole = jobs_of(after.after(before))
    order = [whole.names.index(name) for name in jobs_of(s).names]
    assert sorted(whole.names) == sorted(jobs_of(s).names)
    np.testing.assert_allclose(whole.energy_mwh[order], jobs_of(s).energy_mwh)
    np.testing.assert_array_equal(whole.release[order], jobs_of(s).release)
    np.testing.assert_array_equal(whole.deadline[order], jobs_of(s).deadline)


def test_less_work_is_left_without_a_least_power() -> None:
    s = draw_scenario_with_jobs(3, gains=True)
    jobs = jobs_of(s)
    assert len(jobs) > 2
    unmet = np.zeros(len(jobs))
    unmet[0] = jobs.energy_mwh[0]
    unmet[1] = 0.25 * jobs.energy_mwh[1]
    left = s.without([], None, unmet).jobs
    assert left is not None and left.energy_mwh[0] == left.min_mw[0] == 0.0
    assert left.energy_mwh[1] == pytest.approx(0.75 * jobs.energy_mwh[1]) and left.min_mw[1] == 0.0
    np.testing.assert_array_equal(left.energy_mwh[2:], jobs.energy_mwh[2:])
    np.testing.assert_allclose(left.gain[1:], jobs.gain[1:])


def test_every_problem_of_every_job_is_said() -> None:
    base = by_hand()
    t = base.times
    late = t[-1] + 2 * HOUR
    jobs = build_jobs(
        ["none", "weak", "wide", "flat", "busy", "homeless", "nowhere"],
        np.array([0.0, 1.0, 1.0, 1.0, 9.0, 1.0, 1.0]),
        np.array([t[0], t[0], t[0], t[1] + np.timedelta64(60, "s"), t[0], t[0], t[0]]),
        np.array([t[1], t[1], late, t[2], t[2], t[1], t[1]]),
        np.array([1.0, 0.0, 1.0, 1.0, 4.0, 1.0, 1.0]),
        np.array([[True, True]] * 6 + [[False, False]]),
        checkpoint_cost_mwh=np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
    )
    problems = [f"{jobs.names[m]}: {what}" for m, what in job_problems(jobs, t, 1.0)]
    assert [line.split(":")[0] for line in problems] == list(jobs.names)
    for word, line in zip(
        (
            "above zero",
            "max_mw 0",
            "is not within",
            "no whole slot",
            "need more than",
            "home_region",
            "no region",
        ),
        problems,
        strict=True,
    ):
        assert word in line

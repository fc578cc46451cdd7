"""Jobs hour by hour: who is admitted, what is forced, and that nothing that was admitted is late."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from scipy.optimize import linprog
from support.job_mixes import draw_scenario_with_jobs, jobs_of

from eglb.agents.bidding import Quantity
from eglb.agents.timeline import Look
from eglb.coordinator.online.backlog import Backlog
from eglb.foundation.arrays import Array
from eglb.planning.partition import Partition, partition
from eglb.scenarios.catalog import load
from eglb.scenarios.jobs import build_jobs
from eglb.scenarios.scenario import Scenario


def open_slot(backlog: Backlog, parts: Partition, now: int, demand: Array | None = None) -> None:
    """Begin a slot as the control loop does; agents tell the capacity of the scenario."""
    asked = parts.market.fixed_demand if demand is None else demand
    question = backlog.open(now, 1, asked[now : now + 1])
    try:
        (look,) = next(question).requests
        question.send([Quantity(quantity=parts.region.capacity[:, cast(Look, look).slot])])
    except StopIteration:
        return


def first_come(parts: Partition, now: int, demand: Array | None = None) -> Array:
    """(E,) a route that serves demand and runs no job, by the network's own repair."""
    asked = (parts.market.fixed_demand if demand is None else demand)[now : now + 1]
    market = parts.market.over(asked)
    route, unmet = market.repair(
        market.spread(), np.ascontiguousarray(parts.region.capacity.T[now : now + 1])
    )
    assert not unmet.any()
    return np.asarray(route[0])


def delay_everything(
    scenario: Scenario, promised: Array | None = None, demand: Array | None = None
) -> tuple[Backlog, Array, Partition]:
    """Replay a scenario with a policy that never runs a job by itself; the route (T, E)."""
    parts = partition(scenario, merge_jobs=False)
    backlog = Backlog(parts.market, parts.market.fixed_demand if promised is None else promised)
    routes = []
    for now in range(scenario.slots):
        open_slot(backlog, parts, now, demand)
        routes.append(backlog.commit(first_come(parts, now, demand)))
    open_slot(backlog, parts, scenario.slots, parts.market.fixed_demand[-1:].repeat(scenario.slots + 1, 0))
    return backlog, np.array(routes), parts


def feasible(scenario: Scenario, jobs: list[int], demand: Array) -> bool:
    """Whether some jobs can be done beside `demand` (J, T), by a linear program of its own."""
    table = jobs_of(scenario).take(np.array(jobs))
    slots, edges, pairs = scenario.slots, len(scenario.reach_region), len(table.pair_job)
    first, last = table.slots(scenario.times, scenario.slot_hours)
    place = np.arange((edges + pairs) * slots).reshape(edges + pairs, slots)
    region = np.concatenate([scenario.reach_region, table.pair_region])
    equal, equal_to, below, at_most = [], [], [], []

    def row(cells: Array, value: float) -> Array:
        made = np.zeros(place.size)
        made[cells] = value
        return made

    upper = np.full(place.shape, np.inf)
    for t in range(slots):
        for j in range(len(scenario.gateways)):
            equal.append(row(place[np.flatnonzero(scenario.reach_gateway == j), t], 1.0))
            equal_to.append(demand[j, t])
        for i in range(len(scenario.regions)):
            below.append(row(place[np.flatnonzero(region == i), t], 1.0))
            at_most.append(scenario.capacity[i, t])
    for m in range(len(table)):
        mine = place[edges + np.flatnonzero(table.pair_job == m)]
        upper[edges + np.flatnonzero(table.pair_job == m), : first[m]] = 0.0
        upper[edges + np.flatnonzero(table.pair_job == m), last[m] :] = 0.0
        equal.append(row(mine[:, first[m] : last[m]], 1.0))
        equal_to.append(table.energy_mwh[m] / scenario.slot_hours)
        for t in range(first[m], last[m]):
            below += [row(mine[:, t], 1.0), row(mine[:, t], -1.0)]
            at_most += [table.max_mw[m], -table.min_mw[m]]
    size = float(scenario.capacity.max())
    found = linprog(
        np.zeros(place.size),
        A_eq=np.array(equal),
        b_eq=np.array(equal_to) / size,
        A_ub=np.array(below),
        b_ub=np.array(at_most) / size + 1e-9,
        bounds=[(0.0, None if np.isinf(u) else u) for u in upper.ravel()],
    )
    return found.status == 0


@pytest.mark.parametrize("gains", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_a_policy_that_delays_everything_misses_nothing(seed: int, gains: bool) -> None:
    s = draw_scenario_with_jobs(seed, gains)
    jobs = jobs_of(s)
    backlog, route, parts = delay_everything(s)
    assert not backlog.late.any()
    assert not backlog.left.any()
    assert (backlog.admitted | backlog.refused).all()
    if not gains:  # there is room for all of them, and one slot's choice never takes it from another
        known_at_once = bool((jobs.slots(s.times, s.slot_hours)[0] == 0).all())
        assert not (known_at_once and backlog.refused.any())
    work = parts.expand_work(route)
    assert work is not None
    first, last = jobs.slots(s.times, s.slot_hours)
    tiny = 1e-9 * max(float(s.capacity.max()), float(jobs.max_mw.max()))
    for m in range(len(jobs)):
        mine = jobs.pair_job == m
        power = (work[mine] / jobs.pair_gain[mine][:, None]).sum(0)
        if backlog.refused[m]:
            assert not power.any()
            continue
        assert power.sum() == pytest.approx(jobs.energy_mwh[m] / s.slot_hours, rel=1e-8)
        assert not power[: first[m]].any()
        assert not power[last[m] :].any()
        assert power.max() <= jobs.max_mw[m] + tiny
        assert power[first[m] : last[m]].min() >= jobs.min_mw[m] - tiny
    assert (parts.market.load(route) <= s.capacity.T + tiny).all()
    served = np.add.reduceat(route, parts.market.gateway_start[:-1], axis=1)
    assert served[:, : parts.market.fixed_demand.shape[1]] == pytest.approx(
        parts.market.fixed_demand, abs=tiny
    )


@pytest.mark.parametrize("seed", range(60))
def test_slots_that_are_decided_late_lose_no_work(seed: int) -> None:
    """Until a slot is decided jobs run as was committed before; the policy delays all it can, or nothing."""
    s = draw_scenario_with_jobs(seed)
    jobs, random = jobs_of(s), np.random.default_rng(seed)
    parts = partition(s, merge_jobs=False)
    backlog = Backlog(parts.market, parts.market.fixed_demand, lead=1)
    done, committed = np.zeros(len(jobs)), np.zeros((0, len(parts.market.edge_region)))

    def powers(route: Array, slot: int) -> Array:
        whole = np.zeros((s.slots, len(route)))
        whole[slot] = route
        work = parts.expand_work(whole)
        assert work is not None
        return np.bincount(jobs.pair_job, work[:, slot] / jobs.pair_gain, len(jobs))

    def eager(now: int) -> Array:
        """(E,) a route that runs what it can now."""
        route, work = first_come(parts, now)[None], backlog.work()
        if work is None:
            return np.asarray(route[0])
        now_or_never = replace(
            work, last=work.first + 1, energy=np.minimum(work.energy, work.most), least=0.0 * work.least
        )
        slots = int(now_or_never.last.max())
        market = parts.market.over(
            np.repeat(parts.market.fixed_demand[now : now + 1], slots, 0), now_or_never
        )
        whole = np.ascontiguousarray(np.repeat(route, slots, 0))
        market.complete(whole, np.repeat(parts.region.capacity.T[now : now + 1], slots, 0))
        return np.asarray(whole[0])

    for now in range(s.slots):
        # Nobody can be late for the first slot, before which nothing was committed.
        part = float(random.choice([0.0, 0.1, 0.5, 0.9])) if now else 0.0
        running = powers(committed[0], now) if len(committed) else np.zeros(len(jobs))
        if slots := backlog.turn_to(now):
            ceiling = np.ascontiguousarray(parts.region.capacity.T[now : now + slots])
            backlog.promise(parts.market.fixed_demand[now : now + 1], ceiling, running)
        ran = part * running
        wanted = eager(now) if random.random() < 0.5 else first_come(parts, now)
        route = backlog.commit(wanted, ran, part)
        done += ran + (1.0 - part) * powers(route, now)
        committed = backlog.commitment
    assert backlog.admitted.any() or backlog.refused.all()
    lacks = jobs.energy_mwh / s.slot_hours - done
    assert (lacks[backlog.admitted] <= 1e-8 * jobs.energy_mwh[backlog.admitted] / s.slot_hours).all()
    assert done[backlog.refused] == pytest.approx(0.0)


@pytest.mark.parametrize("seed", range(40))
def test_admission_is_exact(seed: int) -> None:
    """Of jobs known at once, one after the other is admitted iff it can be done with those before it."""
    drawn = draw_scenario_with_jobs(seed)
    jobs = jobs_of(drawn)
    random = np.random.default_rng(seed)
    size = random.uniform(1.0, 3.0)
    jobs = replace(
        jobs,
        energy_mwh=jobs.energy_mwh * size,
        max_mw=jobs.max_mw * size,
        min_mw=jobs.min_mw * size,
        release=np.full(len(jobs), drawn.times[0]),
    )
    jobs = replace(jobs, energy_mwh=np.maximum(jobs.energy_mwh, _least_energy(drawn, jobs)))
    s = replace(drawn, jobs=jobs)
    backlog, _, _ = delay_everything(s)
    taken: list[int] = []
    for m in range(len(jobs)):
        if feasible(s, [*taken, m], s.demand):
            taken.append(m)
    assert np.flatnonzero(backlog.admitted).tolist() == taken
    assert not backlog.late.any()


def _least_energy(scenario: Scenario, jobs: Any) -> Array:
    first, last = jobs.slots(scenario.times, scenario.slot_hours)
    return np.asarray(jobs.min_mw * (last - first) * scenario.slot_hours)


@pytest.mark.parametrize("seed", range(30))
def test_less_demand_than_promised_never_takes_room(seed: int) -> None:
    s = draw_scenario_with_jobs(seed)
    random = np.random.default_rng(seed)
    parts = partition(s, merge_jobs=False)
    promised = parts.market.fixed_demand
    demand = promised * random.random(promised.shape)
    backlog, _, _ = delay_everything(s, promised, demand)
    assert not backlog.late.any()
    assert not backlog.left.any()


def test_a_broken_promise_is_said_and_work_is_done_late_rather_than_demand_dropped() -> None:
    late = 0
    for seed in range(40):
        s = draw_scenario_with_jobs(seed)
        promised = np.zeros_like(partition(s).market.fixed_demand)
        backlog, route, parts = delay_everything(s, promised)
        work = parts.expand_work(route)
        assert work is not None
        jobs = jobs_of(s)
        done = np.bincount(jobs.pair_job, work.sum(1), len(jobs))
        wanted = np.where(backlog.admitted, jobs.energy_mwh / s.slot_hours, 0.0)
        assert done + backlog.late == pytest.approx(wanted, rel=1e-8, abs=1e-9 * wanted.max(initial=0.0))
        served = np.add.reduceat(route, parts.market.gateway_start[:-1], axis=1)
        fixed = parts.market.fixed_demand
        assert served[:, : fixed.shape[1]] == pytest.approx(fixed, abs=1e-9 * fixed.max())
        late += int((backlog.late > 0.0).sum())
    assert late


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_what_was_released_on_the_latest_day_is_expected_again(seed: int, whole: bool) -> None:
    s = draw_scenario_with_jobs(seed, gains=seed % 3 == 0)
    parts = partition(s, merge_jobs=False)
    backlog, jobs = Backlog(parts.market, parts.market.fixed_demand), parts.market.work
    assert jobs is not None
    for now in range(s.slots):
        open_slot(backlog, parts, now)
        slots, day = max(backlog.horizon, 3), 2
        work, standing = backlog.expected(slots, day, whole)
        wanted = 0.0
        for m in np.flatnonzero(backlog.admitted):
            if backlog.left[m] > 0.0:
                wanted += backlog.left[m]
            for shift in range(day, 2 * s.slots + day, day) if now - day < jobs.first[m] <= now else ():
                begin, end = jobs.first[m] + shift - now, jobs.last[m] + shift - now
                if begin < slots:
                    part = 1.0 if whole else (min(end, slots) - begin) / (end - begin)
                    most = jobs.most[m] * (min(end, slots) - begin)
                    wanted += min(jobs.energy[m] * part, most)
        told = standing.sum()
        if work is not None:
            told += work.energy.sum()
            owner = work.owner(slots, parts.market.gateways)
            ways = work.way_start[1:] - work.way_start[:-1]
            assert (owner >= 0).sum() == ((work.last - work.first) * ways).sum()  # none takes another's place
            assert (work.energy <= work.most * (work.last - work.first) * (1.0 + 1e-12)).all()
            assert (work.least <= work.most).all()
        assert told == pytest.approx(wanted, rel=1e-9)
        backlog.commit(first_come(parts, now))


def test_a_job_that_waits_longer_than_a_day_is_expected_in_a_column_of_the_same_reach() -> None:
    base = load("synthetic:3x12,util=0.3")
    hour = np.timedelta64(3600, "s")
    release = base.times[np.arange(8)]
    allowed = np.array([[True, True, False], [False, True, True]] * 4)
    jobs = build_jobs(
        [f"job{m}" for m in range(8)], np.full(8, 1e-3), release, release + 5 * hour, np.ones(8), allowed
    )
    parts = partition(replace(base, jobs=jobs), merge_jobs=False)
    backlog = Backlog(parts.market, parts.market.fixed_demand)
    for now in range(5):
        open_slot(backlog, parts, now)
        backlog.commit(first_come(parts, now))
    work, standing = backlog.expected(5, 2, whole=False)
    assert work is not None
    start, regions = parts.market.gateway_start, parts.market.edge_region
    reach = [tuple(regions[start[column] : start[column + 1]]) for column in work.way_column]
    # Left are jobs 1 to 4; of the latest two slots, 3 and 4 come again after two slots and after four.
    assert reach == 4 * [(1, 2), (0, 1)]
    assert work.first.tolist() == [0, 0, 0, 0, 1, 2, 3, 4]
    assert work.energy == pytest.approx(np.array([5, 5, 5, 5, 4, 3, 2, 1]) / 5 * 1e-3)
    assert not standing.any()

"""Random jobs beside random small fleets, and the optimum of both from a general solver that shares
nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import linprog
from support.small_fleets import draw_scenario

from eglb.foundation.arrays import Array
from eglb.scenarios.jobs import Jobs, build_jobs
from eglb.scenarios.scenario import Scenario


def draw_scenario_with_jobs(seed: int, gains: bool = False) -> Scenario:
    """A drawn fleet and 1..5 jobs that are feasible beside it, because room is made for one plan of them.

    By chance: jobs in one region or one slot, at full power throughout, with a least power, alike, with no
    room beside them at all, and (`gains`) with a home.
    """
    random = np.random.default_rng([seed, 1])
    base = draw_scenario(seed)
    regions, slots, count = len(base.regions), base.slots, int(random.integers(1, 6))
    first = random.integers(0, slots, count)
    last = np.array([random.integers(a + 1, slots + 1) for a in first])
    allowed = random.random((count, regions)) < random.uniform(0.2, 1.0)
    allowed[np.arange(count), random.integers(regions, size=count)] = True
    size = max(float(base.demand.mean()), 1e-9) * random.uniform(0.05, 1.5)
    power = size * random.uniform(0.2, 1.0, count)
    length = last - first
    least = np.where(random.random(count) < 0.3, power * random.uniform(0.0, 0.5, count), 0.0)
    part = np.where(random.random(count) < 0.2, 1.0, random.uniform(0.1, 1.0, count))
    energy = (least + part * (power - least)) * length
    if count > 1 and random.random() < 0.3:
        first[1], last[1], allowed[1] = first[0], last[0], allowed[0]
        power[1], least[1], energy[1] = 2.0 * power[0], 2.0 * least[0], 2.0 * energy[0]
    home = np.full(count, -1)
    cost = np.zeros(count)
    if gains:
        home = np.array([random.choice(np.flatnonzero(row)) for row in allowed])
        cost = energy * random.uniform(0.0, 0.3, count)
    room = np.zeros_like(base.capacity)
    for m in range(count):
        share = random.dirichlet(np.ones(allowed[m].sum()))
        done = (energy[m] / (last[m] - first[m])) * share * np.where(gains, 1.3, 1.0)
        room[allowed[m], first[m] : last[m]] += done[:, None]
    step = np.timedelta64(3600, "s")
    jobs = build_jobs(
        [f"job{m}" for m in range(count)],
        energy,
        base.times[0] + first * step,
        base.times[0] + last * step,
        power,
        allowed,
        min_mw=least,
        home=home,
        checkpoint_cost_mwh=cost,
    )
    return replace(base, capacity=base.capacity + room, jobs=jobs)


def optimum_with_jobs(scenario: Scenario) -> float:
    """USD: the problem as it is written, handed to a general linear solver."""
    jobs = scenario.jobs
    assert jobs is not None
    n, slots, edges = len(scenario.regions), scenario.slots, len(scenario.reach_region)
    pairs, kinds = len(jobs.pair_job), len(scenario.footprints)
    region = np.concatenate([scenario.reach_region, jobs.pair_region])
    count = (edges + pairs) * slots
    place = np.arange(count).reshape(edges + pairs, slots)
    equal, above, equal_to, at_most = [], [], [], []

    def row(columns: Array, values: Array | float) -> Array:
        made = np.zeros(count + kinds)
        made[columns] = values
        return made

    for j, t in np.ndindex(*scenario.demand.shape):
        equal.append(row(place[np.flatnonzero(scenario.reach_gateway == j), t], 1.0))
        equal_to.append(scenario.demand[j, t])
    for i, t in np.ndindex(n, slots):
        above.append(row(place[np.flatnonzero(region == i), t], 1.0))
        at_most.append(scenario.capacity[i, t] * (1.0 + 1e-13))
    upper = np.full(count + kinds, np.inf)
    first, last = jobs.slots(scenario.times, scenario.slot_hours)
    for m in range(len(jobs)):
        mine = np.flatnonzero(jobs.pair_job == m)
        share = 1.0 / jobs.pair_gain[mine]
        at = place[edges + mine]
        outside = np.ones(slots, bool)
        outside[first[m] : last[m]] = False
        upper[at[:, outside]] = 0.0
        equal.append(row(at[:, ~outside], np.repeat(share[:, None], (~outside).sum(), 1)))
        equal_to.append(jobs.energy_mwh[m] / scenario.slot_hours)
        for t in range(first[m], last[m]):
            above += [row(at[:, t], share), row(at[:, t], -share)]
            at_most += [jobs.max_mw[m], -jobs.min_mw[m]]
    power = max(float(scenario.demand.max()), float(jobs.max_mw.max()))
    sides = np.array(at_most) / power
    price = np.zeros(count + kinds)
    price[place] = scenario.price_per_mw_slot()[region]
    money = float(np.abs(price).max())
    price /= money
    for k, kind in enumerate(scenario.footprints):
        intensity = scenario.intensity_per_mw_slot(kind) * kind.region_weight[:, None]
        size = max(float(intensity.max()), 1e-300)
        for i in range(n):
            mine = np.flatnonzero(region == i)
            level = row(place[mine], intensity[i] / size)
            level[count + k] = -1.0
            above.append(level)
            sides = np.append(sides, 0.0)
        price[count + k] = kind.weight * size / money
    bounds = [(0.0, None if np.isinf(u) else u) for u in upper[:count]] + [(None, None)] * kinds
    found = linprog(
        price,
        A_ub=np.array(above),
        b_ub=sides,
        A_eq=np.array(equal),
        b_eq=np.array(equal_to) / power,
        bounds=bounds,
        method="highs",
    )
    assert found.status == 0, found.message
    return float(found.fun) * power * money


def jobs_of(scenario: Scenario) -> Jobs:
    """The jobs of a scenario that has some."""
    assert scenario.jobs is not None
    return scenario.jobs

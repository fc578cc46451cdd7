"""Prices of capacity, of demand and of work that agree with each other.

A job asks a region for load as a gateway does, for at most its max_mw in a slot of its window, and pays its
work price q_m(t) per MW of work; load away from home does less work, and earns less by its gain.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from eglb.foundation.arrays import Array
from eglb.planning.audit import worth_of_work
from eglb.scenarios.jobs import Jobs
from eglb.scenarios.scenario import Scenario

# Passes after which capacity and demand prices are taken as they are; a few suffice.
PASSES = 50


def sharpen(
    scenario: Scenario, cost: Array, demand_price: Array, work_price: Array | None = None
) -> tuple[Array, Array, Array | None]:
    """Prices of capacity (N, T), demand (J, T) and, with jobs, work (M, T) that agree, with a bound no lower
    than before.

    `cost` is (N, T), energy and surcharges. Of the capacity prices that agree, the smallest is taken: what
    one MW more is worth, not one MW less.
    """
    for _ in range(PASSES):
        capacity_price = knapsack_price(scenario, cost, demand_price, work_price)
        full_price = cost + capacity_price
        lowest = np.full(demand_price.shape, np.inf)
        np.minimum.at(lowest, scenario.reach_gateway, full_price[scenario.reach_region])
        work_before, work_price = work_price, _lowest_of_work(scenario, full_price)
        same = work_price is None or (work_before is not None and np.array_equal(work_price, work_before))
        if same and (lowest == demand_price).all():
            break
        demand_price = lowest
    return capacity_price, demand_price, work_price


def _lowest_of_work(scenario: Scenario, full_price: Array) -> Array | None:
    """(M, T) the lowest full price of a MW of work within its reach, at any time; None without jobs."""
    if (jobs := scenario.jobs) is None:
        return None
    lowest = np.full((len(jobs), scenario.slots), np.inf)
    np.minimum.at(lowest, jobs.pair_job, full_price[jobs.pair_region] * jobs.pair_gain[:, None])
    return lowest


def knapsack_price(
    scenario: Scenario, cost: Array, demand_price: Array, work_price: Array | None = None
) -> Array:
    """(N, T) multiplier of each region's capacity, if gateways offer `demand_price`, jobs `work_price` (zero
    if not given), and serving costs `cost`.

    A region takes the best offers first, each up to what is asked for; the price is the margin of the first
    offer that no longer fits whole, or 0 if all that pay fit.
    """
    price = np.zeros(cost.shape)
    region, user, demand, offered = _offers(scenario, demand_price, work_price)
    pair_start = np.searchsorted(region, np.arange(len(price) + 1))
    slots = np.arange(scenario.slots)
    for i, (start, end) in enumerate(pairwise(pair_start)):
        if start == end:
            continue
        here = user[start:end]
        margin = offered[here] - cost[i]
        order = np.argsort(-margin, axis=0, kind="stable")
        taken = np.cumsum(np.take_along_axis(demand[here], order, axis=0), axis=0)
        over = taken > scenario.capacity[i] * (1.0 + 1e-9)
        first = over.argmax(axis=0)
        marginal = np.take_along_axis(margin, order, axis=0)[first, slots]
        price[i] = np.where(over[first, slots], np.maximum(marginal, 0.0), 0.0)
    return price


def _offers(
    scenario: Scenario, demand_price: Array, work_price: Array | None
) -> tuple[Array, Array, Array, Array]:
    """Who asks which region, by region: regions and users of the pairs; of each user the most MW it asks for
    and what it offers, (U, T). Users are the gateways, then the jobs at home, then the jobs away from it.
    """
    s = scenario
    if (jobs := s.jobs) is None:
        return s.reach_region, s.reach_gateway, s.demand, demand_price
    if work_price is None:
        work_price = np.zeros((len(jobs), s.slots))
    _, most = worth_of_work(s, jobs, work_price)
    gains = [np.ones((len(jobs), 1)), jobs.gain[:, None]]
    of_pair = len(s.demand) + jobs.pair_job + len(jobs) * (jobs.pair_gain > 1.0)
    region = np.concatenate([s.reach_region, jobs.pair_region])
    user = np.concatenate([s.reach_gateway, of_pair])
    order = np.argsort(region, kind="stable")
    demand = np.concatenate([s.demand, *(most * gain for gain in gains)])
    offered = np.concatenate([demand_price, *(work_price / gain for gain in gains)])
    return region[order], user[order], demand, offered


def energy_price(scenario: Scenario, jobs: Jobs, work_price: Array) -> Array:
    """(M,) USD per MW-slot: pi_m, what the dearest of each job's work costs, and more would at least."""
    price = np.zeros(len(jobs))
    for m, (first, last) in enumerate(zip(*jobs.slots(scenario.times, scenario.slot_hours), strict=True)):
        spare = jobs.max_mw[m] - jobs.min_mw[m]
        left = jobs.energy_mwh[m] / scenario.slot_hours - jobs.min_mw[m] * (last - first)
        full = int(np.ceil(left / spare - 1e-9)) if spare > 0.0 else last - first
        price[m] = np.sort(work_price[m, first:last])[np.clip(full, 1, last - first) - 1]
    return price

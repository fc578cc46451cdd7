"""Every number a plan is reported with, recomputed from the raw scenario.

Shares nothing with `agents` and `coordinator`, nor with the central solver: what any of them claims is
believed only as far as this agrees. The lower bound is the Lagrangian one. With a price nu_j(t) on demand and
mu_ik on region i's weighted total of kind k, and ``c_i = p_i + sum_k mu_ik s_ik a_ik``,

    L(nu, mu) = sum_jt nu_j d_j
                + sum_it min { sum_{j~i} (c_i - nu_j) x_j : 0 <= x_j <= d_j, sum_j x_j <= cap_i }

never exceeds the optimum for any nu and any mu >= 0 with sum_i mu_ik f_i <= lambda_k shape_k(f) for all
f >= 0: for the maximum, sum_i mu_ik <= lambda_k; for the mean of the M worst, mu_ik <= lambda_k / M as well;
for the L_Q norm, |mu_k|_P <= lambda_k with 1/P + 1/Q = 1. The inner minimum is a fractional knapsack: fill
the region with the most negative reduced costs first. (Everett 1963; Fisher 1981.)

A job is one more gateway there, asking for at most its max_mw in a slot of its window, with a price q_m(t) on
work. What demand contributes, nu d, is for a job what its work costs at least at these prices, over all ways
to spread it over the slots of its window: min { sum_t q_m(t) s(t) : min_mw <= s <= max_mw, sum_t s h = E_m }.
Load of gain g per MW of work earns q_m / g. That is the Lagrangian of z_mi summed over regions being s, so it
holds for any q.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from eglb.foundation.arrays import Array
from eglb.foundation.equity_shape import EquityShape
from eglb.scenarios.jobs import Jobs
from eglb.scenarios.scenario import FootprintKind, Scenario

# Pairs x slots worked on together in the bound: keeps its memory at some tens of MB on any fleet.
CELLS_AT_ONCE = 1 << 20


def audit(
    scenario: Scenario,
    route: Array,
    demand_price: Array,
    equity_price: Array,
    work: Array | None = None,
    work_price: Array | None = None,
) -> Audit:
    """Objective, certified lower bound, gap, totals and violations of a plan and the duals that go with it.

    ``gap = (objective - lower_bound) / max(|objective|, tiny)``: with negative prices the objective may be
    zero or less, and the gap is then relative to its size. Violations are in MW: ``demand`` the largest
    ``|sum_i x_ij - d_j|``, ``capacity`` the largest excess of a load over its capacity, ``reach`` the most
    negative flow (a flow off the reach pairs cannot be written as a route). With jobs, ``jobs`` is the
    largest of what a job lacks or has too much of over its window, in MW for one slot, its power above
    max_mw or below min_mw, power outside its window, and negative power.

    Parameters
    ----------
    route : (E, T) MW on the scenario's reach pairs. demand_price : (J, T) USD per MW-slot.
    equity_price : (K, N) USD per region-weighted unit; made valid first, see :func:`valid_equity_price`.
    work : (P, T) MW of load on the jobs' pairs, none if not given. work_price : (M, T) USD per MW-slot of
        work, zero if not given.

    Raises
    ------
    ValueError : an array has another shape or holds a number that is not finite.
    """
    load = region_load(scenario, route, work)
    objective = plan_objective(scenario, load)
    bound = lower_bound(scenario, demand_price, equity_price, work_price)
    return Audit(
        objective=objective,
        lower_bound=bound,
        gap=relative_gap(objective, bound),
        energy_cost_usd=energy_cost(scenario, load),
        footprints=footprint_totals(scenario, load),
        violations=violations(scenario, route, work),
    )


def relative_gap(objective: float, bound: float) -> float:
    """``(objective - bound) / max(|objective|, tiny)``."""
    return (objective - bound) / max(abs(objective), float(np.finfo(float).tiny))


def region_load(scenario: Scenario, route: Array, work: Array | None = None) -> Array:
    """(N, T) MW: what each region serves under `route`, (E, T) MW, and `work`, (P, T) MW on jobs' pairs."""
    _require("route", route, (len(scenario.reach_region), scenario.slots))
    load = _sums(scenario.reach_region, len(scenario.regions)) @ route
    if work is not None and scenario.jobs is not None:
        _require("work", work, (len(scenario.jobs.pair_job), scenario.slots))
        load += _sums(scenario.jobs.pair_region, len(scenario.regions)) @ work
    return load


def energy_cost(scenario: Scenario, load: Array) -> float:
    """USD for the energy of `load`, (N, T) MW."""
    return float(np.einsum("it,it->", scenario.price_per_mw_slot(), load))


def plan_objective(scenario: Scenario, load: Array) -> float:
    """USD: energy cost plus, for each kind, its weight times the shape of `load`'s region-weighted totals."""
    _require("load", load, (len(scenario.regions), scenario.slots))
    terms = [kind.weight * shaped_total(scenario, kind, load) for kind in scenario.footprints]
    return math.fsum([energy_cost(scenario, load), *terms])


def shaped_total(scenario: Scenario, kind: FootprintKind, load: Array) -> float:
    """What the equity weight of `kind` is paid for under `load` (N, T): the largest region-weighted total,
    the mean of the M largest, or their L_Q norm.
    """
    return shaped(kind.shape, kind.region_weight * _totals(scenario.intensity_per_mw_slot(kind), load))


def shaped(shape: EquityShape, weighted_totals: Array) -> float:
    """One number from region-weighted totals (N,), as `shape` says, in their unit."""
    if shape.family == "lq":
        return float(np.linalg.norm(weighted_totals, ord=shape.parameter))
    worst = sorted(weighted_totals.tolist(), reverse=True)[: shape.parameter]
    return math.fsum(worst) / len(worst)


def footprint_totals(scenario: Scenario, load: Array) -> dict[str, FootprintTotals]:
    """Unweighted totals over the horizon of every footprint kind under `load`, (N, T) MW.

    `par` is NaN where no region has any footprint.
    """
    _require("load", load, (len(scenario.regions), scenario.slots))
    found = {}
    for kind in scenario.footprints:
        totals = _totals(scenario.intensity_per_mw_slot(kind), load)
        average, worst = float(totals.mean()), float(totals.max())
        found[kind.name] = FootprintTotals(
            unit=kind.unit,
            total=float(totals.sum()),
            avg=average,
            max=worst,
            par=worst / average if average > 0.0 else math.nan,
            by_region=dict(zip(scenario.regions, totals.tolist(), strict=True)),
        )
    return found


def violations(scenario: Scenario, route: Array, work: Array | None = None) -> dict[str, float]:
    """The largest violation of each constraint by `route`, (E, T) MW, and `work`, (P, T) MW, as :func:`audit`
    defines them; MW.
    """
    load = region_load(scenario, route, work)
    served = _sums(scenario.reach_gateway, len(scenario.gateways)) @ route
    found = {
        "demand": float(np.abs(served - scenario.demand).max(initial=0.0)),
        "capacity": float((load - scenario.capacity).max(initial=0.0)),
        "reach": max(0.0, -float(route.min(initial=0.0))),
    }
    if scenario.jobs is not None:
        found["jobs"] = _job_violation(scenario, scenario.jobs, work)
    return found


def _job_violation(scenario: Scenario, jobs: Jobs, work: Array | None) -> float:
    if work is None:
        work = np.zeros((len(jobs.pair_job), scenario.slots))
    done = _sums(jobs.pair_job, len(jobs)) @ (work / jobs.pair_gain[:, None])
    worst = max(0.0, -float(work.min(initial=0.0)))
    for m, (first, last) in enumerate(zip(*jobs.slots(scenario.times, scenario.slot_hours), strict=True)):
        inside = done[m, first:last]
        outside = float(np.abs(done[m]).sum() - np.abs(inside).sum())
        whole = abs(float(inside.sum()) - jobs.energy_mwh[m] / scenario.slot_hours)
        above = float((inside - jobs.max_mw[m]).max(initial=0.0))
        below = float((jobs.min_mw[m] - inside).max(initial=0.0))
        worst = max(worst, whole, above, below, outside)
    return float(worst)


def valid_equity_price(scenario: Scenario, equity_price: Array) -> Array:
    """(K, N) in the sets of the bound: negative prices to 0, then each kind scaled to its weight.

    Scaling down makes a price valid; scaling up cannot lower the bound, as footprints are never negative.
    Under the mean of the M worst, what is then above a share of one M-th is cut off. A kind without any
    positive price keeps zeros.
    """
    _require("equity_price", equity_price, (len(scenario.footprints), len(scenario.regions)))
    valid = np.zeros(equity_price.shape)
    for k, kind in enumerate(scenario.footprints):
        positive = np.maximum(equity_price[k], 0.0)
        largest = float(positive.max(initial=0.0))
        if largest > 0.0:
            # Divided by the largest first: a sum of huge or of denormal prices would not scale.
            share = positive / largest
            power = kind.shape.parameter / (kind.shape.parameter - 1) if kind.shape.family == "lq" else 1.0
            valid[k] = share * (kind.weight / float(np.linalg.norm(share, ord=power)))
            if kind.shape.family == "worst":
                cap = kind.weight / min(kind.shape.parameter, len(scenario.regions))
                valid[k] = np.minimum(valid[k], cap)
    return valid


def worth_of_work(scenario: Scenario, jobs: Jobs, work_price: Array) -> tuple[float, Array]:
    """USD that all work costs at least at `work_price` (M, T), and the most MW (M, T) each job may use."""
    most, worth = np.zeros(work_price.shape), []
    for m, (first, last) in enumerate(zip(*jobs.slots(scenario.times, scenario.slot_hours), strict=True)):
        price = np.sort(work_price[m, first:last])
        spare = jobs.max_mw[m] - jobs.min_mw[m]
        left = jobs.energy_mwh[m] / scenario.slot_hours - jobs.min_mw[m] * len(price)
        more = np.clip(left - spare * np.arange(len(price)), 0.0, spare)
        worth.append(float(price @ (jobs.min_mw[m] + more)))
        if jobs.energy_mwh[m] > 0.0:  # else all of it was left undone, and it takes no part
            most[m, first:last] = jobs.max_mw[m]
    return math.fsum(worth), most


def lower_bound(
    scenario: Scenario, demand_price: Array, equity_price: Array, work_price: Array | None = None
) -> float:
    """USD: a bound no feasible plan's objective can beat, the module's L(nu, mu), from any prices.

    Parameters
    ----------
    demand_price : (J, T) USD per MW-slot, any sign.
    equity_price : (K, N) USD per region-weighted unit, made valid by :func:`valid_equity_price`.
    work_price : (M, T) USD per MW-slot of the jobs' work, any sign; zero if not given.

    Raises
    ------
    ValueError : an array has another shape or holds a number that is not finite.
    """
    slots = scenario.slots
    _require("demand_price", demand_price, (len(scenario.gateways), slots))
    price = valid_equity_price(scenario, equity_price)
    cost = scenario.price_per_mw_slot()
    for k, kind in enumerate(scenario.footprints):
        if kind.weight > 0.0:
            cost += (price[k] * kind.region_weight)[:, None] * scenario.intensity_per_mw_slot(kind)
    bound = [float(np.einsum("jt,jt->", demand_price, scenario.demand))]
    reach = (scenario.reach_region, scenario.reach_gateway)
    demand = scenario.demand
    if (jobs := scenario.jobs) is not None:
        work_price = np.zeros((len(jobs), slots)) if work_price is None else work_price
        _require("work_price", work_price, (len(jobs), slots))
        worth, most = worth_of_work(scenario, jobs, work_price)
        bound.append(worth)
        # At home and away a job is two gateways: its load earns different prices there.
        gain = np.stack([np.ones(len(jobs)), jobs.gain])
        of_pair = len(demand) + jobs.pair_job + len(jobs) * (jobs.pair_gain > 1.0)
        reach = (np.append(reach[0], jobs.pair_region), np.append(reach[1], of_pair))
        demand = np.concatenate([demand, *(most * g[:, None] for g in gain)])
        demand_price = np.concatenate([demand_price, *(work_price / g[:, None] for g in gain)])
    for regions, gateways in _by_degree(*reach, len(scenario.regions)):
        slots_at_once = max(1, CELLS_AT_ONCE // gateways.size)
        for start in range(0, slots, slots_at_once):
            span = slice(start, start + slots_at_once)
            bound.append(
                _knapsacks(
                    cost[regions, span],
                    scenario.capacity[regions, span],
                    demand_price[:, span],
                    demand[:, span],
                    gateways,
                )
            )
    return math.fsum(bound)


def _knapsacks(cost: Array, capacity: Array, demand_price: Array, demand: Array, gateways: Array) -> float:
    """The inner minima of (R, T') regions and slots, summed; `gateways` (R, degree) is those served."""
    reduced = cost.T[:, :, None] - demand_price.T[:, gateways]  # (T', R, degree)
    order = np.argsort(reduced, axis=2)
    reduced = np.minimum(np.take_along_axis(reduced, order, axis=2), 0.0)
    wanted = np.take_along_axis(demand.T[:, gateways], order, axis=2)
    room = capacity.T[:, :, None] - (np.cumsum(wanted, axis=2) - wanted)
    return float(np.einsum("tij,tij->", reduced, np.minimum(wanted, np.maximum(room, 0.0))))


def _by_degree(reach_region: Array, reach_gateway: Array, regions_in_all: int) -> list[tuple[Array, Array]]:
    """Regions (R,) that may serve equally many gateways, and those gateways (R, degree): no padding."""
    degree = np.bincount(reach_region, minlength=regions_in_all)
    order = np.argsort(reach_region, kind="stable")
    first = np.cumsum(degree) - degree
    groups = []
    for size in np.unique(degree[degree > 0]):
        alike = np.flatnonzero(degree == size)
        regions_at_once = max(1, CELLS_AT_ONCE // int(size))
        for start in range(0, len(alike), regions_at_once):
            regions = alike[start : start + regions_at_once]
            groups.append((regions, reach_gateway[order[first[regions][:, None] + np.arange(size)]]))
    return groups


def _sums(member: Array, groups: int) -> sp.csr_matrix:
    """(groups, E) matrix that adds up the pairs of each group."""
    pairs = len(member)
    return sp.csr_matrix((np.ones(pairs), (member, np.arange(pairs))), shape=(groups, pairs))


def _totals(intensity: Array, load: Array) -> Array:
    return np.einsum("it,it->i", intensity, load)


def _require(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if np.shape(array) != shape:
        raise ValueError(f"{name} has shape {np.shape(array)}, the scenario needs {shape}")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        at = tuple(int(index) for index in bad[0])
        raise ValueError(f"{name}{list(at)} is {array[at]}: {len(bad)} of its numbers are not finite")


@dataclass(frozen=True)
class FootprintTotals:
    """Unweighted totals of one footprint kind over the horizon, in `unit`; `par` = max / avg."""

    unit: str
    total: float
    avg: float
    max: float
    par: float
    by_region: dict[str, float]


@dataclass(frozen=True)
class Audit:
    """Every reported number of a plan, recomputed from the raw scenario.

    `objective` (USD) is the plan's; `lower_bound` (USD) the Lagrangian bound of the duals it came with;
    `violations` are the largest absolute ones in MW under ``demand``, ``capacity`` and ``reach``.
    """

    objective: float
    lower_bound: float
    gap: float
    energy_cost_usd: float
    footprints: dict[str, FootprintTotals]
    violations: dict[str, float]

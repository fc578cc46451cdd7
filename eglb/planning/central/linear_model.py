"""The central linear program of a scenario, reduced and scaled, as the arrays a solver takes.

    minimise    sum_it p_i y_i + sum_k lam_k z_k
    subject to  sum_i x_gi = d_g (demand),  sum_g x_gi = y_i <= cap_i (capacity),  x >= 0
                s_ik sum_t a_ik y_i <= z_k (footprint)

Under an equity shape other than the maximum, regions have levels e_ik >= 0 of their own. For the mean of the
M worst, footprints may exceed z_k by e_ik at lam_k / M each. For a norm, they are at most e_ik, and z_k is at
least every tangent of the norm at e that was added so far (`tangent`).

Reductions: gateways g that reach the same regions are one; kinds of weight 0 are left out; a region that only
one g reaches has its load in that x, and its capacity as the bound. For the others the load is either
written out as a sum over x wherever it occurs (form ``"flow"``) or a variable y of its own (``"load"``):
fewer nonzeros against more rows. Demand is scaled to its largest, prices and footprints to their means,
so that a solver's absolute tolerances mean the same for every fleet.

Jobs add z_mi(t) >= 0 in the slots of their windows, which count as load, and the rows

    sum_it z_mi(t) / gain_mi = E_m / h (work),    min_m <= sum_i z_mi(t) / gain_mi <= max_m (power).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from eglb.foundation.arrays import Array
from eglb.planning.gateway_merging import Pairs, merge_gateways
from eglb.scenarios.jobs import Jobs
from eglb.scenarios.scenario import Scenario

if TYPE_CHECKING:
    import highspy


FORMS = ("flow", "load")


@dataclass(frozen=True, eq=False)
class LinearModel:
    """``min cost x : row_lower <= matrix x <= row_upper, lower <= x <= upper``, scaled, and the way back.

    Columns are the flows (T, E'), then the loads (T, M) of form ``"load"``, then z (K'), then the own levels
    (N each) of the kinds in `own_levels`, which holds the first columns. Rows are demand (T, G), capacity
    (T, M) for the M regions that several groups reach, then footprints (K', N) from `first_footprint` on,
    then the tangents of the norms.

    With `work`, its columns follow last, and its rows, work (M), then power (L), precede the tangents.
    """

    pairs: Pairs
    kinds: tuple[int, ...]
    kinds_of_scenario: int
    matrix: sp.csc_matrix
    cost: Array
    lower: Array
    upper: Array
    row_lower: Array
    row_upper: Array
    demand_unit: float
    price_unit: float
    footprint_unit: Array
    first_footprint: int
    own_levels: dict[int, int]
    work: WorkColumns | None = None

    def flow(self, columns: Array) -> Array:
        """(E', T) MW from the solver's column values."""
        slots = self.pairs.demand.shape[1]
        pairs = len(self.pairs.region)
        return np.ascontiguousarray(columns[: slots * pairs].reshape(slots, pairs).T) * self.demand_unit

    def demand_price(self, row_dual: Array) -> Array:
        """(J, T) USD per MW-slot from the row duals (the optimum's change per unit of a row's side)."""
        groups, slots = self.pairs.demand.shape
        price = row_dual[: slots * groups].reshape(slots, groups).T * self.price_unit
        return np.ascontiguousarray(price[self.pairs.group])

    def equity_price(self, row_dual: Array) -> Array:
        """(K, N) USD per region-weighted unit; footprint rows are upper limits: dual = -price."""
        regions = len(self.pairs.capacity)
        price = np.zeros((self.kinds_of_scenario, regions))
        if self.kinds:
            last = self.first_footprint + len(self.kinds) * regions
            dual = row_dual[self.first_footprint : last].reshape(len(self.kinds), regions)
            unit = self.price_unit * self.demand_unit / self.footprint_unit
            price[list(self.kinds)] = np.maximum(-dual, 0.0) * unit[:, None]
        return price

    def work_on_pairs(self, columns: Array) -> Array | None:
        """(P, T) MW of the jobs' pairs from the solver's column values; None without jobs."""
        if self.work is None:
            return None
        work = np.zeros((self.work.pairs, self.pairs.demand.shape[1]))
        work[self.work.pair, self.work.slot] = columns[self.work.first_column :] * self.demand_unit
        return work

    def work_price(self, row_dual: Array) -> Array | None:
        """(M, T) USD per MW-slot of work from the row duals: of the job, and of its power in a slot."""
        if self.work is None:
            return None
        w = self.work
        price = np.zeros((w.jobs, self.pairs.demand.shape[1]))
        powers = w.first_row + w.jobs
        price[w.power_job, w.power_slot] = (
            row_dual[w.first_row + w.power_job] + row_dual[powers : powers + len(w.power_job)]
        ) * self.price_unit
        return price

    def own_level(self, kind: int, columns: Array) -> Array:
        """(N,) the levels of the regions in `kind`, an index into `kinds`, in the model's units."""
        first = self.own_levels[kind]
        return columns[first : first + len(self.pairs.capacity)]

    def tangent(self, kind: int, gradient: Array) -> tuple[Array, Array]:
        """Columns and values of the row `gradient` . e <= z, the row being at most zero."""
        first_z = min(self.own_levels.values()) - len(self.kinds)
        own = self.own_levels[kind] + np.arange(len(gradient))
        return np.append(own, first_z + kind), np.append(gradient, -1.0)

    def optimum(self, objective: float) -> float:
        """USD from the solver's objective value."""
        return objective * self.price_unit * self.demand_unit


@dataclass(frozen=True, eq=False)
class WorkColumns:
    """Where jobs are in a model: columns are pairs in slots (`pair`, `slot`), from `first_column` on; rows
    from `first_row` on are the jobs', then one for each of (`power_job`, `power_slot`).
    """

    jobs: int
    pairs: int
    pair: Array
    slot: Array
    power_job: Array
    power_slot: Array
    first_column: int
    first_row: int


def build_model(
    scenario: Scenario, *, form: str = "flow", pairs: Pairs | None = None, cost: Array | None = None
) -> LinearModel:
    """The linear program of `scenario`; with `cost`, of that cost alone, no footprint term and no jobs.

    Parameters
    ----------
    form : one of `FORMS`.
    pairs : of :func:`merge_gateways`, or of :func:`separate_gateways` where `cost` depends on the gateway.
    cost : (E', T), USD (or any unit) for one MW on each of the `pairs` in each slot.
    """
    pairs = merge_gateways(scenario) if pairs is None else pairs
    n, slots = pairs.capacity.shape
    groups, edges = len(pairs.demand), len(pairs.region)
    kinds = (
        ()
        if cost is not None
        else tuple(k for k, kind in enumerate(scenario.footprints) if kind.weight > 0.0)
    )
    price = scenario.price_per_mw_slot() if cost is None else cost
    intensity = [
        scenario.intensity_per_mw_slot(scenario.footprints[k]) * scenario.footprints[k].region_weight[:, None]
        for k in kinds
    ]
    jobs = scenario.jobs if cost is None else None
    largest = float(pairs.demand.max(initial=0.0))
    demand_unit = _unit(largest if jobs is None else max(largest, float(jobs.max_mw.max())))
    price_unit = _unit(float(np.abs(price).mean()))
    footprint_unit = np.array([demand_unit * _unit(float(a.mean())) for a in intensity])

    users = np.bincount(pairs.region, minlength=n)
    if jobs is not None:
        users = users + 2 * np.bincount(jobs.pair_region, minlength=n)
    shared = np.flatnonzero(users > 1)  # regions that several groups reach
    place = np.full(n, -1)
    place[shared] = np.arange(len(shared))
    pair_shared = place[pairs.region]
    with_load = form == "load" and len(shared) > 0
    loads = len(shared) if with_load else 0
    slot = np.arange(slots)

    # Demand rows.
    x_columns = slot[:, None] * edges + np.arange(edges)
    rows = [(slot[:, None] * groups + pairs.gateway).ravel()]
    columns = [x_columns.ravel()]
    values = [np.ones(slots * edges)]
    # Capacity rows: the flows into each shared region, minus its load where that is a variable.
    into = np.flatnonzero(pair_shared >= 0)
    first_capacity = slots * groups
    rows.append((first_capacity + slot[:, None] * len(shared) + pair_shared[into]).ravel())
    columns.append(x_columns[:, into].ravel())
    values.append(np.ones(slots * len(into)))
    y_columns = slots * edges + slot[:, None] * loads + np.arange(loads)
    if with_load:
        rows.append((first_capacity + slot[:, None] * loads + np.arange(loads)).ravel())
        columns.append(y_columns.ravel())
        values.append(np.full(slots * loads, -1.0))
    # What stands for a region's load: its y, or all flows into it.
    if with_load:
        alone = np.flatnonzero(pair_shared < 0)
        carriers = np.concatenate([x_columns[:, alone], y_columns], axis=1)
        carrier_region = np.concatenate([pairs.region[alone], shared])
    else:
        carriers, carrier_region = x_columns, pairs.region
    first_footprint = first_capacity + slots * len(shared)
    first_z = slots * (edges + loads)
    shapes = [scenario.footprints[k].shape for k in kinds]
    own_levels, width = {}, first_z + len(kinds)
    for k, shape in enumerate(shapes):
        if shape.family == "lq" or shape.parameter > 1:
            own_levels[k], width = width, width + n
    for k, a in enumerate(intensity):
        rows.append(np.tile(first_footprint + k * n + carrier_region, slots))
        columns.append(carriers.ravel())
        values.append((a.T * (demand_unit / footprint_unit[k]))[:, carrier_region].ravel())
        levels = [np.full(n, first_z + k)] if shapes[k].family != "lq" else []
        levels += [own_levels[k] + np.arange(n)] if k in own_levels else []
        for level in levels:
            rows.append(first_footprint + k * n + np.arange(n))
            columns.append(level)
            values.append(np.full(n, -1.0))
    height = first_footprint + len(kinds) * n
    work = None
    if jobs is not None:
        work = _work_columns(scenario, jobs, width, height)
        at = width + np.arange(len(work.pair))
        region = jobs.pair_region[work.pair]
        share = 1.0 / jobs.pair_gain[work.pair]
        job = jobs.pair_job[work.pair]
        power = np.zeros((work.jobs, slots), np.int64)
        power[work.power_job, work.power_slot] = np.arange(len(work.power_job))
        rows += [
            first_capacity + work.slot * len(shared) + place[region],
            height + job,
            height + work.jobs + power[job, work.slot],
        ]
        columns += [at, at, at]
        values += [np.ones(len(at)), share, share]
        if not with_load:
            for k, a in enumerate(intensity):
                rows.append(first_footprint + k * n + region)
                columns.append(at)
                values.append(a[region, work.slot] * (demand_unit / footprint_unit[k]))
        width += len(at)
        height += work.jobs + len(work.power_job)
    matrix = sp.csc_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(height, width)
    )

    objective = np.zeros(width)
    if cost is None:
        objective[carriers.ravel()] = (price.T / price_unit)[:, carrier_region].ravel()
    else:
        objective[x_columns.ravel()] = (cost.T / price_unit).ravel()
    if work is not None and not with_load:
        assert jobs is not None
        objective[work.first_column :] = price[jobs.pair_region[work.pair], work.slot] / price_unit
    weights = np.array([scenario.footprints[k].weight for k in kinds])
    prices = weights * footprint_unit / (price_unit * demand_unit)
    objective[first_z : first_z + len(kinds)] = prices
    for k, first in own_levels.items():
        if shapes[k].family == "worst":
            objective[first : first + n] = prices[k] / min(shapes[k].parameter, n)
    capacity = (pairs.capacity.T / demand_unit).astype(float)
    upper = np.full(width, np.inf)
    if with_load:
        upper[y_columns] = capacity[:, shared]
    alone = np.flatnonzero(pair_shared < 0)
    upper[x_columns[:, alone]] = capacity[:, pairs.region[alone]]
    row_upper = np.zeros(height)
    row_lower = np.full(height, -np.inf)
    row_upper[:first_capacity] = row_lower[:first_capacity] = (pairs.demand.T / demand_unit).ravel()
    if with_load:
        row_lower[first_capacity:first_footprint] = 0.0
    else:
        row_upper[first_capacity:first_footprint] = capacity[:, shared].ravel()
    if work is not None:
        assert jobs is not None
        powers = work.first_row + work.jobs
        amount = jobs.energy_mwh / scenario.slot_hours / demand_unit
        row_lower[work.first_row : powers] = row_upper[work.first_row : powers] = amount
        row_lower[powers:] = jobs.min_mw[work.power_job] / demand_unit
        row_upper[powers:] = jobs.max_mw[work.power_job] / demand_unit
    return LinearModel(
        pairs=pairs,
        kinds=kinds,
        kinds_of_scenario=len(scenario.footprints),
        matrix=matrix,
        cost=objective,
        lower=np.zeros(width),
        upper=upper,
        row_lower=row_lower,
        row_upper=row_upper,
        demand_unit=demand_unit,
        price_unit=price_unit,
        footprint_unit=footprint_unit,
        first_footprint=first_footprint,
        own_levels=own_levels,
        work=work,
    )


def _work_columns(scenario: Scenario, jobs: Jobs, first_column: int, first_row: int) -> WorkColumns:
    first, last = jobs.slots(scenario.times, scenario.slot_hours)
    length = last - first

    def spread(member: Array) -> tuple[Array, Array]:
        """Each entry of `member`, jobs, once for every slot of its job's window; and those slots."""
        each = np.repeat(np.arange(len(member)), length[member])
        start = np.cumsum(length[member]) - length[member]
        return each, np.arange(len(each)) - start[each] + first[member[each]]

    pair, slot = spread(jobs.pair_job)
    power_job, power_slot = spread(np.arange(len(jobs)))
    return WorkColumns(
        len(jobs), len(jobs.pair_job), pair, slot, power_job, power_slot, first_column, first_row
    )


def _unit(size: float) -> float:
    return size if size > 0.0 else 1.0


def to_highs(model: LinearModel) -> highspy.HighsLp:
    """A linear model as HiGHS takes it."""
    import highspy

    program = highspy.HighsLp()
    program.num_row_, program.num_col_ = model.matrix.shape
    program.col_cost_, program.col_lower_, program.col_upper_ = model.cost, model.lower, model.upper
    program.row_lower_, program.row_upper_ = model.row_lower, model.row_upper
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_, program.a_matrix_.index_ = model.matrix.indptr, model.matrix.indices
    program.a_matrix_.value_ = model.matrix.data
    return program

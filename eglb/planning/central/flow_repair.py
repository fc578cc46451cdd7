"""From an almost feasible flow to one that meets demand and capacity to the last digits."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from eglb.foundation.arrays import Array
from eglb.planning.gateway_merging import Pairs
from eglb.scenarios.highs import open_highs

SPREAD_PASSES = 30


def repair_flow(pairs: Pairs, flow: Array, allowed_mw: float) -> Array:
    """A flow near `flow` that meets every demand within every capacity, each to `allowed_mw`.

    Negative flows go to 0 and each group's flows are scaled to its demand. Where a region is then over its
    capacity it keeps what fits, and what it cannot serve is spread over the free capacity the group reaches;
    a slot where that does not settle (little or no free capacity) goes to a linear program that changes the
    flow least. Where a slot has no feasible flow, what it returns there violates, and the audit says by how
    much.

    Parameters
    ----------
    flow : (E', T) MW on `pairs`; anything finite.
    """
    groups, slots = pairs.demand.shape
    regions = len(pairs.capacity)
    into_group = _sums(pairs.gateway, groups)
    into_region = _sums(pairs.region, regions)
    repaired = _meet_demand(pairs, into_group, np.maximum(flow, 0.0))
    slot = np.arange(slots)
    for _ in range(SPREAD_PASSES):
        over = (into_region @ repaired[:, slot] - pairs.capacity[:, slot]).max(
            axis=0, initial=0.0
        ) > allowed_mw
        served = into_group @ repaired[:, slot]
        over |= np.abs(served - pairs.demand[:, slot]).max(axis=0, initial=0.0) > allowed_mw
        slot = slot[over]
        if not len(slot):
            return repaired
        repaired[:, slot] = _spread(pairs, into_group, into_region, repaired[:, slot], slot)
    for t in slot:
        repaired[:, t] = _nearest_flow(pairs, repaired[:, t], pairs.demand[:, t], pairs.capacity[:, t])
    return repaired


def _meet_demand(pairs: Pairs, into_group: sp.csr_matrix, flow: Array) -> Array:
    """`flow` with each group's flows scaled to its demand; a group without any flow spreads evenly."""
    served = into_group @ flow
    degree = np.maximum(np.bincount(pairs.gateway, minlength=len(pairs.demand)), 1)
    factor = np.divide(pairs.demand, served, out=np.zeros_like(served), where=served > 0.0)
    even = np.where(served > 0.0, 0.0, pairs.demand / degree[:, None])
    return flow * factor[pairs.gateway] + even[pairs.gateway]


def _spread(
    pairs: Pairs, into_group: sp.csr_matrix, into_region: sp.csr_matrix, flow: Array, slot: Array
) -> Array:
    """One pass in the slots `slot`: regions keep what fits, the rest goes where there is room."""
    capacity, demand = pairs.capacity[:, slot], pairs.demand[:, slot]
    load = into_region @ flow
    fits = np.divide(capacity, load, out=np.ones_like(load), where=load > capacity)
    flow = flow * fits[pairs.region]
    room = (capacity - into_region @ flow).clip(0.0)
    missing = (demand - into_group @ flow).clip(0.0)
    reachable = into_group @ room[pairs.region]
    share = np.divide(missing, reachable, out=np.zeros_like(missing), where=reachable > 0.0)
    return flow + room[pairs.region] * share[pairs.gateway]


def _nearest_flow(pairs: Pairs, flow: Array, demand: Array, capacity: Array) -> Array:
    """One slot's flow (E',) that meets demand and capacity with the smallest sum of changes."""
    import highspy

    edges, groups = len(flow), len(demand)
    unit = float(demand.max())
    rows = np.concatenate([pairs.gateway, groups + pairs.region])
    columns = np.tile(np.arange(edges), 2)
    change = sp.csr_matrix((np.ones(2 * edges), (rows, columns)), shape=(groups + len(capacity), edges))
    matrix = sp.csc_matrix(sp.hstack([change, -change]))
    start = change @ flow
    model = highspy.HighsLp()
    model.num_row_, model.num_col_ = matrix.shape
    model.col_cost_ = np.ones(2 * edges)
    model.col_lower_ = np.zeros(2 * edges)
    # Columns are what is added to a flow and what is taken from it.
    model.col_upper_ = np.concatenate([np.full(edges, np.inf), flow / unit])
    model.row_lower_ = np.concatenate([demand - start[:groups], np.full(len(capacity), -np.inf)]) / unit
    model.row_upper_ = np.concatenate([demand - start[:groups], capacity - start[groups:]]) / unit
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
    model.a_matrix_.value_ = matrix.data
    solver = open_highs()
    solver.setOptionValue("primal_feasibility_tolerance", 1e-10)
    solver.passModel(model)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return flow
    value = np.array(solver.getSolution().col_value) * unit
    return np.maximum(flow + value[:edges] - value[edges:], 0.0)


def _sums(member: Array, groups: int) -> sp.csr_matrix:
    edges = len(member)
    return sp.csr_matrix((np.ones(edges), (member, np.arange(edges))), shape=(groups, edges))

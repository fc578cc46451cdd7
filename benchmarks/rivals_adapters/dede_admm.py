"""DeDe (Xu, Yu, Yan: Decouple and Decompose, OSDI 2025), ADMM on Ray between resources and demands.

The worst footprint couples all resources, which DeDe has no constraint for; a copy per region makes it
separable without changing the optimum. A resource is a region: ``load_i(t) <= cap_i(t)`` and its footprint
equal to its copy z_ik. A demand is a slot, ``sum_i x_gi = d_g`` for all its groups at once (so that modelling
overhead is paid per slot, not per pair), or a kind: ``z_ik <= m_k`` for all i, at the cost of ``weight m_k``.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import dede
import numpy as np
import ray
import scipy.sparse as sp

from eglb.planning.central.linear_model import LinearModel
from rivals_adapters import Point

AT_ONCE = 5  # iterations between two points


def solve(inner: str, model: LinearModel, setting: float, threads: int, limit: float) -> Iterator[Point]:
    """`model` is of form ``"flow"``; `setting` is the penalty rho and `inner` solves the subproblems."""
    slots, (groups, kinds) = model.pairs.demand.shape[1], (len(model.pairs.demand), len(model.kinds))
    regions, edges = len(model.pairs.capacity), len(model.pairs.region)
    width, first_footprint = slots * edges, model.matrix.shape[0] - kinds * regions
    region_of_column = np.tile(model.pairs.region, slots)
    matrix = model.matrix.tocsr()[:, :width]
    x = dede.Variable(width, nonneg=True)
    z = dede.Variable(kinds * regions, nonneg=True)
    worst = [dede.Variable(1, nonneg=True) for _ in range(kinds)]
    copies = sp.identity(kinds * regions, format="csr")
    resources, cost = [], 0
    for i in range(regions):
        mine = region_of_column == i
        into = sp.csr_matrix(
            (np.ones(mine.sum()), (np.flatnonzero(mine) // edges, np.flatnonzero(mine))), (slots, width)
        )
        footprint = np.arange(kinds) * regions + i
        resources.append(
            dede.hstack(
                [
                    into @ x
                    - model.pairs.capacity[i] / model.demand_unit
                    + dede.Variable(slots, nonneg=True),
                    matrix[first_footprint + footprint] @ x - copies[footprint] @ z,
                ]
            )
            == 0
        )
        cost += sp.csr_matrix(np.where(mine, model.cost[:width], 0.0)) @ x
    demands = [
        matrix[t * groups : (t + 1) * groups] @ x == model.row_upper[t * groups : (t + 1) * groups]
        for t in range(slots)
    ]
    ones = np.ones((regions, 1))
    for k in range(kinds):
        demands.append(copies[k * regions : (k + 1) * regions] @ z <= ones @ worst[k])
        cost += model.cost[width + k : width + k + 1] @ worst[k]
    problem = dede.Problem(dede.Minimize(cost), resources, demands)
    problem.solve(num_cpus=threads, rho=setting, num_iter=0)  # starts Ray and the actors
    seconds, iterations = 0.0, 0
    while seconds < limit:
        started = perf_counter()
        problem.solve(num_cpus=threads, rho=setting, num_iter=AT_ONCE, solver=inner)
        seconds, iterations = seconds + perf_counter() - started, iterations + AT_ONCE
        columns, dual = np.zeros(width), np.zeros(model.matrix.shape[0])
        for actor in problem._subprob_cache.probs:
            for group, places, value, multiplier in ray.get(actor.__ray_call__.remote(_demand_side)):
                if group < slots:
                    columns[[place for variable, place in places if variable == x.id]] = value
                    dual[group * groups : (group + 1) * groups] = -setting * multiplier
                else:
                    start = first_footprint + (group - slots) * regions
                    dual[start : start + regions] = -setting * multiplier
        yield Point(seconds, columns, dual, iterations, "running")


def _demand_side(actor: object) -> list[tuple]:
    """(group, variables, values, scaled multipliers) of the actor's demand problems."""
    return [
        (p.id[1], p.var_id_pos_list[: p.x_z_num], p.get_solution(), p.l1.value + p.f1.value)
        for p in actor.probs_d
    ]

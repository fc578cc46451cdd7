"""Water filling of demand, slot by slot: the plan nearest to a proposal, or any that serves all it can.

All kernels are compiled, treat slots independently, cost a small multiple of the number of edges per slot and
write into arrays they are given.
Edges come sorted by gateway: those of gateway j are ``gateway_start[j]:gateway_start[j + 1]`` with regions
``edge_region``; ``by_region[region_start[i]:region_start[i + 1]]`` are those of region i. Arrays are
slot-major.
"""

from __future__ import annotations

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.compilation import compiled, count, indices, matrix, nothing, number, vector

_SPREAD_PASSES = 8
NEGLIGIBLE = 1e-14
"""Flows below this part of a slot's largest demand are rounding."""


@compiled(nothing(matrix, matrix, indices))
def region_load(route: Array, load: Array, edge_region: Array) -> None:
    """`load` (T, N): sum of `route` (T, E) by region."""
    slots, edges = route.shape
    for t in range(slots):
        load[t] = 0.0
        for e in range(edges):
            load[t, edge_region[e]] += route[t, e]


@compiled(nothing(matrix, matrix, matrix, matrix, matrix, vector, indices, indices, count))
def water_fill(
    target: Array,
    load: Array,
    route: Array,
    price: Array,
    demand: Array,
    step: Array,
    gateway_start: Array,
    edge_region: Array,
    sweeps: int,
) -> None:
    """Load nearest to `target` among those that meet demand: Gauss-Seidel sweeps of exact water filling.

    Minimises sum_i (z_i - target_i)^2 / (2 step_i) over z = sum_j x_ij, x >= 0, sum_i x_ij = demand_j, one
    gateway after the other, from the given `route` (T, E) and `price` (T, J), both updated in place. With a
    single gateway one sweep is exact. At the end every gateway's demand is met exactly; `price` is the
    multiplier of that constraint, the demand price, and `load` (T, N) is z.
    """
    slots, regions = target.shape
    gateways = demand.shape[1]
    missing = np.empty(regions)
    widest = 0
    for j in range(gateways):
        widest = max(widest, gateway_start[j + 1] - gateway_start[j])
    base, level = np.empty(widest), np.empty(widest)
    for t in range(slots):
        x, nu = route[t], price[t]
        for i in range(regions):
            missing[i] = target[t, i]
        for e in range(edge_region.shape[0]):
            missing[edge_region[e]] -= x[e]
        for _ in range(sweeps):
            for j in range(gateways):
                first, d, theta = gateway_start[j], demand[t, j], nu[j]
                reached = gateway_start[j + 1] - first
                for q in range(reached):
                    base[q] = missing[edge_region[first + q]] + x[first + q]
                total = 0.0
                for _newton in range(100):
                    total, slope = 0.0, 0.0
                    for q in range(reached):
                        w = step[edge_region[first + q]]
                        value = max(0.0, base[q] + theta * w)
                        level[q] = value
                        total += value
                        slope += w if value > 0.0 else 0.0
                    if slope == 0.0:
                        if d == 0.0:
                            break
                        theta = np.inf
                        for q in range(reached):
                            theta = min(theta, (d - base[q]) / step[edge_region[first + q]])
                        continue
                    if abs(total - d) <= 1e-14 * (d + abs(theta) * slope):
                        break
                    theta += (d - total) / slope
                nu[j] = theta
                exact = d / total if total > 0.0 else 0.0
                for q in range(reached):
                    value = exact * level[q]
                    move = value - x[first + q]
                    missing[edge_region[first + q]] -= move
                    x[first + q] = value
            if gateways == 1:
                break
        for i in range(regions):
            load[t, i] = target[t, i] - missing[i]


@compiled(nothing(matrix, matrix, number))
def blend(mean: Array, latest: Array, part: float) -> None:
    """mean += part * (latest - mean), in place."""
    for row in range(mean.shape[0]):
        for column in range(mean.shape[1]):
            mean[row, column] += part * (latest[row, column] - mean[row, column])


@compiled(nothing(matrix, matrix, vector))
def add_weighted(total: Array, route: Array, weight: Array) -> None:
    """total += weight * route, with a weight (T,) for each slot, in place."""
    for t in range(total.shape[0]):
        for e in range(total.shape[1]):
            total[t, e] += weight[t] * route[t, e]

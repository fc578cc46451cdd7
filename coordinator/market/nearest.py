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


@compiled(nothing(vector, count, count, number))
def meet_exactly(route: Array, first: int, last: int, demand: float) -> None:
    """Scale a gateway's edges in place so that they sum to its demand, to the last bit that scaling can
    give.
    """
    total = route[first:last].sum()
    if total > 0.0:
        route[first:last] *= demand / total


@compiled(nothing(matrix, matrix, matrix, matrix, indices, indices, indices, indices, indices))
def repair(
    route: Array,
    ceiling: Array,
    demand: Array,
    unmet: Array,
    gateway_start: Array,
    edge_region: Array,
    edge_gateway: Array,
    region_start: Array,
    by_region: Array,
) -> None:
    """Move `route` (T, E) in place a little, so that it meets demand with region loads at most `ceiling` (T,
    N), where that is possible.

    Scale overfull regions and over-served gateways down, spread what is missing over the headroom in reach,
    and send the last of it along alternating paths, which is exact: what remains unmet cannot be met under
    this ceiling. `unmet` (T, J) is filled; it is zero where demand is met exactly.
    """
    slots, regions = ceiling.shape
    gateways = demand.shape[1]
    edges = edge_region.shape[0]
    unmet[:] = 0.0
    load = np.empty(regions)
    scale = np.empty(regions)
    wanted = np.empty(regions)
    missing = np.empty(gateways)
    room = np.empty(gateways)
    queue = np.empty(gateways, np.int64)
    seen_region, seen_gateway = np.zeros(regions, np.int64), np.zeros(gateways, np.int64)
    search = 0
    moved_to = np.empty(regions, np.int64)
    moved_from = np.empty(gateways, np.int64)
    for t in range(slots):
        x = route[t]
        cap = ceiling[t]
        tiny = NEGLIGIBLE * (1e-300 + demand[t].max()) if gateways else 0.0
        load[:] = 0.0
        for j in range(gateways):
            total = 0.0
            for e in range(gateway_start[j], gateway_start[j + 1]):
                x[e] = max(0.0, x[e])
                total += x[e]
            if total > demand[t, j]:
                for e in range(gateway_start[j], gateway_start[j + 1]):
                    x[e] *= demand[t, j] / total
            for e in range(gateway_start[j], gateway_start[j + 1]):
                load[edge_region[e]] += x[e]
        for i in range(regions):
            scale[i] = cap[i] / load[i] if load[i] > cap[i] else 1.0
            load[i] = min(load[i], cap[i])
        for j in range(gateways):
            missing[j] = demand[t, j]
            for e in range(gateway_start[j], gateway_start[j + 1]):
                x[e] *= scale[edge_region[e]]
                missing[j] -= x[e]
        for _ in range(_SPREAD_PASSES):
            wanted[:] = 0.0
            short_of = 0.0
            for j in range(gateways):
                if missing[j] <= tiny:
                    continue
                short_of = max(short_of, missing[j])
                room[j] = 0.0
                for e in range(gateway_start[j], gateway_start[j + 1]):
                    i = edge_region[e]
                    room[j] += max(0.0, cap[i] - load[i])
                if room[j] > 0.0:
                    for e in range(gateway_start[j], gateway_start[j + 1]):
                        i = edge_region[e]
                        wanted[i] += missing[j] * max(0.0, cap[i] - load[i]) / room[j]
            if short_of <= tiny:
                break
            # What region i is asked for, cut to its headroom; all are asked at once.
            for i in range(regions):
                scale[i] = max(0.0, cap[i] - load[i])
            for j in range(gateways):
                if missing[j] <= tiny or room[j] == 0.0:
                    continue
                short = missing[j]
                for e in range(gateway_start[j], gateway_start[j + 1]):
                    i = edge_region[e]
                    if scale[i] > 0.0:
                        flow = short * scale[i] / room[j] * min(1.0, scale[i] / wanted[i])
                        x[e] += flow
                        load[i] += flow
                        missing[j] -= flow
        load[:] = 0.0
        for e in range(edges):
            load[edge_region[e]] += x[e]
        for j in range(gateways):
            if missing[j] <= tiny:
                meet_exactly(x, gateway_start[j], gateway_start[j + 1], demand[t, j])
                continue
            short = demand[t, j]
            for e in range(gateway_start[j], gateway_start[j + 1]):
                short -= x[e]
            while short > tiny:
                search += 1
                seen_gateway[j] = search
                queue[0], head, tail, end = j, 0, 1, -1
                while head < tail and end < 0:
                    g = queue[head]
                    head += 1
                    for e in range(gateway_start[g], gateway_start[g + 1]):
                        i = edge_region[e]
                        if seen_region[i] == search:
                            continue
                        seen_region[i] = search
                        moved_to[i] = e
                        if cap[i] - load[i] > tiny:
                            end = i
                            break
                        for q in range(region_start[i], region_start[i + 1]):
                            f = by_region[q]
                            other = edge_gateway[f]
                            if seen_gateway[other] != search and x[f] > tiny:
                                seen_gateway[other] = search
                                moved_from[other] = f
                                queue[tail] = other
                                tail += 1
                if end < 0:
                    break
                flow = min(short, cap[end] - load[end])
                g = edge_gateway[moved_to[end]]
                while g != j:
                    flow = min(flow, x[moved_from[g]])
                    g = edge_gateway[moved_to[edge_region[moved_from[g]]]]
                load[end] += flow
                short -= flow
                e = moved_to[end]
                x[e] += flow
                g = edge_gateway[e]
                while g != j:
                    x[moved_from[g]] -= flow
                    e = moved_to[edge_region[moved_from[g]]]
                    x[e] += flow
                    g = edge_gateway[e]
            if short <= tiny * 1e3:
                meet_exactly(x, gateway_start[j], gateway_start[j + 1], demand[t, j])
            else:
                unmet[t, j] = short

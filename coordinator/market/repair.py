"""Max-flow repair with jobs: what a plan near a proposal lacks finds room over slots and regions.

Kernels, compiled; arguments are those of `eglb.coordinator.market.job_allocation`.
"""

from __future__ import annotations

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.compilation import (
    compiled,
    count,
    index_matrix,
    indices,
    matrix,
    nothing,
    number,
    vector,
)
from eglb.foundation.transport_repair import NEGLIGIBLE, meet_exactly

_SETTLED = 1e3
"""Times what is negligible: less than that is not missed."""


@compiled(
    number(
        count,
        number,
        matrix,
        matrix,
        matrix,
        matrix,
        number,
        count,
        vector,
        vector,
        indices,
        indices,
        indices,
        indices,
        vector,
        index_matrix,
        indices,
        indices,
        indices,
        indices,
        indices,
        indices,
        indices,
        indices,
        vector,
        indices,
    )
)
def _send(
    source: int,
    wanted: float,
    route: Array,
    load: Array,
    ceiling: Array,
    power: Array,
    tiny: float,
    search: int,
    most: Array,
    least: Array,
    first: Array,
    last: Array,
    way_start: Array,
    way_column: Array,
    way_gain: Array,
    owner: Array,
    way_job: Array,
    gateway_start: Array,
    edge_region: Array,
    edge_gateway: Array,
    region_start: Array,
    by_region: Array,
    queue: Array,
    seen: Array,
    rate: Array,
    came: Array,
) -> float:
    """Send up to `wanted` from node `source` along one shortest alternating path, in place; what was sent.

    Nodes are regions in slots (t N + i), then columns in slots (t C + c), then jobs. A region passes on what
    it holds of a column, a column goes to other regions and gives work back to its job, a job takes it up in
    another slot. The path ends at a region with room or, where there is none and the source is a column, at a
    job that then lacks the work. `came` holds the step before each node, `rate` the amount there for one unit
    sent: they differ where ways have gains.
    """
    slots, regions = load.shape
    columns = gateway_start.shape[0] - 1
    first_column, first_job = slots * regions, slots * (regions + columns)
    seen[source], rate[source], came[source] = search, 1.0, -1
    queue[0], head, tail, end, dropped = source, 0, 1, -1, -1
    while head < tail and end < 0:
        node = queue[head]
        head += 1
        if node >= first_job:
            m = node - first_job
            for t in range(first[m], last[m]):
                if most[m] - power[t, m] <= tiny:
                    continue
                for v in range(way_start[m], way_start[m + 1]):
                    other = first_column + t * columns + way_column[v]
                    if seen[other] != search:
                        seen[other], rate[other] = search, rate[node] * way_gain[v]
                        came[other] = node
                        queue[tail] = other
                        tail += 1
        elif node >= first_column:
            t, c = divmod(node - first_column, columns)
            for e in range(gateway_start[c], gateway_start[c + 1]):
                other = t * regions + edge_region[e]
                if seen[other] != search:
                    seen[other], rate[other], came[other] = search, rate[node], node
                    if ceiling[t, edge_region[e]] - load[t, edge_region[e]] > tiny:
                        end = other
                        break
                    queue[tail] = other
                    tail += 1
            v = owner[t, c]
            if v >= 0 and end < 0:
                m = way_job[v]
                for w in range(way_start[m], way_start[m + 1]):
                    other = first_column + t * columns + way_column[w]
                    if seen[other] != search:
                        seen[other], rate[other] = search, rate[node] / way_gain[v] * way_gain[w]
                        came[other] = node
                        queue[tail] = other
                        tail += 1
                other = first_job + m
                if seen[other] != search and node != source and power[t, m] - least[m] > tiny:
                    seen[other], rate[other], came[other] = search, rate[node] / way_gain[v], node
                    queue[tail] = other
                    tail += 1
                    dropped = other if dropped < 0 else dropped
        else:
            t, i = divmod(node, regions)
            for q in range(region_start[i], region_start[i + 1]):
                e = by_region[q]
                other = first_column + t * columns + edge_gateway[e]
                if seen[other] != search and route[t, e] > tiny:
                    seen[other], rate[other], came[other] = search, rate[node], node
                    queue[tail] = other
                    tail += 1
    if end < 0:
        if source >= first_job or dropped < 0:
            return 0.0
        end = dropped
    # Twice along the path: how much it carries, and then carry it.
    flow = wanted
    for stage in range(2):
        node = end
        if node < first_column:
            t, i = divmod(node, regions)
            if stage == 0:
                flow = min(flow, (ceiling[t, i] - load[t, i]) / rate[node])
            else:
                load[t, i] += flow * rate[node]
        while came[node] >= 0:
            before = came[node]
            if node < first_column:  # a column goes to a region
                t, c = divmod(before - first_column, columns)
                if stage == 1:
                    for e in range(gateway_start[c], gateway_start[c + 1]):
                        if edge_region[e] == node - t * regions:
                            route[t, e] += flow * rate[node]
            elif before < first_column:  # a region passes on what it holds of a column
                t, c = divmod(node - first_column, columns)
                for e in range(gateway_start[c], gateway_start[c + 1]):
                    if edge_region[e] == before - t * regions:
                        if stage == 0:
                            flow = min(flow, route[t, e] / rate[node])
                        else:
                            route[t, e] -= flow * rate[node]
            elif node >= first_job:  # a column gives work back
                t = (before - first_column) // columns
                m = node - first_job
                if stage == 0:
                    flow = min(flow, (power[t, m] - least[m]) / rate[node])
                else:
                    power[t, m] -= flow * rate[node]
            elif before >= first_job:  # a job takes it up
                t = (node - first_column) // columns
                m = before - first_job
                if stage == 0:
                    flow = min(flow, (most[m] - power[t, m]) / rate[before])
                else:
                    power[t, m] += flow * rate[before]
            node = before
    return flow


@compiled(nothing(count, number, number, matrix, matrix, indices, indices, indices, indices, indices))
def _finish(
    job: int,
    energy: float,
    least: float,
    power: Array,
    route: Array,
    first: Array,
    last: Array,
    way_start: Array,
    way_column: Array,
    gateway_start: Array,
) -> None:
    """Scale what a job uses above its least power, so that it does `energy` of work to the last digits."""
    spare, held = 0.0, 0.0
    for t in range(first[job], last[job]):
        spare += max(power[t, job] - least, 0.0)
        held += min(power[t, job], least)
    if spare <= 0.0:
        return
    scale = max(energy - held, 0.0) / spare
    for t in range(first[job], last[job]):
        if power[t, job] <= least:
            continue
        part = (least + scale * (power[t, job] - least)) / power[t, job]
        for v in range(way_start[job], way_start[job + 1]):
            for e in range(gateway_start[way_column[v]], gateway_start[way_column[v] + 1]):
                route[t, e] *= part


@compiled(
    nothing(
        matrix,
        matrix,
        matrix,
        matrix,
        indices,
        indices,
        vector,
        vector,
        vector,
        indices,
        indices,
        vector,
        index_matrix,
        indices,
        indices,
        indices,
        indices,
        indices,
        indices,
    )
)
def repair(
    route: Array,
    ceiling: Array,
    demand: Array,
    unmet: Array,
    first: Array,
    last: Array,
    energy: Array,
    most: Array,
    least: Array,
    way_start: Array,
    way_column: Array,
    way_gain: Array,
    owner: Array,
    way_job: Array,
    gateway_start: Array,
    edge_region: Array,
    edge_gateway: Array,
    region_start: Array,
    by_region: Array,
) -> None:
    """Finish what `nearest.repair` left: move work between slots, in place, until demand and work are met as
    far as `ceiling` (T, N) allows.

    Demand comes first, then the least power of jobs, then work in the order of the jobs; what then remains
    unmet of demand, and in total of work if no way has a gain, cannot be met. `demand` (T, J) is that of the
    gateways. `unmet` (T, C) is filled; for a job it is what it lacks, MW-slots of work, spread evenly over
    its window.
    """
    slots, regions = ceiling.shape
    gateways, columns, jobs = demand.shape[1], unmet.shape[1], first.shape[0]
    nodes = slots * (regions + columns) + jobs
    first_column, first_job = slots * regions, slots * (regions + columns)
    queue, came = np.empty(nodes, np.int64), np.empty(nodes, np.int64)
    seen, rate = np.zeros(nodes, np.int64), np.empty(nodes)
    search = 0
    load, power = np.zeros((slots, regions)), np.zeros((slots, jobs))
    largest = 1e-300
    for t in range(slots):
        for e in range(edge_region.shape[0]):
            load[t, edge_region[e]] += route[t, e]
            v = owner[t, edge_gateway[e]]
            if v >= 0:
                power[t, way_job[v]] += route[t, e] / way_gain[v]
        for j in range(gateways):
            largest = max(largest, demand[t, j])
    for m in range(jobs):
        largest = max(largest, most[m])
    tiny = NEGLIGIBLE * largest
    unmet[:] = 0.0
    lacks_power = np.zeros(jobs)
    for stage in range(3):
        for outer in range(jobs if stage == 2 else slots):
            for inner in range(1 if stage == 2 else (gateways if stage == 0 else jobs)):
                if stage == 0:
                    source = first_column + outer * columns + inner
                    short = demand[outer, inner]
                    for e in range(gateway_start[inner], gateway_start[inner + 1]):
                        short -= route[outer, e]
                elif stage == 1:
                    if not first[inner] <= outer < last[inner]:
                        continue
                    v = way_start[inner]
                    source = first_column + outer * columns + way_column[v]
                    short = (least[inner] - power[outer, inner]) * way_gain[v]
                else:
                    source = first_job + outer
                    short = energy[outer]
                    for t in range(first[outer], last[outer]):
                        short -= power[t, outer]
                while short > tiny:
                    search += 1
                    sent = _send(
                        source,
                        short,
                        route,
                        load,
                        ceiling,
                        power,
                        tiny,
                        search,
                        most,
                        least,
                        first,
                        last,
                        way_start,
                        way_column,
                        way_gain,
                        owner,
                        way_job,
                        gateway_start,
                        edge_region,
                        edge_gateway,
                        region_start,
                        by_region,
                        queue,
                        seen,
                        rate,
                        came,
                    )
                    if sent <= 0.0:
                        break
                    short -= sent
                    if stage == 1:
                        power[outer, inner] += sent / way_gain[way_start[inner]]
                if stage == 0:
                    if short <= _SETTLED * tiny:
                        meet_exactly(
                            route[outer], gateway_start[inner], gateway_start[inner + 1], demand[outer, inner]
                        )
                    else:
                        unmet[outer, inner] = short
                elif stage == 1:
                    if short > _SETTLED * tiny:
                        lacks_power[inner] += short / way_gain[way_start[inner]]
                elif short > _SETTLED * tiny:
                    lacks_power[outer] = max(lacks_power[outer], short)
    for m in range(jobs):
        if lacks_power[m] > 0.0:
            for t in range(first[m], last[m]):
                unmet[t, way_column[way_start[m]]] = lacks_power[m] / (last[m] - first[m])
        _finish(
            m,
            energy[m] - lacks_power[m],
            0.0 if lacks_power[m] > 0.0 else least[m],
            power,
            route,
            first,
            last,
            way_start,
            way_column,
            gateway_start,
        )

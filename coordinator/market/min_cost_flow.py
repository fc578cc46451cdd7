"""Min-cost flow with jobs: successive shortest paths on the time-expanded network, exact.

After demand is cleared slot by slot (`merit_order.clear`), jobs join one after the other, those with the
fewest slots to spare first: the others make room for less then, a tenth of the work. Each sends its work
along cheapest alternating paths: into a slot, to a region, from there, if it is full, by moving others on,
which may take up other slots in turn, until one ends at a region with room. That is the textbook algorithm
for flows of least cost (Ahuja, Magnanti and Orlin 1993, section 9.7), with node prices kept such that no
residual arc has negative reduced cost, so that a search ends where the first room is found. The node prices
of columns are the demand prices. Arguments are those of `job_allocation`; ways have no gains here, since with
them alternating cycles can make or lose load, and shortest paths are not enough.
"""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.compilation import compiled, count, indices, matrix, nothing, number, vector
from eglb.foundation.transport_repair import NEGLIGIBLE


@compiled(
    count(
        count,
        count,
        vector,
        vector,
        indices,
        indices,
        indices,
        indices,
        matrix,
        matrix,
        matrix,
        matrix,
        matrix,
        number,
        vector,
        vector,
        indices,
        indices,
        indices,
        indices,
        indices,
        indices,
        indices,
        indices,
        indices,
        indices,
    )
)
def _cheapest_room(
    source: int,
    search: int,
    worth: Array,
    far: Array,
    seen: Array,
    settled: Array,
    came: Array,
    visited: Array,
    cost: Array,
    quantity: Array,
    route: Array,
    load: Array,
    power: Array,
    tiny: float,
    most: Array,
    least: Array,
    first: Array,
    last: Array,
    under_start: Array,
    under: Array,
    job_column: Array,
    gateway_start: Array,
    edge_region: Array,
    edge_gateway: Array,
    region_start: Array,
    by_region: Array,
) -> int:
    """The region node with room that is cheapest to reach from the job at `source`, -1 if there is none.

    Dijkstra's search in reduced costs; afterwards `worth`, the node prices, are raised such that the path in
    `came` has reduced cost zero. `visited` is room for nodes to be noted in.
    """
    slots, regions = load.shape
    columns = gateway_start.shape[0] - 1
    first_column, first_job = slots * regions, slots * (regions + columns)
    far[source], seen[source], came[source] = 0.0, search, -1
    heap = [(0.0, source)]
    noted, best, end = 0, np.inf, -1
    while len(heap) > 0:
        here, node = heappop(heap)
        if here >= best:
            break
        if settled[node] == search or here > far[node]:
            continue
        settled[node] = search
        visited[noted] = node
        noted += 1
        if node < first_column:
            t, i = divmod(node, regions)
            if quantity[t, i] - load[t, i] > tiny:
                there = here + max(0.0, cost[t, i] - worth[node])
                if there < best:
                    best, end = there, node
            for q in range(region_start[i], region_start[i + 1]):
                e = by_region[q]
                if route[t, e] <= tiny:
                    continue
                other = first_column + t * columns + edge_gateway[e]
                there = here + max(0.0, worth[other] - worth[node])
                if seen[other] != search or there < far[other]:
                    seen[other], far[other], came[other] = search, there, node
                    heappush(heap, (there, other))
        elif node < first_job:
            t, c = divmod(node - first_column, columns)
            for e in range(gateway_start[c], gateway_start[c + 1]):
                other = t * regions + edge_region[e]
                if worth[other] == np.inf:
                    continue
                there = here + max(0.0, worth[other] - worth[node])
                if seen[other] != search or there < far[other]:
                    seen[other], far[other], came[other] = search, there, node
                    heappush(heap, (there, other))
            for q in range(under_start[node - first_column], under_start[node - first_column + 1]):
                m = under[q]
                if power[t, m] - least[m] <= tiny:
                    continue
                other = first_job + m
                there = here + max(0.0, worth[other] - worth[node])
                if seen[other] != search or there < far[other]:
                    seen[other], far[other], came[other] = search, there, node
                    heappush(heap, (there, other))
        else:
            m = node - first_job
            for t in range(first[m], last[m]):
                other = first_column + t * columns + job_column[m]
                if most[m] - power[t, m] <= tiny or worth[other] == np.inf:
                    continue
                there = here + max(0.0, worth[other] - worth[node])
                if seen[other] != search or there < far[other]:
                    seen[other], far[other], came[other] = search, there, node
                    heappush(heap, (there, other))
    if end >= 0:
        for v in range(noted):
            worth[visited[v]] += max(0.0, best - far[visited[v]])
    return end


@compiled(
    nothing(
        matrix,
        matrix,
        matrix,
        matrix,
        matrix,
        vector,
        indices,
        indices,
        vector,
        vector,
        vector,
        indices,
        indices,
        indices,
        indices,
        indices,
        indices,
        indices,
        indices,
    )
)
def add_jobs(
    cost: Array,
    quantity: Array,
    route: Array,
    price: Array,
    power: Array,
    lacks: Array,
    first: Array,
    last: Array,
    energy: Array,
    most: Array,
    least: Array,
    under_start: Array,
    under: Array,
    job_column: Array,
    gateway_start: Array,
    edge_region: Array,
    edge_gateway: Array,
    region_start: Array,
    by_region: Array,
) -> None:
    """Add the jobs to what `merit_order.clear` cleared of demand and of their least powers, in place.

    Parameters
    ----------
    cost, quantity : (T, N). route : (T, E) and price : (T, C), dual optimal for what is cleared so far and,
    afterwards, for all. power : (T, M) is filled with the jobs' powers, zeros before. lacks : (M,) is filled
    with the work, MW-slots, that nothing on offer can do.
    job_column : (M,) column of each job; several may share one. under_start (T C + 1,), under : the jobs
    under way in slot t and column c are ``under[under_start[t C + c]:under_start[t C + c + 1]]``.
    """
    slots, regions = cost.shape
    columns, jobs = price.shape[1], first.shape[0]
    first_column, first_job = slots * regions, slots * (regions + columns)
    nodes = first_job + jobs
    far = np.empty(nodes)
    seen, settled = np.zeros(nodes, np.int64), np.zeros(nodes, np.int64)
    came, visited = np.empty(nodes, np.int64), np.empty(nodes, np.int64)
    load = np.zeros((slots, regions))
    largest = 1e-300
    for t in range(slots):
        for e in range(edge_region.shape[0]):
            load[t, edge_region[e]] += route[t, e]
        for i in range(regions):
            largest = max(largest, load[t, i])
    for m in range(jobs):
        largest = max(largest, most[m])
        for t in range(first[m], last[m]):
            power[t, m] = least[m]
    tiny = NEGLIGIBLE * largest
    worth = np.full(nodes, np.inf)
    for t in range(slots):
        for e in range(edge_region.shape[0]):
            if route[t, e] > tiny:
                node = t * regions + edge_region[e]
                own = price[t, edge_gateway[e]]
                worth[node] = own if worth[node] == np.inf else max(worth[node], own)
        for i in range(regions):
            if quantity[t, i] - load[t, i] > tiny:
                worth[t * regions + i] = cost[t, i]
        for c in range(columns):
            node = first_column + t * columns + c
            for e in range(gateway_start[c], gateway_start[c + 1]):
                worth[node] = min(worth[node], worth[t * regions + edge_region[e]])
    search = 0
    spare = np.empty(jobs)
    for m in range(jobs):
        spare[m] = last[m] - first[m] - energy[m] / most[m]
    for m in np.argsort(spare):
        node = first_job + m
        left = energy[m]
        for t in range(first[m], last[m]):
            left -= least[m]
            column = first_column + t * columns + job_column[m]
            if least[m] <= tiny:  # nothing runs there, so its price may have stayed behind
                worth[column] = np.inf
                for e in range(gateway_start[job_column[m]], gateway_start[job_column[m] + 1]):
                    worth[column] = min(worth[column], worth[t * regions + edge_region[e]])
            if most[m] - power[t, m] > tiny:
                worth[node] = min(worth[node], worth[column])
        while left > tiny:
            search += 1
            end = _cheapest_room(
                node,
                search,
                worth,
                far,
                seen,
                settled,
                came,
                visited,
                cost,
                quantity,
                route,
                load,
                power,
                tiny,
                most,
                least,
                first,
                last,
                under_start,
                under,
                job_column,
                gateway_start,
                edge_region,
                edge_gateway,
                region_start,
                by_region,
            )
            if end < 0:
                break
            t, i = divmod(end, regions)
            flow = min(left, quantity[t, i] - load[t, i])
            for stage in range(2):
                at = end
                if stage == 1:
                    left -= flow
                    load[t, i] += flow
                while at != node:
                    before = came[at]
                    if at < first_column or before < first_column:
                        region, column = (at, before) if at < first_column else (before, at)
                        s = region // regions
                        c = column - first_column - s * columns
                        for e in range(gateway_start[c], gateway_start[c + 1]):
                            if edge_region[e] == region - s * regions:
                                if stage == 1:
                                    route[s, e] += flow if at < first_column else -flow
                                elif before < first_column:
                                    flow = min(flow, route[s, e])
                    elif at >= first_job:
                        s, job = (before - first_column) // columns, at - first_job
                        if stage == 0:
                            flow = min(flow, power[s, job] - least[job])
                        else:
                            power[s, job] -= flow
                    else:
                        s, job = (at - first_column) // columns, before - first_job
                        if stage == 0:
                            flow = min(flow, most[job] - power[s, job])
                        else:
                            power[s, job] += flow
                    at = before
        lacks[m] = left if left > 1e3 * tiny else 0.0
    for t in range(slots):
        for c in range(columns):
            node = first_column + t * columns + c
            if worth[node] < np.inf:
                price[t, c] = worth[node]

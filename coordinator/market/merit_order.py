"""Merit-order clearing of demand at least cost, slot by slot: exact, whatever the reach.

The loads that serve a slot form a polymatroid, so filling regions in ascending cost is optimal
(docs/theory.md, section 9). Arrays are those of `eglb.coordinator.market.nearest`.
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


@compiled(
    count(
        indices,
        vector,
        vector,
        vector,
        number,
        count,
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
def _serve_in_order(
    order: Array,
    headroom: Array,
    unmet: Array,
    x: Array,
    tiny: float,
    search: int,
    gateway_start: Array,
    edge_region: Array,
    edge_gateway: Array,
    region_start: Array,
    by_region: Array,
    queue: Array,
    seen_region: Array,
    seen_gateway: Array,
    gave_up: Array,
    took_over: Array,
) -> int:
    """Fill regions in `order`, each along alternating paths as far as those before it keep their load.

    `headroom` (N,), `unmet` (J,) and the route `x` (E,) of one slot are updated in place. The rest is room to
    work in; `search` numbers the searches, so that marks need not be wiped, and its last value is returned.
    """
    left = unmet.sum()
    for i in order:
        if left <= tiny:
            break
        while headroom[i] > tiny:
            search += 1
            seen_region[i] = search
            queue[0], head, tail, end = i, 0, 1, -1
            while head < tail and end < 0:
                r = queue[head]
                head += 1
                for q in range(region_start[r], region_start[r + 1]):
                    e = by_region[q]
                    j = edge_gateway[e]
                    if seen_gateway[j] == search:
                        continue
                    seen_gateway[j] = search
                    took_over[j] = e
                    if unmet[j] > tiny:
                        end = j
                        break
                    for f in range(gateway_start[j], gateway_start[j + 1]):
                        other = edge_region[f]
                        if seen_region[other] != search and x[f] > tiny:
                            seen_region[other] = search
                            gave_up[other] = f
                            queue[tail] = other
                            tail += 1
            if end < 0:
                break
            flow = min(headroom[i], unmet[end])
            r = edge_region[took_over[end]]
            while r != i:
                flow = min(flow, x[gave_up[r]])
                r = edge_region[took_over[edge_gateway[gave_up[r]]]]
            unmet[end] -= flow
            headroom[i] -= flow
            left -= flow
            e = took_over[end]
            x[e] += flow
            r = edge_region[e]
            while r != i:
                x[gave_up[r]] -= flow
                e = took_over[edge_gateway[gave_up[r]]]
                x[e] += flow
                r = edge_region[e]
    return search


@compiled(
    nothing(matrix, matrix, matrix, matrix, matrix, matrix, indices, indices, indices, indices, indices)
)
def clear(
    cost: Array,
    quantity: Array,
    demand: Array,
    route: Array,
    price: Array,
    unmet: Array,
    gateway_start: Array,
    edge_region: Array,
    edge_gateway: Array,
    region_start: Array,
    by_region: Array,
) -> None:
    """Least-cost clearing: min sum_i cost_i y_i over routes that meet demand with y <= quantity, and its
    dual.

    The feasible loads of a slot form a polymatroid, so the greedy is exact: regions in ascending cost, each
    filled as far as demand can be rerouted to it along alternating paths without taking load from a cheaper
    one.

    Parameters
    ----------
    cost, quantity : (T, N). demand : (T, J).
    route : (T, E), filled. price : (T, J), filled with a dual optimal demand price; in slots where a set of
    gateways has no spare quantity left it is the largest cost of the slot. unmet : (T, J), filled with the
    demand that nothing on offer can serve.
    """
    slots, regions = cost.shape
    gateways = demand.shape[1]
    route[:] = 0.0
    unmet[:] = demand
    queue = np.empty(regions, np.int64)
    seen_region, seen_gateway = np.zeros(regions, np.int64), np.zeros(gateways, np.int64)
    search = 0
    gave_up = np.empty(regions, np.int64)
    took_over = np.empty(gateways, np.int64)
    for t in range(slots):
        order = np.argsort(cost[t], kind="mergesort")
        tiny = NEGLIGIBLE * (1e-300 + demand[t].max()) if gateways else 0.0
        headroom = quantity[t].copy()
        search = _serve_in_order(
            order,
            headroom,
            unmet[t],
            route[t],
            tiny,
            search,
            gateway_start,
            edge_region,
            edge_gateway,
            region_start,
            by_region,
            queue,
            seen_region,
            seen_gateway,
            gave_up,
            took_over,
        )
        # Demand prices: the cheapest region with headroom that a gateway reaches by rerouting others.
        search += 1
        price[t, :] = cost[t].max()
        for i in order:
            if headroom[i] <= tiny or seen_region[i] == search:
                continue
            seen_region[i] = search
            queue[0], head, tail = i, 0, 1
            while head < tail:
                r = queue[head]
                head += 1
                for q in range(region_start[r], region_start[r + 1]):
                    j = edge_gateway[by_region[q]]
                    if seen_gateway[j] == search:
                        continue
                    seen_gateway[j] = search
                    price[t, j] = cost[t, i]
                    for f in range(gateway_start[j], gateway_start[j + 1]):
                        other = edge_region[f]
                        if seen_region[other] != search and route[t, f] > tiny:
                            seen_region[other] = search
                            queue[tail] = other
                            tail += 1
        for j in range(gateways):
            if unmet[t, j] <= tiny * 1e3:
                meet_exactly(route[t], gateway_start[j], gateway_start[j + 1], demand[t, j])
                unmet[t, j] = 0.0


@compiled(
    count(
        count,
        count,
        vector,
        vector,
        number,
        count,
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
def _pass_on(
    giver: int,
    taker: int,
    headroom: Array,
    x: Array,
    tiny: float,
    search: int,
    gateway_start: Array,
    edge_region: Array,
    edge_gateway: Array,
    region_start: Array,
    by_region: Array,
    queue: Array,
    seen_region: Array,
    seen_gateway: Array,
    gave_up: Array,
    took_over: Array,
) -> int:
    """Move as much load as can be moved from one region to another while all others keep theirs, in place.

    Arguments as for `_serve_in_order`.
    """
    while headroom[taker] > tiny:
        search += 1
        seen_region[taker] = search
        queue[0], head, tail, found = taker, 0, 1, False
        while head < tail and not found:
            r = queue[head]
            head += 1
            for q in range(region_start[r], region_start[r + 1]):
                j = edge_gateway[by_region[q]]
                if seen_gateway[j] == search:
                    continue
                seen_gateway[j] = search
                took_over[j] = by_region[q]
                for f in range(gateway_start[j], gateway_start[j + 1]):
                    other = edge_region[f]
                    if seen_region[other] != search and x[f] > tiny:
                        seen_region[other] = search
                        gave_up[other] = f
                        queue[tail] = other
                        tail += 1
                        found |= other == giver
        if not found:
            break
        flow = headroom[taker]
        r = giver
        while r != taker:
            flow = min(flow, x[gave_up[r]])
            r = edge_region[took_over[edge_gateway[gave_up[r]]]]
        headroom[taker] -= flow
        headroom[giver] += flow
        r = giver
        while r != taker:
            x[gave_up[r]] -= flow
            e = took_over[edge_gateway[gave_up[r]]]
            x[e] += flow
            r = edge_region[e]
    return search


@compiled(
    nothing(
        matrix,
        matrix,
        matrix,
        index_matrix,
        matrix,
        matrix,
        indices,
        indices,
        indices,
        indices,
        indices,
        indices,
    )
)
def redispatch(
    cost: Array,
    quantity: Array,
    demand: Array,
    order: Array,
    route: Array,
    load: Array,
    fresh: Array,
    gateway_start: Array,
    edge_region: Array,
    edge_gateway: Array,
    region_start: Array,
    by_region: Array,
) -> None:
    """Least-cost loads after costs have changed a little: what `clear` finds, from where they were.

    The greedy of `clear` depends on costs only through their order. Where two neighbours in it change places,
    only their two loads change: the one that is now cheaper takes over what it can. So the work is that of an
    insertion sort, and slots whose order stays cost next to nothing.

    Parameters
    ----------
    order : (T, N) regions by ascending cost of the last time, updated in place, like `route` (T, E) and
    `load` (T, N). fresh : (T,) nonzero where the slot is new, and is cleared from nothing.
    """
    slots, regions = cost.shape
    gateways = demand.shape[1]
    queue = np.empty(regions, np.int64)
    seen_region, seen_gateway = np.zeros(regions, np.int64), np.zeros(gateways, np.int64)
    gave_up = np.empty(regions, np.int64)
    took_over = np.empty(gateways, np.int64)
    headroom = np.empty(regions)
    search = 0
    for t in range(slots):
        tiny = NEGLIGIBLE * (1e-300 + demand[t].max()) if gateways else 0.0
        if fresh[t] != 0:
            order[t] = np.argsort(cost[t], kind="mergesort")
            route[t] = 0.0
            headroom[:] = quantity[t]
            search = _serve_in_order(
                order[t],
                headroom,
                demand[t].copy(),
                route[t],
                tiny,
                search,
                gateway_start,
                edge_region,
                edge_gateway,
                region_start,
                by_region,
                queue,
                seen_region,
                seen_gateway,
                gave_up,
                took_over,
            )
            load[t] = quantity[t] - headroom
            continue
        changed = False
        for q in range(1, regions):
            i = order[t, q]
            r = q
            while r > 0 and cost[t, order[t, r - 1]] > cost[t, i]:
                other = order[t, r - 1]
                order[t, r], order[t, r - 1] = other, i
                r -= 1
                if not changed:
                    changed = True
                    headroom[:] = quantity[t] - load[t]
                if headroom[i] > tiny and quantity[t, other] - headroom[other] > tiny:
                    search = _pass_on(
                        other,
                        i,
                        headroom,
                        route[t],
                        tiny,
                        search,
                        gateway_start,
                        edge_region,
                        edge_gateway,
                        region_start,
                        by_region,
                        queue,
                        seen_region,
                        seen_gateway,
                        gave_up,
                        took_over,
                    )
        if changed:
            load[t] = quantity[t] - headroom

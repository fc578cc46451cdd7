"""Water filling of jobs over slots and regions: nearest to a proposal, or at least cost.

Kernels, compiled. A job m runs in slots ``first[m]`` to ``last[m]``, does `energy` (MW-slots of work) at a
power between `least` and `most` (MW of work), and does so by its ways ``way_start[m]:way_start[m + 1]``: the
columns of the market that are its own in these slots, with the load that a MW of work makes there, the gain.
``owner[t, c]`` is the way that column c belongs to in slot t, -1 for none. All else is as in
`eglb.coordinator.market.nearest`.
"""

from __future__ import annotations

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.compilation import compiled, indices, matrix, nothing, number, vector

_NEWTON_STEPS = 100
_ROUNDING = 1e-14


@compiled(number(vector, vector, number, number))
def _fill(base: Array, step: Array, amount: float, theta: float) -> float:
    """The theta at which sum_q max(0, base_q + theta step_q) is `amount`, by Newton's method from `theta`."""
    for _ in range(_NEWTON_STEPS):
        total, slope = 0.0, 0.0
        for q in range(base.shape[0]):
            value = base[q] + theta * step[q]
            if value > 0.0:
                total += value
                slope += step[q]
        if slope == 0.0:
            if amount == 0.0:
                break
            theta = np.inf
            for q in range(base.shape[0]):
                theta = min(theta, (amount - base[q]) / step[q])
            continue
        if abs(total - amount) <= _ROUNDING * (amount + abs(theta) * slope):
            break
        theta += (amount - total) / slope
    return theta


@compiled(number(matrix, vector, number, number, number, number))
def _price_of_work(base: Array, step: Array, energy: float, most: float, least: float, guess: float) -> float:
    """The theta at which the powers sum_q max(0, base_tq + theta step_q), cut to [`least`, `most`], sum to
    `energy`: Newton's method, kept within the bracket found so far.
    """
    slots, places = base.shape
    theta, low, high = guess, -np.inf, np.inf
    reach = max(abs(guess), energy / (slots * step.max()))
    for t in range(slots):
        for q in range(places):
            reach = max(reach, abs(base[t, q]) / step[q])
    for _ in range(_NEWTON_STEPS):
        total, slope = 0.0, 0.0
        for t in range(slots):
            power, bend = 0.0, 0.0
            for q in range(places):
                value = base[t, q] + theta * step[q]
                if value > 0.0:
                    power += value
                    bend += step[q]
            if power <= least:
                total += least
            elif power >= most:
                total += most
            else:
                total += power
                slope += bend
        lacks = energy - total
        if abs(lacks) <= _ROUNDING * (energy + abs(theta) * slope):
            break
        if lacks > 0.0:
            low = theta
        else:
            high = theta
        following = theta + lacks / slope if slope > 0.0 else np.nan
        if not low < following < high:
            if low > -np.inf and high < np.inf:
                following = 0.5 * (low + high)
            else:
                following = theta + (reach if lacks > 0.0 else -reach)
                reach *= 2.0
        if following == theta:
            break
        theta = following
    return theta


@compiled(
    nothing(
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
        vector,
        indices,
        indices,
    )
)
def water_fill_jobs(
    missing: Array,
    route: Array,
    price: Array,
    step: Array,
    first: Array,
    last: Array,
    energy: Array,
    most: Array,
    least: Array,
    way_start: Array,
    way_column: Array,
    way_gain: Array,
    gateway_start: Array,
    edge_region: Array,
) -> None:
    """One Gauss-Seidel sweep over the jobs: the work of each nearest to what is `missing` (T, N) of a target.

    Minimises sum_it (missing_i + old z_i - z_i)^2 / (2 step_i) over the allocations z of one job, given all
    else, exactly. `route` (T, E), `missing` and the jobs' part of `price` (T, C) are updated in place; the
    latter is the multiplier of what its load adds up to in a slot: the price of its energy, less that of its
    limit.
    """
    for m in range(first.shape[0]):
        start, length = first[m], last[m] - first[m]
        places = 0
        for v in range(way_start[m], way_start[m + 1]):
            places += gateway_start[way_column[v] + 1] - gateway_start[way_column[v]]
        edge, gain, width = np.empty(places, np.int64), np.empty(places), np.empty(places)
        q = 0
        for v in range(way_start[m], way_start[m + 1]):
            for e in range(gateway_start[way_column[v]], gateway_start[way_column[v] + 1]):
                edge[q], gain[q] = e, way_gain[v]
                width[q] = step[edge_region[e]] / (gain[q] * gain[q])
                q += 1
        base = np.empty((length, places))
        guess = 0.0
        for t in range(length):
            guess += price[start + t, way_column[way_start[m]]] * way_gain[way_start[m]] / length
            for q in range(places):
                e = edge[q]
                base[t, q] = (missing[start + t, edge_region[e]] + route[start + t, e]) / gain[q]
        theta = _price_of_work(base, width, energy[m], most[m], least[m], guess)
        # What slots at a limit leave is shared by the others, to the last digits.
        held, free = 0.0, 0.0
        for t in range(length):
            power = 0.0
            for q in range(places):
                power += max(0.0, base[t, q] + theta * width[q])
            if power <= least[m]:
                held += least[m]
            elif power >= most[m]:
                held += most[m]
            else:
                free += power
        exact = (energy[m] - held) / free if free > 0.0 else 1.0
        for t in range(length):
            power = 0.0
            for q in range(places):
                power += max(0.0, base[t, q] + theta * width[q])
            own, amount = theta, exact * power
            if power <= least[m] or power >= most[m]:
                amount = least[m] if power <= least[m] else most[m]
                own = _fill(base[t], width, amount, theta) if power != amount else theta
                power = 0.0
                for q in range(places):
                    power += max(0.0, base[t, q] + own * width[q])
            scale = amount / power if power > 0.0 else 0.0
            for q in range(places):
                e = edge[q]
                value = scale * gain[q] * max(0.0, base[t, q] + own * width[q])
                missing[start + t, edge_region[e]] -= value - route[start + t, e]
                route[start + t, e] = value
            for v in range(way_start[m], way_start[m + 1]):
                price[start + t, way_column[v]] = own / way_gain[v]


@compiled(nothing(matrix, vector, indices, indices, vector, vector, vector, indices, indices, vector))
def least_cost(
    price: Array,
    value: Array,
    first: Array,
    last: Array,
    energy: Array,
    most: Array,
    least: Array,
    way_start: Array,
    way_column: Array,
    way_gain: Array,
) -> None:
    """`value` (M,): what each job's work costs at least at `price` (T, C) of the load it makes, filling its
    cheapest slots first.
    """
    for m in range(first.shape[0]):
        length = last[m] - first[m]
        cost = np.empty(length)
        for t in range(length):
            cost[t] = np.inf
            for v in range(way_start[m], way_start[m + 1]):
                cost[t] = min(cost[t], way_gain[v] * price[first[m] + t, way_column[v]])
        cost.sort()
        left, total = energy[m] - least[m] * length, 0.0
        for t in range(length):
            more = min(max(left, 0.0), most[m] - least[m])
            total += cost[t] * (least[m] + more)
            left -= more
        value[m] = total


@compiled(nothing(matrix, matrix, indices, indices, vector, vector, vector, indices, indices, vector))
def nearest_load(
    served: Array,
    load: Array,
    first: Array,
    last: Array,
    energy: Array,
    most: Array,
    least: Array,
    way_start: Array,
    way_column: Array,
    way_gain: Array,
) -> None:
    """`load` (T, C) of the jobs' columns by slots that does all work, its powers next to those of `served`
    (T, C), >= 0.

    Minimises sum_t (s_t - served power_t)^2 over the powers s of a job. A slot that served nothing goes the
    first way.
    """
    for m in range(first.shape[0]):
        start, length = first[m], last[m] - first[m]
        power = np.zeros((length, 1))
        for t in range(length):
            for v in range(way_start[m], way_start[m + 1]):
                power[t, 0] += served[start + t, way_column[v]] / way_gain[v]
        theta = _price_of_work(power, np.ones(1), energy[m], most[m], least[m], 0.0)
        for t in range(length):
            amount = min(max(power[t, 0] + theta, least[m]), most[m])
            for v in range(way_start[m], way_start[m + 1]):
                column = way_column[v]
                if power[t, 0] > 0.0:
                    load[start + t, column] = served[start + t, column] * (amount / power[t, 0])
                else:
                    load[start + t, column] = amount * way_gain[v] if v == way_start[m] else 0.0

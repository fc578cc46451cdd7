"""Interior-point clearing of jobs beside demand where some ways take more energy: least cost, to any gap.

Where ways have gains, alternating cycles make or lose load and shortest paths (`min_cost_flow`) are not
enough. So bids are cleared by path following: the Newton system is that of `dense_jobs` without footprints,
and the barriers of the capacities are the coordinator's own, as bids and quantities are all it takes. The
prices are feasible for the dual problem and the route nearly is for the primal one, so both are of use
however far it went. Starting from the last clearing was tried: its point is central only for the bids that it
was made for, and it takes about as many steps.
"""

from __future__ import annotations

import numpy as np

from eglb.coordinator.interior.dense_jobs import JobSlots
from eglb.coordinator.interior.epigraph import room
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array

_STEPS = 100
_START_GAP, _CENTRING, _BOUNDARY = 0.5, 0.1, 0.99
"""Of the cost, aimed for at the start; of the complementarity, aimed for next; of the way to the boundary."""
_SLACK = 1e-9
"""Room that capacities get, of the mean load of a column, so that there is an interior."""
_LEAST_CENTRING = 1e-14


def clear(market: Market, cost: Array, quantity: Array, gap: float) -> tuple[Array, Array]:
    """Route (T, E) for `cost` and `quantity` (T, N) that serves all demand and work but for rounding, to be
    repaired, and its demand price (T, J), which is dual feasible; what both are worth differs by about `gap`.
    """
    m, aggregation = market.aggregated, market.aggregation
    even = market.spread()
    load_unit = float(aggregation.aggregate(market.asked()).mean()) or 1.0
    price_unit = float(np.abs(cost).mean()) or 1.0
    jobs = JobSlots(market, np.zeros((m.slots, 0, m.regions)), load_unit)
    unit_cost, limit = cost / price_unit, quantity / load_unit + _SLACK

    x = aggregation.aggregate_route(even) / load_unit
    products = jobs.products + limit.size
    spent = float(np.abs(unit_cost * m.load(x)).sum())
    tau = max(_START_GAP * spent / products, _LEAST_CENTRING)
    x = jobs.only_real(np.maximum(x, 0.3 * np.sqrt(tau)))
    nu = jobs.start(_cheapest(m, unit_cost), tau)
    best = m.best_price(nu) - unit_cost
    capacity_price = 0.5 * (best + np.sqrt(best**2 + 4.0 * tau))
    spare = np.maximum(limit - m.load(x), tau / capacity_price)
    least = np.divide(tau, x, out=np.ones_like(x), where=x > 0.0)
    z = np.maximum((unit_cost + capacity_price)[:, m.edge_region] - nu[:, m.edge_gateway], least)

    none, no_change = np.zeros((0, m.regions)), np.zeros((m.slots, m.regions))
    for _ in range(_STEPS):
        load = m.load(x)
        total = float((x * z).sum() + (spare * capacity_price).sum()) + jobs.complementarity
        if total <= gap * float(np.abs(unit_cost * load).sum()):
            break
        tau = max(_CENTRING * total / products, _LEAST_CENTRING)
        curvature, missing = capacity_price / spare, limit - load - spare
        try:
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                jobs.reduce(x, z, nu, unit_cost + tau / spare - curvature * missing, curvature, tau)
                jobs.solve_border(none, none, none, np.zeros(0), none, 0.0)
                moves = jobs.expand(no_change)
                spare_move = missing - m.load(moves.route)
                price_move = tau / spare - curvature * missing + moves.capacity_price - capacity_price
        except (np.linalg.LinAlgError, FloatingPointError):
            break  # as near as rounding lets it come
        primal = min(1.0, _BOUNDARY * min(moves.route_room, room(spare, spare_move)))
        dual = min(1.0, _BOUNDARY * min(moves.cost_room, room(capacity_price, price_move)))
        jobs.follow(primal, dual)
        x, spare = x + primal * moves.route, spare + primal * spare_move
        z, capacity_price = z + dual * moves.reduced_cost, capacity_price + dual * price_move
        nu = nu + dual * moves.demand_price
    return load_unit * jobs.disaggregate(x), price_unit * _cheapest(market, unit_cost + capacity_price)


def _cheapest(market: Market, cost: Array) -> Array:
    """(T, J): the least of `cost` (T, N) that each gateway reaches."""
    offered = np.ascontiguousarray(cost[:, market.edge_region])
    least: Array = np.minimum.reduceat(offered, market.gateway_start[:-1], axis=1)
    return least

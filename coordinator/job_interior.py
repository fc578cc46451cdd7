"""The Newton system of the interior-point method with deferrable jobs: slots, coupled by the jobs' energy.

To `interior` a job adds, in every slot of its own, a power s that takes the place of demand, with slacks v to
its most and u to its least power (the latter only where that is not zero) and their prices rho and sigma, and
once the price pi of its energy:

    nu - pi + rho - sigma = 0,    v + s = most,    s - u = least,    sum_t s = E.

Eliminating s leaves its row of the slot's system with 1 / theta more on the diagonal, theta = rho / v +
sigma / u, and (q + dpi) / theta on its side. So given the moves of pi and of the equity prices, slots are
independent as before; the border has one row more for each job. Full matrices throughout.

The ways of a job share one row, with loads divided by their gains.
"""

from __future__ import annotations

import numpy as np

from eglb.agents.barrier import fraction_to_boundary
from eglb.coordinator.interior import PRICE_FLOOR, ROUTE_FLOOR, Moves, _solve_each
from eglb.coordinator.market import Market

Array = np.ndarray

_MARGIN = 1e-9
"""By which limits are relaxed inside the method, so that a job without any choice has an interior."""


class JobSlots:
    """The systems of all slots and jobs: `reduce`, `solve_border`, `expand`, then `follow`.

    Parameters
    ----------
    intensity : (T, K, N) in units of order one. load_unit : MW.
    """

    def __init__(self, market: Market, intensity: Array, load_unit: float) -> None:
        work = market.work
        assert work is not None
        slots, columns, regions = market.slots, market.gateways, market.regions
        self._shape = slots, columns, regions
        self._intensity = intensity
        self._gateways = market.fixed_demand.shape[1]
        self._demand = np.zeros((slots, columns))
        self._demand[:, : self._gateways] = market.fixed_demand / load_unit
        owner = work.owner(slots, columns)
        owned = owner >= 0
        job = np.where(owned, work.way_job[owner], -1)
        self._row = np.where(owned, work.way_column[work.way_start[:-1]][job], np.arange(columns))
        self._share = np.where(owned, 1.0 / work.way_gain[owner], 1.0)
        real = owned | (np.arange(columns) < self._gateways)
        self._slot, self._edge = np.nonzero(real[:, market.edge_gateway])
        column = market.edge_gateway[self._edge]
        self._edge_row = self._row[self._slot, column]
        self._edge_share = self._share[self._slot, column]
        self._region = market.edge_region[self._edge]
        self._cell = (self._slot * columns + self._edge_row) * regions + self._region
        self._idle = ~real | (self._row != np.arange(columns))
        # One entry for each slot of each job.
        self._at = np.nonzero(owned & ~self._idle)
        self._job = job[self._at]
        self._energy = work.energy / load_unit
        margin = _MARGIN * float(work.most.max()) / load_unit
        self._most = work.most[self._job] / load_unit + margin
        self._least = work.least[self._job] / load_unit - margin
        self._floored = work.least[self._job] > 0.0
        self._power = np.zeros(len(self._job))

    @property
    def pairs(self) -> int:
        """How many pairs of a gateway or job and a region there are, over all slots."""
        return len(self._slot)

    def only_real(self, route: Array) -> Array:
        """`route` (T, E) without what belongs to no job."""
        kept = np.zeros_like(route)
        kept[self._slot, self._edge] = route[self._slot, self._edge]
        return kept

    def start(self, route: Array, demand_price: Array) -> Array:
        """A roomy interior point at `route` (T, E); `demand_price` (T, C), alike over the ways of a job."""
        by_row = self._per_row(demand_price)
        own = by_row[self._at]
        self._power = self._powers(route)
        self._pi = self._by_job(own) / np.bincount(self._job)
        self._slack = np.maximum(self._most - self._power, 0.2 * self._most)
        self._slack_price = np.full(len(own), 0.5)
        self._spare = np.maximum(self._power - self._least, 0.2 * self._most)
        self._spare_price = np.where(self._floored, 0.5, 0.0)
        return self._per_column(by_row)

    def resume(self, route: Array, demand_price: Array, tau: float) -> Array:
        """The point on the central path, at centring `tau`, that route and prices tell of; as `start`."""
        by_row = self._per_row(demand_price)
        own = by_row[self._at]
        self._power = self._powers(route)
        # The price of the slot in which a job that takes its cheapest first would end.
        order = np.lexsort((own, self._job))
        most = self._most[order]
        before = np.cumsum(most) - most
        start = np.searchsorted(self._job[order], np.arange(len(self._energy)))
        fits = before - before[start][self._job[order]] < self._energy[self._job[order]]
        self._pi = np.full(len(self._energy), -np.inf)
        np.maximum.at(self._pi, self._job[order[fits]], own[order[fits]])
        gain = self._pi[self._job] - own
        root = np.sqrt(gain**2 + 4.0 * tau)
        self._slack_price = np.maximum(0.5 * (gain + root), 1e-3 * np.sqrt(tau))
        self._spare_price = np.where(self._floored, np.maximum(0.5 * (root - gain), 1e-3 * np.sqrt(tau)), 0.0)
        self._slack = np.maximum(self._most - self._power, tau / self._slack_price)
        floor_price = np.where(self._floored, self._spare_price, 1.0)
        self._spare = np.maximum(self._power - self._least, tau / floor_price)
        return self._per_column(by_row)

    def reduce(
        self,
        route: Array,
        reduced_cost: Array,
        demand_price: Array,
        slope: Array,
        curvature: Array,
        tau: float,
    ) -> Array:
        """Eliminate all but the prices of energy and equity; as `DenseSlots.reduce`."""
        slots, columns, regions = self._shape
        x, z = route[self._slot, self._edge], reduced_cost[self._slot, self._edge]
        weight = 1.0 / (z / x + ROUTE_FLOOR)
        by_row = self._per_row(demand_price)
        rest = (
            self._edge_share * by_row[self._slot, self._edge_row] + tau / x - slope[self._slot, self._region]
        )
        dense, pulled, share = self._dense(weight), self._dense(weight * rest), self._dense(self._edge_share)
        scaled = dense * share
        total, pull = dense.sum(1), pulled.sum(1)
        damped = 1.0 / (1.0 + curvature * total)
        stiff = curvature * damped
        systems = -(scaled * stiff[:, None]) @ scaled.transpose(0, 2, 1)
        diagonal = np.arange(columns)
        systems[:, diagonal, diagonal] = 0.0
        bend = curvature[:, None] * (share * total[:, None] - scaled.sum(1)[:, None])
        row = (scaled * (share + bend) * damped[:, None]).sum(2)

        job_at = self._job
        theta = self._slack_price / self._slack + self._spare_price / self._spare + PRICE_FLOOR
        over, under = self._most - self._power - self._slack, self._power - self._least - self._spare
        q = (
            self._pi[job_at]
            - by_row[self._at]
            - tau / self._slack
            + self._slack_price / self._slack * over
            + np.where(self._floored, tau / self._spare, 0.0)
            - self._spare_price / self._spare * under
        )
        extra = np.full((slots, columns), PRICE_FLOOR)
        extra[self._at] = 1.0 / theta
        extra[self._idle] = 1.0
        systems[:, diagonal, diagonal] = row - systems.sum(2) + extra

        wanted = self._demand.copy()
        wanted[self._at] = self._power + q / theta
        sides = np.zeros((slots, columns, 1 + regions + columns - self._gateways))
        sides[:, :, 0] = wanted - self._served(x) - (share * pulled - scaled * (stiff * pull)[:, None]).sum(2)
        sides[:, :, 0][self._idle] = 0.0
        sides[:, :, 1 : 1 + regions] = scaled * damped[:, None]
        sides[self._at[0], self._at[1], 1 + regions + self._at[1] - self._gateways] = 1.0 / theta
        _solve_each(systems, sides)

        self._point = x, z, weight, rest, curvature, total, tau
        self._theta, self._q, self._over, self._under = theta, q, over, under
        self._response = sides
        self._scaled = scaled * damped[:, None]
        shift: Array = damped * (pull + (scaled * sides[:, :, :1]).sum(1))
        self._coupling = -self._scaled.transpose(0, 2, 1) @ sides[:, :, 1 : 1 + regions]
        self._coupling[:, np.arange(regions), np.arange(regions)] += total * damped
        return shift

    def solve_border(
        self, compliance: Array, side: Array, direction: Array, rest: Array, guess: Array, enough: float
    ) -> tuple[Array, Array]:
        """The bordered system of the prices of equity and of the jobs' energy, exactly."""
        slots, columns, regions = self._shape
        kinds, jobs, gateways = len(side), len(self._energy), self._gateways
        size = kinds * regions
        a, inverse = self._intensity, np.zeros((slots, columns))
        inverse[self._at] = 1.0 / self._theta
        matrix = np.zeros((size + jobs + kinds, size + jobs + kinds))
        for k in range(kinds):
            for other in range(kinds):
                block = (a[:, k, :, None] * self._coupling * a[:, other, None, :]).sum(0)
                matrix[k * regions : (k + 1) * regions, other * regions : (other + 1) * regions] = block
        matrix[np.arange(size), np.arange(size)] += compliance.ravel()
        # How a job's power answers the energy prices of all that are under way with it, and equity prices.
        mutual = -self._response[:, gateways:, 1 + regions :] * inverse[:, gateways:, None]
        place = np.full((slots, columns), -1)
        place[self._at] = self._job
        one, other_job = place[:, gateways:, None], place[:, None, gateways:]
        both = (one >= 0) & (other_job >= 0)
        cell = (one * jobs + other_job)[both]
        energy = np.bincount(cell, mutual[both], minlength=jobs * jobs).reshape(jobs, jobs)
        energy[np.arange(jobs), np.arange(jobs)] += self._by_job(1.0 / self._theta)
        matrix[size : size + jobs, size : size + jobs] = energy
        answer = self._response[self._at[0], self._at[1], 1 : 1 + regions] / self._theta[:, None]
        for k in range(kinds):
            priced = answer * a[self._at[0], k]
            span = slice(k * regions, (k + 1) * regions)
            for i in range(regions):
                matrix[size : size + jobs, k * regions + i] = -self._by_job(priced[:, i])
            matrix[span, size : size + jobs] = matrix[size : size + jobs, span].T
            matrix[span, size + jobs + k] = matrix[size + jobs + k, span] = direction[k]
        free = (self._q - self._response[self._at[0], self._at[1], 0]) / self._theta
        lacks = self._energy - self._by_job(self._power) - self._by_job(free)
        scale = np.ones(len(matrix))
        scale[: size + jobs] = 1.0 / np.sqrt(np.maximum(matrix.diagonal()[: size + jobs], 1e-300))
        matrix *= scale[:, None]
        matrix *= scale
        solved = scale * np.linalg.solve(matrix, scale * np.concatenate([side.ravel(), lacks, rest]))
        self._pi_move = solved[size : size + jobs]
        return solved[:size].reshape(kinds, regions), solved[size + jobs :]

    def expand(self, equity_cost: Array) -> Moves:
        """Go back from the prices of equity and energy to everything else; as `DenseSlots.expand`."""
        x, z, weight, rest, curvature, total, tau = self._point
        slots, columns, regions = self._shape
        pi_move = self._pi_move[self._job]
        by_column = np.zeros((slots, columns - self._gateways))
        by_column[self._at[0], self._at[1] - self._gateways] = pi_move
        towards = np.concatenate([np.ones((slots, 1)), equity_cost, by_column], axis=1)
        row_move = (self._response @ towards[:, :, None])[:, :, 0]
        part = weight * (
            rest
            - equity_cost[self._slot, self._region]
            + self._edge_share * row_move[self._slot, self._edge_row]
        )
        cell = self._slot * regions + self._region
        pulled = np.bincount(cell, part, minlength=slots * regions).reshape(slots, regions)
        capacity = pulled * curvature / (1.0 + curvature * total)
        dx = part - weight * capacity[self._slot, self._region]
        dz = tau / x - z - z / x * dx

        power = (self._q - row_move[self._at] + pi_move) / self._theta
        slack, spare = self._over - power, self._under + power
        slack_price = tau / self._slack - self._slack_price - self._slack_price / self._slack * slack
        spare_price = np.where(
            self._floored,
            tau / self._spare - self._spare_price - self._spare_price / self._spare * spare,
            0.0,
        )
        self._moves = power, slack, spare, slack_price, spare_price
        route_room, cost_room = _room(x, dx), _room(z, dz)
        edges = (slots, int(self._edge.max()) + 1)
        route_move, cost_move = np.zeros(edges), np.zeros(edges)
        route_move[self._slot, self._edge], cost_move[self._slot, self._edge] = dx, dz
        return Moves(self._per_column(row_move), route_move, cost_move, capacity, route_room, cost_room)

    def follow(self, primal: float, dual: float) -> None:
        """Take these parts of the last moves with powers and energy prices; limits and their prices go as far
        as each of them can, like those of the agents.
        """
        power, slack, spare, slack_price, spare_price = self._moves
        self._power = self._power + primal * power
        self._slack = self._slack + fraction_to_boundary(self._slack, slack) * slack
        self._slack_price = (
            self._slack_price + fraction_to_boundary(self._slack_price, slack_price) * slack_price
        )
        self._spare = self._spare + fraction_to_boundary(self._spare, spare) * spare
        self._spare_price = (
            self._spare_price + fraction_to_boundary(self._spare_price, spare_price) * spare_price
        )
        self._pi = self._pi + dual * self._pi_move

    def _dense(self, values: Array) -> Array:
        """(T, C, N) of values on the pairs."""
        dense = np.zeros(self._shape)
        dense.reshape(-1)[self._cell] = values
        return dense

    def _served(self, x: Array) -> Array:
        """(T, C): work, or demand, that `x` on the pairs does in each row."""
        slots, columns, _ = self._shape
        cell = self._slot * columns + self._edge_row
        return np.bincount(cell, self._edge_share * x, minlength=slots * columns).reshape(slots, columns)

    def _powers(self, route: Array) -> Array:
        powers: Array = self._served(route[self._slot, self._edge])[self._at]
        return powers

    def _per_row(self, price: Array) -> Array:
        """(T, C): the price of work in each row, the least that its ways ask for, from that of load."""
        slots, columns, _ = self._shape
        by_row = np.full((slots, columns), np.inf)
        np.minimum.at(by_row, (np.arange(slots)[:, None], self._row), price / self._share)
        return np.where(np.isfinite(by_row), by_row, 0.0)

    def _per_column(self, by_row: Array) -> Array:
        return np.take_along_axis(by_row, self._row, axis=1) * self._share

    def _by_job(self, values: Array) -> Array:
        return np.bincount(self._job, values, minlength=len(self._energy))


def _room(value: Array, move: Array) -> float:
    """How far `value` may go along `move` without reaching zero."""
    falling = move < 0.0
    return float((-value[falling] / move[falling]).min(initial=np.inf))

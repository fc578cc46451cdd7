"""Newton system, dense, with deferrable jobs: slots, coupled by the jobs' energy.

To `dense` a job adds, in every slot of its own, a power s that is asked for beside demand, with what it
leaves of its most, v, and has above its least, u, their prices rho and sigma, and once the price pi of its
energy:

    nu - pi + rho - sigma = 0,    v = most - s > 0,    u = s - least > 0,    sum_t s = E.

Eliminating s leaves its row of the slot's system with 1 / theta more on the diagonal, theta = rho / v +
sigma / u, and (q + dpi) / theta on its side. So given the moves of pi and of the equity prices, slots are
independent as before; the border has one row more for each job. Full matrices throughout.

All is in the aggregated columns of the market, so all jobs with the same reach share one row in a slot. The
ways of a job with several share one, too, with loads divided by their gains, and jobs that follow each other
may have the same. A job that has no choice of its powers is demand.
"""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np

from eglb.coordinator.interior.dense import PRICE_FLOOR, ROUTE_FLOOR, SMALL, Moves, solve_each
from eglb.coordinator.interior.epigraph import room
from eglb.coordinator.market.jobs import JobSet
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array
from eglb.foundation.compilation import compiled, cube, indices, matrix, nothing, vector

_NO_CHOICE = 1e-6
"""Part of the room between least and most power up to which a job's energy counts as all or nothing of it."""
_HALVINGS = 60


class JobSlots:
    """The systems of all slots and jobs: `reduce`, `solve_border`, `expand`, then `follow`.

    Parameters
    ----------
    market : as agents know it; routes and prices here are those of its aggregated columns.
    intensity : (T, K, N) in units of order one; without kinds nothing depends on equity prices.
    load_unit : MW.
    """

    def __init__(self, market: Market, intensity: Array, load_unit: float) -> None:
        work, aggregation, aggregated = market.work, market.aggregation, market.aggregated
        assert work is not None
        slots, regions = aggregated.slots, aggregated.regions
        gateways = market.fixed_demand.shape[1]
        way_column = aggregation.column[work.way_column]
        column_row, job_row, rows = _rows_of(work, way_column, aggregated.gateways)
        self._shape, self._columns = (slots, rows, regions), (slots, aggregated.gateways)
        self._intensity, self._priced = intensity, regions if intensity.shape[1] else 0
        self._demand = np.zeros((slots, rows))
        self._demand[:, column_row[:gateways]] = market.fixed_demand / load_unit
        row = np.full((slots, aggregated.gateways), -1)
        share = np.ones((slots, aggregated.gateways))
        row[:, :gateways] = column_row[:gateways]
        for m, column, gain in zip(work.way_job, way_column, work.way_gain, strict=True):
            span = slice(work.first[m], work.last[m])
            row[span, column] = job_row[m]
            share[span, column] = 1.0 / gain
        # Columns in slots where they are of use: by gateways, or by the way of a job.
        self._real = np.nonzero(row >= 0)
        self._real_row, self._real_share = row[self._real], share[self._real]
        self._slot, self._edge = np.nonzero((row >= 0)[:, aggregated.edge_gateway])
        column = aggregated.edge_gateway[self._edge]
        self._edge_row, self._edge_share = row[self._slot, column], share[self._slot, column]
        self._region = aggregated.edge_region[self._edge]
        self._cell = (self._slot * rows + self._edge_row) * regions + self._region
        self._idle = np.ones((slots, rows), bool)
        self._idle[self._real[0], self._real_row] = False

        length = work.last - work.first
        even = work.energy / length
        choice = np.minimum(even - work.least, work.most - even) > _NO_CHOICE * (work.most - work.least)
        for m in np.flatnonzero(~choice):
            self._demand[work.first[m] : work.last[m], job_row[m]] += even[m] / load_unit
        # What each column is served, but for jobs with a choice; columns that are alone, no matter what.
        self._aggregation = aggregation
        market_column = work.way_column[work.way_start[:-1]]
        self._served_alone = np.where(np.bincount(aggregation.column)[aggregation.column] == 1, 1.0, 0.0)
        self._served_alone = np.tile(self._served_alone, (slots, 1))
        self._served_alone[:, :gateways] = market.fixed_demand / load_unit
        for m in np.flatnonzero(~choice):
            self._served_alone[work.first[m] : work.last[m], market_column[m]] += even[m] / load_unit
        # One entry for each slot of each job that has a choice, by job.
        chosen = np.flatnonzero(choice)
        self._energy = work.energy[chosen] / load_unit
        self._job = np.repeat(np.arange(len(chosen)), length[chosen])
        start = np.cumsum(length[chosen]) - length[chosen]
        slot = np.arange(len(self._job)) - np.repeat(start - work.first[chosen], length[chosen])
        self._at = slot, job_row[chosen][self._job]
        self._market_column = market_column[chosen][self._job]
        self._job_start = start
        self._by_slot = np.argsort(slot, kind="stable")
        self._slot_start = np.searchsorted(slot[self._by_slot], np.arange(slots + 1)).astype(np.int64)
        self._most = work.most[chosen][self._job] / load_unit
        self._least = work.least[chosen][self._job] / load_unit
        self._job_rows = np.unique(self._at[1])
        self._place = np.searchsorted(self._job_rows, self._at[1])

    @property
    def complementarity(self) -> float:
        """The products of the jobs' limits and their prices, summed up."""
        return float(self._slack @ self._slack_price + self._spare @ self._spare_price)

    @property
    def products(self) -> int:
        """How many there are of these, and of pairs of a column and a region in a slot."""
        return self.pairs + 2 * len(self._job)

    @property
    def entries(self) -> int:
        """Of the systems of all slots and their sides."""
        slots, rows, _ = self._shape
        return slots * rows * (rows + 1 + self._priced + len(self._job_rows))

    @property
    def pairs(self) -> int:
        """How many pairs of a column and a region there are, over all slots."""
        return len(self._slot)

    def only_real(self, route: Array) -> Array:
        """`route` (T, E') without what belongs to no job."""
        kept = np.zeros_like(route)
        kept[self._slot, self._edge] = route[self._slot, self._edge]
        return kept

    def start(self, demand_price: Array, tau: float) -> Array:
        """Put powers and prices on the central path at centring `tau` of jobs that pay `demand_price`
        (T, C'), and give it back alike over the ways of a job.
        """
        by_row = self._per_row(demand_price)
        price, width = by_row[self._at], self._most - self._least
        reach = 1.0 + float(np.ptp(by_row)) + tau / (_NO_CHOICE * width)
        low = self._by_job(price - reach, np.minimum)
        high = self._by_job(price + reach, np.maximum)
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            too_low = self._by_job(self._most - self._central(middle[self._job] - price, tau)) < self._energy
            low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
        self._pi = 0.5 * (low + high)
        gain = self._pi[self._job] - price
        self._slack, self._spare = self._central(gain, tau), self._central(-gain, tau)
        self._power = np.where(self._slack < self._spare, self._most - self._slack, self._least + self._spare)
        self._slack_price, self._spare_price = tau / self._slack, tau / self._spare
        return self._per_column(by_row, demand_price)

    def disaggregate(self, route: Array) -> Array:
        """(T, E) of the market from `route` (T, E') on aggregated edges, by the jobs' powers."""
        served = self._served_alone.copy()
        np.add.at(served, (self._at[0], self._market_column), self._power)
        return self._aggregation.disaggregate_route(route, served)

    def asked(self) -> Array:
        """(T, C'): what is to be carried in the row of each column, demand and powers, in units of work."""
        asked = self._demand.copy()
        np.add.at(asked, self._at, self._power)
        return self._in_columns(asked)

    def carried(self, route: Array) -> Array:
        """(T, C'): what `route` (T, E') carries in the row of each column, in units of work."""
        return self._in_columns(self._served(route[self._slot, self._edge]))

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
        slots, rows, _ = self._shape
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
        diagonal = np.arange(rows)
        systems[:, diagonal, diagonal] = 0.0
        bend = curvature[:, None] * (share * total[:, None] - scaled.sum(1)[:, None])
        row = (scaled * (share + bend) * damped[:, None]).sum(2)

        theta = self._slack_price / self._slack + self._spare_price / self._spare + PRICE_FLOOR
        q = self._pi[self._job] - by_row[self._at] - tau / self._slack + tau / self._spare
        extra = np.full((slots, rows), PRICE_FLOOR)
        np.add.at(extra, self._at, 1.0 / theta)
        extra[self._idle] = 1.0
        systems[:, diagonal, diagonal] = row - systems.sum(2) + extra

        wanted = self._demand.copy()
        np.add.at(wanted, self._at, self._power + q / theta)
        priced = self._priced
        sides = np.zeros((slots, rows, 1 + priced + len(self._job_rows)))
        sides[:, :, 0] = wanted - self._served(x) - (share * pulled - scaled * (stiff * pull)[:, None]).sum(2)
        sides[:, :, 1 : 1 + priced] = (scaled * damped[:, None])[:, :, :priced]
        sides[:, self._job_rows, np.arange(1 + priced, sides.shape[2])] = 1.0
        sides[self._idle] = 0.0
        if rows <= SMALL:
            solve_each(systems, sides)
        else:
            sides = np.linalg.solve(systems, sides)

        self._point = x, z, weight, rest, curvature, total, tau
        self._theta, self._q = theta, q
        self._response = np.ascontiguousarray(sides)
        scaled *= damped[:, None]
        shift: Array = damped * (pull + (dense * share * sides[:, :, :1]).sum(1))
        self._coupling = -scaled.transpose(0, 2, 1) @ sides[:, :, 1 : 1 + priced]
        self._coupling[:, np.arange(priced), np.arange(priced)] += (total * damped)[:, :priced]
        return shift

    def solve_border(
        self, compliance: Array, side: Array, direction: Array, rest: Array, guess: Array, enough: float
    ) -> tuple[Array, Array]:
        """The bordered system of the prices of equity and of the jobs' energy, exactly."""
        _, _, regions = self._shape
        kinds, jobs = len(side), len(self._energy)
        size = kinds * regions
        a, inverse = self._intensity, 1.0 / self._theta
        system = np.zeros((size + jobs + kinds, size + jobs + kinds))
        for k in range(kinds):
            for other in range(kinds):
                block = (a[:, k, :, None] * self._coupling * a[:, other, None, :]).sum(0)
                system[k * regions : (k + 1) * regions, other * regions : (other + 1) * regions] = block
        system[np.arange(size), np.arange(size)] += compliance.ravel()
        # How a job's power answers the energy prices of all that are under way with it, and equity prices.
        energy = np.zeros((jobs, jobs))
        order = self._by_slot
        _answer_each_other(
            energy,
            np.ascontiguousarray(self._response[:, :, 1 + self._priced :]),
            self._slot_start,
            self._job[order],
            self._at[1][order],
            self._place[order],
            inverse[order],
        )
        energy[np.arange(jobs), np.arange(jobs)] += self._by_job(inverse)
        system[size : size + jobs, size : size + jobs] = energy
        answer = self._response[self._at[0], self._at[1], 1 : 1 + regions] * inverse[:, None]
        for k in range(kinds):
            span = slice(k * regions, (k + 1) * regions)
            if jobs:
                priced = -np.add.reduceat(answer * a[self._at[0], k], self._job_start)
                system[size : size + jobs, span] = priced
                system[span, size : size + jobs] = priced.T
            system[span, size + jobs + k] = system[size + jobs + k, span] = direction[k]
        free = (self._q - self._response[self._at[0], self._at[1], 0]) * inverse
        lacks = self._energy - self._by_job(self._power) - self._by_job(free)
        scale = np.ones(len(system))
        scale[: size + jobs] = 1.0 / np.sqrt(np.maximum(system.diagonal()[: size + jobs], 1e-300))
        system *= scale[:, None]
        system *= scale
        solved = scale * np.linalg.solve(system, scale * np.concatenate([side.ravel(), lacks, rest]))
        self._pi_move = solved[size : size + jobs]
        return solved[:size].reshape(kinds, regions), solved[size + jobs :]

    def expand(self, equity_cost: Array) -> Moves:
        """Go back from the prices of equity and energy to everything else; as `DenseSlots.expand`."""
        x, z, weight, rest, curvature, total, tau = self._point
        slots, _, regions = self._shape
        pi_move = self._pi_move[self._job]
        pulls = np.zeros((slots, len(self._job_rows)))
        np.add.at(pulls, (self._at[0], self._place), pi_move / self._theta)
        towards = np.concatenate([np.ones((slots, 1)), equity_cost[:, : self._priced], pulls], axis=1)
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

        power = (self._q + pi_move - row_move[self._at]) / self._theta
        slack_price = tau / self._slack - self._slack_price + self._slack_price / self._slack * power
        spare_price = tau / self._spare - self._spare_price - self._spare_price / self._spare * power
        self._moves = power, slack_price, spare_price
        limits = min(room(self._slack, -power), room(self._spare, power))
        prices = min(room(self._slack_price, slack_price), room(self._spare_price, spare_price))
        edges = (slots, int(self._edge.max()) + 1)
        route_move, cost_move = np.zeros(edges), np.zeros(edges)
        route_move[self._slot, self._edge], cost_move[self._slot, self._edge] = dx, dz
        return Moves(
            self._per_column(row_move, np.zeros(self._columns)),
            route_move,
            cost_move,
            capacity,
            min(room(x, dx), limits),
            min(room(z, dz), prices),
        )

    def follow(self, primal: float, dual: float) -> None:
        """Take these parts of the last moves."""
        power, slack_price, spare_price = self._moves
        self._power = self._power + primal * power
        self._slack = self._slack - primal * power
        self._spare = self._spare + primal * power
        self._slack_price = self._slack_price + dual * slack_price
        self._spare_price = self._spare_price + dual * spare_price
        self._pi = self._pi + dual * self._pi_move

    def _central(self, gain: Array, tau: float) -> Array:
        """v with tau / v - tau / u = `gain` and u + v = most - least."""
        width = self._most - self._least
        pull = gain * width
        root = np.sqrt(pull**2 + 4.0 * tau**2)
        # Either form of the solution loses all digits on one side.
        up = 2.0 * tau * width / np.where(pull > 0.0, pull + 2.0 * tau + root, 1.0)
        down = 2.0 * tau * width / np.where(pull > 0.0, 1.0, root + 2.0 * tau - pull)
        return np.where(pull > 0.0, up, width - down)

    def _dense(self, values: Array) -> Array:
        """(T, R, N) of values on the pairs."""
        dense = np.zeros(self._shape)
        dense.reshape(-1)[self._cell] = values
        return dense

    def _served(self, x: Array) -> Array:
        """(T, R): work, or demand, that `x` on the pairs does in each row."""
        slots, rows, _ = self._shape
        cell = self._slot * rows + self._edge_row
        return np.bincount(cell, self._edge_share * x, minlength=slots * rows).reshape(slots, rows)

    def _per_row(self, price: Array) -> Array:
        """(T, R): the price of work in each row, the least that its ways ask for, from that of load."""
        slots, rows, _ = self._shape
        by_row = np.full((slots, rows), np.inf)
        np.minimum.at(by_row, (self._real[0], self._real_row), price[self._real] / self._real_share)
        return np.where(np.isfinite(by_row), by_row, 0.0)

    def _per_column(self, by_row: Array, otherwise: Array) -> Array:
        """(T, C'): prices of load from those of work, and what they are `otherwise` where there is no row."""
        price = otherwise.copy()
        price[self._real] = by_row[self._real[0], self._real_row] * self._real_share
        return price

    def _in_columns(self, by_row: Array) -> Array:
        """(T, C'): what is said of the row of each column, zero where it has none."""
        values = np.zeros(self._columns)
        values[self._real] = by_row[self._real[0], self._real_row]
        return values

    def _by_job(self, values: Array, combine: np.ufunc = np.add) -> Array:
        if not len(self._energy):
            return np.zeros(0)
        combined: Array = combine.reduceat(values, self._job_start)
        return combined


def _rows_of(work: JobSet, way_column: Array, columns: int) -> tuple[Array, Array, int]:
    """The row (C',) of each column, that of each job (M,), and how many there are; `way_column` (V,) is the
    column of each way.

    Columns that no job with several ways, or with a gain, ever uses have a row each. Jobs that use others
    have rows of their own while they are under way (colouring of an interval graph, by first slot).
    """
    first_way = work.way_start[:-1]
    apart = (np.diff(work.way_start) > 1) | (work.way_gain[first_way] != 1.0)
    shared = np.ones(columns, bool)
    shared[way_column[apart[work.way_job]]] = False
    column_row = np.where(shared, np.cumsum(shared) - 1, -1)
    row, count = column_row[way_column[first_way]], int(shared.sum())
    own = np.flatnonzero(row < 0)
    free: list[tuple[int, int]] = []
    for m in own[np.argsort(work.first[own], kind="stable")]:
        if free and free[0][0] <= work.first[m]:
            _, row[m] = heappop(free)
        else:
            row[m], count = count, count + 1
        heappush(free, (int(work.last[m]), int(row[m])))
    return column_row, row, count


@compiled(nothing(matrix, cube, indices, indices, indices, indices, vector))
def _answer_each_other(
    energy: Array,
    response: Array,
    slot_start: Array,
    job: Array,
    row: Array,
    place: Array,
    inverse: Array,
) -> None:
    """Take from `energy` (M, M) what powers of jobs under way together fall by each other's energy prices.

    The entries of slot t are ``slot_start[t]:slot_start[t + 1]``, with the job's index, row and place among
    the rows of jobs; `response` (T, R, R') of the demand prices to a unit in each of these.
    """
    for t in range(slot_start.shape[0] - 1):
        low, high = slot_start[t], slot_start[t + 1]
        for a in range(low, high):
            own = energy[job[a]]
            answer = response[t, row[a]]
            for b in range(low, high):
                own[job[b]] -= inverse[a] * answer[place[b]] * inverse[b]

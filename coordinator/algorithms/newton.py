"""Interior-point method, decentralised: the fewest rounds, and the most disclosure.

Every agent keeps the barriers of its own capacity and footprint levels, answers with their quadratic model
and takes its own step lengths. The coordinator holds routes and prices, takes a few Newton steps on the
agents' fixed models (they are cheap, a round is not) and announces where loads, levels and prices moved.

What the coordinator learns: price, capacity and intensity series of every region once (from slope and
curvature of the barriers it could infer them anyway). Use `admm` where that must not be. It uses them to
propose plans and prices for the certificate as well: mixtures of the plans passed, slot by slot, and demand
prices that are optimal for the equity prices; the agents put the prices on them.

Stragglers: a round waits for everyone, up to the fleet's deadline, and asks again who is missing; what is
stale is dropped. Going on with an absent agent's last model, shifted to the present load and levels, was
tried: the method then loses its way at 10 % lost messages, where waiting doubles or trebles its few rounds.
Where progress stalls, ADMM takes over with plan and bound (`eglb.coordinator.algorithms.crossover`).

Block-wise step lengths carry no convergence proof. The certificate does not depend on them: bounds and the
prices of repaired plans come from the agents, and a run that no longer improves says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np

from eglb.agents.barrier import BarrierModel, BarrierStep, Disclose, Disclosure
from eglb.agents.region import Request
from eglb.agents.validation import find_problem
from eglb.coordinator.algorithms.algorithm import Algorithm, Finished, Incumbent, WarmStart
from eglb.coordinator.algorithms.primal_recovery import PricedPlan, PrimalRecovery
from eglb.coordinator.exchange import Broadcast, Round
from eglb.coordinator.interior.dense import DenseSlots
from eglb.coordinator.interior.dense_jobs import JobSlots
from eglb.coordinator.interior.epigraph import Epigraph, near_epigraph, start_epigraph
from eglb.coordinator.interior.sparse import SparseSlots
from eglb.coordinator.market.equity import Equity, EquityShape
from eglb.foundation.arrays import Array

_NEWTON_STEPS, _NEWTON_STEPS_FEW = 6, 3
"""Of a round; with few gateways a round is so quick that more steps do not pay."""
_NEWTON_STEPS_JOBS, _FULL_STEP = 12, 0.9
"""With jobs, which tie the slots together, steps are shorter: up to so many, until one is nearly full."""
_CORRECTIONS, _MOST_STEEPER, _LEAST_ROOM = 8, 100.0, 0.01
"""How many of these steps at most only correct models, by what factor at once, and the part of its capacity
that counts as free in a slot that is full.
"""
_CENTRING, _CENTRING_LATE, _LATE_GAP = 0.3, 0.2, 1e-3
"""Part of the complementarity aimed for next; below the late gap steps are nearly full and may aim lower."""
_CENTRING_JOBS, _CENTRING_JOBS_LATE = 0.5, 0.3
"""With jobs, to stay nearer to the central path."""
_LEAST_CENTRING = 1e-13
_AMPLE = 0.3
"""With jobs, the part of the gap asked for that the guessed one need not go below: numbers fail soon."""
_LOST = 1e3
"""Complementarity that grows so much in a round is the end: rounding errors have the upper hand."""
_BOUNDARY = 0.99
_BORDER_TOLERANCE = 1e-3
"""Of the footprint equations, relative to the barrier terms of the levels."""
_FEW_GATEWAYS = 40
"""Up to so many, full matrices are quicker than sparse ones."""
_MOST_ENTRIES = 5e7
"""Of the matrices of all slots, which are full with jobs; beyond, this method is not for the fleet."""
_LEVEL_FLOOR = 1e-3
_CERTIFY_EVERY, _NEAR = 3, 30.0
"""Certificates come in one round of so many, and in all once the gap may be so near to the one asked for."""
_PATIENCE = 12
"""Rounds without a tenth less gap after which it is over."""
_PLANS_MIXED, _PARTS, _WARM_REGION_PARTS = 8, 24, 40_000
"""Parts of the horizon, at most, in which plans are mixed; a warm start may be over with one good mixture, of
as many parts as go with so many regions.
"""
_REMEMBERED = 14
_SHARE_KEPT, _GAP_TO_CENTRING, _WARM_CENTRING = 0.95, 0.1, (1e-6, 1e-3)
"""A warm start keeps so much of its equity prices, the rest is spread evenly, and starts at a centring that
goes with the gap of what it was told.
"""


class Newton(Algorithm):
    """Interior point with agents' own barriers; see the module's docstring."""

    @property
    def resumable(self) -> bool:
        return False

    def start(self) -> Broadcast:
        m = self.market
        self._number = 0
        self._remembered: deque[Array] = deque(maxlen=_REMEMBERED)
        parts = _PARTS if self.warm is None else max(_PARTS, _WARM_REGION_PARTS // max(m.regions, 1))
        self._part = m.parts(parts, 1)
        self._plan_known = False
        # With jobs that takes as long as several rounds, and saves none but to a warm start.
        self._clears = m.clears_exactly and (m.work is None or self.warm is not None)
        told = 0 if self.warm is None else len(self.warm.equity_prices)
        self._plans = PrimalRecovery(m.equity, _PLANS_MIXED + told, self._part)
        self._best_gap, self._best_round = np.inf, 0
        requests: list[Request] = [self.introduce(m.load(m.spread())), Disclose()]
        if self.warm is not None:
            requests.append(self.ask_bound(self.warm.demand_price, self.warm.equity_price))
        return Broadcast(tuple(requests), opening=True)

    def step(self, heard: Round) -> Broadcast | Finished:
        first = heard.replies[0]
        self.digest(heard)
        if isinstance(first, BarrierModel):
            if self.incumbent.gap <= self.gap:
                return Finished()
            if self.incumbent.gap < 0.9 * self._best_gap:
                self._best_gap, self._best_round = self.incumbent.gap, self._number
            if self._number - self._best_round > _PATIENCE:
                return Finished(stalled=True)
            if not first.sound.all():
                return Finished(stalled=True)
            before = self._tau
            try:
                with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                    move = self._newton(first)
            except (np.linalg.LinAlgError, RuntimeError):  # the latter from the sparse factorisation
                return Finished(stalled=True)
            if self._tau > _LOST * before:
                return Finished(stalled=True)
        else:
            disclosure = heard.replies[1]
            assert isinstance(disclosure, Disclosure)
            self._learn(disclosure)
            if self._jobs is not None and self._jobs.entries > _MOST_ENTRIES:
                return Finished(stalled=True)
            move = self._begin() if self.warm is None else self._resume(self.warm)
        # No agent would answer to numbers that are not finite.
        if find_problem(move, {}) is not None or not np.isfinite(self._nu).all():
            return Finished(stalled=True)
        # Far from the end a certificate would cost more time than it is worth.
        late = self.warm is not None or self._guessed_gap <= _NEAR * self.gap
        due = late or self._number % _CERTIFY_EVERY == 0
        return Broadcast((move, *self._certificate()) if due else (move,))

    def remembered_equity_prices(self) -> Array:
        """(R, N, K) those of the last certificates."""
        m = self.market
        return np.array(self._remembered).reshape(len(self._remembered), m.regions, m.kinds)

    def _learn(self, known: Disclosure) -> None:
        """Choose units of order one."""
        m = self.market
        self._capacity = np.array(known.capacity.T, order="C")
        self._price = np.array(known.price.T, order="C")
        self._raw_intensity = known.intensity.astype(float)
        self._price_unit = float(np.abs(self._price).mean()) or 1.0
        asked = m.demand if m.work is None else m.aggregation.aggregate(m.asked())
        self._load_unit = float(asked.mean()) or 1.0
        longest = self._raw_intensity.sum(-1).max(0)
        self._footprint_unit = np.where(longest > 0.0, longest, 1.0)
        mass = m.equity_weight * self._footprint_unit / self._price_unit
        self._equity = Equity.of(mass, m.equity_shape or (EquityShape(),) * m.kinds)
        self._intensity = np.ascontiguousarray(
            self._raw_intensity.transpose(2, 1, 0) / self._footprint_unit[:, None]
        )
        self._demand = asked / self._load_unit
        self._inner = m if m.work is None else m.aggregated
        self._jobs = None if m.work is None else JobSlots(m, self._intensity, self._load_unit)
        kind = DenseSlots if m.gateways <= _FEW_GATEWAYS else SparseSlots
        self._slots = self._jobs or kind(m, self._intensity, self._demand)

    def _begin(self) -> BarrierStep:
        """A roomy interior point."""
        m = self._inner
        self._mu = self._mu_ahead = self._equity.fair_share(m.regions).T
        self._unit_cost = self._cost(m.equity.fair_share(m.regions)) / self._price_unit
        cost = self._unit_cost + 0.5
        self._x = np.maximum(self._aggregated(self.market.spread()), 1e-3 * float(self._demand.mean()))
        if self._jobs is not None:
            self._x = self._jobs.only_real(self._x)
        self._y = m.load(self._x)
        # A kind of which no region in reach has any needs an interior too.
        common = np.maximum(1.1 * self._footprint(self._y).max(1, initial=0.0), _LEVEL_FLOOR)
        self._epigraphs: list[Epigraph] = [
            start_epigraph(kind, float(level), m.regions)
            for kind, level in zip(self._equity.kinds, common, strict=True)
        ]
        offered = np.ascontiguousarray(cost[:, m.edge_region])
        self._nu = np.minimum.reduceat(offered, m.gateway_start[:-1], axis=1) - 0.5
        if self._jobs is not None:
            self._nu = self._jobs.start(self._nu, 0.5 * float(self._x.sum()) / self._jobs.pairs)
        self._z = np.ascontiguousarray(offered - self._nu[:, m.edge_gateway])
        self._aim()
        nothing = np.zeros_like(self._mu)
        return self._step(self._y, np.zeros_like(self._y), nothing, nothing)

    def _resume(self, warm: WarmStart) -> BarrierStep:
        """An interior point near where an earlier solve ended, about as far as its plan is from optimal."""
        m = self.market
        equity_price = m.equity.normalise(warm.equity_price)
        cheapest, demand_price = m.meet(warm.route), warm.demand_price
        if self._clears:
            for earlier in warm.equity_prices:
                self._consider(m.clear(self._cost(earlier), self._capacity)[0])
            cheapest, demand_price, _ = m.clear(self._cost(equity_price), self._capacity)
        known = warm.known[:, None]
        self._consider(np.where(known, warm.route, cheapest))
        nu = np.where(known, warm.demand_price, demand_price) / self._price_unit
        objective, plan = self._plans.best() if self._plan_known else (np.inf, cheapest)
        gap = min(Incumbent(objective, plan, self.incumbent.bound).gap, 1.0)
        scaled = (equity_price * (self._footprint_unit / self._price_unit)).T
        self._mu = _SHARE_KEPT * scaled + (1.0 - _SHARE_KEPT) * self._equity.fair_share(m.regions).T
        self._mu_ahead = scaled
        self._unit_cost = self._price / self._price_unit + (self._mu * self._intensity).sum(1)
        self._y = m.load(plan) / self._load_unit
        spent = float(np.abs(self._unit_cost * self._y).sum())
        products = plan.size if self._jobs is None else self._jobs.products
        self._tau = float(np.clip(_GAP_TO_CENTRING * gap * spent / products, *_WARM_CENTRING))
        root = np.sqrt(self._tau)
        if self._jobs is None:
            self._nu = nu
            x = np.maximum(plan / self._load_unit, 0.3 * root)
            served, asked = np.add.reduceat(x, m.gateway_start[:-1], axis=1), self._demand
        else:
            self._nu = self._jobs.start(m.aggregation.highest(nu), self._tau)
            x = self._jobs.only_real(np.maximum(self._aggregated(plan), 0.3 * root))
            served, asked = self._jobs.carried(x), self._jobs.asked()
        inner = self._inner
        factor = np.divide(asked, served, out=np.zeros_like(served), where=served > 0.0)
        self._x = np.maximum(x * factor[:, inner.edge_gateway], 0.03 * root)
        if self._jobs is not None:
            self._x = self._jobs.only_real(self._x)
        self._y = inner.load(self._x)
        gain = self._nu[:, inner.edge_gateway] - self._unit_cost[:, inner.edge_region]
        best = np.maximum(inner.best_price(self._nu) - self._unit_cost, 0.0)
        capacity_price = 0.5 * (best + np.sqrt(best**2 + 4.0 * self._tau))
        least = np.divide(self._tau, self._x, out=np.ones_like(x), where=self._x > 0.0)
        self._z = np.maximum(capacity_price[:, inner.edge_region] - gain, least)
        footprint = self._footprint(self._y)
        self._epigraphs = [
            near_epigraph(kind, footprint[k], self._mu[k], self._tau, _LEVEL_FLOOR)
            for k, kind in enumerate(self._equity.kinds)
        ]
        self._guessed_gap = gap
        nothing = np.zeros_like(self._mu)
        return self._step(self._y, capacity_price, nothing, nothing, near=True)

    def _consider(self, route: Array) -> None:
        """Repair a route and, if that makes it feasible, have it among the plans to mix."""
        plan, unmet = self.market.repair(route, self._capacity)
        if unmet.max(initial=0.0) == 0.0:
            self._plans.add(self._priced(plan))
            self._plan_known = True

    def _priced(self, route: Array) -> PricedPlan:
        """A feasible plan with what it would cost by the disclosed series, slot by slot."""
        load = self.market.load(route)
        cost = np.add.reduceat((self._price * load).sum(1), self._part)
        footprint = self._raw_intensity.transpose(2, 0, 1) * load[:, :, None]
        return PricedPlan(route, cost, np.add.reduceat(footprint, self._part, axis=0))

    def _newton(self, model: BarrierModel) -> BarrierStep:
        """A few Newton steps on the agents' fixed models, each to just inside the boundary.

        The model of a barrier far from its capacity is so flat that it does not tell of it. To jobs many
        slots are about as good, and they would fill some to a multiple of the capacity, which takes agents
        rounds to mend. So where a step with jobs goes past the capacity, the model is first made steeper, in
        proportion, until it does not.
        """
        m = self._inner
        slope = np.ascontiguousarray(model.slope.T, dtype=float)
        curvature = np.ascontiguousarray(model.curvature.T, dtype=float)
        self._mu = model.equity_price.T
        moved, started = np.zeros_like(slope), self._level()
        dmu = np.zeros_like(self._mu)
        enough = _BORDER_TOLERANCE**2 * float((model.level_compliance.T * self._mu**2).sum())
        few = m.gateways <= _FEW_GATEWAYS
        steps = _NEWTON_STEPS_FEW if few else _NEWTON_STEPS
        room = self._room()
        for number in range(steps if self._jobs is None else _NEWTON_STEPS_JOBS):
            shift = self._slots.reduce(
                self._x, self._z, self._nu, slope + curvature * moved, curvature, self._tau
            )
            raised = self._level() - started
            answers = [
                kind.respond(mu, self._tau) for kind, mu in zip(self._epigraphs, self._mu, strict=True)
            ]
            offset = self._by_kind(answer.offset for answer in answers)
            compliance = self._by_kind(answer.compliance for answer in answers)
            direction = self._by_kind(answer.direction for answer in answers)
            rest = np.array([answer.rest for answer in answers])
            side = model.level_residual.T - raised - offset + self._footprint(moved + shift)
            dmu, phi = self._slots.solve_border(
                model.level_compliance.T + compliance, side, direction, rest, dmu, enough
            )
            ds = compliance * dmu + offset + direction * phi[:, None]
            equity_cost = (dmu * self._intensity).sum(1)
            dnu, dx, dz, capacity_price, route_room, cost_room = self._slots.expand(equity_cost)
            if self._jobs is not None and number < _CORRECTIONS:
                ahead = moved + m.load(dx)
                if (ahead > room).any():
                    curvature = curvature * np.clip(ahead / room, 1.0, _MOST_STEEPER)
                    continue
            full_capacity_price = capacity_price + curvature * moved
            full_rise = raised + ds
            for levels, mu, move, rise in zip(self._epigraphs, self._mu, dmu, ds, strict=True):
                level_room, price_room = levels.rooms(rise, mu, move, self._tau)
                route_room, cost_room = min(route_room, level_room), min(cost_room, price_room)
            primal, dual = min(1.0, _BOUNDARY * route_room), min(1.0, _BOUNDARY * cost_room)
            if self._jobs is not None:
                self._jobs.follow(primal, dual)
            self._x += primal * dx
            self._z += dual * dz
            self._nu = self._nu + dual * dnu
            moved += primal * m.load(dx)
            self._epigraphs = [
                levels.moved(rise, mu, move, self._tau, primal, dual)
                for levels, mu, move, rise in zip(self._epigraphs, self._mu, dmu, ds, strict=True)
            ]
            if self._jobs is not None and min(primal, dual) >= _FULL_STEP:
                break
        self._y = m.load(self._x)
        self._aim()
        self._mu_ahead = self._mu + dmu
        return self._step(self._y, full_capacity_price, dmu, full_rise)

    def _room(self) -> Array:
        """(T, N) by how much loads may grow, in units of order one."""
        capacity = self._capacity / self._load_unit
        return np.maximum(capacity - self._y, _LEAST_ROOM * np.maximum(capacity, _LEAST_ROOM))

    def _level(self) -> Array:
        """(K, N) the regions' footprint levels."""
        return self._by_kind(levels.level for levels in self._epigraphs)

    def _by_kind(self, rows: Iterable[Array]) -> Array:
        """(K, N) from one row a kind, of which there may be none."""
        return np.array(list(rows)).reshape(-1, self.market.regions)

    def _footprint(self, load: Array) -> Array:
        """(K, N) of `load` (T, N), in units of order one."""
        return (self._intensity * load[:, None, :]).sum(0)

    def _step(
        self, load: Array, capacity_price: Array, equity_move: Array, rise: Array, near: bool = False
    ) -> BarrierStep:
        self._number += 1
        return BarrierStep(
            number=self._number,
            centring=self._tau,
            price_unit=self._price_unit,
            load_unit=self._load_unit,
            footprint_unit=self._footprint_unit,
            level=self._level().T,
            level_move=rise.T,
            load=self._load_unit * load.T,
            capacity_price_move=capacity_price.T,
            equity_price=self._mu.T,
            equity_price_move=equity_move.T,
            near=near,
        )

    def _cost(self, equity_price: Array) -> Array:
        """(T, N): every region's marginal cost in USD per MW-slot at `equity_price` (N, K)."""
        return self._price + (equity_price[:, :, None] * self._raw_intensity).sum(1).T

    def _aim(self) -> None:
        """Choose the next centring, and guess the gap: about twice the coordinator's own complementarity."""
        products = self._x * self._z
        total, pairs = float(products.sum()), products.size
        late = self.incumbent.gap < _LATE_GAP
        centring = _CENTRING_LATE if late else _CENTRING
        if self._jobs is not None:
            total, pairs = total + self._jobs.complementarity, self._jobs.products
            centring = _CENTRING_JOBS_LATE if late else _CENTRING_JOBS
        spent = abs(float((self._unit_cost * self._y).sum()))
        self._guessed_gap = 2.0 * total / max(spent, 1e-300)
        least = 0.0 if self._jobs is None else _AMPLE * self.gap * spent / (2.0 * pairs)
        self._tau = max(centring * total / pairs, least, _LEAST_CENTRING)

    def _aggregated(self, route: Array) -> Array:
        """`route` (T, E) of the market inside the method: on aggregated edges, in units of order one."""
        aggregated = route if self._jobs is None else self.market.aggregation.aggregate_route(route)
        return aggregated / self._load_unit

    def _certificate(self) -> list[Request]:
        """Bounds at the prices just reached and, where clearing pays, at the demand prices that are optimal
        for the equity prices among them; and the best mixture of late plans.

        Among those plans are the one just reached, repaired, and what clearing found. The coordinator mixes
        them by the disclosed series; what counts is the agents' own price.
        """
        m = self.market
        equity_price = m.equity.normalise(self._mu_ahead.T * (self._price_unit / self._footprint_unit))
        self._remembered.append(equity_price)
        route, nu = self._x, self._nu
        if self._jobs is not None:
            route, nu = self._jobs.disaggregate(route), np.take(nu, m.aggregation.column, axis=1)
        requests: list[Request] = [self.ask_bound(self._price_unit * nu, equity_price)]
        if self._clears:
            cheapest, demand_price, _ = m.clear(self._cost(equity_price), self._capacity)
            self._consider(cheapest)
            requests.append(self.ask_bound(demand_price, equity_price))
        self._consider(self._load_unit * route)
        if self._plan_known:
            requests.append(self.ask_plan(self._plans.best()[1]))
        return requests

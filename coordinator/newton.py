"""Decentralised interior-point method: the fewest rounds, and the most disclosure.

Every agent keeps the barriers of its own capacity and footprint levels, answers with their quadratic model
and takes its own step lengths. The coordinator holds routes and prices, takes a few Newton steps on the
agents' fixed models (they are cheap, a round is not) and announces where loads, levels and prices moved.

What the coordinator learns: price, capacity and intensity series of every region once (from slope and
curvature of the barriers it could infer them anyway). Use `admm` where that must not be.

Block-wise step lengths carry no convergence proof. The certificate does not depend on them: bounds and the
prices of repaired plans come from the agents, and a run that no longer improves says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eglb.agents.barrier import BarrierModel, BarrierStep, Disclose, Disclosure
from eglb.agents.region import Request
from eglb.agents.wire import Message
from eglb.coordinator.algorithm import Algorithm, Broadcast, Finished
from eglb.coordinator.equity import fair_share, normalise
from eglb.coordinator.interior import DenseSlots
from eglb.coordinator.sparse_interior import SparseSlots

Array = np.ndarray

_NEWTON_STEPS = 3
_CENTRING, _CENTRING_LATE, _LATE_GAP = 0.3, 0.1, 1e-3
"""Part of the complementarity aimed for next; below the late gap steps are nearly full and may aim lower."""
_BORDER_TOLERANCE = 1e-3
_FEW_GATEWAYS = 40
_BOUNDARY = 0.99
_LEVEL_FLOOR = 1e-3
_CERTIFY_EVERY, _NEAR = 3, 100.0
"""Certificates come in one round of so many, and in all once the gap may be so near to the one asked for."""
_LAG, _PATIENCE = 4, 12
"""Rounds without a tenth less gap: after so many a clearing helps the bound, after so many it is over."""


class Newton(Algorithm):
    """Interior point with agents' own barriers; see the module's docstring. Coordinator's work grows with
    J^3 T.
    """

    def start(self) -> Broadcast:
        m = self.market
        self._number = 0
        self._best_gap, self._best_round = np.inf, 0
        load = m.load(m.spread())
        return Broadcast(
            (
                self.introduce(load),
                Disclose(),
            ),
            opening=True,
        )

    def step(self, replies: Sequence[Message]) -> Broadcast | Finished:
        first = replies[0]
        if isinstance(first, BarrierModel):
            self.digest(replies[1:])
            if self.incumbent.gap <= self.gap:
                return Finished()
            if self.incumbent.gap < 0.9 * self._best_gap:
                self._best_gap, self._best_round = self.incumbent.gap, self._number
            if self._number - self._best_round > _PATIENCE:
                return Finished(stalled=True)
            try:
                move = self._newton(first)
            except np.linalg.LinAlgError:
                return Finished(stalled=True)
            if not np.isfinite(move.load).all() or not np.isfinite(move.capacity_price_move).all():
                return Finished(stalled=True)
        else:
            disclosure = replies[1]
            assert isinstance(disclosure, Disclosure)
            move = self._begin(disclosure)
        # Far from the end a certificate would cost more time than it is worth.
        late = self._guessed_gap <= _NEAR * self.gap or self._number - self._best_round >= _LAG
        due = late or self._number % _CERTIFY_EVERY == 1
        return Broadcast((move, *self._certificate()) if due else (move,))

    def _begin(self, known: Disclosure) -> BarrierStep:
        """Units of order one, and a roomy interior point."""
        m = self.market
        self._capacity = np.array(known.capacity.T, order="C")
        self._price = np.array(known.price.T, order="C")
        self._raw_intensity = known.intensity.astype(float)
        self._price_unit = float(np.abs(self._price).mean()) or 1.0
        self._load_unit = float(m.demand.mean()) or 1.0
        longest = self._raw_intensity.sum(-1).max(0)
        self._footprint_unit = np.where(longest > 0.0, longest, 1.0)
        self._mass = m.equity_weight * self._footprint_unit / self._price_unit
        self._intensity = np.ascontiguousarray(
            self._raw_intensity.transpose(2, 1, 0) / self._footprint_unit[:, None]
        )
        self._demand = m.demand / self._load_unit
        kind = DenseSlots if m.gateways <= _FEW_GATEWAYS else SparseSlots
        self._slots = kind(m, self._intensity, self._demand)
        self._mu = fair_share(self._mass, m.regions).T
        self._unit_cost = self._cost(fair_share(m.equity_weight, m.regions)) / self._price_unit
        cost = self._unit_cost + 0.5
        self._x = np.maximum(m.spread() / self._load_unit, 1e-3 * float(self._demand.mean()))
        self._y = m.load(self._x)
        # A kind of which no region in reach has any needs an interior too.
        self._level = np.maximum(1.1 * self._footprint(self._y).max(1, initial=0.0), _LEVEL_FLOOR)
        offered = np.ascontiguousarray(cost[:, m.edge_region])
        self._nu = np.minimum.reduceat(offered, m.gateway_start[:-1], axis=1) - 0.5
        self._z = np.ascontiguousarray(offered - self._nu[:, m.edge_gateway])
        self._aim()
        nothing = np.zeros_like(self._mu)
        return self._step(self._y, np.zeros_like(self._y), nothing, np.zeros(m.kinds))

    def _newton(self, model: BarrierModel) -> BarrierStep:
        """A few Newton steps on the agents' fixed models, each to just inside the boundary."""
        m = self.market
        slope = np.ascontiguousarray(model.slope.T, dtype=float)
        curvature = np.ascontiguousarray(model.curvature.T, dtype=float)
        self._mu = model.equity_price.T
        mass = self._mass - self._mu.sum(1)
        moved, raised = np.zeros_like(slope), np.zeros(m.kinds)
        dmu = np.zeros_like(self._mu)
        enough = _BORDER_TOLERANCE**2 * float((model.level_compliance.T * self._mu**2).sum())
        for _ in range(_NEWTON_STEPS):
            shift = self._slots.reduce(
                self._x, self._z, self._nu, slope + curvature * moved, curvature, self._tau
            )
            side = model.level_residual.T - raised[:, None] + self._footprint(moved + shift)
            dmu, ds = self._slots.solve_border(model.level_compliance.T, side, mass, dmu, enough)
            equity_cost = (dmu * self._intensity).sum(1)
            dnu, dx, dz, capacity_price, route_room, cost_room = self._slots.expand(equity_cost)
            full_capacity_price = capacity_price + curvature * moved
            full_rise = raised + ds
            primal, dual = min(1.0, _BOUNDARY * route_room), min(1.0, _BOUNDARY * cost_room)
            self._x += primal * dx
            self._z += dual * dz
            self._nu = self._nu + dual * dnu
            moved += primal * m.load(dx)
            raised = raised + primal * ds
        self._y = m.load(self._x)
        self._level = self._level + raised
        self._aim()
        self._mu_ahead = self._mu + dmu
        return self._step(self._y, full_capacity_price, dmu, full_rise)

    def _footprint(self, load: Array) -> Array:
        """(K, N) of `load` (T, N), in units of order one."""
        return (self._intensity * load[:, None, :]).sum(0)

    def _step(self, load: Array, capacity_price: Array, equity_move: Array, rise: Array) -> BarrierStep:
        self._number += 1
        if self._number == 1:
            self._mu_ahead = self._mu
        return BarrierStep(
            number=self._number,
            centring=self._tau,
            price_unit=self._price_unit,
            load_unit=self._load_unit,
            footprint_unit=self._footprint_unit,
            level=self._level,
            level_move=rise,
            load=self._load_unit * load.T,
            capacity_price_move=capacity_price.T,
            equity_price=self._mu.T,
            equity_price_move=equity_move.T,
        )

    def _cost(self, equity_price: Array) -> Array:
        """(T, N): every region's marginal cost in USD per MW-slot at `equity_price` (N, K)."""
        return self._price + (equity_price[:, :, None] * self._raw_intensity).sum(1).T

    def _aim(self) -> None:
        """Choose the next centring, and guess the gap: about twice the coordinator's own complementarity."""
        products = self._x * self._z
        spent = float((self._unit_cost * self._y).sum())
        self._guessed_gap = 2.0 * float(products.sum()) / max(abs(spent), 1e-300)
        centring = _CENTRING_LATE if self.incumbent.gap < _LATE_GAP else _CENTRING
        self._tau = centring * float(products.mean())

    def _certificate(self) -> list[Request]:
        """Bound at the prices just reached, and the plan just reached, repaired.

        A slot at exactly full load has no interior, and its demand price wanders off. When the gap no longer
        falls, the demand price that is optimal for the present equity price, from a clearing, is tried too.
        """
        plan, unmet = self.market.repair(self._load_unit * self._x, self._capacity)
        equity_price = self._mu_ahead.T * (self._price_unit / self._footprint_unit)
        requests: list[Request] = [self.ask_bound(self._price_unit * self._nu, equity_price)]
        if self._number - self._best_round >= _LAG:
            cost = self._cost(normalise(equity_price, self.market.equity_weight))
            demand_price = self.market.clear(cost, self._capacity)[1]
            requests.append(self.ask_bound(demand_price, equity_price))
        if unmet.max(initial=0.0) == 0.0:
            requests.append(self.ask_plan(plan))
        return requests

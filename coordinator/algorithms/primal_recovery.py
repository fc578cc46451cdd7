"""Primal recovery: the best convex mixture of feasible plans, often much better than each of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linprog

from eglb.coordinator.market.equity import Equity, MeanOfWorst, PriceSet
from eglb.coordinator.market.nearest import add_weighted
from eglb.foundation.arrays import Array
from eglb.foundation.compilation import in_shards

_NEAR_WORST, _ROUNDS_OF_ROWS = 0.97, 10
"""Part of the lowest level from which on a region may be the worst; how often rows may be added."""
_ROUNDS_OF_CUTS = 40
_ROW_TOLERANCE, _CUT_TOLERANCE = 1e-9, 1e-6
"""Of the level, above which a row is missing; with infinitely many rows it has to be coarser."""


@dataclass(frozen=True, eq=False)
class PricedPlan:
    """A feasible route (T, E) with what the agents said of it.

    `part_cost` (P,) USD of energy and `part_footprint` (P, N, K), by part of the horizon.
    """

    route: Array
    part_cost: Array
    part_footprint: Array

    @cached_property
    def cost(self) -> float:
        """USD."""
        return float(self.part_cost.sum())

    @cached_property
    def footprint(self) -> Array:
        """(N, K)."""
        return self.part_footprint.sum(0)

    def objective(self, equity: Equity) -> float:
        """USD: energy cost and what the footprints cost."""
        return self.cost + equity.cost(self.footprint)


class PrimalRecovery:
    """The last `keep` priced plans and their best mixture, part by part of the horizon.

    In every slot a mixture of feasible routes is feasible, and the mixture need not be the same in all slots.
    Cost and footprints are linear in the plan, so the mixture's objective is known without asking the agents:

        min  sum_rp cost_rp w_rp + sum_k z_k
        over w >= 0, sum_r w_rp = 1 for every part p, z_k >= sum_i mu_i footprint_ik, all mu in the set of k

    a linear program in as many variables as there are plans times parts. Its rows are prices mu at which the
    footprints may cost most: of the maximum, the regions that may be the worst. Those that turn out so are
    added until none is left.
    """

    def __init__(self, equity: Equity, keep: int, part: Array | None = None) -> None:
        """`part` (P,) are the first slots of the parts, all of the horizon being one if it is not given."""
        self._equity = equity
        self._part = np.zeros(1, np.int64) if part is None else part
        self._plans: deque[PricedPlan] = deque(maxlen=keep)
        self.used: list[PricedPlan] = []
        """Those with a weight in the best mixture, once `best` was asked for."""

    def add(self, plan: PricedPlan) -> None:
        """Remember a plan, forgetting the oldest beyond `keep`."""
        self._plans.append(plan)

    def best(self) -> tuple[float, Array]:
        """Objective in USD and route (T, E) of the best mixture."""
        plans = list(self._plans)
        weights = self.weights(
            np.array([p.part_cost for p in plans]), np.array([p.part_footprint for p in plans]), self._equity
        )
        used = [(w, p) for w, p in zip(weights, plans, strict=True) if w.any()]
        self.used = [p for _, p in used]
        cost = sum(float(w @ p.part_cost) for w, p in used)
        footprint = np.sum([np.tensordot(w, p.part_footprint, 1) for w, p in used], axis=0)
        slots = np.diff(np.append(self._part, len(plans[0].route)))
        route = np.zeros_like(plans[0].route)
        for w, p in used:
            in_shards(add_weighted, route.size, (route, p.route, np.repeat(w, slots)))
        return float(cost + self._equity.cost(footprint)), route

    @staticmethod
    def weights(cost: Array, footprint: Array, equity: Equity) -> Array:
        """(R, P) optimal weights for `cost` (R, P), `footprint` (R, P, N, K); the cheapest single plan if the
        program fails.
        """
        plans, parts, _, kinds = footprint.shape
        total = footprint.sum(1)
        single = cost.sum(1) + [equity.cost(each) for each in total]
        whole = np.zeros((plans, parts))
        whole[np.argmin(single)] = 1.0
        rows = [_rows_of(kind, footprint[:, :, :, k]) for k, kind in enumerate(equity.kinds)]
        scale = np.array([each.scale for each in rows])
        unit = max(float(np.abs(cost.sum(1)).max()), float(scale.max(initial=0.0)), 1e-300)
        objective = np.concatenate([(cost - cost.min(0)).ravel(), scale]) / unit
        one = np.hstack([np.tile(np.eye(parts), plans), np.zeros((parts, kinds))])
        best, mixed = whole, float(single.min())
        for _ in range(_ROUNDS_OF_ROWS if all(each.few for each in rows) else _ROUNDS_OF_CUTS):
            above = [np.zeros((0, objective.size))]
            for k, each in enumerate(rows):
                block = np.zeros((len(each.row), objective.size))
                block[:, : plans * parts] = each.row
                block[:, plans * parts + k] = -1.0
                above.append(block)
            sides = np.concatenate(above)
            found = linprog(
                objective,
                A_ub=sides if len(sides) else None,
                b_ub=np.zeros(len(sides)) if len(sides) else None,
                A_eq=one,
                b_eq=np.ones(parts),
                method="highs",
            )
            if found.status != 0 or found.x is None:
                return best
            weights = np.maximum(found.x[: plans * parts].reshape(plans, parts), 0.0)
            weights /= weights.sum(0)
            reached = np.tensordot(weights, footprint, 2)
            value = float((weights * cost).sum() + equity.cost(reached))
            if value <= mixed:
                best, mixed = weights, value
            added = [each.extend(reached[:, k], found.x[plans * parts + k]) for k, each in enumerate(rows)]
            if not any(added):
                break
        return best


class _WorstRows:
    """Rows of the maximum, one for a region that may be the worst, in units of `scale`, USD."""

    few = True

    def __init__(self, kind: MeanOfWorst, footprint: Array) -> None:
        total = footprint.sum(1)
        level = float(total.max(1, initial=0.0).min())
        self.scale = kind.weight * level if level > 0.0 else 1.0
        self._price = kind.weight / self.scale
        self._footprint = footprint.reshape(-1, footprint.shape[2])
        self._region = np.flatnonzero(total.max(0) >= _NEAR_WORST * level)
        self.row = self._footprint[:, self._region].T * self._price

    def extend(self, reached: Array, level: float) -> bool:
        """Add the regions whose footprint `reached` (N,) is above `level`; whether there were any."""
        worse = reached * self._price > level + _ROW_TOLERANCE
        worse[self._region] = False
        added = np.flatnonzero(worse)
        self._region = np.append(self._region, added)
        self.row = np.concatenate([self.row, self._footprint[:, added].T * self._price])
        return len(added) > 0


class _PriceRows:
    """Rows of any other shape, one for a price of its set; not finitely many, so the tolerance ends it."""

    few = False

    def __init__(self, kind: PriceSet, footprint: Array) -> None:
        total = footprint.sum(1)
        level = min(kind.cost(each) for each in total)
        self.scale = level if level > 0.0 else 1.0
        self._kind = kind
        self._footprint = footprint.reshape(-1, footprint.shape[2])
        self.row = np.array([self._of(each) for each in total])

    def _of(self, footprint: Array) -> Array:
        return np.asarray(self._footprint @ self._kind.price(footprint)) / self.scale

    def extend(self, reached: Array, level: float) -> bool:
        """Add the price at which `reached` (N,) costs more than `level`, if it does."""
        if self._kind.cost(reached) / self.scale <= level + _CUT_TOLERANCE:
            return False
        self.row = np.concatenate([self.row, self._of(reached)[None]])
        return True


def _rows_of(kind: PriceSet, footprint: Array) -> _WorstRows | _PriceRows:
    if isinstance(kind, MeanOfWorst) and kind.count == 1:
        return _WorstRows(kind, footprint)
    return _PriceRows(kind, footprint)

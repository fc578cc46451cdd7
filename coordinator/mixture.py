"""The best convex mixture of feasible plans: feasible itself, and often much better than each of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linprog

from eglb.agents.compilation import in_shards
from eglb.coordinator.clearing import add_weighted

Array = np.ndarray

_NEAR_WORST, _ROUNDS_OF_ROWS = 0.97, 10
"""Part of the lowest level from which on a region may be the worst; how often rows may be added."""


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

    def objective(self, equity_weight: Array) -> float:
        """USD: energy cost and, for each kind, weight (K,) times the worst region's footprint."""
        return self.cost + float(equity_weight @ self.footprint.max(0, initial=0.0))


class Mixture:
    """The last `keep` priced plans and their best mixture, part by part of the horizon.

    In every slot a mixture of feasible routes is feasible, and the mixture need not be the same in all slots.
    Cost and footprints are linear in the plan, so the mixture's objective is known without asking the agents:

        min  sum_rp cost_rp w_rp + sum_k lambda_k max_i sum_rp footprint_rpik w_rp
        over w >= 0, sum_r w_rp = 1 for every part p,

    a linear program in as many variables as there are plans times parts. Its rows are the regions that may be
    the worst; those that turn out so are added until none is left.
    """

    def __init__(self, equity_weight: Array, keep: int, part: Array | None = None) -> None:
        """`part` (P,) are the first slots of the parts, all of the horizon being one if it is not given."""
        self._weight = equity_weight
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
            np.array([p.part_cost for p in plans]), np.array([p.part_footprint for p in plans]), self._weight
        )
        used = [(w, p) for w, p in zip(weights, plans, strict=True) if w.any()]
        self.used = [p for _, p in used]
        cost = sum(float(w @ p.part_cost) for w, p in used)
        footprint = np.sum([np.tensordot(w, p.part_footprint, 1) for w, p in used], axis=0)
        slots = np.diff(np.append(self._part, len(plans[0].route)))
        route = np.zeros_like(plans[0].route)
        for w, p in used:
            in_shards(add_weighted, route.size, (route, p.route, np.repeat(w, slots)))
        return float(cost + self._weight @ footprint.max(0, initial=0.0)), route

    @staticmethod
    def weights(cost: Array, footprint: Array, equity_weight: Array) -> Array:
        """(R, P) optimal weights for `cost` (R, P), `footprint` (R, P, N, K); the cheapest single plan if the
        program fails.
        """
        plans, parts, regions, kinds = footprint.shape
        total = footprint.sum(1)
        single = cost.sum(1) + (equity_weight * total.max(1, initial=0.0)).sum(1)
        whole = np.zeros((plans, parts))
        whole[np.argmin(single)] = 1.0
        level = total.max(1, initial=0.0).min(0)
        scale = np.where(level > 0.0, equity_weight * level, 1.0)
        unit = max(float(np.abs(cost.sum(1)).max()), float(scale.max(initial=0.0)), 1e-300)
        objective = np.concatenate([(cost - cost.min(0)).ravel(), scale]) / unit
        one = np.hstack([np.tile(np.eye(parts), plans), np.zeros((parts, kinds))])
        region, kind = np.nonzero(total.max(0) >= _NEAR_WORST * level)
        for _ in range(_ROUNDS_OF_ROWS):
            rows = np.zeros((len(region), plans * parts + kinds))
            rows[:, : plans * parts] = footprint.reshape(plans * parts, regions, kinds)[:, region, kind].T
            rows[:, : plans * parts] *= (equity_weight / scale)[kind, None]
            rows[np.arange(len(region)), plans * parts + kind] = -1.0
            found = linprog(
                objective,
                A_ub=rows if len(rows) else None,
                b_ub=np.zeros(len(rows)) if len(rows) else None,
                A_eq=one,
                b_eq=np.ones(parts),
                method="highs",
            )
            if found.status != 0 or found.x is None:
                return whole
            weights = np.maximum(found.x[: plans * parts].reshape(plans, parts), 0.0)
            weights /= weights.sum(0)
            reached = np.tensordot(weights, footprint, 2) * equity_weight / scale
            worse = reached > found.x[plans * parts :] + 1e-9
            worse[region, kind] = False
            if not worse.any():
                break
            added = np.nonzero(worse)
            region, kind = np.append(region, added[0]), np.append(kind, added[1])
        mixed = (weights * cost).sum() + (
            equity_weight * np.tensordot(weights, footprint, 2).max(0, initial=0.0)
        ).sum()
        return weights if mixed <= single.min() else whole

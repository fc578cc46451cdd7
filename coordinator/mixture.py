"""The best convex mixture of feasible plans: feasible itself, and often much better than each of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class PricedPlan:
    """A feasible route (T, E) with what the agents said of it: energy cost in USD, footprints (N, K)."""

    route: Array
    cost: float
    footprint: Array

    def objective(self, equity_weight: Array) -> float:
        """USD: energy cost and, for each kind, weight (K,) times the worst region's footprint."""
        return self.cost + float(equity_weight @ self.footprint.max(0, initial=0.0))


class Mixture:
    """The last `keep` priced plans and their best mixture.

    Cost and footprints are linear in the plan, so the mixture's objective is known without asking the agents:
    min { cost . w + sum_k lambda_k max_i (footprint . w)_ik : w >= 0, sum w = 1 }, a linear program in as
    many variables as there are plans.
    """

    def __init__(self, equity_weight: Array, keep: int) -> None:
        self._weight = equity_weight
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
            np.array([p.cost for p in plans]), np.array([p.footprint for p in plans]), self._weight
        )
        used = [(w, p) for w, p in zip(weights, plans, strict=True) if w > 0.0]
        self.used = [p for _, p in used]
        cost = sum(w * p.cost for w, p in used)
        footprint = sum(w * p.footprint for w, p in used)
        route = sum(w * p.route for w, p in used)
        return float(cost + self._weight @ footprint.max(0, initial=0.0)), route

    @staticmethod
    def weights(cost: Array, footprint: Array, equity_weight: Array) -> Array:
        """(R,) optimal weights for `cost` (R,), `footprint` (R, N, K); the cheapest single plan if the
        program fails.
        """
        count, regions, kinds = footprint.shape
        level = equity_weight * footprint.max((0, 1), initial=1e-300)
        scale = np.where(level > 0.0, level, 1.0)
        rows = np.zeros((kinds * regions, count + kinds))
        for k in range(kinds):
            block = slice(k * regions, (k + 1) * regions)
            rows[block, :count] = footprint[:, :, k].T * (equity_weight[k] / scale[k])
            rows[block, count + k] = -1.0
        unit = max(float(np.abs(cost).max()), float(scale.max(initial=0.0)), 1e-300)
        single = cost + (equity_weight * footprint.max(1, initial=0.0)).sum(1)
        found = linprog(
            np.concatenate([cost - cost.min(), scale]) / unit,
            A_ub=rows if len(rows) else None,
            b_ub=np.zeros(len(rows)) if len(rows) else None,
            A_eq=np.concatenate([np.ones(count), np.zeros(kinds)])[None],
            b_eq=[1.0],
            method="highs",
        )
        weights = np.zeros(count)
        if found.status == 0 and found.x is not None:
            weights = np.maximum(found.x[:count], 0.0)
            weights /= weights.sum()
        else:
            weights[np.argmin(single)] = 1.0
        return weights

"""Projected subgradient method: the textbook dual decomposition. The yardstick."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eglb.coordinator.algorithms.algorithm import WarmStart
from eglb.coordinator.algorithms.dual_decomposition import Cleared, DualDecomposition
from eglb.coordinator.algorithms.primal_recovery import PricedPlan
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array

_EARLIER_ITERATIONS = 10
"""For how many iterations a warm start's plan stands, in the mean and in the length of the steps."""


class Subgradient(DualDecomposition):
    """mu_k <- projection of mu_k + step * f_k onto the set of equity prices, step falling with 1 /
    sqrt(iteration).

    The plan is the running mean of the cleared plans, later ones weighing more, which converges where single
    ones do not (Nedic and Ozdaglar 2009; weights of Lacoste-Julien, Schmidt and Bach 2012).
    """

    def __init__(self, market: Market, gap: float, warm: WarmStart | None = None) -> None:
        super().__init__(market, gap, warm)
        self._iteration = 0
        self._mean = PricedPlan(
            np.zeros_like(market.spread()), np.zeros(1), np.zeros((1, market.regions, market.kinds))
        )

    def use_earlier(self, plan: PricedPlan) -> None:
        self._mean = plan
        self._iteration = _EARLIER_ITERATIONS

    def announce(self, cleared: Sequence[Cleared]) -> Sequence[Array]:
        equity_price, plan = cleared[-1].equity_price, cleared[-1].plan
        weight, equity = self.market.equity_weight, self.market.equity
        self._iteration += 1
        step = 1.0 / np.sqrt(self._iteration)
        share = 2.0 / (self._iteration + 1.0)
        self._mean = PricedPlan(
            self._mean.route + share * (plan.route - self._mean.route),
            self._mean.part_cost + share * (plan.part_cost - self._mean.part_cost),
            self._mean.part_footprint + share * (plan.part_footprint - self._mean.part_footprint),
        )
        self.incumbent.offer_plan(self._mean.objective(equity), self._mean.route)
        following = np.empty_like(equity_price)
        for k, kind in enumerate(equity.kinds):
            normal = kind.normal(equity_price[:, k])
            uphill = plan.footprint[:, k] - (plan.footprint[:, k] @ normal) * normal
            length = float(np.sqrt((uphill**2).sum()))
            move = step * weight[k] / np.sqrt(len(uphill)) / length * uphill if length > 0.0 else 0.0
            following[:, k] = equity_price[:, k] + move
        return [equity.project(following)]

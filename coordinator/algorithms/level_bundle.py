"""Level bundle method: dual decomposition whose next equity price is a projection on a level set.

Every cleared plan r gives a plane that lies above the dual function, phi(mu) <= cost_r + mu . footprint_r.
The best mixture of the plans (`PrimalRecovery`) is feasible. Its objective is at the same time the highest
point of the planes over the simplices. A next price is the one nearest to the best so far where all planes
reach a level between the best bound and that objective (Lemarechal, Nemirovskii and Nesterov 1995); prices of
several levels are announced together. No step length, no tuning with the instance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import block_diag
from scipy.optimize import nnls

from eglb.coordinator.algorithms.algorithm import WarmStart
from eglb.coordinator.algorithms.dual_decomposition import Cleared, DualDecomposition
from eglb.coordinator.algorithms.primal_recovery import PricedPlan, PrimalRecovery
from eglb.coordinator.market.equity import Equity, MeanOfWorst, NormOfAll, norm
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array

_LEVELS = (0.2, 0.6)
"""Announced together: two thirds of the rounds of 0.4 alone for a third more bytes."""
_PLANES = 150
_TANGENTS, _OUTSIDE = 30, 1e-4
"""Of a ball of prices, at most; how far a price may lie outside it, before it is scaled into it."""
_OTHERS_REMEMBERED = 10
"""Latest equity prices to remember beside those in the mixture; without them one roll in twenty is slow."""


class LevelBundle(DualDecomposition):
    """Level bundle method; coordinator's work per iteration is clearing, one small LP and one small
    projection.
    """

    def __init__(self, market: Market, gap: float, warm: WarmStart | None = None) -> None:
        super().__init__(market, gap, warm)
        self._recovery = PrimalRecovery(market.equity, keep=_PLANES)
        self._planes: list[Cleared] = []

    def further_start(self, warm: WarmStart) -> Sequence[Array]:
        return list(warm.equity_prices)

    def remembered_equity_prices(self) -> Array:
        used = [c.equity_price for c in self._planes if c.plan in self._recovery.used]
        others = [c.equity_price for c in self._planes if c.plan not in self._recovery.used]
        prices = used + others[-_OTHERS_REMEMBERED:]
        return np.array(prices).reshape(len(prices), self.market.regions, self.market.kinds)

    def use_earlier(self, plan: PricedPlan) -> None:
        self._recovery.add(plan)

    def announce(self, cleared: Sequence[Cleared]) -> Sequence[Array]:
        weight = self.market.equity_weight
        for each in cleared:
            self._recovery.add(each.plan)
        self._planes = [*self._planes, *cleared][-_PLANES:]
        self.incumbent.offer_plan(*self._recovery.best())
        center = self.incumbent.equity_price
        assert center is not None
        if not len(weight):
            return []
        slopes = np.array([(c.plan.footprint * weight).T.ravel() for c in self._planes])
        heights = np.array([c.plan.cost for c in self._planes])
        following = []
        for part in _LEVELS:
            level = self.incumbent.bound + part * (self.incumbent.objective - self.incumbent.bound)
            share = nearest_in_level_set((center / weight).T, slopes, level - heights, self.market.equity)
            if share is not None:
                following.append(self.market.equity.normalise(share.T * weight))
        return following


def nearest_in_level_set(center: Array, slopes: Array, heights: Array, equity: Equity) -> Array | None:
    """argmin { |v - center|^2 : v_k in the set of kind k, slopes v >= heights }, or None if no such point is
    found.

    Shapes: `center` and result (K, N), prices in units of the kinds' weights; `slopes` (R, K N); `heights`
    (R,). Prices whose sum is fixed are written in an orthonormal basis of the directions that keep it; a ball
    is stood for by tangents, added where the point found lies outside. What is left is a least-distance
    problem, solved as non-negative least squares (Lawson and Hanson 1974, chapter 23).
    """
    kinds, regions = center.shape
    start = center.ravel()
    blocks = [
        np.eye(regions) if isinstance(kind, NormOfAll) else sum_keeping(regions) for kind in equity.kinds
    ]
    basis = block_diag(*blocks)
    if not basis.shape[1]:
        return center
    floor = np.eye(kinds * regions)
    rows, sides = [floor, slopes], [np.zeros(kinds * regions), heights]
    for k, kind in enumerate(equity.kinds):
        if isinstance(kind, MeanOfWorst) and kind.count > 1:
            rows.append(-floor[k * regions : (k + 1) * regions])
            sides.append(np.full(regions, -kind.cap(regions) / kind.weight))
    for _ in range(_TANGENTS):
        all_rows, all_sides = np.concatenate(rows), np.concatenate(sides)
        move = least_move(all_rows @ basis, all_sides - all_rows @ start)
        if move is None:
            return None
        found = np.maximum(start + basis @ move, 0.0).reshape(kinds, regions)
        outside = False
        for k, kind in enumerate(equity.kinds):
            if isinstance(kind, NormOfAll) and norm(found[k], kind.dual_power) > 1.0 + _OUTSIDE:
                outside = True
                tangent = np.zeros((kinds, regions))
                size = norm(found[k], kind.dual_power)
                tangent[k] = (found[k] / size) ** (kind.dual_power - 1.0)
                rows.append(-tangent.reshape(1, -1))
                sides.append(np.array([-1.0]))
        if not outside:
            break
    return found


def sum_keeping(regions: int) -> Array:
    """(N, N - 1): an orthonormal basis of the directions whose entries sum to zero (Helmert's)."""
    index = np.arange(1, regions)
    helmert = np.tril(np.ones((max(regions - 1, 0), regions)))
    helmert[index - 1, index] = -index
    helmert /= np.sqrt(index * (index + 1.0))[:, None]
    return helmert.T


def least_move(rows: Array, sides: Array) -> Array | None:
    """argmin { |x|^2 : rows x >= sides }, or None if no such x is found."""
    size = np.sqrt((rows**2).sum(1))
    useful = size > 0.0
    rows, sides = rows[useful] / size[useful, None], sides[useful] / size[useful]
    unit = max(float(sides.max(initial=0.0)), 1e-300)
    try:
        weights, _ = nnls(
            np.concatenate([rows.T, sides[None] / unit]),
            np.concatenate([np.zeros(rows.shape[1]), [1.0]]),
            maxiter=20 * len(rows),
        )
    except RuntimeError:
        return None
    residual = np.concatenate([rows.T @ weights, [sides @ weights / unit - 1.0]])
    if residual[-1] >= -1e-14:
        return None
    return np.asarray(-residual[:-1] / residual[-1] * unit)

"""Exponentially weighted regression: what metering teaches an agent about its own footprint estimates.

A regression of metered on estimated intensities, for every region and kind by itself, with old slots
forgotten. It removes a bias, and shrinks an estimate that is mostly noise to the metered mean.
"""

from __future__ import annotations

import numpy as np

from eglb.foundation.arrays import Array

_KEPT = 1.0 - 1.0 / 336.0
"""Of the weight of a slot, from one to the next: a memory of two weeks of hours."""
_PRIOR, _PRIOR_SPREAD = 24.0, 0.15
"""The prior: a day of slots in which the metered value followed the estimate, this much about its mean."""
_STEEPEST, _FLOOR = 1.5, 0.05


class Calibration:
    """Corrects estimates by the slots metered so far.

    With x the estimate and m the metered value, decayed over the metered slots: total weight w, means x_
    and m_, variance var of x, covariance cov. With r = m_ / x_ and v = 24 (0.15 x_)^2, a slope
    b = (w cov + v r) / (w var + v) within [0, 1.5 r] and q = 24 / (24 + w),

        corrected = max(0.05 m_, (1 - q) (m_ + b (x - x_)) + q x r).
    """

    def __init__(self, estimate: Array, metered: Array) -> None:
        """(n, K, T) both; only slots that have been metered are ever used, see `correct`."""
        # Around the first value, so that variances of large, steady signals keep their digits.
        self._origin = estimate[:, :, :1], metered[:, :, :1]
        x, m = estimate - self._origin[0], metered - self._origin[1]
        self._weight = _decayed(np.ones(estimate.shape[2]))
        self._sums = tuple(_decayed(each) for each in (x, m, x * x, x * m))

    def correct(self, estimate: Array, settled: int) -> Array:
        """(n, K, S): `estimate` (n, K, S) of any slots, corrected by what slots before `settled` have
        taught.
        """
        if settled < 1:
            return estimate
        last = min(settled, len(self._weight)) - 1
        w = self._weight[last]
        x, m, xx, xm = (each[:, :, last : last + 1] / w for each in self._sums)
        variance, covariance = np.maximum(xx - x * x, 0.0), xm - x * m
        mean, metered_mean = x + self._origin[0], m + self._origin[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(mean > 0.0, metered_mean / mean, 1.0)
            v = _PRIOR * (_PRIOR_SPREAD * mean) ** 2
            slope = (w * covariance + v * ratio) / (w * variance + v)
        slope = np.clip(np.where(np.isfinite(slope), slope, ratio), 0.0, _STEEPEST * ratio)
        q = _PRIOR / (_PRIOR + w)
        fitted = (1.0 - q) * (metered_mean + slope * (estimate - mean)) + q * estimate * ratio
        return np.maximum(fitted, _FLOOR * metered_mean)


def _decayed(series: Array) -> Array:
    """Sums over the slots up to each, older ones decayed, along the last axis."""
    from scipy.signal import lfilter

    return np.asarray(lfilter([1.0], [1.0, -_KEPT], series, axis=-1))

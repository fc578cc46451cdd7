"""What metering teaches about estimates: the formula, causality, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest

from eglb.agents.calibration import Calibration
from eglb.foundation.arrays import Array

KEPT = 1 - 1 / 336


def draw(seed: int, slots: int = 400) -> tuple[Array, Array]:
    """(estimate, metered), both (2, 2, T)."""
    random = np.random.default_rng(seed)
    metered = random.uniform(0.5, 1.5, (2, 2, slots)) * 10.0 ** random.integers(-3, 4, (2, 2, 1))
    return metered * random.lognormal(0.2, 0.3, metered.shape), metered


def by_the_formula(x: Array, m: Array, value: float) -> float:
    """One series, written down as in the class's docstring."""
    age = np.arange(len(x))[::-1]
    weight = KEPT**age
    w = weight.sum()
    mx, mm = (weight * x).sum() / w, (weight * m).sum() / w
    var = (weight * (x - mx) ** 2).sum() / w
    cov = (weight * (x - mx) * (m - mm)).sum() / w
    r, v, q = mm / mx, 24 * (0.15 * mx) ** 2, 24 / (24 + w)
    b = min(max((w * cov + v * r) / (w * var + v), 0.0), 1.5 * r)
    return max(0.05 * mm, (1 - q) * (mm + b * (value - mx)) + q * value * r)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("settled", [1, 2, 50, 399])
def test_the_formula(seed: int, settled: int) -> None:
    estimate, metered = draw(seed)
    corrected = Calibration(estimate, metered).correct(estimate[:, :, settled : settled + 1], settled)
    for i in range(2):
        for k in range(2):
            known = estimate[i, k, :settled], metered[i, k, :settled]
            expected = by_the_formula(*known, estimate[i, k, settled])
            assert corrected[i, k, 0] == pytest.approx(expected, rel=1e-9)


def test_only_settled_slots_are_used() -> None:
    estimate, metered = draw(1)
    other = metered.copy()
    other[:, :, 100:] *= 7.0
    asked = estimate[:, :, 100:110]
    np.testing.assert_array_equal(
        Calibration(estimate, metered).correct(asked, 100), Calibration(estimate, other).correct(asked, 100)
    )
    np.testing.assert_array_equal(Calibration(estimate, metered).correct(asked, 0), asked)


def test_exact_estimates_stay() -> None:
    _, metered = draw(2)
    for settled in (1, 30, 300):
        corrected = Calibration(metered, metered).correct(metered[:, :, settled:], settled)
        np.testing.assert_allclose(corrected, metered[:, :, settled:], rtol=1e-10)


def test_a_bias_goes_and_noise_shrinks() -> None:
    random = np.random.default_rng(4)
    metered = 1.0 + 0.2 * random.random((1, 1, 500))
    biased = Calibration(1.2 * metered, metered).correct(1.2 * metered[:, :, 400:], 400)
    np.testing.assert_allclose(biased, metered[:, :, 400:], rtol=1e-9)
    noisy = metered * random.lognormal(0.0, 0.4, metered.shape)
    corrected = Calibration(noisy, metered).correct(noisy[:, :, 400:], 400)
    truth = metered[:, :, 400:]
    assert ((corrected - truth) ** 2).mean() < 0.1 * ((noisy[:, :, 400:] - truth) ** 2).mean()


def test_footprints_of_zero_stay_finite() -> None:
    nothing = np.zeros((1, 2, 50))
    some = nothing.copy()
    some[0, 1] = 1.0
    for estimate, metered in ((nothing, nothing), (some, nothing), (nothing, some)):
        corrected = Calibration(estimate, metered).correct(estimate[:, :, 40:], 40)
        assert np.isfinite(corrected).all()
        assert (corrected >= 0.0).all()

"""Water on site: the curve by hand, its range, and a level that is published."""

from __future__ import annotations

import numpy as np
import pytest

from eglb.scenarios.physics.cooling import (
    DRY,
    LEAST_WUE,
    constant_range,
    scaled_to_mean,
    tower_range,
    tower_wue,
)


def test_curve_by_hand() -> None:
    """20 C are 68 F: 6e-5 * 314432 - 0.01 * 4624 + 0.61 * 68 - 10.4 = 3.70592."""
    assert tower_wue(np.array([20.0]))[0] == pytest.approx(3.70592 * 6 / 5, rel=1e-9)
    assert tower_wue(np.array([20.0]), 3.0)[0] == pytest.approx(3.70592 * 3 / 2, rel=1e-9)
    assert tower_wue(np.array([-20.0]))[0] == LEAST_WUE
    assert tower_wue(np.array([-20.0]), floor=0.0)[0] == 0.0


@pytest.mark.parametrize("cycles", [2.0, 3.0, 6.0, 12.0])
def test_range_encloses(cycles: float) -> None:
    found = tower_range(np.linspace(-25.0, 32.0, 200), cycles)
    assert (found.low <= found.central).all() and (found.central <= found.high).all()
    warm = found.central > 1.0
    np.testing.assert_allclose(found.central[warm] / found.low[warm], cycles / (cycles - 1))


def test_scaling_keeps_the_shape_and_meets_the_mean_of_every_site() -> None:
    wue = tower_wue(np.random.default_rng(1).uniform(0, 28, (3, 500)))
    scaled = scaled_to_mean(wue, np.array([0.2, 1.0, 2.5]))
    np.testing.assert_allclose(scaled.mean(1), [0.2, 1.0, 2.5])
    np.testing.assert_allclose(scaled / scaled[:, :1], wue / wue[:, :1])


def test_constant() -> None:
    found = constant_range(DRY, np.zeros((2, 3)))
    assert found.low.shape == (2, 3) and (found.central == 0.0).all() and (found.high == LEAST_WUE).all()

"""Water that cooling takes on site, in L per kWh of IT energy (WUE), by how a data center is cooled."""

from __future__ import annotations

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.physics.figure import Estimate, Figure

CYCLES = 6.0
"""Cycles of concentration of the eGLB authors' tower: water drawn over water blown down."""

LEAST_WUE = 0.05
"""L/kWh: below this the authors' curve is not followed."""

TOWER = "Islam et al. 2018, IEEE Trans. Cloud Comput.; range: no blowdown to three cycles, US DOE FEMP"
"""Source of the tower's WUE and of its range."""

FEWEST_CYCLES = 3.0
"""Usual towers run at two to four cycles, six and more are possible (US DOE FEMP, best practice 10)."""
_NO_BLOWDOWN = 1e12

DRY = Figure(0.0, 0.0, LEAST_WUE, "L/kWh", "dry coolers evaporate nothing; high: some humidification")
"""Dry, air-cooled."""


def tower_wue(wet_bulb_c: Array, cycles: float | Array = CYCLES, floor: float = LEAST_WUE) -> Array:
    """L of water per kWh of IT energy that a cooling tower takes, from wet bulb in Celsius.

    The fit used by the authors of equity-aware balancing (evaporation as a polynomial in Fahrenheit, blowdown
    for `cycles` > 1 cycles of concentration, at least `floor`): Islam, Ren, Quan, Shakir and Vasilakos, IEEE
    Trans. Cloud Computing 2018.
    """
    f = np.asarray(wet_bulb_c) * 1.8 + 32.0
    drawn = 6e-5 * f**3 - 0.01 * f**2 + 0.61 * f - 10.4
    return np.maximum(drawn * cycles / (cycles - 1.0), floor)


def tower_range(wet_bulb_c: Array, cycles: float | Array = CYCLES) -> Estimate:
    """The tower's WUE at `cycles`; low without any blowdown, high at three cycles or fewer."""
    return Estimate(
        tower_wue(wet_bulb_c, _NO_BLOWDOWN),
        tower_wue(wet_bulb_c, cycles),
        tower_wue(wet_bulb_c, np.minimum(cycles, FEWEST_CYCLES)),
    )


def constant_range(figure: Figure, like: Array) -> Estimate:
    """A published annual mean, or `DRY`, taken for every hour, in the shape of `like`."""
    return Estimate(*(np.full(np.shape(like), value) for value in (figure.low, figure.central, figure.high)))


def scaled_to_mean(wue: Array, published_mean: float | Array) -> Array:
    """`wue` (..., hours) times one factor per site, so that its mean over the hours is `published_mean`.

    Give it whole years: the mean of a summer is not a published annual figure.
    """
    wue = np.asarray(wue, float)
    return wue * (np.asarray(published_mean, float) / wue.mean(-1))[..., None]

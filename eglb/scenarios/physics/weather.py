"""Wet-bulb temperature, which decides what a cooling tower evaporates, from temperature and humidity."""

from __future__ import annotations

import numpy as np

from eglb.foundation.arrays import Array

PRESSURE_MATTERS_ABOVE_M = 500.0
_HALVINGS = 40


def stull_wet_bulb_c(temp_c: Array, rh_pct: Array) -> Array:
    """Celsius, from air temperature in Celsius and relative humidity in percent, at sea-level pressure.

    Fitted by Stull for 5 to 99 % and -20 to 50 C, less the corner that is both cold and dry; there within -1
    to +0.65 C, 0.28 C on average. Humidity beyond that is taken as 5 or 99 %; temperature as it comes.
    (Stull 2011, J. Appl. Meteorol. Climatol. 50, 2267, doi:10.1175/JAMC-D-11-0143.1, eq. 1.)
    """
    t, rh = np.asarray(temp_c, float), np.clip(np.asarray(rh_pct, float), 5.0, 99.0)
    return (
        t * np.arctan(0.151977 * np.sqrt(rh + 8.313659))
        + np.arctan(t + rh)
        - np.arctan(rh - 1.676331)
        + 0.00391838 * rh**1.5 * np.arctan(0.023101 * rh)
        - 4.686035
    )


def wet_bulb_c(temp_c: Array, rh_pct: Array, elevation_m: float | Array = 0.0) -> Array:
    """Celsius: Stull's fit up to 500 m of elevation, above that solved for the pressure there.

    `elevation_m` broadcasts against the others: (regions, 1) for series of shape (regions, hours).
    """
    t, rh, elevation = np.broadcast_arrays(
        np.asarray(temp_c, float), np.asarray(rh_pct, float), np.asarray(elevation_m, float)
    )
    out = np.asarray(stull_wet_bulb_c(t, rh))
    high = elevation > PRESSURE_MATTERS_ABOVE_M
    if high.any():
        out = out.copy()
        out[high] = psychrometric_wet_bulb_c(t[high], rh[high], pressure_hpa(elevation[high]))
    return out


def pressure_hpa(elevation_m: Array | float) -> Array:
    """Standard atmospheric pressure in hPa, from elevation in m (ASHRAE Fundamentals 2017, ch. 1, eq. 3)."""
    return 1013.25 * (1.0 - 2.25577e-5 * np.asarray(elevation_m, float)) ** 5.2559


def saturation_hpa(temp_c: Array) -> Array:
    """Vapour pressure over liquid water in hPa, -40 to 50 C within 0.1 % or so (Bolton 1980, eq. 10)."""
    return 6.112 * np.exp(17.67 * temp_c / (temp_c + 243.5))


def psychrometric_wet_bulb_c(temp_c: Array, rh_pct: Array, pressure: Array) -> Array:
    """Celsius: the thermodynamic wet bulb at `pressure` in hPa, by halving between -60 C and the dry bulb.

    Solves ``W = ((2501 - 2.326 tw) Ws(tw) - 1.006 (t - tw)) / (2501 + 1.86 t - 4.186 tw)`` (ASHRAE
    Fundamentals 2017, ch. 1, eq. 33) over liquid water, which a tower's fill is kept wet with.
    """

    def moisture(vapour: Array) -> Array:
        return 0.621945 * vapour / (pressure - vapour)

    wanted = moisture(np.clip(rh_pct, 0.0, 100.0) / 100.0 * saturation_hpa(temp_c))
    below, above = np.full(np.shape(temp_c), -60.0), np.array(temp_c, float)
    for _ in range(_HALVINGS):
        tw = (below + above) / 2.0
        saturated = moisture(saturation_hpa(tw))
        has = ((2501.0 - 2.326 * tw) * saturated - 1.006 * (temp_c - tw)) / (
            2501.0 + 1.86 * temp_c - 4.186 * tw
        )
        below, above = np.where(has < wanted, tw, below), np.where(has < wanted, above, tw)
    return (below + above) / 2.0

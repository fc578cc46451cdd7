"""Footprints per energy of data centers (N) over hours (T), from their cooling, weather and electricity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from eglb.agents.estimation.cooling import tower_range
from eglb.agents.estimation.electricity import (
    AUTHORS_WATER,
    IPCC_CARBON,
    carbon_intensity,
    water_intensity,
)
from eglb.agents.estimation.figure import Estimate

Array = np.ndarray

WATER_SIGNAL = "average, operational"
CARBON_SIGNAL = "average, lifecycle"


def water_per_it_energy(onsite: Estimate, offsite: Estimate, pue: Array) -> Estimate:
    """m3/MWh of IT energy, (N, T): on site, and off site for all facility energy.

    Parameters
    ----------
    onsite : L/kWh of IT energy. offsite : L/kWh of electricity. pue : (N, 1).
    """
    return onsite + offsite.times(pue)


def tower_water(
    wet_bulb_c: Array, mix: Mapping[str, Array], pue: Array, offsite_l_kwh: Array | None = None
) -> Estimate:
    """m3/MWh of IT energy, (N, T), of data centers with cooling towers on grids of a known mix.

    Parameters
    ----------
    wet_bulb_c : (N, T). mix : fuel to shares, (N, 1) or (N, T). pue : (N, 1).
    offsite_l_kwh : the central water of electricity where it is known, (N, 1) or (N, T); else the mix's by
        the factors of the eGLB authors, which count no reservoirs.
    """
    offsite = water_intensity(mix, AUTHORS_WATER)
    if offsite_l_kwh is not None:
        offsite = offsite.around(offsite_l_kwh)
    return water_per_it_energy(tower_range(wet_bulb_c), offsite, pue)


def carbon_around(intensity: Array, mix: Mapping[str, Array]) -> Estimate:
    """A measured or published carbon intensity, with the relative range of the factors of its mix."""
    return carbon_intensity(mix, IPCC_CARBON).around(intensity)

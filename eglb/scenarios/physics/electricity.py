"""Water and carbon per electricity from the mix of fuels that makes it.

A mix maps fuels to shares or to MW, arrays of one shape. Storage (pumped hydro, batteries) counts nothing of
its own: what charged it is in the mix already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.physics.figure import Estimate, Figure

FUELS = (
    "coal",
    "gas",
    "oil",
    "nuclear",
    "hydro",
    "wind",
    "solar",
    "biomass",
    "geothermal",
    "unknown",
    "storage",
)

FUEL_NAMES = {
    **{fuel: fuel for fuel in FUELS},
    "hydro_discharge": "storage",
    "battery_discharge": "storage",
    "other": "unknown",
    "wnd": "wind",
    "sun": "solar",
    "wat": "hydro",
    "ng": "gas",
    "col": "coal",
    "nuc": "nuclear",
    "oth": "unknown",
}
"""Names of fuels in data, in lower case (those of Electricity Maps and EIA-930 among them), and ours."""

_L_PER_GALLON_AND_MWH = 3.785411784e-3
_MACKNICK = "Macknick et al. 2012, ERL 7 045802"
_AUTHORS = "code of the eGLB authors (Ren-Research); range: and Macknick et al. 2012"
_AR5 = "IPCC AR5 WG III, table A.III.2"
NOTHING = Figure(0.0, 0.0, 0.0, "", "counted where it was charged")


def _from_gallons(low: float, central: float, high: float, source: str) -> Figure:
    """Gallons per MWh as published, in L/kWh."""
    low, central, high = (value * _L_PER_GALLON_AND_MWH for value in (low, central, high))
    return Figure(low, central, high, "L/kWh", source)


def _macknick(low: float, median: float, high: float, what: str) -> Figure:
    return _from_gallons(low, median, high, f"{_MACKNICK}: {what}")


MACKNICK_WATER: Mapping[str, Figure] = {
    "coal": _macknick(480, 687, 1100, "coal generic, tower"),
    "gas": _macknick(130, 205, 300, "gas combined cycle, tower"),
    "oil": _from_gallons(
        130, 350, 1170, f"code of the eGLB authors; range: gas, combined cycle to steam, {_MACKNICK}"
    ),
    "nuclear": _macknick(581, 672, 845, "nuclear, tower"),
    "hydro": _macknick(1425, 4491, 18000, "hydropower, evaporation of reservoirs"),
    "wind": _macknick(0, 0, 1, "wind"),
    "solar": _macknick(0, 1, 5, "photovoltaic, utility scale"),
    "biomass": _macknick(480, 553, 965, "biopower steam, tower"),
    "geothermal": _macknick(5, 15, 361, "geothermal flash, tower"),
    "unknown": _from_gallons(0, 475, 687, "code of the eGLB authors; from none to coal's median"),
    "storage": replace(NOTHING, unit="L/kWh"),
}
"""L/kWh consumed by power plants with cooling towers: minimum, median and maximum of published values.

Once-through cooling consumes a third to half as much.
"""


def _authors(fuel: str, gallons_per_mwh: float) -> Figure:
    known, central = MACKNICK_WATER[fuel], gallons_per_mwh * _L_PER_GALLON_AND_MWH
    return Figure(min(known.low, central), central, max(known.high, central), "L/kWh", _AUTHORS)


AUTHORS_WATER: Mapping[str, Figure] = {
    "coal": _authors("coal", 450),
    "gas": _authors("gas", 300),
    "oil": _authors("oil", 350),
    "nuclear": _authors("nuclear", 600),
    "hydro": Figure(0.0, 0.0, 0.0, "L/kWh", "code of the eGLB authors: reservoirs are not counted"),
    "wind": _authors("wind", 0),
    "solar": _authors("solar", 0),
    "biomass": _authors("biomass", 475),
    "geothermal": _authors("geothermal", 475),
    "unknown": _authors("unknown", 475),
    "storage": replace(NOTHING, unit="L/kWh"),
}
"""L/kWh that the authors of equity-aware balancing count; hydropower is 0 with or without reservoirs."""


def _ar5(low: float, median: float, high: float, what: str) -> Figure:
    return Figure(low, median, high, "g/kWh", f"{_AR5}: {what}")


IPCC_CARBON: Mapping[str, Figure] = {
    "coal": _ar5(740, 820, 910, "coal, pulverised"),
    "gas": _ar5(410, 490, 650, "gas, combined cycle"),
    "oil": Figure(
        510, 720, 1170, "g/kWh", "none in AR5: Our World in Data 2020; range IPCC SRREN 2011, table A.II.4"
    ),
    "nuclear": _ar5(3.7, 12, 110, "nuclear"),
    "hydro": _ar5(1.0, 24, 2200, "hydropower, reservoirs of any kind"),
    "wind": _ar5(7.0, 11, 56, "wind, onshore"),
    "solar": _ar5(18, 48, 180, "photovoltaic, utility scale"),
    "biomass": _ar5(130, 230, 420, "biomass, dedicated"),
    "geothermal": _ar5(6.0, 38, 79, "geothermal"),
    "unknown": Figure(
        130, 700, 910, "g/kWh", "Electricity Maps' default, thermal plants of any kind; from biomass to coal"
    ),
    "storage": replace(NOTHING, unit="g/kWh"),
}
"""gCO2e/kWh over the life cycle: minimum, median and maximum of published values."""


def _authors_carbon(fuel: str, central: float) -> Figure:
    known = IPCC_CARBON[fuel]
    source = "code of the eGLB authors (Ren-Research); range: and IPCC AR5"
    return Figure(min(known.low, central), central, max(known.high, central), "g/kWh", source)


AUTHORS_CARBON: Mapping[str, Figure] = {
    fuel: _authors_carbon(fuel, central)
    for fuel, central in {
        "coal": 968.0,
        "gas": 440.0,
        "oil": 890.0,
        "nuclear": 15.0,
        "hydro": 13.5,
        "wind": 22.5,
        "solar": 20.0,
        "biomass": 450.0,
        "geothermal": 450.0,
        "unknown": 450.0,
        "storage": 0.0,
    }.items()
}
"""gCO2/kWh that the authors of equity-aware balancing count."""

HYDRO_CARBON_HIGH = 147.0
"""g/kWh: the larger of two plants in UNECE 2021, Life Cycle Assessment of Electricity Generation Options."""


def without_reservoirs(factors: Mapping[str, Figure]) -> dict[str, Figure]:
    """Factors of fuels, in L/kWh or g/kWh, that leave out what reservoirs of hydropower evaporate or emit."""
    figure = factors["hydro"]
    at_most = 0.0 if figure.unit == "L/kWh" else HYDRO_CARBON_HIGH
    low, central, high = (min(value, at_most) for value in (figure.low, figure.central, figure.high))
    source = f"{figure.source}; reservoirs left out" if high < figure.high else figure.source
    return {**factors, "hydro": Figure(low, central, high, figure.unit, source)}


def water_intensity(
    mix: Mapping[str, Array], factors: Mapping[str, Figure], *, hydro: bool = False
) -> Estimate:
    """L per kWh of electricity (EWIF), in the shape of the mix; with `hydro`, reservoirs' evaporation counts.

    NaN where the mix adds up to nothing.

    Raises
    ------
    KeyError : a fuel of the mix has no factor.
    """
    return _weighted(mix, factors if hydro else without_reservoirs(factors))


def carbon_intensity(
    mix: Mapping[str, Array], factors: Mapping[str, Figure], *, hydro: bool = False
) -> Estimate:
    """gCO2e per kWh of electricity, in the shape of the mix; with `hydro`, its range has bad reservoirs too.

    NaN where the mix adds up to nothing.

    Raises
    ------
    KeyError : a fuel of the mix has no factor.
    """
    return _weighted(mix, factors if hydro else without_reservoirs(factors))


def _weighted(mix: Mapping[str, Array], factors: Mapping[str, Figure]) -> Estimate:
    """Means of the factors weighted by the mix."""
    share = {fuel: np.asarray(values, float) for fuel, values in mix.items()}
    total = sum(share.values(), np.zeros(()))
    total = np.where(total > 0.0, total, np.nan)

    def mean(end: str) -> Array:
        weighted = (values * getattr(factors[fuel], end) for fuel, values in share.items())
        return sum(weighted, np.zeros(())) / total

    return Estimate(mean("low"), mean("central"), mean("high"))

"""Footprints of grid zones: water and carbon by fuel mix, with the range of the factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from eglb.foundation.arrays import Array
from eglb.scenarios.physics.electricity import (
    FUEL_NAMES,
    IPCC_CARBON,
    MACKNICK_WATER,
    carbon_intensity,
    water_intensity,
)
from eglb.scenarios.physics.figure import Estimate, Figure
from eglb.scenarios.worlds.files import columns, find_rows

FUEL_MIX = "zones123/zones_fuel_mix_2022.csv"
FUEL_MIX_SOURCE = "fuel mix 2022: electricitymaps-contrib @b354f28a, AGPL-3.0"
CONSUMPTION_MIX = "average, lifecycle, consumption mix"
_FUELS = (
    "coal",
    "gas",
    "oil",
    "nuclear",
    "hydro",
    "hydro_discharge",
    "wind",
    "solar",
    "biomass",
    "geothermal",
    "battery_discharge",
    "unknown",
)
# Bornholm has no mix of its own there; it lies in the price area of eastern Denmark.
_MIX_OF = {"DK-BHM": "DK-DK2"}


def fuel_mix(data: Path, zones: Sequence[str]) -> dict[str, Array]:
    """Fuel -> (N, 1) shares of 2022 in the zones.

    Raises
    ------
    InputError : the table is not as it should be, or lacks a zone.
    """
    text, number = columns(data / FUEL_MIX, ["zone"], _FUELS)
    rows = find_rows(data / FUEL_MIX, "zone", text["zone"], (_MIX_OF.get(zone, zone) for zone in zones))
    mix: dict[str, Array] = {}
    for name in _FUELS:
        fuel = FUEL_NAMES.get(name, name)
        mix[fuel] = mix.get(fuel, 0.0) + number[name][rows][:, None]
    return mix


def off_site_water(
    mix: Mapping[str, Array], hydro: bool, factors: Mapping[str, Figure] = MACKNICK_WATER
) -> Estimate:
    """L per kWh at the meter; with `hydro`, reservoirs evaporate as Macknick et al. say, by any factors."""
    return water_intensity(mix, {**factors, "hydro": MACKNICK_WATER["hydro"]}, hydro=hydro)


def water_signal(mix: str, hydro: bool) -> str:
    """What kind of signal a world's water is."""
    return f"on site plus off site; average, {mix}, reservoirs {'' if hydro else 'not '}counted"


def carbon_with_range(kg_per_kwh: Array, mix: Mapping[str, Array]) -> Estimate:
    """A given intensity (N, T), with the range that the IPCC's factors have about their medians on a mix."""
    by_mix = carbon_intensity(mix, IPCC_CARBON)
    return Estimate(
        kg_per_kwh * (by_mix.low / by_mix.central), kg_per_kwh, kg_per_kwh * (by_mix.high / by_mix.central)
    )

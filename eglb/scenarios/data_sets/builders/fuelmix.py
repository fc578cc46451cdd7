"""Fuel mix of grid zones over a year, and the water that a kWh of it takes off site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eglb.foundation.errors import InputError
from eglb.scenarios.data_sets import manifest
from eglb.scenarios.data_sets.sets import MAPS
from eglb.scenarios.data_sets.text_tables import Sources, shortest, write_rows

YEAR = "2022"
OTHER_YEAR = {"IN-UP": "2021"}
# Fuel -> US gallons of water per MWh: the published case's authors, and medians of Macknick et al. 2012 for
# towers where those have any.
GALLONS = {
    "coal": (450.0, 687.0),
    "gas": (300.0, 205.0),
    "oil": (350.0, 350.0),
    "nuclear": (600.0, 672.0),
    "hydro": (0.0, 4491.0),
    "hydro discharge": (0.0, 0.0),
    "wind": (0.0, 0.0),
    "solar": (0.0, 1.0),
    "biomass": (475.0, 553.0),
    "geothermal": (475.0, 15.0),
    "battery discharge": (0.0, 0.0),
    "unknown": (475.0, 475.0),
}
LITRES_PER_KGAL = 3.785412e-3
WATER = ("ewif_ren_l_kwh", "ewif_macknick_l_kwh", "ewif_macknick_nohydro_l_kwh")


def build(sources: Sources, data: Path, out: Path) -> None:
    """Write ``zones123/zones_fuel_mix_2022.csv``: shares by fuel, and L/kWh by three tables of factors.

    Raises
    ------
    InputError : a zone has no mix of its year.
    """
    rows = []
    for zone, config in zone_configs(sources).items():
        year = OTHER_YEAR.get(zone, YEAR)
        mixes = config.get("fallbackZoneMixes", {}).get("powerOriginRatios", [])
        found = [mix["value"] for mix in mixes if str(mix["datetime"]).startswith(year)]
        if not found:
            raise InputError(f"{zone} of {MAPS} has no fuel mix of {year}")
        share = np.array([float(found[0].get(fuel) or 0.0) for fuel in GALLONS])
        authors, macknick = np.array(list(GALLONS.values())).T * LITRES_PER_KGAL
        dry = np.where(np.array(list(GALLONS)) == "hydro", 0.0, macknick)
        water = [round(float(share @ factors), 4) for factors in (authors, macknick, dry)]
        rows.append([zone, year, *shortest(round(float(s), 4) for s in share), *shortest(water)])
    fuels = [fuel.replace(" ", "_") for fuel in GALLONS]
    write_rows(out / "zones123" / "zones_fuel_mix_2022.csv", ["zone", "year", *fuels, *WATER], rows)


def zone_configs(sources: Sources) -> dict[str, Any]:
    """Zone -> its configuration, retired zones among the others, sorted by file name as the tables are."""
    import yaml

    listed = {source.path for source in manifest.sources() if source.path.endswith(".yaml")}
    paths = sorted((sources.path(MAPS, path) for path in listed), key=lambda path: path.name)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return {path.stem: yaml.load(path.read_text("utf-8"), Loader=loader) for path in paths}

"""Units of published prices and intensities, converted to those of the controller."""

from __future__ import annotations

from collections.abc import Mapping

KG_PER_LB = 0.45359237
"""International pound, exactly."""
L_PER_GALLON = 3.785411784
"""US gallon, exactly."""

KNOWN: Mapping[str, Mapping[str, float]] = {
    "USD/MWh": {"USD/MWh": 1.0, "USD/kWh": 1e3, "cents/kWh": 10.0},
    "t/MWh": {
        "t/MWh": 1.0,
        "kg/kWh": 1.0,
        "kg/MWh": 1e-3,
        "g/kWh": 1e-3,
        "gCO2/kWh": 1e-3,
        "gCO2eq/kWh": 1e-3,
        "lbs/MWh": KG_PER_LB * 1e-3,
        "lbs_co2_per_mwh": KG_PER_LB * 1e-3,
    },
    "m3/MWh": {
        "m3/MWh": 1.0,
        "L/kWh": 1.0,
        "L/MWh": 1e-3,
        "gal/MWh": L_PER_GALLON * 1e-3,
        "gal/kWh": L_PER_GALLON,
    },
}
"""By what the controller counts in: units that are converted to it, and the factor."""


def factor(unit: str, into: str) -> float | None:
    """What a value in `unit` is multiplied by to be in `into`; None where that is not known."""
    if same(unit, into):
        return 1.0
    for name, times in KNOWN.get(into, {}).items():
        if same(name, unit):
            return times
    return None


def same(one: str, other: str) -> bool:
    """Whether two spellings are one unit: blanks and case aside."""
    return "".join(one.split()).casefold() == "".join(other.split()).casefold()

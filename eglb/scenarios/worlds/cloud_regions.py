"""Published facts of cloud regions, taken for places near them: PUE, on-site water, water stress."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.geography import great_circle_km
from eglb.scenarios.physics.figure import Estimate
from eglb.scenarios.worlds.files import columns

CLOUD_REGIONS = "regions/cloud_regions.csv"
SOURCE = (
    "PUE, WUE and water stress of cloud regions: operators' figures and WRI Aqueduct 4.0 (CC BY 4.0), "
    "compiled by DigitalPebble/spruce @8840d3c4 (Apache-2.0) and the Green Software Foundation"
)
NEARBY_KM = 300.0


def read(data: Path) -> tuple[dict[str, list[str]], dict[str, Array]]:
    """Text and number columns of all cloud regions."""
    return columns(
        data / CLOUD_REGIONS,
        ["provider", "region", "zone"],
        ["lat", "lon"],
        ["pue", "wue_l_kwh", "water_stress_cat"],
    )


def published_nearby(column: str, lat: Array, lon: Array, data: Path) -> Estimate:
    """(N,) least, mean and largest of what operators publish within 300 km of a place, else nearest."""
    _, facts = read(data)
    known = ~np.isnan(facts[column])
    values = facts[column][known]
    distance = great_circle_km(
        lat[:, None], lon[:, None], facts["lat"][known][None], facts["lon"][known][None]
    )
    taken = distance <= np.maximum(NEARBY_KM, distance.min(axis=1, keepdims=True))
    return Estimate(
        np.where(taken, values, np.inf).min(1),
        np.where(taken, values, 0.0).sum(1) / taken.sum(1),
        np.where(taken, values, -np.inf).max(1),
    )


def nearest_stress(lat: Array, lon: Array, data: Path) -> Array:
    """(N,) water stress category of the nearest cloud region within 300 km that has one, else NaN."""
    _, facts = read(data)
    known = ~np.isnan(facts["water_stress_cat"])
    distance = great_circle_km(
        lat[:, None], lon[:, None], facts["lat"][known][None], facts["lon"][known][None]
    )
    category = facts["water_stress_cat"][known][distance.argmin(1)]
    return np.where(distance.min(1) <= NEARBY_KM, category, np.nan)

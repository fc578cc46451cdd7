"""Where people live: cities of GeoNames, as a Python package carries them."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime
from importlib import metadata, resources
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from eglb.foundation.errors import InputError
from eglb.scenarios.data_sets.sets import GEONAMES
from eglb.scenarios.data_sets.text_tables import Sources, shortest, write_rows

LARGEST = 1000


def build(sources: Sources, data: Path, out: Path) -> None:
    """Write ``demand/``: urban population by time zone at the median of its cities, cities, countries.

    Raises
    ------
    InputError : the package is not installed in that version.
    """
    package, version = GEONAMES
    try:
        installed = metadata.version(package)
    except metadata.PackageNotFoundError:
        installed = "none"
    if installed != version:
        raise InputError(
            f"demand: is built from the Python package {package} {version}, and here is "
            f"{installed}: pip install {package}=={version}, and fetch again"
        )
    folder = resources.files(package) / "data"
    cities = list(json.loads(folder.joinpath("cities15000.json").read_text("utf-8")).values())
    countries = json.loads(folder.joinpath("countries.json").read_text("utf-8")).values()

    by_zone = defaultdict(list)
    for city in cities:
        by_zone[city["timezone"]].append(city)
    people = {zone: sum(city["population"] for city in there) for zone, there in by_zone.items()}
    zones = [
        [
            zone,
            repr(_offset_h(zone)),
            str(people[zone]),
            str(len(by_zone[zone])),
            *shortest(
                np.round(np.median([city[axis] for city in by_zone[zone]]), 3)
                for axis in ("latitude", "longitude")
            ),
        ]
        for zone in sorted(people, key=lambda zone: -people[zone])
    ]
    largest = sorted(cities, key=lambda city: -city["population"])[:LARGEST]
    towns = [
        [
            city["name"],
            city["countrycode"],
            *shortest((city["latitude"], city["longitude"])),
            str(city["population"]),
            city["timezone"],
            repr(_offset_h(city["timezone"])),
        ]
        for city in largest
    ]
    nations = [
        [str(c[key]) for key in ("iso", "iso3", "name", "population", "continentcode")] for c in countries
    ]
    write_rows(
        out / "demand" / "urban_population_by_timezone.csv",
        ["tz", "utc_offset_jan", "urban_population", "n_cities", "lat", "lon"],
        zones,
    )
    heading = ["city", "country", "lat", "lon", "population", "tz", "utc_offset_std"]
    write_rows(out / "demand" / "cities_top1000.csv", heading, towns)
    heading = ["iso2", "iso3", "name", "population", "continent"]
    write_rows(out / "demand" / "countries.csv", heading, nations)


def _offset_h(zone: str) -> float:
    """Hours ahead of UTC in January 2024."""
    ahead = datetime(2024, 1, 1, tzinfo=ZoneInfo(zone)).utcoffset()
    assert ahead is not None
    return ahead.total_seconds() / 3600.0

"""Typical years of weather at 50 places in US grid zones, shifted from their clocks to UTC."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.data_sets.builders.weather_stations import STATIONS, Station
from eglb.scenarios.data_sets.sets import DCRL, EPW
from eglb.scenarios.data_sets.text_tables import Sources, shortest, write_rows, write_wide
from eglb.scenarios.geography import great_circle_km
from eglb.scenarios.physics.weather import stull_wet_bulb_c

HEADING_LINES = 8
TEMP, HUMIDITY = 6, 8
SITES = [
    "zone",
    "ref",
    "ref_lat",
    "ref_lon",
    "station",
    "state",
    "wmo",
    "lat",
    "lon",
    "elev_m",
    "tz_std",
    "dist_km",
    "t_mean",
    "twb_mean",
    "twb_p99",
]


@dataclass(frozen=True)
class Year:
    """A typical year of a place, hours in UTC; `heading` is the file's first line."""

    heading: list[str]
    temp_c: Array
    rh_pct: Array
    wet_bulb_c: Array


def build(sources: Sources, data: Path, out: Path) -> None:
    """Write ``tmy3_us/``: temperature, humidity, wet bulb at sea level, and the stations."""
    years = {station.zone: _year(sources, station) for station in STATIONS}
    hours = [f"{str(hour)[5:]}" for hour in np.datetime64("2023-01-01T00", "h") + np.arange(8760)]
    for stem, name in (("temp_c",) * 2, ("rh_pct",) * 2, ("wetbulb_c", "wet_bulb_c")):
        values = np.array([getattr(year, name) for year in years.values()])
        write_wide(out / "tmy3_us" / f"tmy3_{stem}.csv.gz", "hour_of_year_utc", hours, list(years), values)
    rows = [_site(station, years[station.zone]) for station in STATIONS]
    write_rows(out / "tmy3_us" / "tmy3_sites.csv", SITES, rows)


def _year(sources: Sources, station: Station) -> Year:
    path = sources.path(EPW if station.path.endswith(".zip") else DCRL, station.path)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as packed:
            (name,) = (name for name in packed.namelist() if name.lower().endswith(".epw"))
            text = packed.read(name).decode("latin-1")
    else:
        text = path.read_text("latin-1")
    lines = [line.split(",") for line in text.splitlines()]
    ahead = round(float(lines[0][8]))
    temp, humidity = (
        np.roll([float(line[column]) for line in lines[HEADING_LINES:]], -ahead)
        for column in (TEMP, HUMIDITY)
    )
    return Year(lines[0], temp, humidity, np.round(stull_wet_bulb_c(temp, humidity), 1))


def _site(station: Station, year: Year) -> list[str]:
    """Cells of the table of stations."""
    _, place, state, _, _, wmo, lat, lon, ahead, elevation = year.heading
    there = [float(cell) for cell in (lat, lon, elevation, ahead)]
    ends = np.array([station.lat, station.lon, *there[:2]])
    away = round(float(great_circle_km(*ends))) if station.measured else 0
    levels = (year.temp_c.mean(), year.wet_bulb_c.mean(), np.quantile(year.wet_bulb_c, 0.99))
    return [
        station.zone,
        station.reference,
        *shortest((station.lat, station.lon)),
        place,
        state,
        wmo,
        *shortest(there),
        str(away),
        *shortest(round(float(level), 1) for level in levels),
    ]

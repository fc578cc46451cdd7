"""Sixteen grid zones, hourly: carbon intensity and weather as compiled, prices by our own rules."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.data_sets.builders.prices import FIRST as PRICES_FIRST
from eglb.scenarios.data_sets.builders.prices import usd_per_mwh
from eglb.scenarios.data_sets.sets import CLUSTER
from eglb.scenarios.data_sets.text_tables import Sources, clock, shortest, write_rows, write_wide
from eglb.scenarios.physics.weather import stull_wet_bulb_c

FIRST = np.datetime64("2021-01-01T00", "h")
HOURS, FACTS_HOURS = 26_280, 35_040  # of the series; of the means, into 2024
# Zone -> the folder of its sources, and the city whose weather it has.
ZONES = {
    "AU-NSW": ("AU-NSW", "Sydney"),
    "AU-VIC": ("AU-VIC", "Melbourne"),
    "BR-CS": ("BR-SP", "Sao Paulo"),
    "CA-ON": ("CA-ON", "Toronto"),
    "CL-SEN": ("CL-SIC", "Santiago"),
    "DE": ("DE-LU", "Frankfurt"),
    "GB": ("GB", "London"),
    "IN-WE": ("IN-WE", "Mumbai"),
    "JP-TK": ("JP-TK", "Tokyo"),
    "KR": ("KR", "Seoul"),
    "SG": ("SG", "Singapore"),
    "US-CAL-CISO": ("US-CAL-CISO", "San Jose"),
    "US-MIDA-PJM": ("US-MIDA-PJM", "Philadelphia"),
    "US-NY-NYIS": ("US-NY-NYIS", "New York"),
    "US-TEX-ERCO": ("US-TEX-ERCO", "Dallas"),
    "ZA": ("ZA", "Johannesburg"),
}
CARBON_COLUMNS = {  # column of the source -> ours
    "ci_lca_g_kwh": 5,
    "ci_direct_g_kwh": 4,
    "carbon_free_pct": 6,
    "renewable_pct": 7,
}
FACTS = [
    "zone",
    "weather_city",
    "weather_lat",
    "weather_lon",
    "elev_m",
    "tz",
    "hours",
    "n_missing",
    "price_missing",
    "ci_estimated_pct",
    "ci_lca_mean",
    "ci_lca_cv",
    "price_mean",
    "temp_mean",
    "twb_mean",
    "twb_p99",
    "t_peak_utc_jan",
    "t_peak_utc_jul",
]


@dataclass(frozen=True)
class Weather:
    """Temperature in Celsius and humidity in percent by the hour from `FIRST` on, and their place."""

    temp_c: Array
    rh_pct: Array
    lat: float
    lon: float
    elevation_m: float
    time_zone: str


def build(sources: Sources, data: Path, out: Path) -> None:
    """Write ``world16/``: the series, the year 2023 for readers of CSV, and facts of the zones."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, list[Array]] = {}
    facts = []
    skip = int((FIRST - PRICES_FIRST).astype(int))
    for zone, (folder, city) in ZONES.items():
        rows = [
            row for year in range(2021, 2025) for row in sources.rows(CLUSTER, carbon_path(folder, year))[1:]
        ]
        here = weather(sources, folder)
        series = {
            name: np.array([row[column] for row in rows], float) for name, column in CARBON_COLUMNS.items()
        }
        series["ci_estimated"] = np.array([row[9] == "true" for row in rows])
        series["price_usd_mwh"] = usd_per_mwh(sources, zone)[skip:]
        series["temp_c"], series["rh_pct"] = here.temp_c, here.rh_pct
        series["twb_c"] = np.round(stull_wet_bulb_c(here.temp_c, here.rh_pct), 2)
        facts.append(
            [zone, city, *_facts({name: values[:FACTS_HOURS] for name, values in series.items()}, here)]
        )
        for name, values in series.items():
            columns.setdefault(name, []).append(values[:HOURS])

    folder_out = out / "world16"
    folder_out.mkdir(parents=True)
    times = np.tile((FIRST + np.arange(HOURS)).astype("datetime64[us]"), len(ZONES))
    index = np.repeat(np.arange(len(ZONES), dtype=np.int8), HOURS)
    table = {"time_utc": times, "zone": pa.DictionaryArray.from_arrays(index, list(ZONES))}
    for name, parts in columns.items():
        kind = np.int8 if name == "ci_estimated" else np.float32
        table[name] = np.concatenate(parts).astype(kind)
    pq.write_table(pa.table(table), folder_out / "world16_hourly_2021_2023.parquet", compression="zstd")

    year = HOURS - 8760
    for stem, name in (("carbon_lca_g_kwh", "ci_lca_g_kwh"), ("price_usd_mwh",) * 2, ("wetbulb_c", "twb_c")):
        values = np.array([part[year:] for part in columns[name]])
        write_wide(
            folder_out / f"y2023_{stem}.csv.gz", "time_utc", clock("2023-01-01T00", 8760), list(ZONES), values
        )
    write_rows(folder_out / "world16_sites.csv", FACTS, facts)


def carbon_path(folder: str, year: int) -> str:
    """Where a year of carbon intensity is."""
    return f"data/carbon_intensity/{folder}/{year}/{folder}_{year}_hourly.csv"


def weather_path(folder: str, year: int) -> str:
    """Where a year of weather is."""
    return f"data/weather/{folder}/{year}.json"


def weather(sources: Sources, folder: str) -> Weather:
    """Weather of a zone, from files whose clock is one offset all year; half-hour offsets lie on a line."""
    years = [
        json.loads(path.read_text("utf-8"))
        for year in range(2020, 2025)
        if (path := sources.path(CLUSTER, weather_path(folder, year))).exists()
    ]
    place = years[-1]
    first = np.datetime64(years[0]["hourly"]["time"][0])
    begins = float((FIRST - first) / np.timedelta64(1, "h")) + place["utc_offset_seconds"] / 3600.0
    temp, humidity = (
        np.concatenate([np.array(year["hourly"][name], float) for year in years])
        for name in ("temperature_2m", "relative_humidity_2m")
    )
    at = begins + np.arange(FACTS_HOURS)
    return Weather(
        np.interp(at, np.arange(len(temp)), temp),
        np.interp(at, np.arange(len(temp)), humidity),
        float(place["latitude"]),
        float(place["longitude"]),
        float(place["elevation"]),
        place["timezone"],
    )


def _facts(series: dict[str, Array], here: Weather) -> list[str]:
    """Cells of the table of zones, from its third column on."""
    carbon, price, temp = series["ci_lca_g_kwh"], series["price_usd_mwh"], series["temp_c"]
    hour = FIRST + np.arange(len(temp))
    month = hour.astype("datetime64[M]").astype(int) % 12
    peaks = [
        int(np.argmax([temp[(month == m) & (np.arange(len(temp)) % 24 == h)].mean() for h in range(24)]))
        for m in (0, 6)
    ]
    means = (
        round(100.0 * float(series["ci_estimated"].mean()), 1),
        round(float(carbon.mean()), 1),
        round(float(carbon.std(ddof=1) / carbon.mean()), 3),
        round(float(np.nanmean(price)), 1),
        round(float(temp.mean()), 1),
        round(float(series["twb_c"].mean()), 1),
        round(float(np.quantile(series["twb_c"], 0.99)), 1),
    )
    place = shortest([round(here.lat, 3), round(here.lon, 3), here.elevation_m])
    missing = sum(int(np.isnan(series[name]).sum()) for name in ("ci_lca_g_kwh", "temp_c", "rh_pct"))
    counts = (len(temp), missing, int(np.isnan(price).sum()))
    return [*place, here.time_zone, *map(str, counts), *shortest(means), *map(str, peaks)]

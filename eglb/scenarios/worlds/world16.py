"""Measured hours of sixteen grid zones on all continents, 2021 to 2023, with language-model demand.

Prices, carbon intensities and wet-bulb temperatures are measured there and then. Shares of demand are drawn
from a Dirichlet distribution unless ``split=population`` asks otherwise, since the recorded figures of the
online policies (benchmarks/results) were made so.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.scenarios.geography import distances_km, modelled_rtt_ms
from eglb.scenarios.physics.cooling import tower_range
from eglb.scenarios.physics.electricity import AUTHORS_WATER
from eglb.scenarios.worlds import cloud_regions, footprints
from eglb.scenarios.worlds.cloud_regions import CLOUD_REGIONS, nearest_stress
from eglb.scenarios.worlds.files import columns, find_rows
from eglb.scenarios.worlds.population import utc_offset_h
from eglb.scenarios.worlds.world import Ground, World

# The first N of them make a fleet of N; continents alternate. GB, whose prices begin on 2022-01-21, is last.
ZONES = (
    "US-TEX-ERCO",
    "DE",
    "JP-TK",
    "BR-CS",
    "US-MIDA-PJM",
    "SG",
    "ZA",
    "US-CAL-CISO",
    "AU-NSW",
    "IN-WE",
    "CA-ON",
    "KR",
    "CL-SEN",
    "US-NY-NYIS",
    "AU-VIC",
    "GB",
)
FIRST, END = np.datetime64("2021-01-01T00", "h"), np.datetime64("2024-01-01T00", "h")
SERIES, SITES = "world16/world16_hourly_2021_2023.parquet", "world16/world16_sites.csv"
PUE = 1.1
SOURCES = (
    "carbon: Electricity Maps 2021-2023, ODbL 1.0; weather: Open-Meteo.com ERA5, CC BY 4.0",
    "compilation: HewlettPackard/sustain-cluster @293fbd15 (MIT); prices: the market operators named there, "
    "wholesale; ZA a tariff, CL-SEN with transmission and tax",
    footprints.FUEL_MIX_SOURCE,
    cloud_regions.SOURCE,
)


def read(data: Path, hydro: bool) -> Ground:
    """All hours of the sixteen zones.

    Price and carbon count facility energy, PUE 1.1. Water counts IT energy: on site by the cooling tower's
    curve at the measured wet bulb (Stull's, at sea level), off site by the zone's fuel mix of 2022 with the
    factors of the authors of equity-aware balancing.
    """
    text, number = columns(data / SITES, ["zone", "tz"], ["weather_lat", "weather_lon"])
    row = find_rows(data / SITES, "zone", text["zone"], ZONES)
    lat, lon = number["weather_lat"][row], number["weather_lon"][row]
    hourly = series(data / SERIES)
    mix = footprints.fuel_mix(data, ZONES)
    off_site = footprints.off_site_water(mix, hydro, AUTHORS_WATER)
    return Ground(
        regions=ZONES,
        lat=lat,
        lon=lon,
        utc_offset_h=utc_offset_h([text["tz"][r] for r in row], data),
        pue=np.full(len(ZONES), PUE),
        price=hourly["price_usd_mwh"],
        water=tower_range(hourly["twb_c"]) + off_site.times(PUE),
        carbon=footprints.carbon_with_range(hourly["ci_lca_g_kwh"] / 1000.0, mix),
        water_signal=footprints.water_signal("fuel mix of 2022", hydro),
        carbon_signal=footprints.CONSUMPTION_MIX,
        rtt_ms=modelled_rtt_ms(distances_km(lat, lon)),
        order=np.arange(len(ZONES)),
        water_stress=nearest_stress(lat, lon, data),
        notes=("price, carbon and weather measured; water and round trips (by distance) modelled",),
        sources=SOURCES,
    )


@lru_cache(maxsize=2)
def series(path: Path) -> dict[str, Array]:
    """Column -> (16, hours) of all zones, in the order of `ZONES`; NaN where unknown.

    Raises
    ------
    InputError : the file is not as it should be.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = ["price_usd_mwh", "ci_lca_g_kwh", "twb_c", "temp_c", "rh_pct"]
    try:
        table = pq.read_table(path, columns=["time_utc", "zone", *wanted])
        zone = table["zone"].combine_chunks().dictionary_decode().to_numpy(zero_copy_only=False)
        slot = (table["time_utc"].to_numpy().astype("datetime64[h]") - FIRST).astype(int)
        names, which = np.unique(zone.astype(str), return_inverse=True)
        place = np.array([ZONES.index(name) for name in names])[which]
        out = {}
        for column in wanted:
            values = np.full((len(ZONES), int((END - FIRST).astype(int))), np.nan)
            values[place, slot] = table[column].to_numpy().astype(float)
            out[column] = values
    except (OSError, pa.ArrowException, ValueError, KeyError, IndexError) as error:
        raise InputError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
    return out


WORLD = World(
    name="world16",
    first=FIRST,
    end=END,
    example="2023-07-01/14d",
    regions=len(ZONES),
    files=(SERIES, SITES, footprints.FUEL_MIX, CLOUD_REGIONS),
    read=read,
    split="dirichlet",
    reach="all",
    capacity_mw=1.0,
)

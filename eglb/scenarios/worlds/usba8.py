"""Eight balancing authorities of the United States in 2022, each with its fuel mix of every hour."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.scenarios.geography import distances_km
from eglb.scenarios.physics.electricity import FUEL_NAMES
from eglb.scenarios.worlds import cloud_regions, year2022
from eglb.scenarios.worlds.files import HOURS, large_columns
from eglb.scenarios.worlds.reach import FIT, fitted_rtt_ms
from eglb.scenarios.worlds.world import Ground, World

MIX = "us_ba_2022/us_ba_fuelmix_2022.csv.gz"
FUELS = ("WND", "SUN", "WAT", "OIL", "NG", "COL", "NUC", "OTH")
ZONE = {
    "AZPS": "US-SW-AZPS",
    "BPAT": "US-NW-BPAT",
    "CISO": "US-CAL-CISO",
    "ERCO": "US-TEX-ERCO",
    "MISO": "US-MIDW-MISO",
    "NYIS": "US-NY-NYIS",
    "PJM": "US-MIDA-PJM",
    "SOCO": "US-SE-SOCO",
}
SPIKE = 0.3
SOURCES = (
    "fuel mix: US Energy Information Administration, form EIA-930, public domain "
    "(HewlettPackard/dc-rl @a92b4755, MIT)",
    year2022.PRICE_SOURCE,
    year2022.WEATHER_SOURCE,
    cloud_regions.SOURCE,
)


@lru_cache(maxsize=1)
def read(data: Path, hydro: bool) -> Ground:
    """The year of the eight; carbon and off-site water by the factors of what generates in the hour.

    Raises
    ------
    InputError : a table is not as it should be.
    """
    at = year2022.places(data, list(ZONE.values()))
    mw, mended, moved = mend(fuel_mw(data))
    return year2022.ground(
        data,
        hydro,
        list(ZONE),
        at,
        pue=cloud_regions.published_nearby("pue", at.lat, at.lon, data).central,
        water_stress=cloud_regions.nearest_stress(at.lat, at.lon, data),
        rtt_ms=fitted_rtt_ms(distances_km(at.lat, at.lon)),
        notes=(
            "fuel mix measured by the hour, generation not consumption; PUE, on-site water and water stress "
            "of cloud regions nearby",
            f"{mended} blank or odd hours have the mix of a day before; in {moved} hours nuclear booked as "
            "other is booked back",
            FIT,
        ),
        sources=SOURCES,
        hourly_mix={FUEL_NAMES[fuel.lower()]: mw[:, k] for k, fuel in enumerate(FUELS)},
    )


def fuel_mw(data: Path) -> Array:
    """(8, fuels, 8760) MW as published, NaN where blank.

    Raises
    ------
    InputError : the table is not as it should be.
    """
    path = data / MIX
    found = large_columns(path, ["time_utc", "ba"], FUELS)
    out = np.empty((len(ZONE), len(FUELS), HOURS))
    problems = []
    for i, name in enumerate(ZONE):
        mine = found["ba"] == name
        hours = found["time_utc"][mine]
        if len(hours) != HOURS or not (hours[:-1] < hours[1:]).all():
            problems.append(f"{path}: {name} has not the {HOURS} hours of 2022, once each and in order")
        else:
            out[i] = [found[fuel][mine] for fuel in FUELS]
    if problems:
        raise InputError(problems)
    return out


def mend(mw: Array) -> tuple[Array, int, int]:
    """(8, fuels, 8760) without blank or odd hours; how many hours were replaced, in how many nuclear moved.

    Where an authority's nuclear plants are said to stop all at once while as much more than usual comes from
    "other", that more is nuclear. An hour is odd if a fuel is blank, if all nuclear stops otherwise, or if
    the total is off the median of itself and its neighbours by more than 30 % of the usual; it has the mix of
    the same hour a day before.
    """
    mw = mw.copy()
    mended = moved = 0
    nuclear, other = FUELS.index("NUC"), FUELS.index("OTH")
    for fuels in mw:
        usual = np.nanmedian(fuels, axis=1)
        stopped = (fuels[nuclear] == 0.0) & (usual[nuclear] > 0.0)
        surplus = fuels[other] - usual[other]
        misbooked = stopped & (surplus > usual[nuclear] / 2.0)
        fuels[nuclear, misbooked] = surplus[misbooked]
        fuels[other, misbooked] = usual[other]
        total = fuels.sum(0)
        around = np.stack([np.roll(total, 1), total, np.roll(total, -1)])
        spike = np.abs(total - np.median(around, axis=0)) > SPIKE * np.nanmedian(total)
        odd = np.isnan(total) | (stopped & ~misbooked) | spike
        for hour in np.flatnonzero(odd):
            fuels[:, hour] = fuels[:, hour - 24]
        mended, moved = mended + int(odd.sum()), moved + int(misbooked.sum())
    return mw, mended, moved


WORLD = World(
    name="usba8",
    first=year2022.FIRST,
    end=year2022.END,
    example="2022-07-04/14d",
    regions=8,
    files=(MIX, *year2022.FILES),
    read=read,
    reach="all",
)

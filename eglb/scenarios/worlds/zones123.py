"""A data center in each of 123 grid zones, 2022: as many regions as there are carbon series."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from eglb.scenarios.geography import distances_km
from eglb.scenarios.worlds import cloud_regions, year2022
from eglb.scenarios.worlds.reach import FIT, fitted_rtt_ms
from eglb.scenarios.worlds.world import Ground, World


@lru_cache(maxsize=1)
def read(data: Path, hydro: bool) -> Ground:
    """The year of all zones; PUE and water stress are those of cloud regions nearby.

    Raises
    ------
    InputError : a table is not as it should be.
    """
    at = year2022.places(data, year2022.zone_names(data))
    return year2022.ground(
        data,
        hydro,
        at.zones,
        at,
        pue=cloud_regions.published_nearby("pue", at.lat, at.lon, data).central,
        water_stress=cloud_regions.nearest_stress(at.lat, at.lon, data),
        rtt_ms=fitted_rtt_ms(distances_km(at.lat, at.lon)),
        notes=(
            "grid zones of 2022, carbon measured; PUE, on-site water and water stress of cloud regions near",
            FIT,
        ),
    )


WORLD = World(
    name="zones123",
    first=year2022.FIRST,
    end=year2022.END,
    example="2022-07-04/7d",
    regions=123,
    files=year2022.FILES,
    read=read,
)

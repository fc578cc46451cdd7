"""Thirty-three cloud regions of one provider in 2022, with the round trips measured between them.

Of the 34 measured regions asia-south2 (Delhi) is left out: there is no carbon series of its grid zone.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from eglb.scenarios.worlds import cloud_regions, year2022
from eglb.scenarios.worlds.files import columns, find_rows
from eglb.scenarios.worlds.world import Ground, World

RTT = "latency/gcp_rtt_ms.csv"
LEFT_OUT = "asia-south2"
FLEET_PUE = 1.10
"""Mean of the provider's whole fleet in 2022 (Google, Environmental Report 2023), where a region has none."""
SOURCES = (
    "round trips: SMU AT&T Center (umassos/decarbonization-potential @3493a630, Apache-2.0)",
    *year2022.SOURCES,
)


@lru_cache(maxsize=1)
def read(data: Path, hydro: bool) -> Ground:
    """The year of the 33 regions: series of the grid zone that each is in, PUE and water stress its own.

    Raises
    ------
    InputError : a table is not as it should be.
    """
    senders = columns(data / RTT, ["sending_region"])[0]["sending_region"]
    names = [name for name in senders if name != LEFT_OUT]
    measured = columns(data / RTT, [], blank=names)[1]
    sender = [senders.index(name) for name in names]
    text, facts = cloud_regions.read(data)
    called = [
        f"{provider} {region}" for provider, region in zip(text["provider"], text["region"], strict=True)
    ]
    rows = find_rows(data / cloud_regions.CLOUD_REGIONS, "region", called, (f"gcp {name}" for name in names))
    at = year2022.places(data, [text["zone"][row] for row in rows])
    own = facts["pue"][rows]
    return year2022.ground(
        data,
        hydro,
        names,
        replace(at, lat=facts["lat"][rows], lon=facts["lon"][rows]),
        pue=np.where(np.isnan(own), FLEET_PUE, own),
        water_stress=facts["water_stress_cat"][rows],
        rtt_ms=np.stack([measured[name][sender] for name in names], axis=1),
        notes=(
            "cloud regions of 2022 with price, carbon and weather of their grid zone, measured; "
            f"{LEFT_OUT} has no carbon series and is left out; round trips measured",
        ),
        sources=SOURCES,
    )


WORLD = World(
    name="gcp33",
    first=year2022.FIRST,
    end=year2022.END,
    example="2022-07-04/14d",
    regions=33,
    files=(RTT, *year2022.FILES),
    read=read,
)

"""The published case of ten regions and 457 hours, read from the data directory.

Source: the series published with "Towards Environmentally Equitable AI via Geographical Load Balancing"
(ACM e-Energy 2024), Ren-Research/Environmentally-Equitable-AI at 182da360, MIT licence.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.scenarios.folder.tables import Findings, open_table
from eglb.scenarios.scenario import FootprintKind, Scenario
from eglb.scenarios.worlds.files import require

# In the order of the published reach mask. Coordinates are public sites of data centers there, for
# maps and distances; no cost depends on them.
SITES: dict[str, tuple[float, float]] = {
    "Texas": (32.44, -97.06),
    "Virginia": (39.04, -77.49),
    "Georgia": (33.75, -84.58),
    "Nevada": (36.06, -115.01),
    "Germany": (50.11, 8.68),
    "Belgium": (50.47, 3.87),
    "Netherlands": (53.43, 6.86),
    "Denmark": (55.56, 9.65),
    "Japan": (35.81, 140.10),
    "Singapore": (1.32, 103.69),
}
CLUSTER_WATTS = 2708.0  # the published normaliser of the workload: 1.0 is a full region
WATER_WEIGHT_USD_PER_M3 = 60.0
CARBON_WEIGHT_USD_PER_T = 1500.0
SOURCE = "Ren-Research/Environmentally-Equitable-AI @182da360 (MIT): the e-Energy 2024 paper's own series"


def read_paper10(data: Path, *, partial: bool) -> Scenario:
    """The scenario from ``<data>/paper10``, with every region reachable or only the published pairs.

    Demand is ``workload_w / 2708`` MW at every gateway; capacity 1 MW and PUE 1 everywhere, as published;
    water is on-site plus off-site.

    Raises
    ------
    InputError : a file is missing, lacks a column or holds what is not a number.
    """
    folder = data / "paper10"
    series, reach = "paper10_2022.csv", "reach_partial.csv"
    require(folder, "paper10", (series, reach) if partial else (series,))
    findings = Findings()
    regions = tuple(SITES)
    n = len(regions)
    suffixes = ("price_usd_mwh", "wue_l_kwh", "carbon_kg_kwh")
    columns = [f"{region}.{suffix}" for suffix in suffixes for region in regions]
    table = open_table(folder / series, ["time_utc", "workload_w", *columns], findings)
    times = table.times(findings) if table else None
    values = table.numbers(["workload_w", *columns], findings).T if table else np.empty((0, 0))
    reach_region, reach_gateway = np.divmod(np.arange(n * n), n)
    if partial:
        reach_region, reach_gateway = _published_reach(folder / reach, regions, findings)
    if times is None or findings.messages():
        raise InputError(f"{folder / problem}" for problem in findings.messages())
    price, water, carbon = (np.ascontiguousarray(block) for block in np.split(values[1:], len(suffixes)))
    lat, lon = np.array(list(SITES.values())).T.copy()
    ones = np.ones(n)
    return Scenario(
        name="paper10-partial" if partial else "paper10",
        times=times,
        slot_hours=1.0,
        regions=regions,
        region_lat=lat,
        region_lon=lon,
        pue=ones.copy(),
        capacity=np.ones((n, len(times))),
        gateways=tuple(f"gw-{region}" for region in regions),
        gateway_lat=lat.copy(),
        gateway_lon=lon.copy(),
        gateway_utc_offset_h=np.round(lon / 15.0),
        demand=np.tile(values[0] / CLUSTER_WATTS, (n, 1)),
        price=price,
        footprints=(
            FootprintKind("water", "m3", WATER_WEIGHT_USD_PER_M3, water, "it", ones),
            FootprintKind("carbon", "t", CARBON_WEIGHT_USD_PER_T, carbon, "facility", ones),
        ),
        reach_gateway=reach_gateway,
        reach_region=reach_region,
        reach_rtt_ms=np.full(len(reach_region), np.nan),
        note="measured series as published; every gateway asks for the same share of one workload trace",
        sources=(SOURCE,),
    )


def _published_reach(path: Path, regions: tuple[str, ...], findings: Findings) -> tuple[Array, Array]:
    """Sorted (region, gateway) index pairs of the published mask; gateway ``gw-X`` stands at region X."""
    table = open_table(path, ["gateway", "region"], findings)
    allowed = np.zeros((len(regions), len(regions)), dtype=bool)
    if table is not None:
        gateways, names = table.names("gateway", findings), table.names("region", findings)
        for row, gateway, region in zip(table.rows, gateways, names, strict=True):
            if gateway.removeprefix("gw-") in regions and region in regions:
                allowed[regions.index(region), regions.index(gateway.removeprefix("gw-"))] = True
            else:
                findings.add(path.name, "pair", f"row {row}: {gateway!r}, {region!r} is no pair of this case")
    region_index, gateway_index = np.nonzero(allowed)
    return region_index, gateway_index

"""The published case of ten regions and 457 hours, read from the data directory.

Source: the series published with "Towards Environmentally Equitable AI via Geographical Load Balancing"
(ACM e-Energy 2024), Ren-Research/Environmentally-Equitable-AI at 182da360, MIT licence.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eglb.sims.problems import InputError
from eglb.sims.scenario import FootprintKind, Scenario

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
    InputError : a file is missing or lacks a column.
    """
    import pyarrow.csv

    folder = data / "paper10"
    wanted = [folder / "paper10_2022.csv"] + ([folder / "reach_partial.csv"] if partial else [])
    missing = [path for path in wanted if not path.is_file()]
    if missing:
        raise InputError(
            f"{path}: no such file; paper10 is read from the data directory: give --data DIR or set EGLB_DATA"
            for path in missing
        )
    table = pyarrow.csv.read_csv(
        wanted[0], convert_options=pyarrow.csv.ConvertOptions(column_types={"time_utc": pyarrow.string()})
    )
    regions = tuple(SITES)
    suffixes = ("price_usd_mwh", "wue_l_kwh", "carbon_kg_kwh")
    columns = ["time_utc", "workload_w", *(f"{r}.{s}" for r in regions for s in suffixes)]
    absent = [c for c in columns if c not in table.column_names]
    if absent:
        raise InputError(f"{wanted[0]}: column {c} is missing" for c in absent)

    def stack(suffix: str) -> np.ndarray:
        return np.stack([table[f"{r}.{suffix}"].to_numpy().astype(float) for r in regions])

    demand = np.tile(table["workload_w"].to_numpy().astype(float) / CLUSTER_WATTS, (len(regions), 1))
    lat, lon = np.array([SITES[r] for r in regions]).T.copy()
    gateways = tuple(f"gw-{r}" for r in regions)
    n = len(regions)
    reach_region, reach_gateway = np.divmod(np.arange(n * n), n)
    if partial:
        pairs = pyarrow.csv.read_csv(wanted[1])
        allowed = np.zeros((n, n), dtype=bool)
        for gateway, region in zip(pairs["gateway"].to_pylist(), pairs["region"].to_pylist(), strict=True):
            allowed[regions.index(region), gateways.index(gateway)] = True
        reach_region, reach_gateway = np.nonzero(allowed)
    ones = np.ones(n)
    return Scenario(
        name="paper10-partial" if partial else "paper10",
        times=np.array(table["time_utc"].to_pylist(), dtype="datetime64[s]"),
        slot_hours=1.0,
        regions=regions,
        region_lat=lat,
        region_lon=lon,
        pue=ones.copy(),
        capacity=np.ones((n, demand.shape[1])),
        gateways=gateways,
        gateway_lat=lat.copy(),
        gateway_lon=lon.copy(),
        gateway_utc_offset_h=np.round(lon / 15.0),
        demand=demand,
        price=stack("price_usd_mwh"),
        footprints=(
            FootprintKind("water", "m3", WATER_WEIGHT_USD_PER_M3, stack("wue_l_kwh"), "it", ones),
            FootprintKind("carbon", "t", CARBON_WEIGHT_USD_PER_T, stack("carbon_kg_kwh"), "facility", ones),
        ),
        reach_gateway=reach_gateway,
        reach_region=reach_region,
        reach_rtt_ms=np.full(len(reach_region), np.nan),
        note="measured series as published; every gateway asks for the same share of one workload trace",
        sources=(SOURCE,),
    )

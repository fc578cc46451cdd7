"""Grid zones of 2022: hourly carbon intensity of 123, prices of 23, and facts of each."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.data_sets.builders.fuelmix import zone_configs
from eglb.scenarios.data_sets.builders.prices import FIRST as PRICES_FIRST
from eglb.scenarios.data_sets.builders.regions import CENTERS
from eglb.scenarios.data_sets.builders.world16 import ZONES as WEATHER_ZONES
from eglb.scenarios.data_sets.sets import CARBON_FOLDER, MAPS, POTENTIAL
from eglb.scenarios.data_sets.text_tables import Sources, clock, shortest, write_rows, write_wide

FIRST, HOURS = "2022-01-01T00", 8760
# Of the 123, the zone that the configuration of zones no longer has.
GONE = {"DK-BHM": ["Bornholm", "DK", "Denmark", "Europe", "55.13", "14.91", "Europe/Copenhagen"]}
PRICE_OF_ANOTHER = {"LU": "DE"}
PROVIDERS = ("aws-", "azure-", "gcp-")
FACTS = [
    "zone",
    "name",
    "country",
    "country_name",
    "region",
    "lat",
    "lon",
    "tz",
    "ci_mean",
    "ci_std",
    "ci_p05",
    "ci_p95",
    "price_2022",
    "weather_actual",
    "cloud_regions",
]


def build(sources: Sources, data: Path, out: Path) -> None:
    """Write ``zones123/``, less its fuel mixes; ``prices22`` must be in `data`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = out / "zones123"
    folder.mkdir(parents=True)
    # The files' order is that of the tables: GB-NIR before GB.
    paths = sorted(sources.path(POTENTIAL, CARBON_FOLDER).glob("*.csv"), key=lambda path: path.name)
    names = [path.stem for path in paths]
    carbon = np.array([_without_error(path) for path in paths])
    write_wide(folder / "carbon_2022_lca_g_kwh.csv.gz", "time_utc", clock(FIRST, HOURS), names, carbon)
    times = (np.datetime64(FIRST, "h") + np.arange(HOURS)).astype("datetime64[us]")
    columns = {name: values.astype(np.float32) for name, values in zip(names, carbon, strict=True)}
    path = folder / "carbon_2022_lca_g_kwh.parquet"
    pq.write_table(pa.table({**columns, "time_utc": times}), path, compression="zstd")

    prices = pq.read_table(data / "prices22" / "price_usd_mwh_hourly_2020_2023.parquet").drop_columns(
        "time_utc"
    )
    begins = int((np.datetime64(FIRST, "h") - PRICES_FIRST).astype(int))
    # Cents, kept in single precision there.
    values = np.array([np.round(column.to_numpy().astype(float), 2) for column in prices.columns])
    year = values[:, begins : begins + HOURS]
    write_wide(
        folder / "price_2022_usd_mwh.csv.gz", "time_utc", clock(FIRST, HOURS), prices.column_names, year
    )
    write_rows(folder / "zones.csv", FACTS, _facts(sources, names, carbon, prices.column_names))


def _facts(sources: Sources, names: list[str], carbon: Array, priced: list[str]) -> list[list[str]]:
    """Rows of ``zones.csv``."""
    within = defaultdict(list)
    for region, center in sorted(json.loads(sources.path(MAPS, CENTERS).read_text("utf-8")).items()):
        if region.startswith(PROVIDERS):
            within[center["zoneKey"]].append(region)
    configs, rows = zone_configs(sources), []
    for name, series in zip(names, carbon, strict=True):
        if name in GONE:
            place = GONE[name]
        else:
            config = configs[name]
            lon, lat = config.get("center_point") or np.mean(config["bounding_box"], axis=0)
            place = [config.get(key, "") for key in ("zone_name", "country", "country_name", "region")]
            place += [*shortest((round(lat, 3), round(lon, 3))), config["timezone"]]
        levels = (series.mean(), series.std(ddof=1), *np.quantile(series, (0.05, 0.95)))
        price = "yes" if name in priced else PRICE_OF_ANOTHER.get(name, "")
        weather = "yes" if name in WEATHER_ZONES else ""
        cells = shortest(round(float(level), 1) for level in levels)
        rows.append([name, *place, *cells, price, weather, " ".join(within[name])])
    return rows


def _without_error(path: Path) -> Array:
    """Carbon intensity by the hour; the further columns have errors of so many percent added."""
    return np.loadtxt(path, delimiter=",", skiprows=1, usecols=0)

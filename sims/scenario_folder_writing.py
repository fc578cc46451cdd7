"""A scenario as a folder: writing one, exactly, and an example to start from."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eglb.sims.problems import InputError
from eglb.sims.results_folder import staged_folder
from eglb.sims.scenario import Scenario
from eglb.sims.scenario_folder_tables import SUFFIXES

Array = np.ndarray

EXAMPLE_SETTINGS = """\
# A small fleet to edit: three regions, two gateways, 48 hours. Check it with `eglb scenario check .`
# Every table may be .csv, .csv.gz or .parquet.
#
#   regions.csv   one data center per row: place, IT capacity in MW, PUE (facility energy / IT energy)
#   gateways.csv  one entry point of demand per row; utc_offset_h may be left out
#   reach.csv     which gateway may use which region; without the file, every one may use every one
#   demand.csv    MW of IT power asked for at each gateway, mean over the slot
#   price.csv     USD per MWh at the meter
#   water.csv     m3 per MWh of IT energy, on-site plus off-site
#   carbon.csv    t CO2e per MWh at the meter
#   capacity.csv  (not here) MW by slot, for regions whose capacity changes over time

name = "my-fleet"
slot_hours = 1.0
max_rtt_ms = 120.0        # pairs of reach.csv that are slower are dropped

[equity.water]            # one section per footprint kind; its table has the same name
weight = 60.0             # USD per m3 of the worst region's total over the horizon
unit = "m3"

[equity.carbon]
weight = 1500.0           # USD per t of the worst region's total
unit = "t"

# A column water_weight in regions.csv (1 if absent) makes a region's water count more or less inside the
# maximum. A further kind is a table and a section, say health.csv and
# [equity.health]
# weight = 10.0
# unit = "USD"
# per = "facility"        # or "it": per MWh of facility or of IT energy
#
# Tables water_low and water_high are the ends of the range of water: see `eglb solve --footprint-range`.
# `eglb scenario estimate .` writes them all from columns of regions.csv, weather.csv and fuel_mix.csv.
# A demand in requests or tokens per second becomes MW with
# [demand]
# unit = "tokens_per_s"   # or "requests_per_s"
# model = "llama-3.1-70b" # or j_per_token = 0.9, or wh_per_request = 0.3
"""


def save(scenario: Scenario, folder: Path, *, suffix: str = ".csv") -> None:
    """Write `scenario` to `folder` so that reading gives the same arrays, bit for bit.

    `suffix` of the tables is ``.csv``, ``.csv.gz`` or ``.parquet``. The folder is whole or absent: it is
    written aside and renamed.

    Raises
    ------
    InputError : the folder exists and is not empty, or cannot be written.
    """
    if suffix not in SUFFIXES:
        raise ValueError(f"suffix {suffix!r} is not one of {SUFFIXES}")
    s = scenario
    constant = (s.capacity == s.capacity[:, :1]).all(axis=1)
    weighted = [k for k in s.footprints if (k.region_weight != 1.0).any()]
    tables: dict[str, dict[str, Sequence[Any]]] = {
        "regions": {
            "region": s.regions,
            "lat": s.region_lat.tolist(),
            "lon": s.region_lon.tolist(),
            "capacity_mw": s.capacity.max(axis=1).tolist(),
            "pue": s.pue.tolist(),
            **{f"{k.name}_weight": k.region_weight.tolist() for k in weighted},
            **{
                name: [None if np.isnan(v) else float(v) for v in values]
                for name, values in (("water_stress", s.water_stress), ("people_m", s.people_m))
                if values is not None
            },
        },
        "gateways": {
            "gateway": s.gateways,
            "lat": s.gateway_lat.tolist(),
            "lon": s.gateway_lon.tolist(),
            "utc_offset_h": s.gateway_utc_offset_h.tolist(),
        },
        "demand": hourly_columns(s.times, s.gateways, s.demand),
        "price": hourly_columns(s.times, s.regions, s.price),
        **{
            name: hourly_columns(s.times, s.regions, series)
            for k in s.footprints
            for name, series in ((k.name, k.intensity), (f"{k.name}_low", k.low), (f"{k.name}_high", k.high))
            if series is not None
        },
    }
    if not constant.all():
        tables["capacity"] = hourly_columns(s.times, s.regions, s.capacity)
    timed = not np.isnan(s.reach_rtt_ms).all()
    if timed or len(s.reach_region) < len(s.regions) * len(s.gateways):
        tables["reach"] = {
            "gateway": [s.gateways[j] for j in s.reach_gateway],
            "region": [s.regions[i] for i in s.reach_region],
            **({"rtt_ms": [None if np.isnan(r) else float(r) for r in s.reach_rtt_ms]} if timed else {}),
        }
    _write_folder(folder, _settings_text(s), tables, suffix)


def new(folder: Path) -> None:
    """Write a small, valid and commented example fleet: three regions, two gateways, 48 hours.

    Raises
    ------
    InputError : the folder exists and is not empty, or cannot be written.
    """
    times = np.datetime64("2024-07-01T00:00:00", "s") + np.arange(48) * np.timedelta64(3600, "s")
    hour = np.arange(48)
    regions, gateways = ("oregon", "texas", "virginia"), ("west", "east")
    lon = np.array([-121.2, -96.8, -77.5])
    local = hour[None] + lon[:, None] / 15.0
    sun = np.maximum(0.0, np.cos((local - 13.0) * np.pi / 12.0))
    evening = np.exp(-(((local % 24.0) - 19.0) ** 2) / 8.0)
    warm = np.cos((local - 16.0) * np.pi / 12.0)
    price = np.array([45.0, 38.0, 52.0])[:, None] * (1 + 0.6 * evening - 0.35 * sun)
    water = np.array([4.5, 1.6, 2.6])[:, None] * (1 + 0.15 * warm)
    carbon = np.array([0.14, 0.40, 0.39])[:, None] * (1 - np.array([0.1, 0.3, 0.1])[:, None] * sun)
    busy = 1 + 0.4 * np.cos((hour[None] + np.array([-8.0, -5.0])[:, None] - 15.0) * np.pi / 12.0)
    demand = np.array([22.0, 38.0])[:, None] * busy
    tables: dict[str, dict[str, Sequence[Any]]] = {
        "regions": {
            "region": regions,
            "lat": [45.6, 32.8, 39.0],
            "lon": lon.tolist(),
            "capacity_mw": [40.0, 45.0, 50.0],
            "pue": [1.12, 1.2, 1.15],
        },
        "gateways": {
            "gateway": gateways,
            "lat": [37.8, 40.7],
            "lon": [-122.4, -74.0],
            "utc_offset_h": [-7.0, -4.0],
        },
        "reach": {
            "gateway": ["west", "west", "west", "east", "east", "east"],
            "region": [*regions, *regions],
            "rtt_ms": [22.0, 41.0, 64.0, 68.0, 39.0, 9.0],
        },
        "demand": hourly_columns(times, gateways, demand.round(2)),
        "price": hourly_columns(times, regions, price.round(2)),
        "water": hourly_columns(times, regions, water.round(3)),
        "carbon": hourly_columns(times, regions, carbon.round(4)),
    }
    _write_folder(folder, EXAMPLE_SETTINGS, tables, ".csv")


def hourly_columns(times: Array, names: Iterable[str], values: Array) -> dict[str, Sequence[Any]]:
    """Columns of an hourly table: ``time_utc``, and one for each name."""
    return {"time_utc": times, **{name: row.tolist() for name, row in zip(names, values, strict=True)}}


def _settings_text(scenario: Scenario) -> str:
    def text(value: str) -> str:
        # A JSON string is a TOML string but for the one control character that JSON leaves bare.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")

    lines = [f"name = {text(scenario.name)}", f"slot_hours = {float(scenario.slot_hours)!r}"]
    if scenario.note:
        lines.append(f"note = {text(scenario.note)}")
    if scenario.sources:
        lines += ["sources = [", *(f"    {text(source)}," for source in scenario.sources), "]"]
    for kind in scenario.footprints:
        lines += [
            "",
            f"[equity.{kind.name}]",
            f"weight = {float(kind.weight)!r}",
            f"unit = {text(kind.unit)}",
        ]
        lines.append(f"per = {text(kind.per)}")
        if str(kind.shape) != "max":
            lines.append(f"shape = {text(str(kind.shape))}")
        if kind.signal:
            lines.append(f"signal = {text(kind.signal)}")
    return "\n".join(lines) + "\n"


def _write_folder(
    folder: Path, settings: str, tables: dict[str, dict[str, Sequence[Any]]], suffix: str
) -> None:
    with staged_folder(folder) as aside:
        try:
            (aside / "scenario.toml").write_text(settings, encoding="utf-8")
            for name, columns in tables.items():
                write_table(aside / f"{name}{suffix}", columns)
        except OSError as error:
            raise InputError(f"{folder}: cannot be written: {error.strerror}") from error


def write_table(path: Path, columns: dict[str, Sequence[Any]]) -> None:
    """Write columns of equal length in the format that the ending of `path` says."""
    if path.name.endswith(".parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        arrays = {
            name: pa.array(values, pa.timestamp("s", tz="UTC")) if name == "time_utc" else pa.array(values)
            for name, values in columns.items()
        }
        pq.write_table(pa.table(arrays), path)
        return
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    cells = [[f"{t}Z" for t in v] if name == "time_utc" else v for name, v in columns.items()]
    writer.writerows(zip(*cells, strict=True))
    raw = text.getvalue().encode("utf-8")
    # A fixed time stamp: the same scenario gives the same bytes.
    path.write_bytes(gzip.compress(raw, mtime=0) if path.name.endswith(".gz") else raw)

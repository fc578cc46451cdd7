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

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.foundation.staging import staged_folder
from eglb.scenarios.folder.jobs import job_columns
from eglb.scenarios.folder.tables import SUFFIXES
from eglb.scenarios.scenario import FootprintKind, Scenario

HEADING = """\
# A fleet to plan. Edit it, then: `eglb scenario check .` and `eglb solve .`
# Beside this file stand tables, each .csv, .csv.gz or .parquet:
#
#   regions   a data center per row: region, lat, lon, capacity_mw of IT power, pue (facility / IT energy); if
#             known: water_stress, 0 low to 4 extremely high; people_m, millions of people living nearby
#   gateways  an entry point of demand per row: gateway, lat, lon, if known: utc_offset_h
#   reach     an allowed pair per row: gateway, region, if known: rtt_ms; without it all pairs are allowed
#   demand    time_utc and a column per gateway: MW of IT power asked for, mean over the slot
#   price     time_utc and a column per region: USD per MWh at the meter; may be negative
#   capacity  optional: time_utc and a column for each region whose capacity_mw changes over time
#   water, carbon, ...   time_utc and a column per region: footprint of a MWh; one table for every [equity.*]
#   water_low, water_high, ...   optional: the range that the table is the central estimate of
#
# A CSV file may come from a spreadsheet: commas, semicolons or tabs between cells, decimal point or comma,
# times as 2024-07-01 13:00, 2024-07-01T13:00Z or 01.07.2024 13:00, always UTC. Save it as "CSV UTF-8".
"""
BEFORE_NOTE = """\
# max_rtt_ms = 120.0       # drops pairs of reach that are slower
# What is modelled rather than measured, and where the data come from: shown wherever the fleet is.
"""
COMMENTS = {
    "slot_hours": "length of a slot; every table over time has one row per slot",
    "weight": "USD per {unit} of the worst region's total over the horizon; 0 only reports it",
    "per": 'its table counts per MWh of "it" or of "facility" energy',
    "shape": 'who is worst off: "max", one region; "worst:3", the mean of 3; "lq:4", the L4 norm',
    "signal": 'what the figures are, such as "average, lifecycle"',
}
"""What is said of a key, where it first stands."""
ENDING = """
# A further kind is a table and a section of its own, say health.csv and [equity.health]; it states its unit.
# `eglb scenario estimate .` writes tables of water and carbon, with ranges, from columns of regions and from
# weather and fuel mix.
#
# Whose footprint counts how much inside the maximum: a column water_weight in regions (1 if absent), or
# in a section of [equity]
# region_weight = "stress"       1 + water_stress, scaled to a mean of 1
# region_weight = "per-capita"   mean of people_m / people_m: footprint per person living nearby
#
# [demand]                   # a demand in requests or tokens per second
# unit = "tokens_per_s"      # or "requests_per_s"
# model = "llama-3.1-70b"    # or j_per_token = 0.9, or wh_per_request = 0.3
#
# Work that can wait, beside the demand that cannot: a table jobs, a job per row, such as
#   job,energy_mwh,release_utc,deadline_utc,max_mw,min_mw,regions,home_region,checkpoint_cost_mwh,data_gb
#   train-7b,60,2024-07-01T06:00Z,2024-07-02T18:00Z,5,,oregon|texas,oregon,0.4,800
# energy_mwh of IT energy, or gpu_hours; it may be split over hours and regions, never above max_mw, nor below
# min_mw if given. regions: names, or words of a column tags of regions, with | between them; empty is all.
# Away from home it takes its checkpoint's energy more; data_gb is only noted. From min_mw on all is optional.
#
# [jobs]                     # where jobs have gpu_hours instead of energy_mwh
# gpu_kw = 1.3               # IT power of a GPU at work, with its part of the server
#
# [csv]                      # only where a file leaves it open
# decimal = ","              # is 1.234 a thousand, or one and a bit?
# dayfirst = true            # is 01/07/2024 in July or in January?
#
# [tables]                   # other file names
# price = "market.csv"
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
    if s.jobs is not None:
        tables["jobs"] = job_columns(s.jobs, s.regions)
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
    save(example(), folder)


def example() -> Scenario:
    """A small fleet to start from; its figures are made up."""
    hour = np.arange(48)
    lon = np.array([-121.2, -96.8, -77.5])
    local = hour[None] + lon[:, None] / 15.0
    sun = np.maximum(0.0, np.cos((local - 13.0) * np.pi / 12.0))
    evening = np.exp(-(((local % 24.0) - 19.0) ** 2) / 8.0)
    warm = np.cos((local - 16.0) * np.pi / 12.0)
    price = np.array([45.0, 38.0, 52.0])[:, None] * (1 + 0.6 * evening - 0.35 * sun)
    water = np.array([4.5, 1.6, 2.6])[:, None] * (1 + 0.15 * warm)
    carbon = np.array([0.14, 0.40, 0.39])[:, None] * (1 - np.array([0.1, 0.3, 0.1])[:, None] * sun)
    busy = 1 + 0.4 * np.cos((hour[None] + np.array([-8.0, -5.0])[:, None] - 15.0) * np.pi / 12.0)
    capacity = np.array([40.0, 45.0, 50.0])
    return Scenario(
        name="my-fleet",
        times=np.datetime64("2024-07-01T00:00:00", "s") + hour * np.timedelta64(3600, "s"),
        slot_hours=1.0,
        regions=("oregon", "texas", "virginia"),
        region_lat=np.array([45.6, 32.8, 39.0]),
        region_lon=lon,
        pue=np.array([1.12, 1.2, 1.15]),
        capacity=np.repeat(capacity[:, None], len(hour), axis=1),
        gateways=("west", "east"),
        gateway_lat=np.array([37.8, 40.7]),
        gateway_lon=np.array([-122.4, -74.0]),
        gateway_utc_offset_h=np.array([-7.0, -4.0]),
        demand=(np.array([22.0, 38.0])[:, None] * busy).round(2),
        price=price.round(2),
        footprints=(
            FootprintKind("water", "m3", 60.0, water.round(3), "it", np.ones(3)),
            FootprintKind("carbon", "t", 1500.0, carbon.round(4), "facility", np.ones(3)),
        ),
        reach_gateway=np.array([0, 1, 0, 1, 0, 1]),
        reach_region=np.array([0, 0, 1, 1, 2, 2]),
        reach_rtt_ms=np.array([22.0, 68.0, 41.0, 39.0, 64.0, 9.0]),
        note="an example: all figures are made up",
        water_stress=np.array([1.0, 3.0, 2.0]),
        people_m=np.array([0.3, 7.8, 6.4]),
    )


def hourly_columns(times: Array, names: Iterable[str], values: Array) -> dict[str, Sequence[Any]]:
    """Columns of an hourly table: ``time_utc``, and one for each name."""
    return {"time_utc": times, **{name: row.tolist() for name, row in zip(names, values, strict=True)}}


def _settings_text(scenario: Scenario) -> str:
    """``scenario.toml``, each key explained where it first stands."""
    said: set[str] = set()

    def line(key: str, value: str, unit: str = "") -> str:
        comment = COMMENTS.get(key)
        if comment is None or key in said:
            return f"{key} = {value}"
        said.add(key)
        return f"{f'{key} = {value}':<26} # {comment.format(unit=unit)}"

    lines = [
        HEADING,
        line("name", _toml(scenario.name)),
        line("slot_hours", repr(float(scenario.slot_hours))),
        BEFORE_NOTE.rstrip("\n"),
        line("note", _toml(scenario.note)),
        "sources = ["
        + "".join(f"\n    {_toml(source)}," for source in scenario.sources)
        + "\n" * bool(scenario.sources)
        + "]",
    ]
    for kind in scenario.footprints:
        lines += [
            "",
            f"[equity.{kind.name}]",
            line("weight", repr(float(kind.weight)), kind.unit),
            line("unit", _toml(kind.unit)),
            line("per", _toml(kind.per)),
            line("shape", _toml(str(kind.shape))),
            line("signal", _toml(kind.signal)),
        ]
    return "\n".join(lines) + "\n" + ENDING


def _toml(text: str) -> str:
    # A JSON string is a TOML string but for the one control character that JSON leaves bare.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


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
            name: pa.array(values, pa.timestamp("s", tz="UTC")) if name.endswith("_utc") else pa.array(values)
            for name, values in columns.items()
        }
        pq.write_table(pa.table(arrays), path)
        return
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    cells = [[f"{t}Z" for t in v] if name.endswith("_utc") else v for name, v in columns.items()]
    writer.writerows(zip(*cells, strict=True))
    raw = text.getvalue().encode("utf-8")
    # A fixed time stamp: the same scenario gives the same bytes.
    path.write_bytes(gzip.compress(raw, mtime=0) if path.name.endswith(".gz") else raw)

"""Hourly generation by fuel of eight US balancing authorities, with the off-site water of each hour's mix."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eglb.scenarios.data_sets.sets import DCRL
from eglb.scenarios.data_sets.text_tables import Sources, shortest, write_rows

AUTHORITIES = ("AZPS", "BPAT", "CISO", "ERCO", "MISO", "NYIS", "PJM", "SOCO")
# Fuel -> thousand US gallons of water per MWh, of the published case's authors; litres per gallon.
GALLONS = {"WND": 0, "SUN": 0, "WAT": 0, "OIL": 0.35, "NG": 0.3, "COL": 0.45, "NUC": 0.6, "OTH": 0.475}
LITRES = 3.785411784


def build(sources: Sources, data: Path, out: Path) -> None:
    """Write ``us_ba_2022/``: MW by fuel, carbon in g/kWh as in the source, water in L/kWh."""
    rows: list[list[str]] = []
    for name in AUTHORITIES:
        records = sources.records(DCRL, source_path(name))
        mw = np.array([[float(record[fuel] or "nan") for fuel in GALLONS] for record in records])
        water = sum(mw[:, i] * (gallons * LITRES) for i, gallons in enumerate(GALLONS.values()))
        with np.errstate(invalid="ignore"):
            cells = [shortest(column) for column in mw.T]
            cells.append(shortest(np.round([float(r["avg_CI"] or "nan") for r in records], 1)))
            cells.append(shortest(np.round(water / mw.sum(axis=1), 4)))
        times = [record["timestamp"][:16].replace(" ", "T") for record in records]
        rows += [[time, name, *row] for time, *row in zip(times, *cells, strict=True)]
    heading = ["time_utc", "ba", *GALLONS, "avg_CI", "ewif_ren_l_kwh"]
    write_rows(out / "us_ba_2022" / "us_ba_fuelmix_2022.csv.gz", heading, rows)


def source_path(name: str) -> str:
    """Where the year of one authority is."""
    return f"data/CarbonIntensity/{name}_NG_&_avgCI.csv"

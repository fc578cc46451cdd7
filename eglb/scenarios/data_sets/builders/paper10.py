"""The published case of ten regions: one table from thirty-one, and the mask of partial reach."""

from __future__ import annotations

import re
from pathlib import Path

from eglb.foundation.errors import InputError
from eglb.scenarios.data_sets.sets import PAPER
from eglb.scenarios.data_sets.text_tables import Sources, write_rows

# In the order of the published mask; Belgium is spelt otherwise there.
REGIONS = (
    "Texas",
    "Virginia",
    "Georgia",
    "Nevada",
    "Germany",
    "Belgium",
    "Netherlands",
    "Denmark",
    "Japan",
    "Singapore",
)
SPELT = {"Belgium": "Belguim"}
SERIES = (
    ("carbon_kg_kwh", "data/carbon/{}_carbon.csv"),
    ("price_usd_mwh", "data/price/{}_Price.csv"),
    ("wue_l_kwh", "data/water/{}_water.csv"),
)
WORKLOAD, MASK = "data/AI_workload.csv", "utils/Notes.md"


def build(sources: Sources, data: Path, out: Path) -> None:
    """Write ``paper10/``: digits as published, for the hours of the workload.

    Raises
    ------
    InputError : the notes hold no mask of ten rows of ten.
    """
    workload = dict(sources.rows(PAPER, WORKLOAD)[1:])
    names, columns = ["time_utc", "workload_w"], [workload]
    for region in REGIONS:
        for name, path in SERIES:
            names.append(f"{region}.{name}")
            columns.append(dict(sources.rows(PAPER, path.format(SPELT.get(region, region)))[1:]))
    rows = ([hour, *(column[hour] for column in columns)] for hour in workload)
    write_rows(out / "paper10" / "paper10_2022.csv", names, rows)

    notes = sources.path(PAPER, MASK).read_text("utf-8")
    mask = [re.findall("[01]", row) for row in re.findall(r"\[([01, ]+)\]", notes)]
    if [len(row) for row in mask] != [len(REGIONS)] * len(REGIONS):
        raise InputError(f"{MASK} of {PAPER} holds no mask of {len(REGIONS)} rows of {len(REGIONS)}")
    pairs = [
        (f"gw-{gateway}", region)
        for region, row in zip(REGIONS, mask, strict=True)
        for gateway, allowed in zip(REGIONS, row, strict=True)
        if allowed == "1"
    ]
    write_rows(out / "paper10" / "reach_partial.csv", ["gateway", "region"], pairs)

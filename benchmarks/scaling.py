"""How do rounds, seconds, memory and bytes grow with the fleet, and what does the class of fleet change?

    python benchmarks/scaling.py [--time-limit 300] [--budget 3600] [--full] [--out benchmarks/results]

The runs are those of ``eglb scale``: each a process of its own, every gap audited. Sizes grow on the base
class (7 days, reach 8, utilisation 0.7, weights as generated); then one factor at a time differs from it:
slots, reach, utilisation, equity weights. `--full` is every combination instead. Rows go to ``scaling.csv``,
which is gone on with: a row that is there is not run again, failed ones included, and `--budget` seconds stop
between two runs. ``scaling.md`` beside it says what the rows can and cannot show.
`--smoke` is a small grid without output: seconds long.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

from eglb.foundation.console import as_text
from eglb.scenarios.synthetic import SyntheticSpec
from eglb.sims.scaling.run import Case
from eglb.sims.scaling.scaling import run_cases

ALGORITHMS = ("admm", "newton", "central")
SEEDS = (0, 1, 2)
SIZES, SIZES_ELSEWHERE = (10, 20, 50, 100, 200, 500, 1000), (50, 200)
BASE = (168, 8, 0.7, 1.0)
LEVELS: tuple[tuple[Any, ...], ...] = ((24, 168, 720), (4, 8, 16), (0.6, 0.7, 0.85), (0.01, 0.1, 1.0))
"""Slots, reach, utilisation and factor on the equity weights."""


def classes(full: bool) -> list[tuple[Any, ...]]:
    """Classes of fleets, the base first."""
    if full:
        return [BASE, *(levels for levels in product(*LEVELS) if levels != BASE)]
    others = [
        (*BASE[:axis], level, *BASE[axis + 1 :])
        for axis, levels in enumerate(LEVELS)
        for level in levels
        if level != BASE[axis]
    ]
    return [BASE, *others]


def grid(full: bool, time_limit: float) -> list[Case]:
    """All runs, small fleets first within each class."""
    return [
        Case(SyntheticSpec(count, hours, seed, reach, share), name, weight, time_limit=time_limit)
        for hours, reach, share, weight in classes(full)
        for count in (SIZES if (hours, reach, share, weight) == BASE else SIZES_ELSEWHERE)
        if reach <= count
        for seed in SEEDS
        for name in ALGORITHMS
    ]


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a CSV file as they were before they were written; none without the file."""
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        return [{name: _value(text) for name, text in row.items()} for row in csv.DictReader(lines)]


def _value(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def write_rows(rows: list[dict[str, Any]], file: Path) -> None:
    """Replace the file in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    with partial.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _text(value) for name, value in row.items()})
    partial.replace(file)


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:.6g}" if isinstance(value, float) and value < 1e4 else json.dumps(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time-limit", type=float, default=300.0, help="seconds one run may take")
    parser.add_argument("--budget", type=float, help="seconds after which no further run is started")
    parser.add_argument("--full", action="store_true", help="every combination of the factors")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    if options.smoke:
        fleets = [SyntheticSpec(count, 6, reach=2) for count in (3, 4, 6)]
        scaling = run_cases(Case(fleet, name) for fleet in fleets for name in ("admm", "central"))
        print(as_text(scaling))
        seconds = sum(row["seconds"] or 0.0 for row in scaling.rows)
        print(f"{seconds:.2f} s in {len(scaling.rows)} runs")
        sys.exit(0 if scaling.converged else 1)
    file = options.out / "scaling.csv"
    rows = read_rows(file)
    began = time.monotonic()

    def keep(row: dict[str, Any]) -> None:
        rows.append(row)
        write_rows(rows, file)
        shown = "" if row["gap"] is None else f"{row['seconds']:9.2f} s{row['gap']:10.1e}"
        print(
            f"{row['instance']:44}x{row['weight_scale']:<6g}{row['algorithm']:9}{row['status']:12}{shown}",
            flush=True,
        )

    def in_time(cases: list[Case]) -> Any:
        known = {(row["instance"], row["weight_scale"], row["algorithm"]) for row in rows}
        for case in cases:
            head = case.head()
            new = (head["instance"], head["weight_scale"], head["algorithm"]) not in known
            if new and options.budget is not None and time.monotonic() - began > options.budget:
                return
            yield case

    print(as_text(run_cases(in_time(grid(options.full, options.time_limit)), earlier=rows, on_row=keep)))


if __name__ == "__main__":
    main()

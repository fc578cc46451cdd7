"""How much do online policies lose to poor forecasts, wrong estimates and a misdeclared period, on unseen
fleets?

    EGLB_DATA=... python benchmarks/robustness.py run LOG [--cuts held|train] [--part 1/2] [--seeds 0 1 2]
    [--groups ...] python benchmarks/robustness.py sum LOG... [--out benchmarks/results]

`run` runs the study of `eglb compare --online` on measured fleets, four weeks of history before each, and
appends every row to LOG at once; what is there already is not run again. Constants of the policies were
chosen on the `train` cuts (2021 and 2022, and the published case with full reach); what is reported are the
`held` ones (2023, and the published case with partial reach). `sum` prints, and writes, means over demand
seeds first, then mean and worst over cuts. `--smoke` is one small generated fleet: seconds long.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import fields
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np

import eglb
from eglb.foundation.row_log import RowLog
from eglb.scenarios.catalog import load_history
from eglb.sims.robustness.conditions import GROUPS, Condition, conditions
from eglb.sims.robustness.plots import draw_robustness
from eglb.sims.robustness.robustness import row_dict, study
from eglb.sims.robustness.tables import blocks

HISTORY_SLOTS = 4 * 168
CUTS = {
    "train": (
        "paper10",
        "world16@2021-04-04/21d,regions=15,demand=m-mid",
        "world16@2021-10-03/14d,regions=10,demand=bloom",
        "world16@2022-06-05/28d,regions=16,demand=m-large",
        "world16@2022-11-06/14d,regions=12,demand=m-small",
        "world16@2022-08-07/14d,regions=10,demand=m-mid,reach=near",
        "world16@2021-07-04/21d,regions=12,demand=m-small,reach=near",
    ),
    "held": (
        "paper10-partial",
        "world16@2023-01-01/14d,regions=10,demand=m-mid",
        "world16@2023-02-05/14d,regions=12,demand=m-large,reach=near",
        "world16@2023-03-05/21d,regions=15,demand=bloom",
        "world16@2023-04-02/21d,regions=12,demand=m-small",
        "world16@2023-05-07/14d,regions=10,demand=bloom,reach=near",
        "world16@2023-06-04/21d,regions=16,demand=m-mid,reach=near",
        "world16@2023-07-02/28d,regions=16,demand=bloom",
        "world16@2023-08-06/14d,regions=10,demand=m-large",
        "world16@2023-09-03/28d,regions=12,demand=m-mid",
        "world16@2023-10-01/14d,regions=10,demand=m-small,reach=near",
        "world16@2023-11-05/28d,regions=16,demand=m-large",
        "world16@2023-12-03/28d,regions=12,demand=m-small",
    ),
}


def run(log: Path, names: list[str], seeds: list[int], wanted: list[Condition]) -> None:
    """Append the rows of all instances that `log` has not got."""
    with RowLog(log) as rows:
        for seed in seeds:
            for name in names:
                done = {
                    as_condition(row) for row in rows.rows if (row["instance"], row["seed"]) == (name, seed)
                }
                missing = [condition for condition in wanted if condition not in done]
                # The published case has one demand; only generated demand has seeds.
                if not missing or (seed and "@" not in name):
                    continue
                began = time.perf_counter()
                instance = f"{name},seed={seed}" if "@" in name else name
                found = study(
                    eglb.load(instance), history=load_history(instance, HISTORY_SLOTS), chosen=missing
                )
                for row in found.rows:
                    rows.append({"instance": name, "seed": seed, **row_dict(row)})
                print(f"{instance}: {len(found.rows)} rows, {time.perf_counter() - began:.0f} s", flush=True)


def as_condition(row: dict[str, Any]) -> Condition:
    """The condition that a row of the log was run under."""
    return Condition(**{f.name: row[f.name] for f in fields(Condition)})


def gather(logs: list[Path]) -> dict[Condition, dict[str, float]]:
    """Condition -> instance -> gap, the mean over seeds."""
    by_seed: dict[Condition, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for log in logs:
        with RowLog(log) as rows:
            for row in rows.rows:
                by_seed[as_condition(row)][row["instance"]].append(row["gap_to_offline"])
    return {
        condition: {name: float(np.mean(gaps)) for name, gaps in instances.items()}
        for condition, instances in by_seed.items()
    }


def best_in_hindsight(gaps: dict[Condition, dict[str, float]]) -> dict[Condition, dict[str, float]]:
    """Two more rows: the published method with the best and the worst of its steps, instance by instance."""
    steps = [by for condition, by in gaps.items() if condition.policy.startswith("dmd")]
    if not steps:
        return {}
    return {
        Condition("no forecast", label, "dmd"): {name: pick(by[name] for by in steps) for name in steps[0]}
        for label, pick in (("dmd, best step in hindsight", min), ("dmd, worst step", max))
    }


def summarise(gaps: dict[Condition, dict[str, float]], out: Path | None) -> None:
    """Print means and worst; write robustness.md, .csv and the picture."""
    gaps = {**gaps, **best_in_hindsight(gaps)}
    instances = sorted({name for by in gaps.values() for name in by})
    mean = {condition: float(np.mean(list(by.values()))) for condition, by in gaps.items()}
    worst = {condition: max(by.values()) for condition, by in gaps.items()}
    counts = {condition: float(len(by)) for condition, by in gaps.items()}
    lines = [f"{len(instances)} instances; above the best plan that knows all hours, %, as mean / worst", ""]
    lines += ["In brackets on how many of them, where not on all.", ""]
    for (title, columns, rows), (_, _, most), (_, _, known) in zip(
        blocks(mean), blocks(worst), blocks(counts), strict=True
    ):
        lines += [f"| {title} | " + " | ".join(c.replace("\n", ", ") for c in columns) + " |"]
        lines += ["|---" * (1 + len(columns)) + "|"]
        for (label, values), (_, largest), (_, on) in zip(rows, most, known, strict=True):
            cells = [
                "-"
                if v is None or w is None or n is None
                else f"{100 * v:.2f} / {100 * w:.2f}" + (f" ({n:.0f})" if n < len(instances) else "")
                for v, w, n in zip(values, largest, on, strict=True)
            ]
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
        lines.append("")
    print("\n".join(lines))
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    (out / "robustness.md").write_text(f"`{' '.join(['python', *sys.argv])}`\n\n" + "\n".join(lines), "utf-8")
    with (out / "robustness.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f.name for f in fields(Condition)), *instances])
        for condition, by in gaps.items():
            own: list[Any] = [getattr(condition, f.name) for f in fields(Condition)]
            writer.writerow(own + [f"{by[name]:.5f}" if name in by else "" for name in instances])
    draw_robustness(f"Online policies, mean over {len(instances)} unseen instances", mean, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=("run", "sum"), nargs="?")
    parser.add_argument("logs", type=Path, nargs="*")
    parser.add_argument("--cuts", choices=CUTS, default="held")
    parser.add_argument("--part", default="1/1", help="every n-th cut from the k-th on: k/n")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--groups", choices=GROUPS, nargs="+")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--policies", nargs="+", help="only these, default all")
    parser.add_argument("--labels", nargs="+", help="only these conditions, default all")
    options = parser.parse_args()
    groups = ["no forecast", "period"] if options.smoke else options.groups or GROUPS
    wanted = [
        c
        for c in conditions()
        if c.group in groups
        and (not options.policies or c.policy in options.policies)
        and (not options.labels or c.label in options.labels)
    ]
    if options.smoke:
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder) / "log", ["synthetic:4x30"], [0], wanted)
            summarise(gather([Path(folder) / "log"]), None)
    elif options.task == "run":
        k, n = map(int, options.part.split("/"))
        run(options.logs[0], list(CUTS[options.cuts])[k - 1 :: n], options.seeds, wanted)
    elif options.task == "sum":
        summarise(gather(options.logs), options.out)
    else:
        parser.error("run or sum?")


if __name__ == "__main__":
    main()

"""How many rounds does a week that has rolled forward by one hour take, started where the last one ended?

    EGLB_DATA=... python benchmarks/warm_start.py [--algorithm NAME]... [--out benchmarks/results]

For several weeks of each instance: solve hours h to h + 168; then h + 1 to h + 169 twice, cold and from the
first by the same algorithm, whatever it reached. Each solve ends at a certified 1e-4, where it stalls, or at
`MOST_ROUNDS`; one that did not reach 1e-4 counts no rounds, and a ratio needs both. Weeks are not those that
constants of the algorithms were chosen on. `--smoke` is one short window of a small fleet: seconds long.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import eglb
from eglb.planning.solution import Solution

GAP = 1e-4
MOST_ROUNDS = 3000
ALGORITHMS = ("admm", "dual", "newton", "subgradient")
HOURS = (5, 45, 85, 125, 165)
INSTANCES = {
    **{name: [(name, hour) for hour in HOURS] for name in ("paper10", "paper10-partial", "world10")},
    "synthetic:20x169": [(f"synthetic:20x169,seed={seed}", 0) for seed in (11, 12, 13, 14, 15)],
}


def roll(name: str, hour: int, slots: int, algorithm: str) -> dict[str, Any]:
    """One row: a window of `slots` hours from `hour` on, rolled forward by one."""
    scenario = eglb.load(name)

    def solve(start: int, earlier: Solution | None = None) -> Solution:
        window = scenario.window(start, slots)
        return eglb.solve(
            window, algorithm, gap=GAP, max_rounds=MOST_ROUNDS, address="inprocess", warm_start=earlier
        )

    source = solve(hour)
    cold, warm = solve(hour + 1), solve(hour + 1, source)
    row = {"instance": name, "hour": hour, "slots": slots, "algorithm": algorithm}
    for label, run in (("source", source), ("cold", cold), ("warm", warm)):
        row |= {
            f"{label}_status": run.status,
            f"{label}_rounds": run.rounds,
            f"{label}_gap": f"{run.audit.gap:.1e}",
            f"{label}_seconds": f"{run.seconds_solve:.2f}",
        }
    return row


def summarise(instance: str, algorithm: str, rows: list[dict[str, Any]]) -> str:
    """One line: how many reached the gap, the median rounds of those, and the ratios where both did."""

    def reached(label: str) -> list[int]:
        return [row[f"{label}_rounds"] for row in rows if row[f"{label}_status"] == "converged"]

    ratios = [
        row["warm_rounds"] / row["cold_rounds"]
        for row in rows
        if row["cold_status"] == row["warm_status"] == "converged"
    ]
    cells = []
    for label in ("cold", "warm"):
        rounds = reached(label)
        median = f"{statistics.median(rounds):g}" if rounds else "-"
        cells.append(f"{label}{median:>7} ({len(rounds)}/{len(rows)})")
    spread = f"{statistics.median(ratios):.2f}, worst {max(ratios):.2f}" if ratios else "-"
    seconds = sum(float(row["warm_seconds"]) for row in rows) / len(rows)
    return f"{instance:20}{algorithm:13}{'   '.join(cells)}   ratio {spread:20}{seconds:7.2f} s warm"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--algorithm", action="append", choices=ALGORITHMS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    smoke = {"synthetic:6x25": [("synthetic:6x25,reach=4", 0)]}
    rows = []
    for instance, weeks in (smoke if options.smoke else INSTANCES).items():
        for algorithm in options.algorithm or (ALGORITHMS[:3] if options.smoke else ALGORITHMS):
            rolled = [roll(name, hour, 24 if options.smoke else 168, algorithm) for name, hour in weeks]
            print(summarise(instance, algorithm, rolled), flush=True)
            rows += rolled
    print(f"(k/n): k of n reached {GAP:g} within {MOST_ROUNDS} rounds; medians are over those, s is seconds")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        with (options.out / "warm_start.csv").open("w", newline="") as file:
            file.write(f"# {' '.join(['python', *sys.argv])}\n")
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()

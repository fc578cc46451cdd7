"""Deferrable jobs beside demand: does every algorithm certify, and how many rounds does it take?

    EGLB_DATA=... python benchmarks/jobs.py [--algorithm NAME]... [--out benchmarks/results]

Weeks of four seasons of world16 and one of gcp33, with 10, 20 and 40 % of the energy as jobs that may wait up
to 6, 24 and 72 h (`eglb.scenarios.job_mix`). A row: one algorithm on one of them, in process, beside the
central solver on the same instance and beside the same algorithm on the week without jobs. Asked is a
certified gap of 1e-4, of `subgradient` 1e-2; the gap told is recomputed from the raw scenario. Rows go to the
file as they come, and rows of other weeks and algorithms that it holds are kept, so a long run can be done in
pieces. `--smoke` is one mix on a small synthetic fleet: seconds long, no data needed.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import eglb
from eglb.scenarios.job_mix import with_jobs
from eglb.scenarios.scenario import Scenario

ALGORITHMS = ("admm", "dual", "newton", "crossover", "subgradient")
GAP, GAP_SUBGRADIENT = 1e-4, 1e-2
MOST_ROUNDS, MOST_SECONDS = 4000, 300.0
STARTS = ("2023-01-02", "2023-04-03", "2023-07-03", "2023-10-02")
WEEKS = (*(f"world16@{start}/7d" for start in STARTS), "gcp33@2022-07-04/7d")
HEAD = (
    "# Deferrable jobs beside demand",
    "",
    "`python benchmarks/jobs.py --out benchmarks/results`: weeks of four seasons of world16 and one of",
    "gcp33, 10, 20 and 40 % of the energy deferrable within 6, 24 and 72 h, agents in process. All rows:",
    "`jobs.csv`.",
    "",
)
MIXES = tuple((share, hours) for share in (0.1, 0.2, 0.4) for hours in (6, 24, 72))


def solve(scenario: Scenario, algorithm: str) -> dict[str, Any]:
    """Status, objective, bound, gap, rounds and seconds of one solve."""
    done = eglb.solve(
        scenario,
        algorithm,
        gap=GAP_SUBGRADIENT if algorithm == "subgradient" else GAP,
        max_rounds=None if algorithm == "central" else MOST_ROUNDS,
        time_limit=MOST_SECONDS,
        address="inprocess",
    )
    return {
        "status": done.status,
        "objective": done.audit.objective,
        "gap": done.audit.gap,
        "violation_mw": max(done.audit.violations.values()),
        "rounds": done.rounds,
        "seconds": done.seconds_solve,
    }


def measure(
    name: str, mixes: tuple[tuple[float, int], ...], algorithms: list[str]
) -> Iterator[dict[str, Any]]:
    """The rows of one week."""
    plain = eglb.load(name)
    alone = {algorithm: solve(plain, algorithm) for algorithm in algorithms}
    for share, hours in mixes:
        mixed = with_jobs(plain, share, hours)
        central = solve(mixed, "central")
        for algorithm in algorithms:
            found = solve(mixed, algorithm)
            yield {
                "week": name,
                "share": share,
                "hours": hours,
                "algorithm": algorithm,
                "status": found["status"],
                "certified_gap": f"{found['gap']:.2e}",
                "against_central": f"{found['objective'] / central['objective'] - 1.0:+.2e}",
                "violation_mw": f"{found['violation_mw']:.1e}",
                "rounds": found["rounds"],
                "rounds_without_jobs": alone[algorithm]["rounds"],
                "status_without_jobs": alone[algorithm]["status"],
                "seconds": f"{found['seconds']:.2f}",
                "seconds_without_jobs": f"{alone[algorithm]['seconds']:.2f}",
                "seconds_central": f"{central['seconds']:.2f}",
            }


def show(row: dict[str, Any]) -> str:
    """One line."""
    return (
        f"{row['week']:24}{row['share']:5.0%}{row['hours']:4} h  {row['algorithm']:12}{row['status']:12}"
        f"{row['certified_gap']:>9}{row['against_central']:>11}{row['rounds']:>6} rounds"
        f" ({row['rounds_without_jobs']} without){row['seconds']:>9} s ({row['seconds_central']} s central)"
    )


def place(row: dict[str, Any]) -> tuple[int, float, int, int]:
    """Where a row stands in the file."""
    week = WEEKS.index(row["week"]) if row["week"] in WEEKS else -1
    return week, float(row["share"]), int(row["hours"]), ALGORITHMS.index(row["algorithm"])


def summarise(rows: list[dict[str, Any]]) -> list[str]:
    """Markdown: one line for each algorithm."""
    lines = [
        "| algorithm | certified | worst gap | worst above central | rounds, median (most) "
        "| of the rounds without jobs, median (most) | s, median (most) |",
        "|---|---|---|---|---|---|---|",
    ]
    for algorithm in dict.fromkeys(row["algorithm"] for row in rows):
        mine = [row for row in rows if row["algorithm"] == algorithm]
        rounds, seconds = [int(row["rounds"]) for row in mine], [float(row["seconds"]) for row in mine]
        part = [each / int(row["rounds_without_jobs"]) for each, row in zip(rounds, mine, strict=True)]
        lines.append(
            f"| {algorithm} | {sum(row['status'] == 'converged' for row in mine)} of {len(mine)} "
            f"| {max(float(row['certified_gap']) for row in mine):.1e} "
            f"| {max(float(row['against_central']) for row in mine):.1e} "
            f"| {statistics.median(rounds):g} ({max(rounds)}) "
            f"| {statistics.median(part):.2f} ({max(part):.2f}) "
            f"| {statistics.median(seconds):.1f} ({max(seconds):.1f}) |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--algorithm", action="append", choices=ALGORITHMS)
    parser.add_argument("--week", action="append", choices=WEEKS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    weeks = ("synthetic:5x24,reach=4",) if options.smoke else options.week or WEEKS
    mixes = ((0.2, 6),) if options.smoke else MIXES
    algorithms = options.algorithm or list(ALGORITHMS)
    rows: list[dict[str, Any]] = []
    if options.out is not None and (options.out / "jobs.csv").exists():
        with (options.out / "jobs.csv").open(newline="") as file:
            rows = [
                row
                for row in csv.DictReader(file)
                if (row["week"] not in weeks or row["algorithm"] not in algorithms)
            ]
    for week in weeks:
        for row in measure(week, mixes, algorithms):
            print(show(row), flush=True)
            rows.append(row)
            if options.out is not None:
                options.out.mkdir(parents=True, exist_ok=True)
                rows.sort(key=place)
                with (options.out / "jobs.csv").open("w", newline="") as file:
                    writer = csv.DictWriter(file, list(row))
                    writer.writeheader()
                    writer.writerows(rows)
    table = summarise(rows)
    print("\n".join(table))
    if options.out is not None:
        (options.out / "jobs.md").write_text("\n".join([*HEAD, *table, ""]))


if __name__ == "__main__":
    main()

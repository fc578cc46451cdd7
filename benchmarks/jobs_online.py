"""What does it cost not to know? Jobs planned hour by hour against the best plan that knows all hours.

    EGLB_DATA=... python benchmarks/jobs_online.py [--instance NAME]... [--out benchmarks/results]

Of each instance 20 % of the energy may wait for 24 hours (`eglb.scenarios.job_mix`); jobs become known at
their release. A row is one run of a policy with a forecast of prices and footprints: `gap` is its objective
above the certified lower bound of the best plan that knows all hours and the same admitted jobs, `gap, rigid`
that of the same policy and forecast where nothing can wait. `saved` is how much less it costs than the
latter, where all jobs were admitted, and `saved offline` what the best plans save. `forced` slots had to run
more than the policy wanted. `--smoke` is one small fleet: seconds long, no data needed.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import eglb
from eglb.scenarios.job_mix import with_jobs
from eglb.sims.replay.simulation import offline_bound, simulate

INSTANCES = ("world16@2023-07-03/7d", "world10")
SHARE, HOURS = 0.2, 24.0
FORECASTS = ("perfect", "yesterday", "noisy:hours=24,sd=0.2")
POLICIES = {
    "soft": (*FORECASTS, "perfect:hours=24", "none"),
    "mpc:gap=1e-3,rounds=30": FORECASTS,
}
HEADING = (
    "instance",
    "policy",
    "forecast",
    "admitted",
    "refused",
    "missed",
    "forced",
    "gap %",
    "gap, rigid %",
    "saved %",
    "saved offline %",
    "ms/slot",
)


def rows(name: str, policy: str, forecasts: tuple[str, ...]) -> list[list[str]]:
    """One row for every forecast of one policy on one instance."""
    rigid = eglb.load(name)
    waiting = with_jobs(rigid, SHARE, HOURS)
    rigid_bound = offline_bound(rigid)
    bounds: dict[tuple[str, ...], float] = {}
    table = []
    for forecast in forecasts:
        plain = simulate(rigid, policy, forecast=forecast, certify=False, offline=False)
        run = simulate(waiting, policy, forecast=forecast, certify=False, offline=False)
        admission = run.admission
        assert admission is not None
        if admission.refused not in bounds:
            bounds[admission.refused] = offline_bound(run.problem)
        bound = bounds[admission.refused]
        counts = (admission.admitted, len(admission.refused), len(admission.missed), admission.forced)
        saved = ["", ""]
        if not admission.refused:
            saved = [
                f"{100 * (1 - run.objective / plain.objective):.2f}",
                f"{100 * (1 - bound / rigid_bound):.2f}",
            ]
        gaps = (run.objective / bound - 1, plain.objective / rigid_bound - 1)
        milliseconds = f"{1e3 * run.seconds_per_hour[0]:.0f}"
        line = [name, policy, forecast, *map(str, counts), *(f"{100 * g:.2f}" for g in gaps)]
        table.append([*line, *saved, milliseconds])
        print("| " + " | ".join(table[-1]) + " |", flush=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instance", action="append", help=f"default: {', '.join(INSTANCES)}")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    began = time.perf_counter()
    print("| " + " | ".join(HEADING) + " |")
    table: list[list[str]] = []
    for name in ("synthetic:4x48",) if options.smoke else options.instance or INSTANCES:
        for policy, forecasts in POLICIES.items():
            table += rows(name, policy, forecasts[:2] if options.smoke else forecasts)
            if options.out is not None:
                write(table, options.out)
    print(f"{time.perf_counter() - began:.0f} s")


def write(table: list[list[str]], folder: Path) -> None:
    """The rows so far, as Markdown and CSV."""
    lines = [f"`{' '.join(['python', *sys.argv])}`", ""]
    lines += ["| " + " | ".join(line) + " |" for line in (HEADING, ["---"] * len(HEADING), *table)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jobs_online.md").write_text("\n".join(lines) + "\n", "utf-8")
    with (folder / "jobs_online.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADING, *table])


if __name__ == "__main__":
    main()

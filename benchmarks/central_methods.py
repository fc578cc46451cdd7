"""Which form of the model and which HiGHS options are fastest for the central solver, by class of instance?

    EGLB_DATA=... python benchmarks/central_methods.py [--repeat 3] [--limit 60] [--out benchmarks/results]

Every row is a process of its own, so that peak memory is the row's; rows already in the output are kept,
those of failures too, and the rest is run. Wall seconds are HiGHS alone, on arrays already built; CPU seconds
are of the whole solve, which other work on the machine disturbs less. Gaps are recomputed from raw data.
`--smoke` is one small instance with every method, without output: seconds long, no data needed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

from eglb.planning.central.central import METHODS

INSTANCES = (
    "paper10",
    "paper10-partial",
    "world10",
    "synthetic:20x24",
    "synthetic:20",
    "synthetic:50x24",
    "synthetic:50",
    "synthetic:100x24",
    "synthetic:100",
    "synthetic:200x24",
)
# Where the others are hopeless.
LARGE = ("synthetic:200", "synthetic:1000x24")
LARGE_METHODS = ("simplex", "interior", "interior-loose", "interior-crossover")
COLUMNS = (
    "instance", "method", "form", "options", "status", "merged_gateways", "rows", "columns", "nonzeros",
    "iterations", "certified_gap", "worst_violation", "seconds_build", "seconds_solve", "seconds_solve_all",
    "seconds_repair", "seconds_cpu", "peak_rss_mb", "load_average",
)  # fmt: skip
# Repetitions stop once a row has taken this long.
ENOUGH_S = 20.0


def measure(instance: str, method: str, repeat: int, limit: float) -> dict[str, Any]:
    """One row, in this process."""
    from eglb.planning.audit import audit
    from eglb.planning.central.central import solve_central
    from eglb.planning.central.linear_model import merge_gateways
    from eglb.scenarios.catalog import load

    scenario = load(instance)
    runs, cpu = [], []
    started = time.perf_counter()
    while len(runs) < repeat and (not runs or time.perf_counter() - started < ENOUGH_S):
        before = time.process_time()
        runs.append(solve_central(scenario, method=method, time_limit=limit))
        cpu.append(time.process_time() - before)
    first = runs[0]
    checked = audit(scenario, first.route, first.demand_price, first.equity_price)
    return {
        "status": first.status,
        "merged_gateways": len(merge_gateways(scenario).demand),
        "rows": first.rows,
        "columns": first.columns,
        "nonzeros": first.nonzeros,
        "iterations": first.iterations,
        "certified_gap": f"{max(checked.gap, 0.0):.1e}",
        "worst_violation": f"{max(checked.violations.values()) / scenario.demand.max():.1e}",
        "seconds_build": f"{statistics.median(run.seconds_build for run in runs):.4f}",
        "seconds_solve": f"{statistics.median(run.seconds_solve for run in runs):.4f}",
        "seconds_solve_all": " ".join(f"{run.seconds_solve:.4f}" for run in runs),
        "seconds_repair": f"{statistics.median(run.seconds_repair for run in runs):.4f}",
        "seconds_cpu": f"{statistics.median(cpu):.4f}",
        "peak_rss_mb": f"{first.peak_rss_mb:.0f}",
        "load_average": f"{os.getloadavg()[0]:.1f}",
    }


def measure_apart(instance: str, method: str, repeat: int, limit: float) -> dict[str, Any]:
    """One row, in a process of its own; what went wrong stands under ``status``."""
    head = {
        "instance": instance,
        "method": method,
        "form": METHODS[method].form,
        "options": " ".join(f"{name}={value}" for name, value in METHODS[method].options.items()),
    }
    command = [sys.executable, __file__, "--one", instance, method]
    command += ["--repeat", str(repeat), "--limit", str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {**head, "status": f"failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}"}
    return {**head, **json.loads(done.stdout)}


def describe_machine() -> str:
    """Versions and processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    packages = " ".join(f"{name} {version(name)}" for name in ("highspy", "numpy", "scipy"))
    processor = names[0] if names else platform.processor()
    return f"{processor}, {os.cpu_count()} cores; Python {platform.python_version()}, {packages}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds one solve may take")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("INSTANCE", "METHOD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*options.one, options.repeat, options.limit)))
        return
    if options.smoke:
        cases = [("synthetic:4x6,reach=2", method) for method in METHODS]
    else:
        cases = [(instance, method) for instance in INSTANCES for method in METHODS]
        cases += [(instance, method) for instance in LARGE for method in LARGE_METHODS]
    file = options.out / "central_methods.csv"
    rows: list[dict[str, Any]] = []
    if not options.smoke and file.exists():
        with file.open(newline="") as old:
            rows = list(csv.DictReader(line for line in old if not line.startswith("#")))
    known = {(row["instance"], row["method"]) for row in rows}
    failed = False
    for instance, method in cases:
        if (instance, method) in known:
            continue
        row = measure_apart(instance, method, 1 if options.smoke else options.repeat, options.limit)
        rows.append(row)
        failed |= row["status"] != "optimal"
        shown = (row.get(name, "") for name in ("seconds_solve", "seconds_cpu", "certified_gap"))
        print(f"{instance:22}{method:20}{row['status'][:40]:12}", *(f"{s:>10}" for s in shown), flush=True)
        if not options.smoke:
            options.out.mkdir(parents=True, exist_ok=True)
            with file.open("w", newline="") as new:
                new.write(f"# {describe_machine()}\n")
                writer = csv.DictWriter(new, COLUMNS)
                writer.writeheader()
                writer.writerows(rows)
    if options.smoke and failed:
        sys.exit(1)


if __name__ == "__main__":
    main()

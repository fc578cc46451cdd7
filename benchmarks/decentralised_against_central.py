"""How long do the decentralised algorithms take on the published case, against the best HiGHS?

Both sides run in turn in one process tree on the same machine, every thread pool pinned to one thread:

    EGLB_DATA=... python benchmarks/decentralised_against_central.py [--repeat 5] [--out benchmarks/results]

Seconds of an algorithm run from the first message to the certified plan, without the start of the cluster;
seconds of HiGHS are its own, on a model that is already built. Gaps are recomputed from the raw scenario.
`--smoke` is one repetition on a small synthetic fleet, in process: seconds long, no data needed.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import statistics
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import eglb
from eglb.planning.audit import audit
from eglb.planning.central.central import METHODS, solve_central
from eglb.scenarios.scenario import Scenario

RIVALS = ("simplex", "simplex-flow", "interior", "interior-flow", "interior-presolved")
RUNS = (("newton", 1e-4), ("newton", 1e-6), ("dual", 1e-4), ("dual", 1e-6), ("admm", 1e-4))
PUBLISHED = ("paper10", "paper10-partial")


def measure_central(scenario: Scenario, method: str, repeat: int) -> dict[str, Any]:
    """One row: HiGHS by one of its methods."""
    runs = [solve_central(scenario, method=method) for _ in range(repeat)]
    checked = audit(scenario, runs[0].route, runs[0].demand_price, runs[0].equity_price)
    return {
        "instance": scenario.name,
        "method": f"highs-{method}",
        "setting": " ".join(f"{k}={v}" for k, v in METHODS[method].options.items()),
        "asked_gap": "",
        "certified_gap": f"{checked.gap:.2e}",
        "seconds": [run.seconds_solve for run in runs],
    }


def measure_agents(
    scenario: Scenario, algorithm: str, gap: float, address: str, repeat: int
) -> dict[str, Any]:
    """One row: a decentralised algorithm on one kind of fleet."""
    per_actor = None if address == "inprocess" else 1
    if address == "inprocess":  # the first run loads compiled code
        eglb.solve(scenario, algorithm, gap=gap, address=address)
    runs = [
        eglb.solve(scenario, algorithm, gap=gap, address=address, regions_per_actor=per_actor)
        for _ in range(repeat)
    ]
    return {
        "instance": scenario.name,
        "method": algorithm,
        "setting": f"{address}, {runs[0].actors} actors",
        "asked_gap": f"{gap:.0e}",
        "certified_gap": f"{max(run.audit.gap for run in runs):.2e}",
        "rounds": runs[0].rounds,
        "kb_up_per_region": f"{runs[0].bytes_up / len(scenario.regions) / 1e3:.1f}",
        "seconds": [run.seconds_solve for run in runs],
    }


def describe_machine() -> str:
    """Versions and processor, for the head of the results."""
    model = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    packages = " ".join(f"{name} {version(name)}" for name in ("ray", "numpy", "scipy", "numba", "highspy"))
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {packages}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    names = ("synthetic:6x24,reach=4",) if options.smoke else PUBLISHED
    addresses = ("inprocess",) if options.smoke else ("inprocess", "local")
    repeat = 1 if options.smoke else options.repeat
    rows = []
    for name in names:
        scenario = eglb.load(name)
        central = [measure_central(scenario, method, repeat) for method in RIVALS]
        best = min(statistics.median(row["seconds"]) for row in central)
        agents = [
            measure_agents(scenario, algorithm, gap, address, repeat)
            for address in addresses
            for algorithm, gap in RUNS
        ]
        for row in central + agents:
            seconds = row.pop("seconds")
            row["seconds_median"] = f"{statistics.median(seconds):.3f}"
            row["seconds_all"] = " ".join(f"{s:.3f}" for s in seconds)
            row["against_best_highs"] = f"{statistics.median(seconds) / best:.2f}"
            rows.append(row)
            print(
                f"{row['instance']:18}{row['method']:22}{row['setting'][:34]:36}{row.get('rounds', ''):>6}"
                f"{row['certified_gap']:>10}{row['seconds_median']:>9} s{row['against_best_highs']:>8} x",
                flush=True,
            )
    if options.out is not None:
        columns = list(dict.fromkeys(key for row in reversed(rows) for key in row))
        options.out.mkdir(parents=True, exist_ok=True)
        with (options.out / "decentralised_against_central.csv").open("w", newline="") as file:
            file.write(f"# {describe_machine()}; {' '.join(['python', *sys.argv])}\n")
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()

"""How long do general solvers take to the certified gaps that the agents reach?

    python benchmarks/rivals.py --instances synthetic:200x168 --seeds 0 1 2 \\
        --rivals-python PATH --dede-python PATH

All solve the same reduced linear program (`sims.linear_model`) at the best setting we know for each; every
point they return is repaired to a feasible plan and audited from raw data like our own. A solver that
only returns its last point is run at ever tighter tolerances of its own until the smaller gap is certified:
its time to a gap is that of its fastest such run. Seconds are the rival's own work from arrays to point,
without model building, repair and audit; ours are from the first message to the certified plan.

Every row is a process of its own, on as many threads as it says. A rival gets at most `--limit-ratio` times
our time to the smaller gap, at least ten seconds.

Rows already in the results are kept, failures too: delete a row to have it run again. `PATH` is a python with
this project and the packages in `rivals-requirements.lock`, another for DeDe; without it the row says "not
installed". `--smoke` is one tiny instance, without output.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

GAPS = (1e-3, 1e-4)
MIN_LIMIT_S = 10.0
LONGEST_S = 1800.0
# Beyond a solver's own limit: start, model, what it does between two looks at the clock, repair, audit.
GRACE_S = 240.0
SMALLEST_VIOLATION = 1e-8


@dataclass(frozen=True)
class Rival:
    """How to run one: `adapter` module and its first argument, whose python, settings from cheap to dear."""

    adapter: str
    option: str
    package: str
    settings: tuple[float, ...]
    python: str = "rivals"
    threads: int = 1
    form: str = "load"
    # Whether a later setting can only take longer, so that what an earlier one decides need not be run again.
    ordered: bool = True


_LOOSE = (1e-3, 1e-4, 1e-5, 1e-6)
_INTERIOR = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8)
OURS = {
    "admm": Rival("", "inprocess", "eglb", GAPS, "own"),
    "admm-2": Rival("", "inprocess", "eglb", GAPS, "own", threads=2),
    "newton": Rival("", "inprocess", "eglb", GAPS, "own"),
    "admm-actors": Rival("", "local", "eglb", GAPS, "own", threads=2),
    "newton-actors": Rival("", "local", "eglb", GAPS, "own", threads=2),
}
RIVALS = {
    "highs-simplex": Rival("highs", "simplex", "highspy", (1e-7,), "own"),
    "highs-ipx": Rival("highs", "ipx", "highspy", _INTERIOR, "own"),
    "highs-hipo": Rival("highs", "hipo", "highspy", _INTERIOR),
    "highs-hipo-2": Rival("highs", "hipo", "highspy", _INTERIOR, threads=2),
    "highs-pdlp": Rival("highs", "pdlp", "highspy", _LOOSE, "own"),
    "ortools-pdlp": Rival("pdlp", "", "ortools", _LOOSE),
    "ortools-pdlp-2": Rival("pdlp", "", "ortools", _LOOSE, threads=2),
    "clarabel-qdldl": Rival("conic", "clarabel-qdldl", "clarabel", _INTERIOR),
    "clarabel-faer": Rival("conic", "clarabel-faer", "clarabel", _INTERIOR),
    "clarabel-faer-2": Rival("conic", "clarabel-faer", "clarabel", _INTERIOR, threads=2),
    "scs": Rival("conic", "scs", "scs", _LOOSE),
    "osqp": Rival("conic", "osqp", "osqp", _LOOSE),
    "dede": Rival(
        "dede_admm", "CLARABEL", "dede", (0.3, 1.0, 3.0), "dede", threads=2, form="flow", ordered=False
    ),
}
SOLVERS = {**OURS, **RIVALS}
COLUMNS = (
    "instance", "seed", "solver", "setting", "threads", "status", "seconds_to_1e-3", "seconds_to_1e-4",
    "certified_gap", "seconds", "iterations", "limit_s", "objective", "lower_bound", "worst_violation",
    "seconds_outside", "load_average", "version", "python", "processor",
)  # fmt: skip


def measure(instance: str, seed: int, solver: str, setting: float, limit: float) -> dict[str, Any]:
    """One row, in this process."""
    from eglb.planning.audit import audit
    from eglb.scenarios.catalog import load

    began = time.perf_counter()
    rival, scenario = SOLVERS[solver], load(instance, seed=seed)
    found = (
        _agents(scenario, solver, setting, limit)
        if solver in OURS
        else _points(scenario, rival, setting, limit)
    )
    row: dict[str, Any] = {"status": "no point", "version": version(rival.package)}
    objective, bound = float("inf"), float("-inf")
    for seconds, iterations, status, *plan in found:
        checked = audit(scenario, *plan)
        violation = max(checked.violations.values()) / float(scenario.demand.max())
        # Best plan and best bound so far: they need not come from the same iterate.
        objective = min(objective, checked.objective if violation <= SMALLEST_VIOLATION else float("inf"))
        bound = max(bound, checked.lower_bound)
        gap = max(0.0, objective - bound) / abs(objective) if objective < float("inf") else float("inf")
        for target in GAPS:
            if gap <= target:
                row.setdefault(f"seconds_to_{target:.0e}".replace("e-0", "e-"), f"{seconds:.4f}")
        row |= {
            "status": status,
            "certified_gap": f"{gap:.2e}",
            "seconds": f"{seconds:.4f}",
            "iterations": iterations,
            "objective": repr(objective),
            "lower_bound": repr(bound),
            "worst_violation": f"{violation:.1e}",
            "seconds_outside": f"{time.perf_counter() - began - seconds:.1f}",
            "load_average": f"{os.getloadavg()[0]:.1f}",
        }
        if gap <= min(GAPS):
            break
    return row


def _points(scenario: Any, rival: Rival, setting: float, limit: float) -> Iterator[tuple]:
    """Every point of a rival as (seconds, iterations, status, route, demand price, equity price)."""
    import numpy as np

    from eglb.planning.central.flow_repair import repair_flow
    from eglb.planning.central.linear_model import build_model

    adapter = import_module(f"rivals_adapters.{rival.adapter}")
    model = build_model(scenario, form=rival.form)
    allowed = 0.1 * SMALLEST_VIOLATION * float(scenario.demand.max())
    for point in adapter.solve(rival.option, model, setting, rival.threads, limit):
        columns = np.where(np.isfinite(point.columns), point.columns, 0.0)
        dual = np.where(np.isfinite(point.row_dual), point.row_dual, 0.0)
        flow = repair_flow(model.pairs, model.flow(columns), allowed)
        route = model.pairs.expand_flow(scenario, flow)
        prices = model.demand_price(dual), model.equity_price(dual)
        yield point.seconds, point.iterations, point.status, route, *prices


def _agents(scenario: Any, solver: str, gap: float, limit: float) -> Iterator[tuple]:
    """The plan of our own `solver`; `actors` are two, each with half of the regions."""
    import eglb

    algorithm, address = solver.partition("-")[0], OURS[solver].option
    per_actor = None if address == "inprocess" else -(-len(scenario.regions) // OURS[solver].threads)
    eglb.solve(eglb.load("synthetic:6x4,reach=3"), algorithm, gap=1e-2, address="inprocess")  # compiled code
    plan = eglb.solve(
        scenario, algorithm, gap=gap, address=address, regions_per_actor=per_actor, time_limit=limit
    )
    yield plan.seconds_solve, plan.rounds, plan.status, plan.route, plan.demand_price, plan.equity_price


def measure_apart(
    instance: str, seed: int, solver: str, setting: float, limit: float, pythons: dict[str, str | None]
) -> dict[str, Any]:
    """One row, in a process of its own; what went wrong stands under ``status``."""
    rival = SOLVERS[solver]
    head = {"instance": instance, "seed": seed, "solver": solver, "setting": f"{setting:g}"}
    head |= {"threads": rival.threads, "limit_s": f"{limit:.1f}", "processor": processor()}
    python = pythons[rival.python]
    if python is None:
        return {**head, "status": "not installed"}
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    command = [python, __file__, "--one", json.dumps([instance, seed, solver, setting, limit])]
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **dict.fromkeys(pools, "1" if "actors" in solver else str(rival.threads))},
    )
    try:
        out, error = child.communicate(timeout=1.5 * limit + GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        return {**head, "status": "killed: over time"}
    if child.returncode != 0:
        return {
            **head,
            "status": f"failed: {(error.strip().splitlines() or [str(child.returncode)])[-1][:200]}",
        }
    return {**head, **json.loads(out.splitlines()[-1])}


def processor() -> str:
    """Name and cores."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def seconds_to(rows: list[dict[str, Any]], gap: float) -> float:
    """Of the fastest of `rows`, infinite if none got there."""
    name = f"seconds_to_{gap:.0e}".replace("e-0", "e-")
    return min((float(row[name]) for row in rows if row.get(name)), default=float("inf"))


def run(options: argparse.Namespace, rows: list[dict[str, Any]]) -> Iterator[None]:
    """Add the missing rows to `rows`, one at a time."""
    pythons = {"own": sys.executable, "rivals": options.rivals_python, "dede": options.dede_python}
    for instance in options.instances:
        for seed in options.seeds:
            for solver in options.solvers:
                limit = MIN_LIMIT_S if options.smoke else LONGEST_S
                if solver in RIVALS:
                    ours = [r for r in rows if r["solver"] in OURS and _is(r, instance, seed)]
                    limit = min(limit, max(MIN_LIMIT_S, options.limit_ratio * seconds_to(ours, min(GAPS))))
                for setting in SOLVERS[solver].settings[: 1 if options.smoke else None]:
                    mine = [r for r in rows if r["solver"] == solver and _is(r, instance, seed)]
                    done = any(r["setting"] == f"{setting:g}" for r in mine)
                    decided = SOLVERS[solver].ordered and any(_decides(r) for r in mine)
                    if not done and not decided:
                        rows.append(measure_apart(instance, seed, solver, setting, limit, pythons))
                        yield


def _is(row: dict[str, Any], instance: str, seed: int) -> bool:
    return row["instance"] == instance and int(row["seed"]) == seed


def _decides(row: dict[str, Any]) -> bool:
    """Whether a tighter setting is pointless: the smaller gap is certified, or this one took all its time."""
    if row.get("seconds_to_1e-4") or row["status"].startswith(("not installed", "killed")):
        return True
    return bool(row.get("seconds")) and float(row["seconds"]) >= 0.98 * float(row["limit_s"])


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: per instance, median seconds over seeds to each gap, and times `admm` in process."""
    lines = []
    for instance in dict.fromkeys(row["instance"] for row in rows):
        here = [row for row in rows if row["instance"] == instance]
        seeds = sorted({int(row["seed"]) for row in here})
        lines += [f"## {instance}, seeds {', '.join(map(str, seeds))}", ""]
        lines += ["| solver | threads | s to 1e-3 | x ours | s to 1e-4 | x ours | best gap | remarks |"]
        lines += ["|---|---:|---:|---:|---:|---:|---:|---|"]
        for solver in dict.fromkeys(row["solver"] for row in here):
            mine = [row for row in here if row["solver"] == solver]
            cells = [solver, str(mine[0]["threads"])]
            for gap in GAPS:
                cells += _cells(mine, [row for row in here if row["solver"] == "admm"], gap)
            cells.append(
                min((r["certified_gap"] for r in mine if r.get("certified_gap")), key=float, default="")
            )
            bad = {
                r["status"] for r in mine if r["status"].startswith(("not", "failed", "killed", "no point"))
            }
            run = sorted({int(row["seed"]) for row in mine})
            if run != seeds:
                bad.add(f"seed {', '.join(map(str, run))} only")
            cells.append("; ".join(sorted(bad)))
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _cells(mine: list[dict[str, Any]], ours: list[dict[str, Any]], gap: float) -> list[str]:
    """Median seconds and ratio; a run that ended without the gap counts as longer than its limit."""
    seconds, ratios, limits = [], [], []
    for seed in {int(row["seed"]) for row in mine}:
        of_seed = [row for row in mine if int(row["seed"]) == seed]
        seconds.append(seconds_to(of_seed, gap))
        reference = seconds_to([row for row in ours if int(row["seed"]) == seed], gap)
        ratios.append(seconds[-1] / reference if reference < float("inf") else float("nan"))
        if any(_decides(row) and not row["status"].startswith("not") for row in of_seed):
            limits.append((max(float(row["limit_s"]) for row in of_seed), reference))
    median = statistics.median_high(seconds)
    if median < float("inf"):
        return [f"{median:.2f}", f"{statistics.median_high(ratios):.1f}"]
    if not limits:
        return ["—", "—"]
    limit, reference = min(limits)
    return [f"> {limit:.0f}", f"> {limit / reference:.0f}" if reference < float("inf") else "—"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", nargs="+", default=["synthetic:50x168", "synthetic:200x168"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--solvers", nargs="+", choices=SOLVERS, default=list(SOLVERS))
    parser.add_argument("--limit-ratio", type=float, default=60.0)
    parser.add_argument("--rivals-python")
    parser.add_argument("--dede-python")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        try:
            row = measure(*json.loads(options.one))
        except ModuleNotFoundError as missing:
            row = {"status": f"not installed: {missing}"}
        print(json.dumps({**row, "python": platform.python_version()}))
        return
    file = options.out / "rivals.csv"
    rows: list[dict[str, Any]] = []
    if options.smoke:
        options.instances, options.seeds = ["synthetic:4x6,reach=2"], [0]
        options.solvers = ["admm", *(name for name, rival in RIVALS.items() if rival.threads == 1), "dede"]
        options.rivals_python = options.rivals_python or sys.executable
    elif file.exists():
        with file.open(newline="") as old:
            rows = list(csv.DictReader(old))
    for _ in run(options, rows):
        row = rows[-1]
        shown = (row.get(name) or "-" for name in ("seconds_to_1e-3", "seconds_to_1e-4", "certified_gap"))
        print(f"{row['instance']:22}{row['seed']:>3} {row['solver']:20}{row['setting']:>7}", end="")
        print("  {:>9} s {:>9} s {:>9}".format(*shown), row["status"][:70], flush=True)
        if not options.smoke:
            options.out.mkdir(parents=True, exist_ok=True)
            with file.open("w", newline="") as new:
                writer = csv.DictWriter(new, COLUMNS)
                writer.writeheader()
                writer.writerows(rows)
            method = "\n\n".join(" ".join(part.split()) for part in __doc__.split("\n\n")[2:4])
            (options.out / "rivals.md").write_text(
                f"# {__doc__.splitlines()[0]}\n\n{method}\n\n{processor()}. "
                "Best gap: the smallest certified by any setting. x ours: times `admm` in process; "
                "`>`: the limit was reached first. "
                f"Versions and every run: `rivals.csv`.\n\n{table(rows)}"
            )
    if options.smoke and any(row["status"].startswith(("failed", "killed")) for row in rows):
        sys.exit(f"failed: {[row for row in rows if row['status'].startswith(('failed', 'killed'))]}")


if __name__ == "__main__":
    main()

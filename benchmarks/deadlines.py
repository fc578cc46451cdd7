"""Is work that was admitted ever late? Random job sets on random small fleets, forecast in bad faith.

    python benchmarks/deadlines.py [--sets 10000] [--workers 2] [--out benchmarks/results]

Every set is drawn anew: 2 to 5 regions, 12 slots of four hours, demand that moves at random below what it
was, 1 to 12 jobs of any window, power and regions, some with a least power or a home that costs energy to
leave. Together they ask for more or less than there is room for, so that some are refused. The controller
replays the set under a policy and a forecast drawn at random, among them mirages that tell it to wait for
ever or that all will be dearer soon. Then the plan is audited from the raw scenario. It runs until `--sets`
of them passed admission as a whole; those where some jobs were refused are harder, and counted beside.
Exit code 1 if a single job was late. `--smoke` is 40 sets.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from multiprocessing import Pool
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np

import eglb
from eglb.agents.forecasting import Forecaster, Past
from eglb.foundation.arrays import Array
from eglb.planning.online.forecasts import Forecast, parse_forecast
from eglb.scenarios.jobs import Jobs, build_jobs
from eglb.scenarios.scenario import Scenario
from eglb.sims.replay.simulation import Simulation, simulate

SLOTS, SLOT_HOURS = 12, 4.0
POLICIES = {"cost": 0.55, "eg": 0.2, "sum": 0.2, "soft:steps=4": 0.04, "mpc:gap=1e-2,rounds=4": 0.01}
ALLOWED = 1e-9
"""Of the largest demand: what a plan may violate by rounding."""


@dataclass(frozen=True)
class Mirage(Forecaster):
    """Every slot is foretold to be `factor` times what the one before it is."""

    factor: float
    hours: float = 1e9

    def predict(self, past: Past, slots: int) -> Array:
        return np.asarray(past.values[:, -1:] * self.factor ** np.arange(1, slots + 1))


FORECASTS = {
    "later is cheaper": Forecast(Mirage(0.8)),
    "later is dearer": Forecast(Mirage(1.2)),
    "none": parse_forecast("none"),
    "yesterday": parse_forecast("yesterday"),
    "reversed": parse_forecast("reversed"),
    "noisy": parse_forecast("noisy:sd=1"),
    "perfect": parse_forecast("perfect"),
}


def draw_jobs(random: np.random.Generator, fleet: Scenario) -> Jobs:
    """1 to 12 jobs, for a part of the room or more than there is."""
    count, regions = int(random.integers(1, 13)), len(fleet.regions)
    first = random.integers(0, SLOTS, count)
    last = np.array([random.integers(a + 1, SLOTS + 1) for a in first])
    allowed = random.random((count, regions)) < random.uniform(0.2, 1.2)
    allowed[np.arange(count), random.integers(regions, size=count)] = True
    room = float((fleet.capacity.sum(0) - fleet.demand.sum(0)).mean())
    size = room * random.uniform(0.05, 0.8) / np.sqrt(count)
    most = size * random.lognormal(0.0, 0.7, count)
    least = np.where(random.random(count) < 0.3, most * random.uniform(0.0, 0.6, count), 0.0)
    part = np.where(random.random(count) < 0.2, 1.0, random.uniform(0.05, 1.0, count))
    energy = (least + part * (most - least)) * (last - first) * SLOT_HOURS
    home = np.full(count, -1)
    cost = np.zeros(count)
    if random.random() < 0.3:
        home = np.array([random.choice(np.flatnonzero(row)) for row in allowed])
        cost = energy * random.uniform(0.0, 0.3, count)
    step = np.timedelta64(round(SLOT_HOURS * 3600), "s")
    return build_jobs(
        [f"job{m}" for m in range(count)],
        energy,
        fleet.times[0] + first * step,
        fleet.times[0] + last * step,
        most,
        allowed,
        min_mw=least,
        home=home,
        checkpoint_cost_mwh=cost,
    )


def draw_set(seed: int) -> tuple[Scenario, str, str]:
    """A fleet with jobs, and the names of the policy and the forecast that plan it."""
    random = np.random.default_rng(seed)
    size = int(random.integers(2, 6))
    reach = int(random.integers(1, size + 1))
    used = random.uniform(0.4, 0.9)
    fleet = eglb.load(f"synthetic:{size}x{SLOTS},seed={seed},reach={reach},util={used:.3f}")
    step = np.timedelta64(round(SLOT_HOURS * 3600), "s")
    fleet = replace(
        fleet,
        name=f"set {seed}",
        slot_hours=SLOT_HOURS,
        times=fleet.times[0] + np.arange(SLOTS) * step,
        demand=fleet.demand * random.uniform(0.5, 1.0, fleet.demand.shape),
    )
    policy = str(random.choice(list(POLICIES), p=list(POLICIES.values())))
    return replace(fleet, jobs=draw_jobs(random, fleet)), policy, str(random.choice(list(FORECASTS)))


def problems(run: Simulation) -> list[str]:
    """What is wrong with a run: late jobs, and constraints that its plan violates."""
    assert run.admission is not None
    allowed = ALLOWED * max(float(run.scenario.demand.max()), 1e-300)
    late = [f"{name} is late" for name in run.admission.missed]
    return late + [f"{what} by {mw:.2g} MW" for what, mw in run.violations.items() if mw > allowed]


def replay(seed: int) -> tuple[str, Counter[str], list[str]]:
    """One set: its forecast, what is counted, and what is wrong."""
    scenario, policy, told = draw_set(seed)
    run = simulate(scenario, policy, forecast=FORECASTS[told], certify=False, offline=False)
    admission = run.admission
    assert admission is not None
    count = Counter(
        {
            "whole sets": int(not admission.refused),
            "sets with refusals": int(bool(admission.refused)),
            "jobs admitted": admission.admitted,
            "jobs refused": len(admission.refused),
            "jobs late": len(admission.missed),
            "slots forced": admission.forced,
        }
    )
    return told, count, [f"set {seed}, {policy}, {told}: {problem}" for problem in problems(run)]


def report(counts: dict[str, Counter[str]], wrong: list[str], sets: int, folder: Path | None) -> list[str]:
    """The table so far as lines, also written to `folder` if there is one."""
    columns = [
        "whole sets",
        "sets with refusals",
        "jobs admitted",
        "jobs refused",
        "jobs late",
        "slots forced",
    ]
    table = [[name, *(str(count[c]) for c in columns)] for name, count in counts.items()]
    table.append(["all", *(str(sum(count[c] for count in counts.values())) for c in columns)])
    heading = ["forecast", *columns]
    lines = [f"`{' '.join(['python', *sys.argv])}`", ""]
    lines += ["| " + " | ".join(row) + " |" for row in (heading, ["---"] * len(heading), *table)]
    lines += ["", f"{sets} sets; {len(wrong)} problems", *wrong]
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "deadlines.md").write_text("\n".join(lines) + "\n", "utf-8")
        with (folder / "deadlines.csv").open("w", newline="") as file:
            csv.writer(file).writerows([heading, *table])
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=10_000, help="that pass admission as a whole")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    wanted, batch = (40, 40) if options.smoke else (options.sets, 400)
    began, sets = time.perf_counter(), 0
    counts: dict[str, Counter[str]] = {name: Counter() for name in FORECASTS}
    wrong: list[str] = []
    with Pool(options.workers) as pool:
        while sum(each["whole sets"] for each in counts.values()) < wanted:
            for told, count, found in pool.map(replay, range(sets, sets + batch), chunksize=10):
                counts[told] += count
                wrong += found
            sets += batch
            lines = report(counts, wrong, sets, options.out)
    print("\n".join([*lines, f"{time.perf_counter() - began:.0f} s"]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

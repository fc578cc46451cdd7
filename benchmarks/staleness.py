"""What does staleness cost in rounds?

    EGLB_DATA=... python benchmarks/staleness.py [--instance NAME]... [--algorithm NAME]... [--out FOLDER]

`eglb.solve(..., address="inprocess", regions_per_actor=1, faults=...)`, so one agent per region, to a
certified gap of 1e-4 (subgradient: 1e-2), with five seeds each:

- undisturbed: no faults, one run;
- 10 % lost, 30 % lost: so many of all replies, each by chance, are lost;
- 30 % late: three in ten agents, drawn by the seed, answer up to five rounds late, every time;
- silent 50: a region is silent for fifty rounds from an early one on, and nobody gives it up;
- lost, back: a region is silent for ten rounds, is given up when it has been for five, and comes back;
- lost 50: the same, but it is silent for fifty.

Region and round (the third to the seventh) change with the seed. Rounds are exchanges, also those that only
ask again who is missing: what a user waits for. The clock by which agents are given up counts exchanges too,
so every figure repeats exactly. A run reached the gap if the audit, which recomputes plan and bound from the
scenario, says so and finds no constraint violated. The problem is that of the members at the end; where the
region was not back by then, the run is counted as such. `newton` is, as shipped, followed by `admm` where it
makes no progress: it fell back. A run ends at 2,000 rounds.

`--smoke` is a small generated fleet, two algorithms and one seed: seconds long, no data needed.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest import mock

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import eglb
from eglb.coordinator.algorithms import crossover
from eglb.coordinator.algorithms.algorithm import Finished
from eglb.coordinator.exchange import Broadcast, Round
from eglb.coordinator.fleet.faults import Faults

INSTANCES = ("paper10-partial", "world10", "synthetic:50x48")
ALGORITHMS = ("admm", "dual", "newton", "crossover", "subgradient")
GAPS = {"subgradient": 1e-2}
GAP = 1e-4
SEEDS = 5
MAX_ROUNDS = 2000
VIOLATION_MW = 1e-6
NEVER, SOON = 1e6, 5.0
"""After so many exchanges without an answer an agent is given up."""


@dataclass(frozen=True)
class Condition:
    """What goes wrong; `outage` rounds of silence of one region, 0 if there is none."""

    name: str
    faults: str = ""
    outage: int = 0
    deadline: float = NEVER

    def drawn(self, regions: Sequence[str], seed: int) -> Faults:
        """As `Faults`, its region and round chosen by the seed."""
        region = regions[seed * len(regions) // SEEDS]
        out = f"out={region}@{3 + seed}+{self.outage}" if self.outage else ""
        return Faults.parse(f"{self.faults},{out},seed={seed}")


UNDISTURBED = Condition("undisturbed")
CONDITIONS = (
    UNDISTURBED,
    Condition("10 % lost", "drop=0.1"),
    Condition("30 % lost", "drop=0.3"),
    Condition("30 % late", "slow=0.3:5"),
    Condition("silent 50", outage=50),
    Condition("lost, back", outage=10, deadline=SOON),
    Condition("lost 50", outage=50, deadline=SOON),
)


@dataclass(frozen=True)
class Row:
    """One run. `fell_back`: newton was followed by admm. `without`: regions that had no part at the end."""

    instance: str
    algorithm: str
    condition: str
    seed: int
    status: str
    rounds: int
    gap: float
    certified: bool
    fell_back: bool
    without: str


class NotedCrossover(crossover.Crossover):
    """The relay, and how often it handed over."""

    hand_overs = 0

    def step(self, heard: Round) -> Broadcast | Finished:
        before = self._running
        action = super().step(heard)
        NotedCrossover.hand_overs += self._running is not before
        return action


def measure(name: str, fleet: eglb.Scenario, algorithm: str, condition: Condition, seed: int) -> Row:
    gap, before = GAPS.get(algorithm, GAP), NotedCrossover.hand_overs
    with mock.patch.object(crossover, "Crossover", NotedCrossover):
        found = eglb.solve(
            fleet,
            algorithm,
            gap=gap,
            max_rounds=MAX_ROUNDS,
            address="inprocess",
            regions_per_actor=1,
            deadline=condition.deadline,
            faults=condition.drawn(fleet.regions, seed),
        )
    return Row(
        name,
        algorithm,
        condition.name,
        seed,
        found.status,
        found.rounds,
        float(f"{found.audit.gap:.3g}"),
        found.audit.gap <= gap and max(found.audit.violations.values()) < VIOLATION_MW,
        algorithm == "newton" and NotedCrossover.hand_overs > before,
        "+".join(found.out),
    )


def cell(rows: Sequence[Row], undisturbed: Sequence[Row]) -> str:
    """Median and worst rounds, and the median against that of the undisturbed."""
    usual, base = (statistics.median(row.rounds for row in of) for of in (rows, undisturbed))
    text = f"{usual:g} / {max(row.rounds for row in rows)}"
    if rows != undisturbed:
        text += f" ({usual / base:.1f}x)"
    if failed := sum(not row.certified for row in rows):
        text += f" **{failed} not there**"
    return text


def counts(rows: Iterable[Row]) -> str:
    """What there is to say of runs besides their rounds."""
    rows = list(rows)
    statuses = sorted({row.status for row in rows} - {"converged"})
    said = {
        "fell back to admm": sum(row.fell_back for row in rows),
        "ended without the region": sum(bool(row.without) for row in rows),
        **{status: sum(row.status == status for row in rows) for status in statuses},
    }
    return ", ".join(f"{count} {what}" for what, count in said.items() if count)


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *lines))


def write(folder: Path, rows: Sequence[Row], call: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "staleness.csv").open("w", newline="") as file:
        file.write(f"# {call}\n")
        writer = csv.DictWriter(file, list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    runs: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in rows:
        runs.setdefault((row.instance, row.algorithm), {}).setdefault(row.condition, []).append(row)
    names = [condition.name for condition in CONDITIONS]
    rounds = [[*key, *(cell(by[name], by[names[0]]) for name in names)] for key, by in runs.items()]
    notes = [[*key, *(counts(by[name]) or "-" for name in names)] for key, by in runs.items()]
    newton = [row for row in rows if row.algorithm == "newton"]
    notes = [line for line in notes if set(line[2:]) != {"-"}]
    assert __doc__ is not None
    title, _, *method, _ = __doc__.strip().split("\n\n")
    heads = ["instance", "algorithm", *names]
    text = [
        f"# {title}",
        f"    {call}",
        *method,
        "## Rounds: median / worst of the seeds (median against undisturbed)",
        table(heads, rounds),
        f"{sum(row.certified for row in rows)} of {len(rows)} runs reached the gap, as audited; "
        f"{sum(row.fell_back for row in rows)} of {len(newton)} with `newton` fell back to `admm`.",
        f"## Of {SEEDS} runs each",
        table(heads, notes) if notes else "Nothing else to tell.",
    ]
    (folder / "staleness.md").write_text("\n\n".join(text) + "\n")


def main() -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instance", action="append")
    parser.add_argument("--algorithm", action="append", choices=ALGORITHMS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    instances = ("synthetic:4x24",) if options.smoke else options.instance or INSTANCES
    algorithms = ("admm", "newton") if options.smoke else options.algorithm or ALGORITHMS
    rows: list[Row] = []
    print(f"{'instance':17}{'algorithm':13}{'condition':13}{'median / worst rounds':26}")
    for name in instances:
        fleet = eglb.load(name)
        for algorithm in algorithms:
            undisturbed: list[Row] = []
            for condition in CONDITIONS:
                began = time.perf_counter()
                seeds = 1 if options.smoke or condition is UNDISTURBED else SEEDS
                of = [measure(name, fleet, algorithm, condition, seed) for seed in range(seeds)]
                undisturbed = undisturbed or of
                took = f"{time.perf_counter() - began:.1f} s"
                print(
                    f"{name:17}{algorithm:13}{condition.name:13}{cell(of, undisturbed):26}{took:>9}  "
                    f"{counts(of)}".rstrip(),
                    flush=True,
                )
                rows += of
            if options.out is not None:
                write(options.out, rows, "EGLB_DATA=... python benchmarks/staleness.py")


if __name__ == "__main__":
    main()

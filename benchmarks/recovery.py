"""How long from a struck region to the next feasible plan, on a cluster of many nodes?

    python benchmarks/recovery.py [--strike NAME]... [--algorithm NAME]... [--times 20] [--out FOLDER]

A Ray cluster on this machine: a head without agents and a node for each of four regions. A solve is begun,
and after a few rounds one region, another every time, is struck: `kill` ends its agent's process, `freeze`
stops it, `node` takes its whole node away with the agent on it, without a good-bye. Clock and rounds run from
there

- to the plan: the end of the first exchange after which the coordinator holds a feasible plan of the fleet as
  it is then, because an agent made anew answers for the struck region, or it was given up and is not used;
- until back: the first exchange that the struck region, given up meanwhile or not, took part in again. A run
  does not wait for it: where it ends before, there is no such figure.

What the struck agent itself had still answered counts for neither. An agent has `DEADLINE_S` to answer; what
takes longer is planned without. `--smoke` strikes twice: seconds long.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}

import ray
from ray.cluster_utils import Cluster

import eglb
from eglb.coordinator.algorithms.admm import Admm
from eglb.coordinator.algorithms.crossover import Crossover
from eglb.coordinator.algorithms.level_bundle import LevelBundle
from eglb.coordinator.algorithms.newton import Newton
from eglb.coordinator.algorithms.reroute import Method
from eglb.coordinator.run import Run
from eglb.planning.launch import launch
from eglb.planning.partition import partition

DEADLINE_S = 1.0
FIRST_STRIKE, MOMENTS = 4, 7
MOST_S = 120.0
STORE_BYTES = 80 * 2**20
METHODS: dict[str, Method] = {
    "admm": Admm,
    "dual": LevelBundle,
    "newton": partial(Crossover, first=Newton, second=Admm),
}
STRIKES = ("kill", "freeze", "node")


class Nodes:
    """The cluster: nodes by region, struck and mended."""

    def __init__(self, cluster: Any, regions: tuple[str, ...]) -> None:
        self.cluster, self.regions = cluster, regions
        self.nodes: dict[str, Any] = {}

    def mend(self) -> None:
        """A node for every region, and all others known to be gone."""
        for name in set(self.regions) - self.nodes.keys():
            self.nodes[name] = self.cluster.add_node(
                num_cpus=1, labels={"region": name}, object_store_memory=STORE_BYTES
            )
        while sum(node["Alive"] for node in ray.nodes()) != 1 + len(self.nodes):
            time.sleep(0.2)

    def strike(self, how: str, region: str, actor: Any) -> float:
        """Hit a region; when that was."""
        pid = ray.get(actor.__ray_call__.remote(lambda host: __import__("os").getpid()))
        now = time.monotonic()
        if how == "node":
            self.cluster.remove_node(self.nodes.pop(region), allow_graceful=False)
        # Also with its node: else it goes on answering for most of a second, which no lost machine does.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP if how == "freeze" else signal.SIGKILL)
        return now


@contextmanager
def many_nodes(regions: tuple[str, ...]) -> Iterator[Nodes]:
    folder = tempfile.mkdtemp(prefix="rec-", dir="/tmp")
    os.environ["RAY_TMPDIR"] = folder
    (Path(folder) / "ray").mkdir()
    cluster = Cluster()
    try:
        cluster.add_node(
            num_cpus=0, include_dashboard=False, object_store_memory=STORE_BYTES, temp_dir=folder
        )
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
        with redirect_stdout(sys.stderr):  # where Ray prints what it has to say of every process that ends
            yield Nodes(cluster, regions)
    finally:
        ray.shutdown()
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


class Recovered(Exception):
    """All there is to know of a strike is known."""


def recover(fleet: eglb.Scenario, nodes: Nodes, algorithm: str, how: str, seed: int) -> dict[str, Any]:
    """One row: one strike."""
    nodes.mend()
    parts = partition(fleet)
    struck = seed % len(fleet.regions)
    row: dict[str, Any] = {"algorithm": algorithm, "strike": how, "seed": seed}
    with launch(parts.market, parts.region, address="auto", deadline=DEADLINE_S) as agents:
        run = Run(parts.market, agents.fleet, METHODS[algorithm](parts.market, 0.0), METHODS[algorithm])
        traffic = agents.fleet.traffic
        at, at_round, heard, was_out, hit = 0.0, 0, 0, False, None

        def since() -> tuple[str, int]:
            return f"{time.monotonic() - at:.3f}", traffic.rounds - at_round

        def look(seconds: float) -> None:
            nonlocal at, at_round, heard, was_out, hit
            answers, actor = traffic.bytes_up_by_host[struck], agents.transport._cluster.actors[struck]
            if not at:
                idle = struck not in agents.transport._running
                if (
                    traffic.rounds >= FIRST_STRIKE + seed % MOMENTS
                    and run.incumbent.route is not None
                    and idle
                ):
                    hit, heard, at_round = actor, answers, traffic.rounds
                    at = nodes.strike(how, fleet.regions[struck], actor)
                return
            out = bool(run.closed[struck])
            answered = answers > heard and actor is not hit and not out and not was_out
            if "seconds" not in row and run.incumbent.route is not None and (answered or out):
                row["seconds"], row["rounds"] = since()
                row["planned"] = "without it" if out else "with it"
            if "seconds" in row and answered:
                row["seconds_back"], row["rounds_back"] = since()
                raise Recovered
            if out or was_out or actor is hit:
                heard = answers
            was_out = out
            if time.monotonic() - at > MOST_S:
                raise Recovered

        with suppress(Recovered):
            run.run(on_round=look)
    row.setdefault("planned", "not" if at else "never struck")
    return row


def spread(values: list[float], unit: str, digits: int = 2) -> str:
    if not values:
        return "-"
    return f"{statistics.median(values):.{digits}f} / {max(values):.{digits}f}{unit}"


def summarise(algorithm: str, how: str, rows: list[dict[str, Any]]) -> list[str]:
    """The cells of one line: median and worst."""

    def column(name: str) -> list[float]:
        return [float(row[name]) for row in rows if name in row]

    without = sum(row.get("planned") == "without it" for row in rows)
    return [
        algorithm,
        how,
        f"{len(column('seconds'))}/{len(rows)}",
        spread(column("seconds"), " s"),
        spread(column("rounds"), "", 0),
        str(without),
        f"{len(column('seconds_back'))}/{len(rows)}",
        spread(column("seconds_back"), " s"),
        spread(column("rounds_back"), "", 0),
    ]


HEADS = (
    "algorithm",
    "strike",
    "planned",
    "to a plan",
    "rounds",
    "without it",
    "back",
    "until back",
    "rounds",
)


def write(folder: Path, rows: list[dict[str, Any]], lines: list[list[str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    call = f"python benchmarks/recovery.py --times {len(rows) // len(lines)}"
    names = ["algorithm", "strike", "seed", "planned", "seconds", "rounds", "seconds_back", "rounds_back"]
    with (folder / "recovery.csv").open("w", newline="") as file:
        file.write(f"# {call}\n")
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    table = [f"| {' | '.join(cells)} |" for cells in ([*HEADS], ["---"] * len(HEADS), *lines)]
    assert __doc__ is not None
    method = __doc__.split("\n\n", 2)[2].replace(" `--smoke` strikes twice: seconds long.", "").strip()
    method = method.replace("`DEADLINE_S`", f"{DEADLINE_S:g} s")
    busy = f"At the end {os.getloadavg()[2]:.0f} processes wanted {os.cpu_count()} cores."
    text = [f"# {__doc__.splitlines()[0]}", method, "\n".join(table), f"Median / worst. `{call}` {busy}"]
    (folder / "recovery.md").write_text("\n\n".join(text) + "\n")


def main() -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strike", action="append", choices=STRIKES)
    parser.add_argument("--algorithm", action="append", choices=METHODS)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    fleet = eglb.load("synthetic:2x24" if options.smoke else "synthetic:4x168,seed=2,util=0.5")
    strikes = ("kill", "freeze") if options.smoke else options.strike or STRIKES
    algorithms = ("admm",) if options.smoke else options.algorithm or METHODS
    widths = (10, 7, 8, 15, 9, 11, 6, 15, 9)

    def say(cells: tuple[str, ...] | list[str]) -> None:
        print(
            "".join(f"{cell:<{w}}" for cell, w in zip(cells, widths, strict=True)).rstrip(),
            file=sys.__stdout__,
            flush=True,
        )

    rows: list[dict[str, Any]] = []
    lines = []
    say(HEADS)
    with many_nodes(fleet.regions) as nodes:
        for algorithm in algorithms:
            for how in strikes:
                times = 1 if options.smoke else options.times
                found = [recover(fleet, nodes, algorithm, how, seed) for seed in range(times)]
                rows += found
                lines.append(summarise(algorithm, how, found))
                say(lines[-1])
    print(f"median / worst of {times}; an agent has {DEADLINE_S:g} s to answer, else it is planned without")
    if options.out is not None:
        write(options.out, rows, lines)


if __name__ == "__main__":
    main()

"""What does a coordinator that is killed lose, in rounds and in bytes?

    python benchmarks/killed_coordinator.py [--algorithm NAME]... [--times 20] [--out FOLDER]

`eglb solve FLEET --checkpoint DIR --checkpoint-every M` is killed (SIGKILL) once it tells of a round drawn by
the seed, `eglb solve --resume DIR` goes on to the same gap. Of every kill: rounds that were done and are not
in what is kept; the bytes of messages that these rounds had carried, taken from the same rounds of the run
that ends; the gap that is kept and the one after the end; the size of what is kept. `--smoke` kills once:
seconds long.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from eglb.planning.running.checkpoint import resume_checkpoint

FLEET = "synthetic:30x168"
GAPS = {"admm": 5e-5, "dual": 5e-5, "newton": 1e-8}
LAST = {"admm": 90, "dual": 40, "newton": 10}
"""Round that a kill waits for at most."""
EVERY = (1, 10)
# The real command, which tells of every round.
CHATTY = """
import sys
from eglb.cli import main, progress
progress.LINE_SECONDS = 0.0
sys.exit(main(sys.argv[1:]))
"""


def kill_once(algorithm: str, every: int, seed: int, folder: Path) -> dict[str, Any]:
    """One row: one kill, and the run that goes on from it."""
    kept, results = folder / "kept", folder / "results"
    begin = [FLEET, "--algorithm", algorithm, "--gap", str(GAPS[algorithm]), "--checkpoint", str(kept)]
    begin += ["--checkpoint-every", str(every)]
    process = command("solve", *begin, "--address", "inprocess")
    assert process.stderr is not None
    at = random.Random(seed).randint(2, LAST[algorithm])
    line = process.stderr.readline()
    while line and max(told(line), default=0) < at:
        line = process.stderr.readline()
    process.kill()
    done = max([*told(line), *told(process.stderr.read())])
    process.wait()
    with resume_checkpoint(kept) as found:
        assert found.skipped == ()
        kept_round, kept_gap = 0, math.inf  # killed before the first checkpoint
        if found.kept is not None:
            kept_round, kept_gap = found.kept.round, found.kept.incumbent.gap
    size = sum(path.stat().st_size for path in kept.iterdir())
    again = command("solve", "--resume", str(kept), "--address", "inprocess", "--out", str(results), "--json")
    out, err = again.communicate()
    assert again.returncode in (0, 4), err
    rounds = [json.loads(row) for row in (results / "rounds.jsonl").read_text().splitlines()]
    carried = [0, *(row["bytes_up"] + row["bytes_down"] for row in rounds)]
    lost = max(done - kept_round, 0)
    return {
        "algorithm": algorithm,
        "every": every,
        "seed": seed,
        "round": done,
        "rounds_lost": lost,
        "bytes_lost": carried[min(kept_round + lost, len(rounds))] - carried[min(kept_round, len(rounds))],
        "kept_bytes": size,
        "kept_gap": f"{kept_gap:.2e}",
        "end_gap": f"{json.loads(out)['gap']:.2e}",
        "no_worse": json.loads(out)["gap"] <= kept_gap * (1 + 1e-9),
    }


def command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHATTY, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"round (\d+)  gap", text)]


HEADS = ("algorithm", "M", "kills", "rounds lost", "bytes lost", "kept", "gap no worse")


def summarise(algorithm: str, every: int, rows: list[dict[str, Any]]) -> list[str]:
    """The cells of one line: median and worst."""
    lost = [row["rounds_lost"] for row in rows]
    carried = [row["bytes_lost"] / 1e3 for row in rows]
    kept = statistics.median(row["kept_bytes"] for row in rows) / 1e3
    return [
        algorithm,
        str(every),
        str(len(rows)),
        f"{statistics.median(lost):g} / {max(lost)}",
        f"{statistics.median(carried):,.0f} / {max(carried):,.0f} kB",
        f"{kept:,.0f} kB",
        f"{sum(row['no_worse'] for row in rows)} of {len(rows)}",
    ]


def write(folder: Path, rows: list[dict[str, Any]], lines: list[list[str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "killed_coordinator.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert __doc__ is not None
    title, call, method = __doc__.strip().split("\n\n", 2)
    table = [f"| {' | '.join(cells)} |" for cells in ([*HEADS], ["---"] * len(HEADS), *lines)]
    method = method.replace(" `--smoke` kills once:\nseconds long.", "").replace("FLEET", FLEET)
    text = [f"# {title}", call, method, "\n".join(table), "Median / worst; M is `--checkpoint-every`."]
    (folder / "killed_coordinator.md").write_text("\n\n".join(text) + "\n")


def main() -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--algorithm", action="append", choices=GAPS)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    algorithms = ("dual",) if options.smoke else options.algorithm or GAPS
    began = time.perf_counter()
    rows: list[dict[str, Any]] = []
    lines = []
    print("  ".join(HEADS), flush=True)
    for algorithm in algorithms:
        for m in EVERY:
            found = []
            for seed in range(1 if options.smoke else options.times):
                folder = Path(tempfile.mkdtemp())
                try:
                    found.append(kill_once(algorithm, m, seed, folder))
                finally:
                    shutil.rmtree(folder)
            rows += found
            lines.append(summarise(algorithm, m, found))
            print("  ".join(lines[-1]), flush=True)
    print(f"median / worst; {time.perf_counter() - began:.0f} s in all")
    if options.out is not None:
        write(options.out, rows, lines)


if __name__ == "__main__":
    main()

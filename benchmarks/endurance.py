"""Does a long run need more memory than a short one, and does it leave anything behind?

    python benchmarks/endurance.py [--place inprocess|local]... [--algorithm NAME]... [--out FOLDER]

A solve of 2,000 rounds, which no gap ends, with a checkpoint: in one process, and with Ray actors on a
private local cluster; each in a process of its own. Things go wrong all the time. A region, another one
every time, is drained, and admitted again, whenever a gap of 1e-4 is reached or fifty rounds have passed, so
that the algorithm is never done. In one process, moreover, replies are lost, late, damaged and doubled, and
agents lose their memory (`FAULTS`). On Ray, every hundred rounds one agent's process stands still for a
moment and another one, always of the same region, is killed.

After 200, 1,000 and 2,000 rounds: memory resident then, its peak so far and open files of the coordinator, of
every agent that has lived since the start, and of Ray's own processes; and the segments of /dev/shm that each
of them holds. Flat is what from 200 to 2,000 rounds did not grow by more than 2 % of the peak or 5 MB,
whichever is more, nor by more than five open files or any segment. A short solve of the same kind comes
first, so that what is loaded once does not count. When the long one is over, no child process, open file or
segment may be left that was not there before; save up to two sockets, which Ray leaves open in a process
every time it is started and ended there: `ray.init("local")` and `ray.shutdown()` alone do.

`--smoke` is 100 rounds of one algorithm: seconds long, and judges what is left behind only.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import eglb
from eglb.coordinator.fleet.faults import Faults
from eglb.planning.progress import RoundRecord
from eglb.planning.running.membership_orders import Orders

PLACES, ALGORITHMS = ("inprocess", "local"), ("admm", "dual", "subgradient")
FAULTS = "drop=0.1,late=0.1:5,duplicate=0.05,corrupt=0.02,garble=0.01,crash=0.002"
INSTANCE, SMOKE_INSTANCE = "synthetic:8x168", "synthetic:3x24"
MARKS, SMOKE_MARKS = (200, 1000, 2000), (50, 75, 100)
CYCLE = 100
TURN_AFTER, SMALL_GAP = 5, 1e-4
NO_GAP = 1e-15
DEADLINE = 10.0
GROWTH_MB, GROWTH, MORE_FILES = 5.0, 0.02, 5
STANDSTILL_S, GONE_S = 0.3, 10.0
AGENT = "ray::RegionHost"
RAYS_OWN_SOCKETS = 2
STORES = ("raylet", "gcs_server")


def tree(root: int) -> dict[int, str]:
    """Process id and title of all descendants of `root` that run."""
    parents, titles = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended while we looked
            state, parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            if state != "Z":
                parents[int(folder.name)] = int(parent)
                titles[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return {pid: titles[pid] for pid in found - {root}}


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident now, and at most so far."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    now, peak = (int(lines[name].split()[0]) / 1024.0 for name in ("VmRSS", "VmHWM"))
    return now, peak


def open_files(pid: int) -> dict[str, str]:
    """What every descriptor leads to."""
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found[link.name] = os.readlink(link)
    return found


def shared_segments(pids: Sequence[int]) -> set[str]:
    """Files of /dev/shm, also deleted ones, that a process has open or mapped."""
    found = set()
    for pid in pids:
        with suppress(OSError):
            maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
            paths = {line.split(maxsplit=5)[5] for line in maps if "/dev/shm/" in line}
            found |= {path for path in (*paths, *open_files(pid).values()) if path.startswith("/dev/shm/")}
    return found


@dataclass(frozen=True)
class Row:
    """One process after so many rounds."""

    place: str
    algorithm: str
    process: str
    pid: int
    round: int
    rss_mb: float
    peak_mb: float
    files: int
    segments: int


@dataclass
class Watch:
    """What happens to a run and what is seen of it, told after every exchange."""

    place: str
    algorithm: str
    regions: tuple[str, ...]
    marks: tuple[int, ...]
    orders: Orders = field(default_factory=Orders)
    rows: list[Row] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    oldest: set[int] | None = None
    segments: set[str] = field(default_factory=set)
    _out: str | None = None
    _turned: int = 0

    def __post_init__(self) -> None:
        self._due: list[tuple[int, Callable[[], None]]] = [
            (mark, partial(self._sample, mark)) for mark in self.marks
        ]
        if self.place == "local":
            for start in range(0, max(self.marks, default=0), CYCLE):
                self._due += [(start + 40, self._hold_up), (start + 80, self._kill)]
        self._due.sort(key=lambda due: due[0])

    def look(self, record: RoundRecord) -> None:
        while self._due and record.round >= self._due[0][0]:
            self._due.pop(0)[1]()
        since = record.round - self._turned
        if self.marks and (since >= CYCLE // 2 or (since >= TURN_AFTER and record.gap < SMALL_GAP)):
            self._turned = record.round
            self._turn()

    def _turn(self) -> None:
        """A region is drained, or the one that is out is admitted."""
        if self._out is None:
            self._out = self.regions[self.happened["turned"] % len(self.regions)]
            self.orders.drain(self._out)
            self.happened["turned"] += 1
        else:
            self.orders.admit(self._out)
            self._out = None

    def _agents(self) -> set[int]:
        """Processes of agents; those of them that were there when this was first asked are `oldest`."""
        agents = {pid for pid, title in tree(os.getpid()).items() if title.startswith(AGENT)}
        self.oldest = agents if self.oldest is None else self.oldest & agents
        return agents

    def _hold_up(self) -> None:
        """An agent stands still for a moment."""
        pid = min(self._agents())
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(STANDSTILL_S, os.kill, (pid, signal.SIGCONT)).start()
        self.happened["stood still"] += 1

    def _kill(self) -> None:
        """The youngest agent's process ends, unless the one before is not back yet."""
        agents = self._agents()
        if len(agents) == len(self.regions):
            assert self.oldest is not None
            os.kill(max(agents - self.oldest or agents), signal.SIGKILL)
            self.happened["killed"] += 1

    def _sample(self, mark: int) -> None:
        own, below = os.getpid(), tree(os.getpid())
        self.segments |= shared_segments([own, *below])
        watched = {own: "coordinator"}
        self._agents()
        watched |= dict.fromkeys(self.oldest or (), "agent")
        for pid, title in below.items():
            name = Path(title.split(" ")[0]).name
            if name in STORES:
                watched[pid] = name
        for pid, process in watched.items():
            now, peak = memory_mb(pid)
            segments = len(shared_segments([pid]))
            files = len(open_files(pid))
            self.rows.append(
                Row(
                    self.place,
                    self.algorithm,
                    process,
                    pid,
                    mark,
                    round(now, 1),
                    round(peak, 1),
                    files,
                    segments,
                )
            )


@dataclass(frozen=True)
class Endured:
    """A run: what was seen on the way, and what it left behind."""

    rows: list[Row]
    rounds: int
    status: str
    seconds: float
    happened: str
    left: list[str]

    def __str__(self) -> str:
        first = self.rows[0]
        return (
            f"{first.algorithm}, {first.place}: {self.rounds:,} rounds in {self.seconds:.0f} s; "
            f"{self.happened}; left behind: {', '.join(self.left) or 'nothing'}"
        )


HEADS = (
    "place",
    "algorithm",
    "process",
    "resident",
    "peak",
    "growth",
    "files",
    "segments",
    "flat",
)


@dataclass(frozen=True)
class Line:
    """A process at all marks."""

    place: str
    algorithm: str
    process: str
    rss_mb: list[float]
    peak_mb: list[float]
    files: list[int]
    segments: list[int]
    flat: bool

    @property
    def growth(self) -> float:
        return self.peak_mb[-1] - self.peak_mb[0]

    def cells(self) -> list[str]:
        several = [" / ".join(map(str, of)) for of in (self.rss_mb, self.peak_mb, self.files, self.segments)]
        return [
            self.place,
            self.algorithm,
            self.process,
            *several[:2],
            f"{self.growth:+.1f}",
            *several[2:],
            "yes" if self.flat else "no",
        ]


def endure(place: str, algorithm: str, smoke: bool) -> Endured:
    """One long run, in the process that this is called in."""
    fleet = eglb.load(SMOKE_INSTANCE if smoke else INSTANCE)
    marks = SMOKE_MARKS if smoke else MARKS
    faults = Faults.parse(FAULTS) if place == "inprocess" else None

    def solve(watch: Watch, folder: str, rounds: int) -> eglb.Solution:
        return eglb.solve(
            fleet,
            algorithm,
            gap=NO_GAP,
            max_rounds=rounds,
            address=place,
            regions_per_actor=1,
            deadline=DEADLINE,
            checkpoint=Path(folder) / "kept",
            orders=watch.orders,
            faults=faults,
            on_round=watch.look,
        )

    with tempfile.TemporaryDirectory() as folder:
        solve(Watch(place, algorithm, fleet.regions, ()), folder, 30)
    files_before = open_files(os.getpid())
    watch = Watch(place, algorithm, fleet.regions, marks)
    with tempfile.TemporaryDirectory() as folder:
        found = solve(watch, folder, marks[-1])
    until = time.monotonic() + GONE_S
    while (left := left_behind(place, files_before, watch.segments)) and time.monotonic() < until:
        time.sleep(0.1)
    counts = {what: sum(event.what == what for event in found.events) for what in ("drained", "lost", "back")}
    counts["rejected"] = sum(sum(by.values()) for by in found.rejected.values())
    counts |= {what: count for what, count in watch.happened.items() if what != "turned"}
    happened = ", ".join(f"{count} {what}" for what, count in counts.items())
    return Endured(watch.rows, found.rounds, found.status, found.seconds_solve, happened, left)


def left_behind(place: str, files_before: dict[str, str], segments: set[str]) -> list[str]:
    """What is there still or again."""
    left = [f"process {title}" for title in tree(os.getpid()).values()]
    more = kinds(open_files(os.getpid())) - kinds(files_before)
    if place == "local":
        more -= Counter(socket=RAYS_OWN_SOCKETS)
    left += [f"file {kind}" for kind in more.elements()]
    return left + [f"segment {path}" for path in segments if Path(path).exists()]


def kinds(files: dict[str, str]) -> Counter[str]:
    """What descriptors lead to, by name: sockets without numbers, logs without folders, deleted or not."""
    names = (Path(path).name.removesuffix(" (deleted)") for path in files.values())
    return Counter(name.split(":[")[0] for name in names)


def endure_alone(place: str, algorithm: str, smoke: bool) -> Endured:
    """One long run in a process of its own, whose memory no other run has used."""
    command = [sys.executable, __file__, "--alone", "--place", place, "--algorithm", algorithm]
    done = subprocess.run(
        [*command, *(["--smoke"] if smoke else [])], stdout=subprocess.PIPE, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return Endured(**told | {"rows": [Row(**row) for row in told["rows"]]})


def summarise(run: Endured, marks: Sequence[int]) -> list[Line]:
    """A line for every kind of process: the one of its kind that has grown most."""
    lines: dict[str, Line] = {}
    for pid in dict.fromkeys(row.pid for row in run.rows):
        seen = [row for row in run.rows if row.pid == pid]
        if len(seen) < len(marks):
            continue  # a node process that came later, or an agent that was lost on the way
        first, last = seen[0], seen[-1]
        line = Line(
            first.place,
            first.algorithm,
            first.process,
            [row.rss_mb for row in seen],
            [row.peak_mb for row in seen],
            [row.files for row in seen],
            [row.segments for row in seen],
            last.peak_mb - first.peak_mb <= max(GROWTH_MB, GROWTH * first.peak_mb)
            and last.files - first.files <= MORE_FILES
            and last.segments <= first.segments,
        )
        other = lines.get(line.process)
        if other is None or line.growth > other.growth:
            lines[line.process] = line
    return list(lines.values())


def write(folder: Path, runs: Sequence[Endured], lines: Sequence[Line]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    call = "python benchmarks/endurance.py"
    with (folder / "endurance.csv").open("w", newline="") as file:
        file.write(f"# {call}\n")
        writer = csv.DictWriter(file, [f.name for f in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for run in runs for row in run.rows)
    table = [HEADS, ["---"] * len(HEADS), *(line.cells() for line in lines)]
    assert __doc__ is not None
    title, _, *method, _ = __doc__.strip().split("\n\n")
    text = [f"# {title}", f"    {call}", *(part.replace("`FAULTS`", f"`{FAULTS}`") for part in method)]
    text += [
        "MB and numbers after " + ", ".join(f"{mark:,}" for mark in MARKS) + " rounds; of agents the one"
    ]
    text[-1] += f" that grew most. Fleet: `{INSTANCE}`."
    text += ["\n".join(f"| {' | '.join(cells)} |" for cells in table)]
    text += ["What happened in each run, and what was left:"]
    text += ["\n".join(f"- {run}" for run in runs)]
    (folder / "endurance.md").write_text("\n\n".join(text) + "\n")


def main() -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--place", action="append", choices=PLACES)
    parser.add_argument("--algorithm", action="append", choices=ALGORITHMS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    marks = SMOKE_MARKS if options.smoke else MARKS
    if options.alone:
        print(json.dumps(asdict(endure(options.place[0], options.algorithm[0], options.smoke))))
        return
    algorithms = options.algorithm or (("admm",) if options.smoke else ALGORITHMS)
    widths = (11, 13, 13, 27, 27, 9, 14, 11, 4)
    runs, lines = [], []
    print("".join(f"{head:<{w}}" for head, w in zip(HEADS, widths, strict=True)), flush=True)
    for place in options.place or PLACES:
        for algorithm in algorithms:
            run = endure_alone(place, algorithm, options.smoke)
            runs.append(run)
            found = summarise(run, marks)
            lines += found
            for line in found:
                print(
                    "".join(f"{c:<{w}}" for c, w in zip(line.cells(), widths, strict=True)).rstrip(),
                    flush=True,
                )
            print(f"{run}", flush=True)
    if options.out is not None:
        write(options.out, runs, lines)
    grown = not options.smoke and not all(line.flat for line in lines)
    if grown or any(run.left or run.rounds < marks[-1] for run in runs):
        sys.exit("memory or open files grew, something was left behind, or a run ended early")


if __name__ == "__main__":
    main()

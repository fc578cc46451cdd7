"""One run of a scaling experiment, in a process of its own: `run_apart` starts it, this module is it.

A process of its own makes peak memory the run's alone, and a crash or a time-out one row among others.
``python -m eglb.sims.scaling.run`` reads a case as JSON on stdin and answers with JSON lines on stdout:
``{"round": ...}`` now and then, at the end ``{"row": ...}`` or ``{"error": ..., "problems": [...]}``.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from threading import Timer
from typing import IO, Any, NoReturn

from eglb.foundation.errors import InfeasibleError, InputError
from eglb.foundation.numbers import plain
from eglb.planning.progress import RoundRecord
from eglb.planning.solution import Solution
from eglb.scenarios.synthetic import SyntheticSpec, generate

Row = dict[str, Any]

GAPS = {"1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4, "1e-6": 1e-6}
"""Rounds and seconds are noted when the gap first is at most each of these."""
PACKAGES = ("eglb", "numpy", "scipy", "numba", "ray", "highspy")
_SHOWN_EVERY_S = 0.1
_GRACE_S = 60.0
"""Beyond twice the time limit, to generate the fleet, start agents and audit: then a run is ended."""
_END_S = 15.0
_MB = 1024.0


@dataclass(frozen=True)
class Case:
    """One fleet, one algorithm and where it stops.

    Parameters
    ----------
    fleet : the generated fleet. weight_scale : multiplies all its equity weights.
    algorithm, gap, max_rounds, time_limit, address, regions_per_actor : as in `eglb.solve`.
    """

    fleet: SyntheticSpec
    algorithm: str
    weight_scale: float = 1.0
    gap: float = 1e-4
    max_rounds: int | None = None
    time_limit: float | None = None
    address: str = "inprocess"
    regions_per_actor: int | None = None

    def head(self) -> Row:
        """The part of the row that says what was asked; two cases are the same if these are."""
        return {
            "instance": self.fleet.name,
            "regions": self.fleet.regions,
            "gateways": self.fleet.regions,
            "slots": self.fleet.hours,
            "seed": self.fleet.seed,
            "reach": self.fleet.reach,
            "utilisation": self.fleet.utilisation,
            "weight_scale": self.weight_scale,
            "algorithm": self.algorithm,
            "gap_asked": self.gap,
            "max_rounds": self.max_rounds,
            "time_limit": self.time_limit,
            "address": self.address,
            "regions_per_actor": self.regions_per_actor,
        }


def blank_row(case: Case, status: str) -> Row:
    """A row without measurements, for a run that did not come to its end or was never started."""
    measured = [
        "edges", "gap", "objective", "lower_bound", "rounds", "seconds", "seconds_start", "seconds_cpu",
        "peak_rss_mb", "bytes_up", "bytes_down", "actors",
        *(f"{what}_at_{name}" for what in ("rounds", "seconds") for name in GAPS),
    ]  # fmt: skip
    return {**case.head(), "status": status, **dict.fromkeys(measured), **machine()}


def machine() -> Row:
    """What the figures were measured with and on; looked up outside the process that is measured."""
    from eglb.foundation.compilation import threads

    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "cpu": _processor(),
        "cpu_count": os.cpu_count(),
        "threads": threads(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def measure(case: Case, on_round: Callable[[RoundRecord], None] | None = None) -> Row:
    """Generate the fleet, solve it and measure, in this process; the row without its head and `machine`.

    ``gap``, ``objective`` and ``lower_bound`` are the audited ones. ``seconds`` run from the first message to
    the certified plan, for the central solver from building its model to the repaired plan; ``seconds_start``
    is the agents' start before that. ``seconds_cpu`` is this process's own, audit included.
    ``peak_rss_mb`` is of the whole process, the generated fleet included, and of the agents' processes.
    """
    from eglb.planning.solve import solve

    scenario = generate(case.fleet)
    scenario = scenario.with_weights({k.name: case.weight_scale * k.weight for k in scenario.footprints})
    cpu = time.process_time()
    solution = solve(
        scenario,
        case.algorithm,
        gap=case.gap,
        max_rounds=case.max_rounds,
        time_limit=case.time_limit,
        address=case.address,
        regions_per_actor=case.regions_per_actor,
        on_round=on_round,
    )
    measured = {
        "status": solution.status,
        "seconds_cpu": time.process_time() - cpu,
        "edges": len(scenario.reach_region),
        "gap": solution.audit.gap,
        "objective": solution.audit.objective,
        "lower_bound": solution.audit.lower_bound,
        "rounds": solution.rounds,
        "seconds": solution.seconds_solve,
        "seconds_start": solution.seconds_start,
        "peak_rss_mb": _peak_rss_mb(solution),
        "bytes_up": solution.bytes_up,
        "bytes_down": solution.bytes_down,
        "actors": solution.actors,
    }
    return dict(plain({**measured, **first_at(solution)}))


def first_at(solution: Solution) -> Row:
    """Rounds and seconds after which the gap was at most each of `GAPS`; None for what the audit denies."""
    found: Row = {}
    for name, gap in GAPS.items():
        reached = (r for r in solution.trace if r.gap <= gap and solution.audit.gap <= gap)
        record = next(reached, None)
        found[f"rounds_at_{name}"] = None if record is None else record.round
        found[f"seconds_at_{name}"] = None if record is None else record.seconds
    return found


def _peak_rss_mb(solution: Solution) -> float:
    """Of this process and its agents'. Linux counts what the parent held at the fork into `ru_maxrss`."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MB
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return solution.peak_rss_mb - own + int(line.split()[1]) / _MB
    return solution.peak_rss_mb


def run_apart(case: Case, on_round: Callable[[RoundRecord], None] | None = None) -> Row:
    """`measure` in a process of its own; whatever goes wrong with it stands under ``status``.

    Beside the statuses of a solve there are ``cluster_failed: ...``, ``infeasible: ...``, ``killed: ...`` (it
    did not end by itself long after its time limit) and ``failed: ...`` (it crashed).

    Raises
    ------
    InputError : an option of the case is wrong, which would spoil every row.
    """
    with tempfile.TemporaryFile("w+") as said:
        # In a session of its own: Ctrl-C reaches this process alone, which then ends the other in order.
        process = subprocess.Popen(
            [sys.executable, "-m", "eglb.sims.scaling.run"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,
        )
        overtime: list[float] = []

        def stop(allowed: float) -> None:
            overtime.append(allowed)
            _end(process)

        timer = None
        if case.time_limit is not None:
            allowed = 2.0 * case.time_limit + _GRACE_S
            timer = Timer(allowed, stop, [allowed])
            timer.start()
        try:
            answer = _converse(process, case, on_round)
            process.wait()
        finally:
            if timer is not None:
                timer.cancel()
            _end(process)
            if process.stdout is not None:
                process.stdout.close()
        said.seek(0)
        last_words = (said.read().strip().splitlines() or [""])[-1][:200]
    if "row" in answer:
        return blank_row(case, "") | answer["row"]
    if answer.get("error") == "wrong_input":
        raise InputError(answer["problems"])
    if "error" in answer:
        return blank_row(case, f"{answer['error']}: {answer['problems'][0]}")
    if overtime:
        return blank_row(case, f"killed: no end after {overtime[0]:g} s")
    if process.returncode < 0:
        return blank_row(case, f"failed: ended by {signal.Signals(-process.returncode).name}")
    return blank_row(case, f"failed: {last_words or f'exit code {process.returncode}'}")


def _converse(
    process: subprocess.Popen[str], case: Case, on_round: Callable[[RoundRecord], None] | None
) -> Row:
    """Tell the process its case and listen; its last word, or nothing if it ended without."""
    assert process.stdin is not None and process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.write(json.dumps(asdict(case)))
        process.stdin.close()
    for line in process.stdout:
        message = json.loads(line)
        if "round" not in message:
            return dict(message)
        if on_round is not None:
            on_round(RoundRecord(**message["round"]))
    return {}


def _end(process: subprocess.Popen[str]) -> None:
    """Leave no process behind: first the one that lets it end its agents, then the one that does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _main() -> None:
    """The other side of `run_apart`."""

    def leave(signum: int, frame: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise SystemExit(128 + signum)

    signal.signal(signal.SIGTERM, leave)
    given = json.load(sys.stdin)
    fleet = SyntheticSpec(**given.pop("fleet"))
    case = Case(fleet=fleet, **{f.name: given[f.name] for f in fields(Case) if f.name != "fleet"})
    # What native libraries print goes to stderr: stdout is for the answers.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        _say(answers, _answer(case, answers))


def _answer(case: Case, answers: IO[str]) -> Row:
    shown_at = -_SHOWN_EVERY_S

    def show(record: RoundRecord) -> None:
        nonlocal shown_at
        if time.monotonic() - shown_at >= _SHOWN_EVERY_S:
            shown_at = time.monotonic()
            _say(answers, {"round": asdict(record)})

    try:
        return {"row": measure(case, show)}
    except InputError as error:
        return {"error": "wrong_input", "problems": error.problems}
    except InfeasibleError as error:
        return {"error": "infeasible", "problems": error.problems}
    except Exception as error:
        # Only now: the fleet's modules would count into the memory of a central run.
        from eglb.coordinator.fleet.fleet import FleetError

        if isinstance(error, FleetError):
            return {"error": "cluster_failed", "problems": [str(error)]}
        raise


def _say(answers: IO[str], message: Row) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


if __name__ == "__main__":
    _main()

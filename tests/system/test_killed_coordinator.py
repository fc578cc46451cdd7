"""The command killed with SIGKILL at random moments, and gone on with by another one."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eglb.planning.running.checkpoint import resume_checkpoint

if TYPE_CHECKING:
    from conftest import Ran, Watched

EVERY = 4
# The real command, which tells of every round.
CHATTY = """
import sys
from eglb.cli import main, progress
progress.LINE_SECONDS = 0.0
sys.exit(main(sys.argv[1:]))
"""


def rounds_told(err: str) -> list[int]:
    return [int(number) for number in re.findall(r"round (\d+)  gap", err)]


def journalled(folder: Path) -> tuple[int, float]:
    """The last round kept, and its gap; nothing may have been torn."""
    with resume_checkpoint(folder) as found:
        assert found.skipped == ()
        return (0, float("inf")) if found.kept is None else (found.kept.round, found.kept.incumbent.gap)


def kill_and_resume(
    watch: Callable[..., Watched],
    tmp_path: Path,
    begin: tuple[object, ...],
    address: str,
    kills: int,
    seed: int,
) -> dict[str, object]:
    """Kill a solve again and again in its rounds, resume it every time, and let it end; what it found."""
    draw = random.Random(seed)
    folder, results = tmp_path / "kept", tmp_path / "results"
    arguments = ("solve", *begin, "--checkpoint", folder, "--checkpoint-every", EVERY)
    gap, reached = float("inf"), 0
    for kill in range(kills):
        command = watch(*arguments, "--address", address, "--out", results, code=CHATTY)
        said = []
        while not (told := rounds_told(line := command.process.stderr.readline())) and line:
            said.append(line)
        assert told, "".join(said)
        time.sleep(draw.uniform(0.0, 0.25))
        command.runs("raylet")  # so that what is left of it is ended with the test
        command.process.kill()
        _, err = command.process.communicate()
        reached = max(rounds_told(err), default=told[0])
        assert not results.exists()
        kept_round, kept_gap = journalled(folder)
        assert reached - kept_round <= EVERY, (kill, reached, kept_round)
        assert kept_gap <= gap * (1 + 1e-9)
        assert told[0] <= kept_round + 1
        gap = kept_gap
        arguments = ("solve", "--resume", folder)
    done = watch(*arguments, "--address", address, "--out", results, "--json")
    out, err = done.process.communicate(timeout=120)
    assert done.process.returncode in (0, 4), err
    found = json.loads(out)
    assert found["gap"] <= gap and json.loads((results / "run.json").read_text())["gap"] == found["gap"]
    rows = [json.loads(line) for line in (results / "rounds.jsonl").read_text().splitlines()]
    assert [row["round"] for row in rows] == list(range(1, found["rounds"] + 1))
    return found


@pytest.mark.parametrize(("algorithm", "gap"), [("admm", 5e-5), ("dual", 5e-5), ("newton", 1e-8)])
def test_killed_at_any_moment_it_loses_a_few_rounds(
    algorithm: str, gap: float, watch: Callable[..., Watched], eglb: Callable[..., Ran], tmp_path: Path
) -> None:
    begin = ("synthetic:30x168", "--algorithm", algorithm, "--gap", gap, "--max-rounds", 150)
    found = kill_and_resume(watch, tmp_path, begin, "inprocess", 3, seed=len(algorithm))
    whole = eglb("solve", *begin, "--address", "inprocess", "--json").json()
    if algorithm != "newton":  # whose agents take with them what they know
        assert found["rounds"] == whole["rounds"]
        assert found["objective"] == pytest.approx(whole["objective"], rel=1e-9)
    assert found["gap"] <= max(gap, whole["gap"] * (1 + 1e-6))


@pytest.mark.cluster
def test_killed_on_ray(watch: Callable[..., Watched], tmp_path: Path) -> None:
    begin = ("synthetic:4x48", "--algorithm", "admm")
    found = kill_and_resume(watch, tmp_path, begin, "local", 2, seed=1)
    assert found["status"] == "converged" and found["gap"] <= 1e-4

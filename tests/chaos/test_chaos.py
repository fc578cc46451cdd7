"""Seeded schedules of lost, late, repeated and wrong messages, of crashes, outages and drains, in process.

    EGLB_CHAOS_RUNS=5000 python -m pytest tests/chaos -n 2     more schedules than CI's
    EGLB_CHAOS_SEED=1783 python -m pytest tests/chaos -s       one, told in full: what a failure says to run

What must hold is in `chaos.model`; what a seed makes of a run, in `chaos.schedules`.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest
from chaos.model import Broken
from chaos.schedules import Played, draw_schedule, play
from support.nightly import rest_long

from eglb.coordinator.fleet.faults import DAMAGE

ONE = os.environ.get("EGLB_CHAOS_SEED")
RUNS = int(os.environ.get("EGLB_CHAOS_RUNS", "500"))
CHUNK = 25
_OTHERS_S = 60.0 + RUNS
"""Seconds for other workers to play what is left, at most."""
CHUNKS = [range(start, min(start + CHUNK, RUNS)) for start in range(0, RUNS, CHUNK)]


def replay(seed: int) -> str:
    return f"EGLB_CHAOS_SEED={seed} python -m pytest tests/chaos -s"


@pytest.fixture(scope="session")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where every chunk leaves what its schedules came across: one folder for all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "chaos"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.skipif(ONE is None, reason="EGLB_CHAOS_SEED names no schedule")
def test_one_schedule() -> None:
    schedule = draw_schedule(int(ONE or 0))
    print(f"\n{schedule}\n{play(schedule)}")


@pytest.mark.skipif(ONE is not None, reason="EGLB_CHAOS_SEED names the one to run")
class TestManySchedules:
    @pytest.mark.parametrize(
        "seeds", rest_long(CHUNKS, always=6), ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}"
    )
    def test_what_is_published_holds(self, seeds: range, ledger: Path) -> None:
        files = open_files()
        broken = []
        happened = Counter[str]()
        for seed in seeds:
            try:
                played = play(draw_schedule(seed))
            except Exception as error:
                what = str(error) if isinstance(error, Broken) else f"{type(error).__name__}: {error}"
                broken.append(f"{what}\n    {replay(seed)}")
                continue
            happened.update(played.counts)
            happened[f"ended {played.ended}"] += 1
        written = ledger / f"{seeds.start}.tmp"
        written.write_text(json.dumps(happened))
        written.rename(written.with_suffix(".json"))
        assert not broken, "\n".join(broken)
        assert open_files() <= files

    @pytest.mark.long
    @pytest.mark.skipif(RUNS < 500, reason="too few to have seen everything")
    def test_everything_that_can_go_wrong_did(self, ledger: Path, request: pytest.FixtureRequest) -> None:
        selected = sum("test_what_is_published_holds" in item.name for item in request.session.items)
        if selected < len(CHUNKS):
            pytest.skip(f"{selected} of {len(CHUNKS)} chunks were selected")
        # A worker plays its tests in order, so that what is missing is being played by the others.
        deadline = time.monotonic() + _OTHERS_S
        while len(left := list(ledger.glob("*.json"))) < len(CHUNKS) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert len(left) == len(CHUNKS), "not all schedules were played"
        happened = sum((Counter(json.loads(path.read_text())) for path in left), Counter[str]())
        print(f"\n{dict(sorted(happened.items()))}")
        faults = {
            "drop",
            "unheard",
            "duplicate",
            "reorder",
            "late",
            "slow",
            "crash",
            "freeze",
            "nodes",
            "silent",
        }
        rejected = {"duplicate", "late", "another round", "fault", "wrong", "unreadable"}
        members = {"lost", "back", "quarantined", "drained", "admitted"}
        ended = {"ended converged", "ended nobody left"}
        assert {*faults, *rejected, *members, *ended, *DAMAGE, "stale", "misdelivered"} <= set(happened)
        assert happened["ended converged"] >= 0.8 * RUNS


def test_the_same_seed_is_the_same_run() -> None:
    def twice(seed: int) -> list[Played]:
        return [play(draw_schedule(seed)) for _ in range(2)]

    for first, second in map(twice, range(0, 50, 7)):
        assert first == second


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))

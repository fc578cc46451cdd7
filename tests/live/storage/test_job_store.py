"""Jobs in the store: what was submitted is there, what became of it too, in SQLite and in PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from eglb.live.storage.job_store import OPEN, Done, Job, JobStore
from eglb.live.storage.store import Store

NOON = np.datetime64("2023-07-01T12:00:00")
HOUR = np.timedelta64(3600, "s")


@pytest.fixture
def store(each_store: Store) -> Store:
    return each_store


@pytest.fixture
def jobs(store: Store) -> JobStore:
    return JobStore(store)


def job(name: str, hours: int = 6, **changes: Any) -> Job:
    given: dict[str, Any] = {
        "name": name,
        "release": NOON,
        "deadline": NOON + hours * HOUR,
        "energy_mwh": 1.0 / 3.0,
        "max_mw": 0.7,
        "min_mw": 0.0,
        "regions": ("a", "b"),
    }
    return Job(**{**given, **changes})


def test_a_job_comes_back_as_it_was_submitted_with_all_of_it_left(jobs: JobStore) -> None:
    asked = [job("train", home="a", checkpoint_cost_mwh=0.1), job("日本 7b", regions=("b",))]
    assert jobs.submit(asked) == (["train", "日本 7b"], [])
    found = jobs.jobs()
    assert [replace(each, left_mwh=0.0) for each in found] == [replace(each, left_mwh=0.0) for each in asked]
    assert all(each.same(other) for each, other in zip(found, asked, strict=True))
    assert [each.left_mwh for each in found] == [1.0 / 3.0] * 2


def test_again_is_no_news_and_another_by_that_name_keeps_all_out(jobs: JobStore) -> None:
    jobs.submit([job("train")])
    jobs.turn([replace(job("train"), state="admitted", left_mwh=0.1)])
    assert jobs.submit([job("train"), job("new")]) == (["new"], [])
    assert jobs.submit([job("train", max_mw=9.0), job("newer")]) == ([], ["train"])
    assert {each.name: (each.state, each.left_mwh) for each in jobs.jobs()} == {
        "train": ("admitted", 0.1),
        "new": ("submitted", 1.0 / 3.0),
    }


def test_they_are_told_by_state_and_name_the_soonest_deadline_first(jobs: JobStore) -> None:
    jobs.submit([job("c", 9), job("b", 3), job("a", 9), job("d", 5)])
    jobs.turn([replace(job("d"), state="refused", why="no room", left_mwh=1.0)])
    assert [each.name for each in jobs.jobs()] == ["b", "d", "a", "c"]
    assert [each.name for each in jobs.jobs(OPEN)] == ["b", "a", "c"]
    assert [each.name for each in jobs.jobs(OPEN, limit=2)] == ["b", "a"]
    assert [(each.name, each.why) for each in jobs.jobs(names=["d", "x"])] == [("d", "no room")]
    assert jobs.jobs(names=[]) == []
    counts = jobs.counts()
    assert (counts["submitted"], counts["refused"], counts["done"]) == (3, 1, 0)


def test_what_was_withdrawn_stays_so(jobs: JobStore) -> None:
    jobs.submit([job("a"), job("b")])
    assert jobs.withdraw("a")
    jobs.turn([replace(job(name), state="done", left_mwh=0.0) for name in "ab"])
    assert {each.name: each.state for each in jobs.jobs()} == {"a": "withdrawn", "b": "done"}
    assert not any(jobs.withdraw(name) for name in ("a", "b", "x"))


def test_work_is_written_over_and_added_up_by_region(jobs: JobStore) -> None:
    done = [Done(NOON + h * HOUR, "j", region, 1.0 + h) for h in range(3) for region in ("a", "b")]
    jobs.save_work(done)
    jobs.save_work([done[0]._replace(mw=5.0), done[0]._replace(job="k")])
    found = jobs.work(NOON, NOON + HOUR)
    assert sorted(found) == sorted([done[0]._replace(mw=5.0), done[1], done[0]._replace(job="k")])
    assert jobs.work_by_region(NOON, NOON + 2 * HOUR) == {"a": 8.0, "b": 3.0}
    assert jobs.work_by_region(NOON + 9 * HOUR, NOON + 10 * HOUR) == {}


def test_they_are_exported_and_forgotten_with_the_rest(store: Store, jobs: JobStore, tmp_path: Path) -> None:
    jobs.submit([job("old", 2), job("new", 8)])
    jobs.save_work([Done(NOON + h * HOUR, "old", "a", 1.0) for h in range(2)])
    store.export(tmp_path / "out")
    rows = pq.read_table(tmp_path / "out" / "jobs.parquet").to_pylist()
    assert [(row["name"], row["regions"]) for row in rows] == [("old", '["a", "b"]'), ("new", '["a", "b"]')]
    assert np.datetime64(rows[0]["deadline"].replace(tzinfo=None)) == NOON + 2 * HOUR
    assert len(pq.read_table(tmp_path / "out" / "work.parquet")) == 2
    gone = store.prune(NOON + 3 * HOUR)
    assert (gone["jobs"], gone["work"]) == (1, 2)
    assert [each.name for each in jobs.jobs()] == ["new"]

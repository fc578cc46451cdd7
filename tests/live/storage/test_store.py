"""The store: what was written is there after a crash, in SQLite and in PostgreSQL."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.postgres_server import PostgresServer

from eglb.live.routing.weights import WeightTable
from eglb.live.storage import schema
from eglb.live.storage.store import Account, Entry, Event, Store, StoreError

NOON = np.datetime64("2023-07-01T12:00:00")
HOUR = np.timedelta64(3600, "s")


@pytest.fixture
def store(each_store: Store) -> Store:
    return each_store


def table(version: int, start: np.datetime64 = NOON) -> WeightTable:
    return WeightTable(
        version=version,
        start=start,
        seconds=3600.0,
        gateways=("east", "west"),
        regions=("a", "b", "c"),
        share=np.array([[0.1, 0.9, 0.0], [1 / 3, 1 / 3, 1 / 3]]),
        demand=np.array([1.0, 0.3]),
        capacity=np.array([1.0, 2.0, 3.0]),
        reach=np.array([[True, True, False], [True, True, True]]),
        source="last plan",
        note="solve took too long",
        unmet=np.array([0.0, 0.1]),
    )


def same(one: WeightTable, other: WeightTable) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(WeightTable))


def test_a_table_comes_back_as_it_was(store: Store) -> None:
    newest = store.last_table()
    first = 1 + (newest.version if newest else 0)
    for version in (first, first + 1):
        store.save_table(table(version))
    found = store.last_table()
    assert found is not None and same(found, table(first + 1))
    assert [each.version for each in store.tables(2)] == [first + 1, first]


def test_values_are_written_over_and_added_up(store: Store) -> None:
    entries = [Entry(NOON + h * HOUR, place, "energy_mwh", 1.0) for h in range(4) for place in ("a", "b")]
    assert store.write("meter", [*entries, entries[0]._replace(value=2.5)]) == 8
    store.write("meter", [entries[1]._replace(value=7.0)])
    store.write("estimate", [entries[0]._replace(value=100.0)])
    assert store.totals("meter", NOON, NOON + 2 * HOUR) == {
        ("a", "energy_mwh"): 3.5,
        ("b", "energy_mwh"): 8.0,
    }
    read = store.read("meter", NOON, NOON + HOUR, "energy_mwh")
    assert read == [Entry(NOON, "a", "energy_mwh", 2.5), Entry(NOON, "b", "energy_mwh", 7.0)]
    with pytest.raises(ValueError, match="'guess' is none of"):
        store.write("guess", entries)


def test_signals_and_events(store: Store) -> None:
    row = {
        "kind": "carbon",
        "region": "a",
        "value": 0.3,
        "unit": "t/MWh",
        "at": NOON - HOUR,
        "source": "grid",
        "fallback": "last value",
        "problem": "timed out",
    }
    store.save_signals(NOON, [row])
    store.save_signals(NOON, [{**row, "value": 0.4}])
    assert store.signals(NOON, NOON + HOUR) == [{**row, "value": 0.4, "slot": NOON}]
    number = store.save_event(Event(NOON, "warning", "drift", "a is off", 1.5, 1.2))
    store.save_event(Event(NOON + HOUR, "info", "plan", "all is well"))
    store.end_event(number, NOON + 2 * HOUR)
    assert [(e.what, e.until) for e in store.events(2)] == [("plan", None), ("drift", NOON + 2 * HOUR)]


def test_old_slots_are_forgotten_but_never_the_newest_table(store: Store) -> None:
    newest = store.last_table()
    first = 1 + (newest.version if newest else 0)
    for v in range(3):
        store.save_table(table(first + v, NOON + v * HOUR))
    store.write("meter", [Entry(NOON + h * HOUR, "a", "energy_mwh", 1.0) for h in range(5)])
    gone = store.prune(NOON + 3 * HOUR)
    assert (gone["tables"] >= 2, gone["series"]) == (True, 3)
    left = store.last_table()
    assert left is not None and left.version == first + 2
    assert len(store.read("meter", NOON, NOON + 9 * HOUR)) == 2


def test_export_holds_every_row(store: Store, tmp_path: Path) -> None:
    store.write("meter", [Entry(NOON + h * HOUR, "a", "energy_mwh", float(h)) for h in range(5)])
    store.save_event(Event(NOON, "info", "plan", "all is well"))
    paths = store.export(tmp_path / "out")
    assert sorted(path.stem for path in paths) == sorted(schema.of_slots)
    rows = pq.read_table(tmp_path / "out" / "series.parquet").to_pylist()
    assert [row["value"] for row in rows] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert np.datetime64(rows[0]["slot"].replace(tzinfo=None)) == NOON


def test_many_threads_write_at_once(store: Store) -> None:
    def write(place: str) -> None:
        for h in range(20):
            store.write("meter", [Entry(NOON + h * HOUR, place, "energy_mwh", 1.0)])

    threads = [threading.Thread(target=write, args=(f"r{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(store.totals("meter", NOON, NOON + 20 * HOUR).values()) == 120.0


_WRITE_UNTIL_KILLED = """
import sys
import numpy as np
from eglb.live.storage.store import Entry, Store
store, noon = Store(sys.argv[1]), np.datetime64("2023-07-01T12:00:00")
for h in range(100000):
    store.write("meter", [Entry(noon + h * np.timedelta64(3600, "s"), p, "energy_mwh", 1.0) for p in "abcd"])
    print(h, flush=True)
"""


def test_a_killed_writer_leaves_whole_writes_and_all_it_had_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITE_UNTIL_KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    for _ in range(50):
        writer.stdout.readline()
    writer.kill()
    acknowledged = 50 + len(writer.stdout.readlines())
    writer.wait()
    writer.stdout.close()
    store = Store(path)
    rows = store.read("meter", NOON, NOON + 100_000 * HOUR)
    assert len(rows) % 4 == 0
    assert acknowledged <= len(rows) / 4 <= acknowledged + 1
    store.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mystery://somewhere", "mystery"),
        ("postgresql://eglb:secret@127.0.0.1:1/none", "connection"),
        ("/nowhere/at/all/store.db", "unable to open"),
    ],
)
def test_what_cannot_be_opened_says_why_and_no_password(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says) as caught:
        Store(url)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, by any means" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store(tmp_path / "notes.txt")


def test_what_postgres_acknowledged_is_there_after_its_crash(postgres: PostgresServer) -> None:
    """Whole writes, and the store goes on when the server is back."""
    store = Store(postgres.database("crashed"))
    acknowledged: list[int] = []

    def entries(hour: int) -> list[Entry]:
        return [Entry(NOON + hour * HOUR, place, "energy_mwh", 1.0) for place in "abcd"]

    def write() -> None:
        for hour in range(100_000):
            try:
                store.write("meter", entries(hour))
            except StoreError:
                return
            acknowledged.append(hour)

    writer = threading.Thread(target=write)
    writer.start()
    while len(acknowledged) < 50:
        threading.Event().wait(0.01)
    postgres.stop(crash=True)
    writer.join(20)
    postgres.start()
    count = len(store.read("meter", NOON, NOON + 100_000 * HOUR))
    assert count % 4 == 0
    assert len(acknowledged) <= count / 4 <= len(acknowledged) + 1
    assert store.write("meter", entries(len(acknowledged) + 1)) == 4
    store.close()


def test_books_add_up_and_say_what_is_not_metered(store: Store) -> None:
    for what, places in (("estimate", "ab"), ("meter", "a"), ("baseline", "ab")):
        factor = {"estimate": 1.0, "meter": 2.0, "baseline": 5.0}[what]
        entries = [Entry(NOON + h * HOUR, p, "energy_mwh", factor) for h in range(4) for p in places]
        store.write(what, entries[:-1] if what == "meter" else entries)
    store.write("meter", [Entry(NOON + 9 * HOUR, "a", "energy_mwh", 1.0)])
    store.write("baseline", [Entry(NOON, "c", "energy_mwh", 1.0)])
    assert store.accounts(NOON, NOON + 20 * HOUR) == [
        Account("a", "energy_mwh", 4, 3, 4.0, 6.0, 7.0, 20.0),
        Account("b", "energy_mwh", 4, 0, 4.0, 0.0, 4.0, 20.0),
    ]
    assert [each.actual for each in store.accounts(NOON + HOUR, NOON + 2 * HOUR)] == [2.0, 1.0]
    assert store.span() == (NOON, NOON + 3 * HOUR)


def test_only_what_is_a_store_is_opened_where_none_is_to_be_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such file"):
        Store(tmp_path / "books.db", create=False)
    assert not any(tmp_path.iterdir())
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE accounts (owner TEXT)")
    with pytest.raises(StoreError, match="no books"):
        Store(tmp_path / "other.db", create=False)
    Store(tmp_path / "books.db").close()
    Store(tmp_path / "books.db", create=False).close()

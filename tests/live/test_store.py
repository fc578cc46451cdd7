"""The store: what was written is there after a crash, in SQLite and in PostgreSQL."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from eglb.live.store import Entry, Event, Store, StoreError
from eglb.live.weights import WeightTable

NOON = np.datetime64("2023-07-01T12:00:00")
HOUR = np.timedelta64(3600, "s")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database of a server started here."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL server is installed")
    folder = tmp_path_factory.mktemp("pg")
    run_as: list[str] = []
    if getpass.getuser() == "root":  # which it refuses to run as
        shutil.chown(folder, "postgres")
        for parent in folder.parents:
            if parent.stat().st_uid == os.getuid() and parent != Path("/tmp"):
                parent.chmod(parent.stat().st_mode | 0o111)
        run_as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    data = folder / "data"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(
        [*run_as, str(found[-1]), "-D", str(data), "-A", "trust", "-U", "eglb", "--no-sync"],
        check=True,
        **quiet,
    )
    server = subprocess.Popen(
        [*run_as, str(found[-1].with_name("postgres")), "-D", str(data), "-k", str(folder), "-h", "", "-F"],
        **quiet,
    )
    try:
        ready = [
            str(found[-1].with_name("pg_isready")),
            "-h",
            str(folder),
            "-t",
            "20",
            "-U",
            "eglb",
            "-d",
            "postgres",
        ]
        for _ in range(200):
            if subprocess.run(ready, check=False, **quiet).returncode == 0:
                break
            threading.Event().wait(0.05)
        yield f"postgresql://eglb@/postgres?host={folder}"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "postgres":
        made = Store(request.getfixturevalue("postgres"))
        made.prune(np.datetime64("2100-01-01T00:00:00"))
    else:
        made = Store(tmp_path / "store.db")
    yield made
    made.close()


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
    assert sorted(path.stem for path in paths) == ["events", "series", "signals", "tables"]
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
from eglb.live.store import Entry, Store
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

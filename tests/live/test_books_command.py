"""``eglb books``: what a service has kept, shown, exported and forgotten."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.postgres_server import PostgresServer

from eglb.live.accounting.statement import Statement, describe
from eglb.live.service import Wanted, open_service
from eglb.live.storage.job_store import Done, Job, JobStore
from eglb.live.storage.store import Event, Store
from eglb.scenarios.catalog import load

FLEET = "synthetic:4x24,seed=2"
SLOTS, PERIOD = 14, 6
Command = Callable[..., Any]


def served(url: str | Path) -> dict[str, Any]:
    """Two periods and a bit of FLEET in a new store; what the service says of it."""
    store = Store(url)
    wanted = Wanted(slots=SLOTS, period=str(PERIOD), speed=math.inf)
    with open_service(load(FLEET), wanted, store) as service:
        service.controller.run()
        found = service.summary()
    store.close()
    return found


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("books") / "books.db"
    return path, served(path)


@pytest.fixture
def books(kept: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A copy to change."""
    path = tmp_path / "books.db"
    with closing(sqlite3.connect(kept[0])) as database:
        database.execute("VACUUM INTO ?", (str(path),))
    return path


def check(found: dict[str, Any], summary: dict[str, Any]) -> None:
    """Statement are what the service says that serving has cost."""
    assert [each["slots"] for each in found["periods"]] == [6, 6, 2]
    assert [each["slots_metered"] for each in found["periods"]] == [6, 6, 2]
    assert sum(each["cost_usd"] for each in found["periods"]) == pytest.approx(summary["energy_cost_usd"])
    assert set(summary["footprints"]) == set(found["units"])
    for kind, figures in summary["footprints"].items():
        assert found["units"][kind] == figures["unit"]
        totals = [each["footprints"][kind]["total"] for each in found["periods"]]
        assert sum(totals) == pytest.approx(figures["total"])
        by_region = [[r["footprints"][kind]["actual"] for r in p["regions"]] for p in found["periods"]]
        assert np.sum(by_region, axis=0).max() == pytest.approx(figures["max"])
    # Of the last run alone the service says how many; some slots are planned again.
    assert set(found["tables"]) == set(summary["tables"]) == {"plan"}
    assert found["tables"]["plan"] >= SLOTS >= summary["tables"]["plan"]


def test_show_adds_up_to_what_the_service_says(eglb: Command, kept: tuple[Path, dict[str, Any]]) -> None:
    path, summary = kept
    done = eglb("books", "show", str(path), "--json")
    found = done.json()
    check(found, summary)
    assert found["alerts"] == []
    shown = eglb("books", "show", str(path)).out
    assert all(name in shown for name in load(FLEET).regions)
    assert f"{found['periods'][-1]['cost_usd']:,.2f}" in shown


def test_show_says_whose_meters_are_missing_and_which_alerts_hold(
    eglb: Command, books: Path, kept: tuple[Path, dict[str, Any]]
) -> None:
    fleet = load(FLEET)
    with closing(sqlite3.connect(books)) as database:
        lost = (fleet.regions[2], int(fleet.times[PERIOD + 2].astype("datetime64[s]").astype(int)))
        database.execute("DELETE FROM series WHERE what = 'meter' AND place = ? AND slot >= ?", lost)
        database.commit()
    store = Store(books)
    store.save_event(Event(fleet.times[1], "warning", "drift", "it is off", 1.5, 0.15))
    store.close()
    found = eglb("books", "show", str(books), "--json").json()
    assert [(each["slots"], each["slots_metered"]) for each in found["periods"]] == [(6, 6), (6, 2), (2, 0)]
    missing = [each["slots"] - each["slots_metered"] for each in found["periods"][1]["regions"]]
    assert missing == [0, 0, 4, 0]
    # Estimates, which are right here, stand in.
    before = eglb("books", "show", str(kept[0]), "--json").json()["periods"][1]["footprints"]
    for kind, figures in found["periods"][1]["footprints"].items():
        assert figures["total"] == pytest.approx(before[kind]["total"])
    assert [each["text"] for each in found["alerts"]] == ["it is off"]
    assert "warning since" in eglb("books", "show", str(books)).out


def test_show_tells_of_jobs_where_there_were_any(
    eglb: Command, books: Path, kept: tuple[Path, dict[str, Any]]
) -> None:
    fleet, store = load(FLEET), Store(books)
    jobs = JobStore(store)
    one = Job("a", fleet.times[0], fleet.times[9], 4.0, 2.0, 0.0, fleet.regions)
    jobs.submit([one, replace(one, name="b")])
    jobs.turn([replace(one, state="done", left_mwh=0.0)])
    regions = fleet.regions[1:3]
    jobs.save_work([Done(fleet.times[PERIOD - 1 + h], "a", regions[h % 2], 1.0 + h) for h in range(3)])
    store.close()
    found = eglb("books", "show", str(books), "--json").json()
    assert {state: count for state, count in found["jobs"].items() if count} == {"submitted": 1, "done": 1}
    work = [{each["name"]: each["work_mwh"] for each in period["regions"]} for period in found["periods"]]
    hours = fleet.slot_hours
    assert [each[regions[0]] for each in work] == [1.0 * hours, 3.0 * hours, 0.0]
    assert [each[regions[1]] for each in work] == [0.0, 2.0 * hours, 0.0]
    assert [each["work_mwh"] for each in found["periods"]] == [1.0 * hours, 5.0 * hours, 0.0]
    shown = eglb("books", "show", str(books)).out
    assert "jobs: 1 submitted, 1 done" in shown
    assert "work, IT" in shown  # the unit is on the next line where there is little room
    never = eglb("books", "show", str(kept[0])).out
    assert "jobs" not in never and "work" not in never


def test_export_is_whole_or_absent(eglb: Command, books: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert eglb("books", "export", str(books), str(folder)).code == 0
    rows = pq.read_table(folder / "series.parquet").to_pylist()
    energy = [r["value"] for r in rows if (r["what"], r["quantity"]) == ("meter", "energy_mwh")]
    assert len(energy) == SLOTS * len(load(FLEET).regions)
    assert len(pq.read_table(folder / "tables.parquet")["slot"].unique()) == SLOTS
    again = eglb("books", "export", str(books), str(folder))
    assert again.code == 2 and "not empty" in again.err
    gone = eglb("books", "export", str(tmp_path / "none.db"), str(tmp_path / "other"))
    assert gone.code == 2 and not (tmp_path / "other").exists()
    assert {path.name for path in tmp_path.iterdir() if "partial" in path.name} == set()


def test_prune_says_what_went_and_spares_the_newest_period(eglb: Command, books: Path) -> None:
    times = load(FLEET).times
    refused = eglb("books", "prune", str(books), "--before", f"{times[2 * PERIOD + 1]}")
    assert refused.code == 2
    assert f"{times[2 * PERIOD]}" in refused.err
    store = Store(books)
    before = sum(table.start < times[PERIOD] for table in store.tables(1000))
    store.close()
    done = eglb("books", "prune", str(books), "--before", f"{times[PERIOD]}Z", "--json").json()
    assert done["rows"]["tables"] == before >= PERIOD
    found = eglb("books", "show", str(books), "--json").json()
    assert [each["slots"] for each in found["periods"]] == [6, 2]
    kept = eglb("books", "prune", str(books), "--keep", "30")
    assert kept.code == 0 and "0 series, 0 tables" in kept.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["show", "none.db"], "no such file"),
        (["show", "text.db"], "not a database"),
        (["show", "empty.db"], "no service has kept books"),
        (["prune", "empty.db", "--keep", "1"], "no service has kept books"),
        (["prune", "empty.db"], "one of --before and --keep"),
        (["prune", "empty.db", "--keep", "1", "--before", "2023-01-01"], "one of --before and --keep"),
        (["prune", "empty.db", "--before", "yesterday"], "no UTC time"),
        (["prune", "empty.db", "--keep", "0"], "0 is not in the range"),
        (["show", "postgresql://eglb:secret@127.0.0.1:1/none"], "connection"),
    ],
)
def test_what_can_be_wrong(eglb: Command, tmp_path: Path, words: list[str], says: str) -> None:
    Store(tmp_path / "empty.db").close()
    (tmp_path / "text.db").write_text("not a database, by any means" * 100)
    if words[1].endswith(".db"):
        words = [words[0], str(tmp_path / words[1]), *words[2:]]
    done = eglb("books", *words)
    assert done.code == 2
    assert says in done.err and "Traceback" not in done.err and "secret" not in done.err


def test_a_service_keeps_its_books_in_postgres(postgres: PostgresServer) -> None:
    """And goes on with them when it is started again."""
    url = postgres.database("live")
    half = Wanted(slots=SLOTS, period=str(PERIOD), speed=math.inf)
    store = Store(url)
    with open_service(load(FLEET), half, store, on_slot=lambda served: stop(served.slot)) as service:

        def stop(slot: int) -> None:
            if slot == 7:
                service.controller.stop()

        service.controller.run()
    assert {each["slots"] for each in describe(store)["periods"]} == {6, 1}
    store.close()
    summary = served(url)
    store = Store(url, create=False)
    check(describe(store), summary)
    assert Statement.of(store).scenario == load(FLEET).name
    store.close()


def test_a_service_forgets_and_raises_alerts_as_it_is_told(eglb: Command, tmp_path: Path) -> None:
    fleet, path = "synthetic:4x72,seed=2", tmp_path / "books.db"
    (tmp_path / "events.toml").write_text(
        f'[[event]]\nwhat = "wrong-estimate"\nregion = "{load(fleet).regions[1]}"\nfactor = 1.5\nat = 0\n'
    )
    words = ["--speed", "inf", "--period", "24", "--address", "inprocess", "--listen", "127.0.0.1:0"]
    kept = ["--store", path, "--keep", 1, "--alert", "drift=0.3", "--rehearse", tmp_path / "events.toml"]
    served = eglb("serve", fleet, *words, *kept)
    assert served.code == 0, served.err
    found = eglb("books", "show", str(path), "--json").json()
    assert [each["first_utc"] for each in found["periods"]] == [f"{load(fleet).times[48]}Z"]
    assert {each["what"].split()[0] for each in found["alerts"]} >= {"drift"}
    refused = eglb("serve", fleet, *words, "--alert", "drift=none")
    assert refused.code == 2 and "not a number above 0" in refused.err

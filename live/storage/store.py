"""Store: all that a service must know after a crash; tables, meters, estimates, signals, events.

One SQLite file by default (write-ahead log, every commit synced), PostgreSQL by URL. Everything is keyed by
slot and written again without harm, so whoever is not sure whether a write arrived repeats it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite

from eglb.live.routing.weights import WeightTable
from eglb.live.storage import schema

NOTE = "service"
"""That of what the service is, and of its clock."""
_SERIES = ("meter", "estimate", "baseline", "served")
_BATCH = 5000
_WAIT_S = 5


class StoreError(Exception):
    """The store cannot be opened, read or written; says which and why, without a password."""


class NoBooks(Exception):
    """This service keeps no books, so that there is nowhere to write to."""


class Entry(NamedTuple):
    """One value of a series: what a `place`, region or gateway, did in a slot.

    `quantity` such as ``energy_mwh``, ``load_mw``, ``demand_mw``, ``latency_ms``, ``cost_usd`` or
    ``footprint:water``.
    """

    slot: np.datetime64
    place: str
    quantity: str
    value: float


class Account(NamedTuple):
    """What the slots of a span come to for one quantity of one place.

    `slots` have been accounted for by estimate, `metered_slots` of them have been metered. `actual` counts
    the meter where it has spoken, else the estimate; `baseline` is NaN where none is known.
    """

    place: str
    quantity: str
    slots: int
    metered_slots: int
    estimated: float
    metered: float
    actual: float
    baseline: float


@dataclass(frozen=True)
class Event:
    """Something an operator may want to know; an alert has an `until` once it is over."""

    at: np.datetime64
    level: str
    what: str
    text: str
    value: float | None = None
    threshold: float | None = None
    until: np.datetime64 | None = None


class Store:
    """The database of one service; any thread may call it.

    Parameters
    ----------
    url : a path of a SQLite file, made if it does not exist, or a URL: ``sqlite:///FILE``,
        ``postgresql://USER@HOST/NAME``.
    create : make what does not exist yet; else it must be a store already.

    Raises
    ------
    StoreError : it cannot be opened, or is not a store.
    """

    def __init__(self, url: str | Path, create: bool = True) -> None:
        text = str(url)
        if "://" not in text:
            text = f"sqlite:///{text}"
        text = text.replace("postgresql://", "postgresql+psycopg://", 1)
        try:
            self._url = sql.make_url(text)
            options: dict[str, Any] = {}
            if self._url.get_backend_name() == "sqlite":
                options = {"connect_args": {"timeout": _WAIT_S, "check_same_thread": False}}
            else:
                options = {"pool_pre_ping": True, "connect_args": {"connect_timeout": _WAIT_S}}
            self._engine = sql.create_engine(self._url, **options)
        except (sql.exc.ArgumentError, sql.exc.NoSuchModuleError, ModuleNotFoundError) as error:
            raise StoreError(f"store {text.split('@')[-1]}: {error}") from None
        if self._engine.dialect.name == "sqlite":
            sql.event.listen(self._engine, "connect", _set_up_sqlite)
        if not create:
            self._require()
        # SQLite has one writer; waiting here is fair, waiting in SQLite is not.
        self._writing = threading.Lock()
        with self._caught(), self._engine.begin() as connection:
            schema.meta.create_all(connection)

    @property
    def name(self) -> str:
        """Where it is, without a password."""
        return self._url.render_as_string(hide_password=True)

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def write(self, what: str, entries: Iterable[Entry]) -> int:
        """Write values of a series, over what was there: ``meter``, ``estimate``, ``baseline`` or ``served``;
        how many.
        """
        if what not in _SERIES:
            raise ValueError(f"{what!r} is none of {', '.join(_SERIES)}")
        rows = {
            (slot, each.place, each.quantity): {
                "what": what,
                "slot": slot,
                "place": each.place,
                "quantity": each.quantity,
                "value": float(each.value),
            }
            for each in entries
            for slot in [to_seconds(each.slot)]
        }
        self.upsert(schema.series, list(rows.values()))
        return len(rows)

    def read(
        self, what: str, since: np.datetime64, until: np.datetime64, quantity: str | None = None
    ) -> list[Entry]:
        """Values of the slots from `since` on and before `until`, in the order of slots."""
        s = schema.series.c
        query = (
            sql.select(s.slot, s.place, s.quantity, s.value)
            .where(s.what == what, s.slot >= to_seconds(since), s.slot < to_seconds(until))
            .order_by(s.slot, s.place, s.quantity)
        )
        if quantity is not None:
            query = query.where(s.quantity == quantity)
        return [Entry(from_seconds(slot), place, q, value) for slot, place, q, value in self.rows(query)]

    def totals(self, what: str, since: np.datetime64, until: np.datetime64) -> dict[tuple[str, str], float]:
        """Sums over these slots, by place and quantity."""
        s = schema.series.c
        query = (
            sql.select(s.place, s.quantity, sql.func.sum(s.value))
            .where(s.what == what, s.slot >= to_seconds(since), s.slot < to_seconds(until))
            .group_by(s.place, s.quantity)
        )
        return {(place, quantity): float(value) for place, quantity, value in self.rows(query)}

    def accounts(self, since: np.datetime64, until: np.datetime64) -> list[Account]:
        """What was estimated of these slots and what meters say of them, by place and quantity."""
        estimate, meter, baseline = (schema.series.alias(what) for what in ("estimate", "meter", "baseline"))

        def beside(other: Any) -> Any:
            same = [other.c[name] == estimate.c[name] for name in ("slot", "place", "quantity")]
            return sql.and_(other.c.what == other.name, *same)

        e, m, b = estimate.c, meter.c, baseline.c
        add, count = sql.func.sum, sql.func.count
        query = (
            sql.select(
                e.place,
                e.quantity,
                count(),
                count(m.value),
                add(e.value),
                sql.func.coalesce(add(m.value), 0.0),
                add(sql.func.coalesce(m.value, e.value)),
                add(b.value),
            )
            .select_from(estimate.outerjoin(meter, beside(meter)).outerjoin(baseline, beside(baseline)))
            .where(e.what == "estimate", e.slot >= to_seconds(since), e.slot < to_seconds(until))
            .group_by(e.place, e.quantity)
            .order_by(e.place, e.quantity)
        )
        rows = self.rows(query)
        return [Account._make(np.nan if each is None else each for each in row) for row in rows]

    def span(self) -> tuple[np.datetime64, np.datetime64] | None:
        """The first and the last slot that is accounted for by estimate; None if none is."""
        s = schema.series.c
        query = sql.select(sql.func.min(s.slot), sql.func.max(s.slot)).where(s.what == "estimate")
        first, last = self.rows(query)[0]
        return None if first is None else (from_seconds(first), from_seconds(last))

    def save_table(self, table: WeightTable) -> None:
        """Keep a table that is about to be published."""
        body = {
            "seconds": table.seconds,
            "gateways": table.gateways,
            "regions": table.regions,
            "unmet": None if table.unmet is None else table.unmet.tolist(),
            "jobs": table.jobs,
            "work": None if table.work is None else table.work.tolist(),
            "ahead": None if table.ahead is None else table.ahead.tolist(),
            **{name: getattr(table, name).tolist() for name in ("share", "demand", "capacity", "reach")},
        }
        row = {
            "version": table.version,
            "slot": to_seconds(table.start),
            "source": table.source,
            "note": table.note,
            "body": json.dumps(body),
        }
        self.upsert(schema.tables, [row])

    def last_table(self) -> WeightTable | None:
        """The newest one; None in a new store."""
        for table in self.tables(limit=1):
            return table
        return None

    def tables(self, limit: int = 100) -> list[WeightTable]:
        """The newest ones, the newest first."""
        t = schema.tables.c
        query = (
            sql.select(t.version, t.slot, t.source, t.note, t.body).order_by(t.version.desc()).limit(limit)
        )
        found = []
        for version, slot, source, note, text in self.rows(query):
            body = json.loads(text)
            found.append(
                WeightTable(
                    version=version,
                    start=from_seconds(slot),
                    seconds=body["seconds"],
                    gateways=tuple(body["gateways"]),
                    regions=tuple(body["regions"]),
                    share=np.array(body["share"], float),
                    demand=np.array(body["demand"], float),
                    capacity=np.array(body["capacity"], float),
                    reach=np.array(body["reach"], bool),
                    source=source,
                    note=note,
                    unmet=None if body["unmet"] is None else np.array(body["unmet"], float),
                    jobs=tuple(body.get("jobs", ())),
                    work=None if body.get("work") is None else np.array(body["work"], float),
                    ahead=None if body.get("ahead") is None else np.array(body["ahead"], float),
                )
            )
        return found

    def tables_by_source(self) -> dict[str, int]:
        """How many there are, by where they come from."""
        source = schema.tables.c.source
        query = sql.select(source, sql.func.count()).group_by(source).order_by(source)
        return {row[0]: row[1] for row in self.rows(query)}

    def units(self) -> dict[str, str]:
        """Units of signals, by kind."""
        s = schema.signals.c
        return {row[0]: row[1] for row in self.rows(sql.select(s.kind, s.unit).distinct())}

    def save_note(self, name: str, text: str) -> None:
        """Keep something about the service itself, over what was there."""
        self.upsert(schema.notes, [{"name": name, "text": text}])

    def note(self, name: str) -> str | None:
        """What was kept by this name; None if nothing."""
        found = self.rows(sql.select(schema.notes.c.text).where(schema.notes.c.name == name))
        return found[0][0] if found else None

    def save_signals(self, slot: np.datetime64, readings: Iterable[dict[str, Any]]) -> None:
        """Keep what was read for a slot: kind, region, value, unit, at, source, fallback and problem each."""
        seconds = to_seconds(slot)
        self.upsert(
            schema.signals,
            [
                {**row, "slot": seconds, "value": float(row["value"]), "at": to_seconds(row["at"])}
                for row in readings
            ],
        )

    def signals(self, since: np.datetime64, until: np.datetime64) -> list[dict[str, Any]]:
        """What was read for these slots."""
        s = schema.signals.c
        query = (
            sql.select(schema.signals)
            .where(s.slot >= to_seconds(since), s.slot < to_seconds(until))
            .order_by(s.slot, s.kind, s.region)
        )
        return [
            {**row._mapping, "slot": from_seconds(row.slot), "at": from_seconds(row.at)}
            for row in self.rows(query)
        ]

    def save_event(self, event: Event) -> int:
        """Keep an event; its number, for `end_event`."""
        row = {
            "at": to_seconds(event.at),
            "level": event.level,
            "what": event.what,
            "text": event.text,
            "value": event.value,
            "threshold": event.threshold,
            "until": None if event.until is None else to_seconds(event.until),
        }
        with self._caught(), self._writing, self._engine.begin() as connection:
            key = connection.execute(sql.insert(schema.events).values(row)).inserted_primary_key
            assert key is not None
            return int(key[0])

    def end_event(self, number: int, until: np.datetime64) -> None:
        """An alert is over."""
        with self._caught(), self._writing, self._engine.begin() as connection:
            connection.execute(
                sql.update(schema.events).where(schema.events.c.id == number).values(until=to_seconds(until))
            )

    def events(self, limit: int = 100) -> list[Event]:
        """The newest, the newest first."""
        e = schema.events.c
        query = sql.select(schema.events).order_by(e.at.desc(), e.id.desc()).limit(limit)
        return [_event(row) for row in self.rows(query)]

    def open_alerts(self) -> dict[int, Event]:
        """Alerts that are not over, by number."""
        e = schema.events.c
        query = sql.select(schema.events).where(e.threshold.is_not(None), e.until.is_(None)).order_by(e.id)
        return {row.id: _event(row) for row in self.rows(query)}

    def prune(self, before: np.datetime64) -> dict[str, int]:
        """Forget slots and events before a time; how many rows of what. The newest table stays."""
        seconds, gone = to_seconds(before), {}
        with self._caught(), self._writing, self._engine.begin() as connection:
            newest = sql.select(sql.func.max(schema.tables.c.version)).scalar_subquery()
            for name, column in schema.of_slots.items():
                old = sql.delete(schema.meta.tables[name]).where(column < seconds)
                if name == "tables":
                    old = old.where(schema.tables.c.version < newest)
                gone[name] = connection.execute(old).rowcount
        return gone

    def export(self, folder: Path) -> list[Path]:
        """Write every table of the database as a Parquet file; which.

        Raises
        ------
        StoreError : the folder cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        written = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, column in schema.of_slots.items():
                table = schema.meta.tables[name]
                path = folder / f"{name}.parquet"
                columns = pa.schema([(each.name, _arrow_type(pa, each)) for each in table.columns])
                with pq.ParquetWriter(path, columns) as writer:
                    for rows in self._batches(sql.select(table).order_by(column)):
                        listed = [{**row._mapping} for row in rows]
                        writer.write_table(pa.Table.from_pylist(listed, columns))
                written.append(path)
        except OSError as error:
            raise StoreError(f"export to {folder}: {error}") from None
        return written

    def _require(self) -> None:
        path = self._url.database
        if self._engine.dialect.name == "sqlite" and not (path and Path(path).is_file()):
            raise StoreError(f"store {self.name}: there is no such file")
        with self._caught():
            known = sql.inspect(self._engine).get_table_names()
        if schema.series.name not in known:
            raise StoreError(f"store {self.name}: there are no books in it")

    def upsert(self, table: sql.Table, rows: Sequence[dict[str, Any]]) -> None:
        """Write rows, over those with the same key."""
        insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[self._engine.dialect.name]
        keys = [column.name for column in table.primary_key]
        with self._caught(), self._writing, self._engine.begin() as connection:
            for start in range(0, len(rows), _BATCH):
                statement = insert(table)
                kept = {
                    column.name: statement.excluded[column.name]
                    for column in table.columns
                    if column.name not in keys
                }
                connection.execute(
                    statement.on_conflict_do_update(index_elements=keys, set_=kept),
                    rows[start : start + _BATCH],
                )

    def rows(self, query: Any) -> Sequence[Any]:
        """All that a query finds."""
        with self._caught(), self._engine.connect() as connection:
            return connection.execute(query).all()

    def execute(self, statement: Any, rows: Sequence[dict[str, Any]] | None = None) -> int:
        """Change something, once or for each of the rows; how many rows of the database it concerned."""
        with self._caught(), self._writing, self._engine.begin() as connection:
            return int(connection.execute(statement, rows).rowcount)

    def _batches(self, query: Any) -> Iterator[Sequence[Any]]:
        with self._caught(), self._engine.connect() as connection:
            result = connection.execution_options(yield_per=_BATCH).execute(query)
            yield from result.partitions()

    @contextmanager
    def _caught(self) -> Iterator[None]:
        try:
            yield
        except sql.exc.SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise StoreError(f"store {self.name}: {reason}") from None


def _event(row: Any) -> Event:
    until = None if row.until is None else from_seconds(row.until)
    return Event(from_seconds(row.at), row.level, row.what, row.text, row.value, row.threshold, until)


def _set_up_sqlite(connection: Any, _: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _arrow_type(pa: Any, column: sql.Column[Any]) -> Any:
    if column.name in schema.TIMES:
        return pa.timestamp("s", tz="UTC")
    if isinstance(column.type, sql.Double):
        return pa.float64()
    return pa.int64() if isinstance(column.type, sql.Integer) else pa.string()


def to_seconds(time: np.datetime64) -> int:
    """How the database counts time: since 1970, UTC."""
    return int(time.astype("datetime64[s]").astype(np.int64))


def from_seconds(seconds: int) -> np.datetime64:
    """The time that `to_seconds` counts so."""
    return np.datetime64(seconds, "s")

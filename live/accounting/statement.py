"""Statements: what the books come to, period by period, and which of their rows may be pruned.

Figures are metered where meters have spoken, else as estimated, and not region-weighted.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from eglb.foundation.errors import InputError
from eglb.live.accounting.periods import Periods
from eglb.live.storage.job_store import JobStore
from eglb.live.storage.store import NOTE, Account, Store, StoreError

_KIND, _PER_MWH = "footprint:", "/MWh"


@dataclass(frozen=True)
class Statement:
    """Whose they are, and how they are divided."""

    scenario: str
    regions: tuple[str, ...]
    kinds: tuple[str, ...]
    periods: Periods

    @classmethod
    def of(cls, store: Store) -> Statement:
        """Those in `store`.

        Raises
        ------
        StoreError : no service has begun to keep any there.
        """
        note = store.note(NOTE)
        if note is None:
            raise StoreError(f"store {store.name}: no service has kept books in it")
        told = json.loads(note)
        fleet = told["fleet"]
        first, seconds = np.datetime64(told["first"]), fleet["slot_hours"] * 3600.0
        periods = Periods(first, seconds, told["period"], told["slots"])
        return cls(told["scenario"], tuple(fleet["regions"]), tuple(fleet["footprints"]), periods)


def describe(store: Store) -> dict[str, Any]:
    """The object that ``eglb books show --json`` prints.

    Raises
    ------
    StoreError : it cannot be read, or no service has kept books in it.
    """
    books, units = Statement.of(store), store.units()
    span, periods, jobs = store.span(), books.periods, JobStore(store)
    hours = periods.slot_seconds / 3600.0
    spans: list[tuple[int, int]] = []
    if span is not None:
        first, last = (periods.slot_at(time) for time in span)
        last = min(last, periods.slots - 1) if periods.slots is not None else last
        while first <= last:
            spans.append((first, min(periods.of(first)[1], last)))
            first = spans[-1][1] + 1
    found, regions = [], []
    for first, last in spans:
        since, until = periods.time(first), periods.time(last + 1)
        accounts, work = _by_region(store.accounts(since, until)), jobs.work_by_region(since, until)
        regions = [
            {**_region(name, accounts[name], books.kinds), "work_mwh": work.get(name, 0.0) * hours}
            for name in books.regions
            if accounts[name]
        ]
        found.append(
            {
                "first_utc": f"{periods.time(first)}Z",
                "last_utc": f"{periods.time(last)}Z",
                "slots": max(each["slots"] for each in regions),
                "slots_metered": min(each["slots_metered"] for each in regions),
                "energy_mwh": sum(each["energy_mwh"] for each in regions),
                "cost_usd": sum(each["cost_usd"] for each in regions),
                "work_mwh": sum(each["work_mwh"] for each in regions),
                "footprints": {kind: _whole(kind, regions) for kind in books.kinds},
                "regions": regions,
            }
        )
    return {
        "status": "ok",
        "store": store.name,
        "scenario": books.scenario,
        "period": periods.length,
        "slot_seconds": periods.slot_seconds,
        "units": {kind: units[kind].removesuffix(_PER_MWH) for kind in books.kinds if kind in units},
        "periods": found,
        "tables": store.tables_by_source(),
        "jobs": jobs.counts(),
        "alerts": [
            {"since_utc": f"{each.at}Z", "level": each.level, "what": each.what, "text": each.text}
            for each in store.open_alerts().values()
        ],
    }


def forget(store: Store, before: np.datetime64 | None = None, keep_days: int | None = None) -> dict[str, Any]:
    """Forget slots and events before a time, or but for the last days up to the newest slot; what went.

    Raises
    ------
    InputError : they belong to the newest accounting period, whose books a service goes on with.
    StoreError : it cannot be read or written, or no service has kept books in it.
    """
    books = Statement.of(store)
    newest = store.last_table()
    if newest is None:
        raise StoreError(f"store {store.name}: there is no table in it yet")
    if before is None:
        assert keep_days is not None
        before = newest.start - np.timedelta64(keep_days, "D")
    opened = books.periods.time(books.periods.of(books.periods.slot_at(newest.start))[0])
    if before > opened:
        raise InputError(f"{before}Z: the accounting period since {opened}Z is still needed; not after that")
    return {"status": "ok", "store": store.name, "before_utc": f"{before}Z", "rows": store.prune(before)}


def _by_region(accounts: Iterable[Account]) -> dict[str, dict[str, Account]]:
    found: dict[str, dict[str, Account]] = defaultdict(dict)
    for each in accounts:
        found[each.place][each.quantity] = each
    return found


def _region(name: str, accounts: dict[str, Account], kinds: tuple[str, ...]) -> dict[str, Any]:
    footprints = {kind: accounts[_KIND + kind] for kind in kinds}
    return {
        "name": name,
        "slots": accounts["energy_mwh"].slots,
        "slots_metered": min(
            (each.metered_slots for each in footprints.values()), default=accounts["energy_mwh"].metered_slots
        ),
        "energy_mwh": accounts["energy_mwh"].actual,
        "cost_usd": accounts["cost_usd"].actual,
        "footprints": {
            kind: {
                "actual": each.actual,
                "estimated": each.estimated,
                "metered": each.metered,
                "baseline": each.baseline if np.isfinite(each.baseline) else None,
            }
            for kind, each in footprints.items()
        },
    }


def _whole(kind: str, regions: list[dict[str, Any]]) -> dict[str, Any]:
    figures = {each["name"]: each["footprints"][kind] for each in regions}
    worst = max(figures, key=lambda name: figures[name]["actual"])
    nearest = [each["baseline"] for each in figures.values() if each["baseline"] is not None]
    return {
        "total": sum(each["actual"] for each in figures.values()),
        "worst_region": worst,
        "worst": figures[worst]["actual"],
        "baseline_worst": max(nearest, default=None),
    }

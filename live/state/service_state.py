"""Service state: tables, health, books and status; the controller publishes it and the API serves it."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.numbers import plain
from eglb.live.routing.router import Router, UnknownName
from eglb.live.routing.weights import WeightTable
from eglb.live.state.job_requests import JobRequests, work_rows
from eglb.live.state.metrics import LiveMetrics, Watch
from eglb.live.storage.store import Entry, Event, NoBooks, Store
from eglb.scenarios.scenario import Scenario

_SECOND = np.timedelta64(1, "s")
_REPORTS = "reports"
"""Note of the store: regions that were reported down, and why."""


class Timekeeper(Protocol):
    """The time of the service, UTC, which may run `speed` times as fast as ours."""

    speed: float

    def now(self) -> np.datetime64: ...


class ServiceState:
    """Of one service; any thread may call it.

    Parameters
    ----------
    scenario : for names, places and units. store, monitor : None where no books are kept.
    """

    def __init__(
        self,
        scenario: Scenario,
        router: Router,
        clock: Timekeeper,
        store: Store | None = None,
        monitor: Watch | None = None,
    ) -> None:
        self.scenario, self.router, self.clock = scenario, router, clock
        self.store, self.monitor = store, monitor
        self._watchers: set[Callable[[], None]] = set()
        self.kinds = tuple(kind.name for kind in scenario.footprints)
        self._lock, self._reporting = threading.Lock(), threading.Lock()
        self._shown: dict[str, Any] = {}
        # Clock and store may be replaced, hence asked for.
        now, books = (lambda: self.clock.now()), (lambda: self.store)
        self.jobs = JobRequests(scenario.regions, router, books, now, self.slots, self.tell)
        self.metrics = None if monitor is None else self._metrics(monitor)
        self.recall()

    @property
    def shown(self) -> dict[str, Any]:
        """What `show` was given, newest each."""
        return self._shown

    def show(self, **sections: Any) -> None:
        """Replace what the controller knows best: top-level sections of `state`, each whole.

        ``regions`` and ``gateways`` are by name, and add to what is known of each; so do other mappings.
        """
        with self._lock:
            self._shown = {**self._shown, **sections}
        self.tell()

    @contextmanager
    def watched(self, tell: Callable[[], None]) -> Iterator[None]:
        """`tell` is called, in the thread that does it, when something is shown or reported."""
        self._watchers.add(tell)
        try:
            yield
        finally:
            self._watchers.discard(tell)

    def recall(self) -> None:
        """Know again what was reported of regions, as the store does.

        Raises
        ------
        StoreError : it cannot be read.
        """
        kept = None if self.store is None else self.store.note(_REPORTS)
        down = {} if kept is None else json.loads(kept)
        for region in self.router.regions:
            self.router.mark(region, region not in down, down.get(region, ""), by="report")

    def ready(self) -> tuple[bool, list[str]]:
        """Whether requests are routed as they should be, and what is wrong; that nobody plans at the moment
        is wrong, but the table in force still counts.
        """
        view = self.router.view
        if view is None:
            return False, ["there is no table of weights yet"]
        problems = view.table.problems()
        if self._late(view.table) > view.table.seconds:
            problems.append(f"the table is of {view.table.start}Z, more than a slot ago")
        lost = [name for name, row in zip(self.router.gateways, view.share, strict=True) if not row.any()]
        if lost:
            problems.append(f"no region is up that is in reach of {', '.join(lost)}")
        ready = not problems
        process = self._shown.get("coordinator")
        if process is not None and not process["up"]:
            problems.append(process["why"])
        return ready, problems

    def meter(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Enter what meters say of slots, regions and gateways; how many values.

        Parameters
        ----------
        rows : `slot`, datetime64[s], and `region`, `gateway` or `job`; numbers by name, and `footprints` by
            kind.

        Raises
        ------
        UnknownName : no region, gateway, job or kind of footprint is called that; nothing is entered.
        NoBooks : there are none. StoreError : they cannot be written.
        """
        self.jobs.know([row["job"] for row in rows if "job" in row])
        entries = [entry for row in rows for entry in self._entries(row)]
        if self.monitor is not None:
            self.monitor.meter(entries)
        elif self.store is not None:
            self.store.write("meter", entries)
        else:
            raise NoBooks("this service keeps no books")
        self.tell()
        return len(entries)

    def no_slot(self, start: np.datetime64) -> str:
        """Why no slot that can have been metered begins then; empty if one does."""
        if start > self.clock.now():
            return "it has not begun yet"
        first, step = self.slots()
        off = (start - first) % step
        return f"slots begin every {step / _SECOND:g} s, one of them at {first}Z" if off else ""

    def slots(self) -> tuple[np.datetime64, np.timedelta64]:
        """When one slot begins, UTC, datetime64[s], and how long all are."""
        table = self.router.table
        seconds = self.scenario.slot_hours * 3600.0 if table is None else table.seconds
        first = self.scenario.times[0] if table is None else table.start
        return first.astype("datetime64[s]"), np.timedelta64(round(seconds), "s")

    def health(self, region: str, healthy: bool, why: str) -> bool:
        """Somebody outside says that a region is up or down; whether that changed anything.

        Raises
        ------
        UnknownName : there is no such region. StoreError : it counts, but could not be kept.
        """
        changed = self.router.mark(region, healthy, why, by="report")
        if changed and self.store is not None:
            with self._reporting:
                self.store.save_note(_REPORTS, json.dumps(self.router.said_by("report")))
            self.tell()
            text = f"{region} is reported {'up' if healthy else 'down'}{f': {why}' if why else ''}"
            self.store.save_event(Event(self.clock.now(), "info", "health", text))
        return changed

    def events(self, limit: int) -> list[dict[str, Any]]:
        """What happened, the newest first."""
        found = [] if self.store is None else self.store.events(limit)
        return [
            {
                **asdict(event),
                "at": _utc(event.at),
                "until": None if event.until is None else _utc(event.until),
            }
            for event in found
        ]

    def plan(self) -> dict[str, Any] | None:
        """The current table in MW, health apart; None before the first."""
        table = self.router.table
        if table is None:
            return None
        unmet = np.zeros_like(table.demand) if table.unmet is None else table.unmet
        return {
            "table": self._heading(table),
            "gateways": [
                {"name": name, "demand_mw": float(table.demand[j]), "unmet_mw": float(unmet[j])}
                for j, name in enumerate(table.gateways)
            ],
            "regions": [
                {
                    "name": name,
                    "capacity_mw": float(table.capacity[i]),
                    "load_mw": float(table.load[i]),
                    "work_mw": float(table.work_load[i]),
                }
                for i, name in enumerate(table.regions)
            ],
            "flows": _flows(table, table.share),
            "jobs": work_rows(table),
        }

    def explain(
        self, region: str | None = None, gateway: str | None = None, job: str | None = None
    ) -> dict[str, Any]:
        """Why requests go where they go, of one region or one gateway; or how one job stands.

        Raises
        ------
        UnknownName : no region, gateway or job is called that.
        NoBooks : of jobs there are none. StoreError : of jobs they cannot be read.
        """
        if job is not None:
            table = self.router.table
            heading = None if table is None else self._heading(table)
            return {"job": job, "table": heading, "flows": [], **self.jobs.explain(job)}
        known, name = (
            (self.scenario.regions, region) if gateway is None else (self.scenario.gateways, gateway)
        )
        what = "region" if gateway is None else "gateway"
        if name not in known:
            raise UnknownName(f"no {what} is called {name!a}")
        state = self.state()
        about = next(each for each in state[f"{what}s"] if each["name"] == name)
        return {
            what: name,
            "table": state["table"],
            "about": about,
            "flows": [flow for flow in state["flows"] if flow[what] == name],
            "reasons": self._reasons(state, what, name),
        }

    def state(self) -> dict[str, Any]:
        """All that a dashboard shows, as plain JSON."""
        with self._lock:
            shown = self._shown
        view = self.router.view
        watched = {} if self.monitor is None else self.monitor.summary()
        state: dict[str, Any] = {
            "scenario": self.scenario.name,
            "now_utc": _utc(self.clock.now()),
            "speed": float(self.clock.speed),
            "policy": None,
            "slot": None,
            "table": None,
            "flows": [],
            "jobs": self.jobs.shown(),
            "footprints": {},
            "certificate": None,
            "coordinator": None,
            "signals": [],
            "solves": [],
            "alerts": [],
            "decisions": self._decisions(),
        }
        if view is not None:
            table = view.table
            state["slot"] = {"start_utc": _utc(table.start), "seconds": table.seconds}
            state["table"] = self._heading(table)
            state["flows"] = _flows(table, view.share)
        state |= {name: watched[name] for name in ("solves", "alerts") if name in watched}
        said = {name: value for name, value in shown.items() if name not in ("regions", "gateways")}
        for name, value in said.items():
            both = isinstance(value, Mapping) and isinstance(state.get(name), Mapping)
            state[name] = {**state[name], **value} if both else value
        state["footprints"] = {
            kind.name: {
                "unit": kind.unit,
                "weight": kind.weight,
                **watched.get("footprints", {}).get(kind.name, {}),
                **shown.get("footprints", {}).get(kind.name, {}),
            }
            for kind in self.scenario.footprints
        }
        state["regions"] = self._regions(shown.get("regions", {}), watched.get("regions", []))
        state["gateways"] = self._gateways(shown.get("gateways", {}))
        return dict(plain(state))

    def tell(self) -> None:
        """There is something new; whoever watches hears of it."""
        for tell in self._watchers.copy():
            tell()

    def _metrics(self, monitor: Watch) -> LiveMetrics:
        def gap() -> float | None:
            return (self._shown.get("certificate") or {}).get("gap")

        return LiveMetrics(
            monitor,
            table=lambda: self.router.table,
            now=lambda: self.clock.now(),
            routed=self.router.routed,
            signals=lambda: [{"kind": each["name"], **each} for each in self._shown.get("signals", [])],
            healthy=lambda: {name: name not in self.router.down() for name in self.router.regions},
            gap=gap,
            coordinator=lambda: self._shown.get("coordinator"),
            jobs=self.jobs.counts,
        )

    def _regions(
        self, shown: Mapping[str, Any], watched: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        scenario, view, down = self.scenario, self.router.view, self.router.down()
        rows: dict[str, dict[str, Any]] = {
            name: {
                "name": name,
                "lat": float(scenario.region_lat[i]),
                "lon": float(scenario.region_lon[i]),
                "healthy": name not in down,
                "why": down.get(name, ""),
                "capacity_mw": None,
                "load_mw": None,
                "work_mw": None,
                "share": None,
                "price": None,
                "metered": {},
                "estimated": {},
                "drift": {},
            }
            for i, name in enumerate(scenario.regions)
        }
        if view is not None:
            load = view.table.demand @ view.share
            total = float(load.sum()) or 1.0
            for i, name in enumerate(view.table.regions):
                rows[name] |= {
                    "capacity_mw": view.table.capacity[i],
                    "load_mw": load[i],
                    "work_mw": 0.0 if name in view.down else view.table.work_load[i],
                    "share": load[i] / total,
                }
        for each in watched:
            rows[each["name"]] |= each
        for name, more in shown.items():
            rows[name] |= more
        return list(rows.values())

    def _gateways(self, shown: Mapping[str, Any]) -> list[dict[str, Any]]:
        scenario, table = self.scenario, self.router.table
        return [
            {
                "name": name,
                "lat": float(scenario.gateway_lat[j]),
                "lon": float(scenario.gateway_lon[j]),
                "demand_mw": None if table is None else table.demand[j],
                **shown.get(name, {}),
            }
            for j, name in enumerate(scenario.gateways)
        ]

    def _decisions(self) -> list[dict[str, Any]]:
        """The last ones, at the time of the service."""
        now, ours = self.clock.now().astype("datetime64[ms]"), time.time()
        speed = self.clock.speed if math.isfinite(self.clock.speed) else 0.0
        found = []
        for at, decision in self.router.last():
            ago = np.timedelta64(round(1e3 * (ours - at) * speed), "ms")
            found.append(
                {
                    "utc": _utc(now - ago),
                    "gateway": decision.gateway,
                    "region": decision.region,
                    "why": decision.why,
                }
            )
        return found

    def _reasons(self, state: Mapping[str, Any], what: str, name: str) -> list[str]:
        """In words, what decides about a region or a gateway now."""
        table = self.router.table
        if table is None:
            return ["there is no table of weights yet"]
        reasons = [f"weights are of the {table.source}{f': {table.note}' if table.note else ''}"]
        if what == "gateway":
            j = table.gateways.index(name)
            reach = [r for r, reached in zip(table.regions, table.reach[j], strict=True) if reached]
            reasons.append(f"it reaches {len(reach)} of {len(table.regions)} regions")
            down = self.router.down()
            reasons += [": ".join(filter(None, [f"{r} is down", down[r]])) for r in reach if r in down]
            return reasons
        about = next(each for each in state["regions"] if each["name"] == name)
        if not about["healthy"]:
            reasons.append(": ".join(filter(None, ["it is down", about["why"]])))
        elif about["capacity_mw"] <= 0.0:
            reasons.append("it has no capacity in this slot")
        elif about["load_mw"] + about["work_mw"] >= about["capacity_mw"] * (1.0 - 1e-6):
            reasons.append("it is full")
        for kind, figures in state["footprints"].items():
            if figures.get("worst_region") == name:
                reasons.append(f"it has the worst {kind} footprint so far, so that more of it costs extra")
        return reasons

    def _entries(self, row: Mapping[str, Any]) -> list[Entry]:
        if "job" in row:
            return [Entry(row["slot"], row["job"], "work_mwh", float(row["energy_mwh"]))]
        what = "gateway" if "gateway" in row else "region"
        place, names = row[what], self.scenario.gateways if what == "gateway" else self.scenario.regions
        if place not in names:
            raise UnknownName(f"no {what} is called {place!a}")
        footprints = row.get("footprints") or {}
        for kind in footprints:
            if kind not in self.kinds:
                raise UnknownName(
                    f"no kind of footprint is called {kind!a}; there is {', '.join(self.kinds)}"
                )
        values = {f"footprint:{kind}": value for kind, value in footprints.items()} | {
            name: value
            for name, value in row.items()
            if name not in ("slot", what, "footprints") and value is not None
        }
        return [Entry(row["slot"], place, name, float(value)) for name, value in values.items()]

    def _heading(self, table: WeightTable) -> dict[str, Any]:
        return {
            "version": table.version,
            "source": table.source,
            "note": table.note,
            "age_s": self._late(table) + table.seconds,
        }

    def _late(self, table: WeightTable) -> float:
        """Seconds since the end of its slot; below zero in it."""
        passed = self.clock.now() - table.start
        return float(passed / np.timedelta64(1, "s")) - table.seconds


def _flows(table: WeightTable, share: Array) -> list[dict[str, Any]]:
    flow = table.demand[:, None] * share
    return [
        {"gateway": table.gateways[j], "region": table.regions[i], "mw": float(flow[j, i])}
        for j, i in np.argwhere(flow > 0.0)
    ]


def _utc(moment: np.datetime64) -> str:
    return f"{moment.astype('datetime64[s]')}Z"

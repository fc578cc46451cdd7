"""Request router: the region of a request by the weights in force, around regions that are down."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import length_hint

import numpy as np

from eglb.foundation.arrays import Array
from eglb.live.routing.balancing import quota_turns, rendezvous, seed_of
from eglb.live.routing.weights import WeightTable
from eglb.scenarios.scenario import Scenario

_TURNS = 256
_LAST = 20


class UnknownName(LookupError):
    """No gateway or region is called that."""


class Unroutable(Exception):
    """There is nowhere to send a request: no table yet, or no region in reach is up."""


@dataclass(frozen=True, eq=False, slots=True)
class Decision:
    """Where a request goes.

    Parameters
    ----------
    version : of the table. why : ``"plan"`` or another source of a table, ``"affinity"``; ``"nearest"`` where
        none of the regions that have weights is up; and who is down, if it matters to this gateway.
    body : the same as JSON. index : of the region.
    """

    gateway: str
    region: str
    version: int
    why: str
    body: bytes
    index: int


class View:
    """A table as it is routed by while some regions are down: immutable but for the turns taken.

    Parameters
    ----------
    table : published. down : regions that are, and why. nearest : (J, N) regions, to each gateway the
    nearest first. last_resort : (N,) of bool, which may be sent to if none that has weight is up.
    owed : (J, N), see `quota_turns`. routed : by gateway, how many requests each region was sent; goes on.
    """

    def __init__(
        self,
        table: WeightTable,
        down: Mapping[str, str],
        nearest: Array,
        last_resort: Array,
        owed: Array,
        routed: Mapping[str, list[int]],
    ) -> None:
        self.table, self.down, self.routed = table, dict(down), routed
        up = np.array([name not in down for name in table.regions])
        self.share = np.where(up, table.share, 0.0)
        total = self.share.sum(1)
        self.moved = total <= 0.0
        self.share[~self.moved] /= total[~self.moved, None]
        open_to = table.reach & up & last_resort
        for gateway in np.flatnonzero(self.moved):
            ranked = nearest[gateway][open_to[gateway][nearest[gateway]]]
            if len(ranked):
                self.share[gateway, ranked[0]] = 1.0
        carried = np.where(self.share > 0.0, owed, 0.0)
        self._owed = carried - carried.sum(1, keepdims=True) * self.share
        self._index = {name: j for j, name in enumerate(table.gateways)}
        self._rows: dict[str, _GatewayRow] = {}

    def row(self, gateway: str) -> _GatewayRow:
        """That of a gateway; raises `UnknownName`, and `Unroutable` if nobody is there to serve it."""
        found = self._rows.get(gateway)
        if found is None:
            j = self._index.get(gateway)
            if j is None:
                raise UnknownName(f"no gateway is called {gateway!a}")
            if not self.share[j].any():
                raise Unroutable(f"no region that {gateway} reaches is up: {_told(self.down)}")
            found = self._rows.setdefault(gateway, _GatewayRow(self, j))
        return found

    def why(self, gateway: int, reason: str | None = None) -> str:
        """In words, for requests of a gateway; `reason` is the table's source if nothing else."""
        wanted = self.table.share[gateway] > 0.0
        lost = [
            name for name, had in zip(self.table.regions, wanted, strict=True) if had and name in self.down
        ]
        said = "nearest" if self.moved[gateway] else reason or self.table.source
        return f"{said}; {_told(lost)}" if lost else said

    def owed(self) -> Array:
        """(J, N), as of now: see `quota_turns`."""
        now = self._owed.copy()
        for row in list(self._rows.values()):
            now[row.gateway] = row.owed()
        return now


class _Decisions(dict[int, Decision]):
    """Of one gateway, for one reason, by region; each made when it is first taken."""

    def __init__(self, table: WeightTable, gateway: int, why: str) -> None:
        self._table, self._gateway, self._why = table, table.gateways[gateway], why

    def __missing__(self, index: int) -> Decision:
        region, version = self._table.regions[index], self._table.version
        said = {"gateway": self._gateway, "region": region, "version": version, "why": self._why}
        body = json.dumps(said).encode()
        return self.setdefault(index, Decision(self._gateway, region, version, self._why, body, index))


class _GatewayRow:
    """The turns of one gateway."""

    def __init__(self, view: View, gateway: int) -> None:
        table = view.table
        self.gateway, self._share = gateway, np.ascontiguousarray(view.share[gateway])
        self._owed = np.ascontiguousarray(view._owed[gateway])
        self._turn = np.empty(0, np.int64)
        self._ready: Iterator[Decision] = iter(())
        self._lock = threading.Lock()
        self._seeds = np.array([seed_of(name) for name in table.regions], np.uint64)
        self.routed = view.routed[table.gateways[gateway]]
        self._by_turn = _Decisions(table, gateway, view.why(gateway))
        self._by_session = _Decisions(table, gateway, view.why(gateway, "affinity"))

    def next(self) -> Decision:
        """The next turn; any thread may ask."""
        for decision in self._ready:
            return decision
        with self._lock:
            for decision in self._ready:
                return decision
            self._turn = np.empty(_TURNS, np.int64)
            quota_turns(self._share, self._owed, self._turn)
            first, *rest = map(self._by_turn.__getitem__, self._turn.tolist())
            self._ready = iter(rest)
            return first

    def of_session(self, session: str) -> Decision:
        return self._by_session[rendezvous(seed_of(session), self._seeds, self._share)]

    def owed(self) -> Array:
        with self._lock:
            ahead = self._turn[len(self._turn) - length_hint(self._ready) :]
            unused = np.bincount(ahead, minlength=len(self._share))
            return self._owed + unused - len(ahead) * self._share


class Router:
    """Holds the current table and who is down; it is published to and asked from any thread.

    Parameters
    ----------
    gateways, regions : names, those of every table. distance : (J, N) in any unit, for who is nearest.
    """

    def __init__(self, gateways: tuple[str, ...], regions: tuple[str, ...], distance: Array) -> None:
        self.gateways, self.regions = gateways, regions
        self._nearest = np.argsort(distance, axis=1, kind="stable")
        self._lock = threading.Lock()
        self._down: dict[str, dict[str, str]] = {name: {} for name in regions}
        self._last_resort = np.ones(len(regions), bool)
        self._watchers: set[Callable[[], None]] = set()
        self._routed = {name: [0] * len(regions) for name in gateways}
        self._last: deque[tuple[float, Decision]] = deque(maxlen=_LAST)
        self.view: View | None = None
        self.closed = False

    @classmethod
    def of(cls, scenario: Scenario) -> Router:
        """For the gateways and regions of a scenario."""
        distance = np.full((len(scenario.gateways), len(scenario.regions)), np.inf)
        distance[scenario.reach_gateway, scenario.reach_region] = scenario.rtt_ms()
        return cls(scenario.gateways, scenario.regions, distance)

    @property
    def table(self) -> WeightTable | None:
        """The current one; None before the first."""
        return None if self.view is None else self.view.table

    def publish(self, table: WeightTable) -> None:
        """Route by this table from now on.

        Raises
        ------
        ValueError : it has problems, or is of other gateways or regions; the one before stays.
        """
        problems = table.problems()
        if (table.gateways, table.regions) != (self.gateways, self.regions):
            problems.append("it is of other gateways or regions")
        if problems:
            raise ValueError(f"table {table.version} is not published: {'; '.join(problems)}")
        with self._lock:
            # Who was down has no capacity in it, and may be up before the next.
            was_down = np.array([bool(self._down[name]) for name in self.regions])
            self._last_resort = (table.capacity > 0.0) | was_down
            self._look(table)
        self._tell()

    def mark(self, region: str, healthy: bool, why: str = "", by: str = "controller") -> bool:
        """Somebody says that a region is up or down; it is up while nobody says it is down. Whether that
        changed anything.

        Raises
        ------
        UnknownName : there is no such region.
        """
        if region not in self._down:
            raise UnknownName(f"no region is called {region!a}")
        with self._lock:
            before = dict(self._down[region])
            if healthy:
                self._down[region].pop(by, None)
            else:
                self._down[region][by] = why
            changed = self._down[region] != before
            if changed and self.view is not None:
                self._look(self.view.table)
        if changed:
            self._tell()
        return changed

    def down(self, besides: str = "") -> dict[str, str]:
        """Regions that are down, and why; or only what others than one who marks them say."""
        found = {}
        for name, said in self._down.items():
            whys = [why for by, why in said.copy().items() if by != besides]
            if whys:
                found[name] = ", ".join(filter(None, whys))
        return found

    def said_by(self, who: str) -> dict[str, str]:
        """Regions that one who marks them says are down, and why."""
        return {name: said[who] for name, said in self._down.items() if who in said}

    def route(self, gateway: str, session: str | None = None) -> Decision:
        """Where a request of a gateway goes; those of a session to one region while it has weight.

        Raises
        ------
        UnknownName : there is no such gateway. Unroutable : no table yet, or no region in reach is up.
        """
        view = self.view
        if view is None:
            raise Unroutable("there is no table of weights yet")
        row = view.row(gateway)
        decision = row.next() if session is None else row.of_session(session)
        row.routed[decision.index] += 1
        self._last.append((time.time(), decision))
        return decision

    def routed(self) -> dict[tuple[str, str], int]:
        """How many requests were sent from each gateway to each region, as far as any were."""
        return {
            (gateway, region): count
            for gateway, counts in self._routed.items()
            for region, count in zip(self.regions, counts, strict=True)
            if count
        }

    def last(self) -> list[tuple[float, Decision]]:
        """The last few decisions and when they were made, `time.time`; the newest first."""
        return list(self._last.copy())[::-1]

    @contextmanager
    def watched(self, tell: Callable[[], None]) -> Iterator[None]:
        """`tell` is called, in the thread that does it, when weights or health change."""
        self._watchers.add(tell)
        try:
            yield
        finally:
            self._watchers.discard(tell)

    def close(self) -> None:
        """Nobody need wait for new weights any more."""
        self.closed = True
        self._tell()

    def _look(self, table: WeightTable) -> None:
        owed = np.zeros(table.share.shape) if self.view is None else self.view.owed()
        self.view = View(table, self.down(), self._nearest, self._last_resort, owed, self._routed)

    def _tell(self) -> None:
        for tell in self._watchers.copy():
            tell()


def _told(down: Iterable[str]) -> str:
    """Names alone: why they are down is not for whoever may only ask the way."""
    return ", ".join(f"{name} is down" for name in down)

"""Regions that are taken out of a running solve, and taken back: orders, and how they get to it.

From another thread or `on_round` an `Orders` gets them there; from another process the folder of
``--checkpoint``, in which every order is a small file, written whole or not at all and gone once it is done.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from eglb.coordinator.fleet.membership import Membership, MembershipEvent
from eglb.foundation.errors import InputError
from eglb.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from eglb.coordinator.algorithms.algorithm import WarmStart
    from eglb.coordinator.run import Run

Warn = Callable[[str], None]

_FOLDER, _SUFFIX = "orders", ".json"
_NAMES_SHOWN = 6


@dataclass(frozen=True)
class Order:
    """Take regions out of the solve on purpose, or let them take part again."""

    __pydantic_config__: ClassVar = {"strict": True, "extra": "forbid"}

    what: Literal["drain", "admit"]
    regions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.what} {', '.join(self.regions)}"


class Orders:
    """Orders to a running solve, from any thread; they are carried out before its next exchange."""

    def __init__(self) -> None:
        self._given: SimpleQueue[Order] = SimpleQueue()

    def drain(self, *regions: str) -> None:
        """Take regions out: their load goes elsewhere, and demand that needs them is left out and said so."""
        self._given.put(Order("drain", regions))

    def admit(self, *regions: str) -> None:
        """Let drained regions take part again."""
        self._given.put(Order("admit", regions))

    def collect(self) -> list[Order]:
        """What was ordered since the last time."""
        found = []
        with suppress(Empty):
            while True:
                found.append(self._given.get_nowait())
        return found


def carry_out(order: Order, members: Membership, warn: Warn | None) -> None:
    """Drain or admit, as far as there are such regions and one is left; `warn` hears of the rest."""
    known = [name for name in order.regions if name in members.names]
    problems = [f"{order}: no region is called {name}" for name in order.regions if name not in known]
    if order.what == "admit":
        members.admit(known)
    elif (members.closed | np.isin(members.names, known)).all():
        problems.append(f"{order}: not done, as no region would be left")
    else:
        members.drain(known)
    for problem in problems:
        if warn is not None:
            warn(problem)


def leave_out(run: Run, regions: tuple[str, ...], warm: WarmStart | None) -> None:
    """Begin without some regions, from `warm` as far as it is known."""
    from eglb.coordinator.algorithms.algorithm import Incumbent  # which compiles kernels

    if not regions:
        return
    run.fleet.membership.drain(regions)
    start, further = Incumbent(), np.zeros((0, run.market.regions, run.market.kinds))
    if warm is not None:
        start = Incumbent(route=warm.route, demand_price=warm.demand_price, equity_price=warm.equity_price)
        further = warm.equity_prices
    run.action = run.start_from(start, run.closed, False, further)


class FolderOrders:
    """The orders that other processes leave in a checkpoint folder."""

    def __init__(self, checkpoint: Path) -> None:
        self._folder = checkpoint / _FOLDER
        self._collected: list[Path] = []

    def collect(self, warn: Warn | None) -> list[Order]:
        """Those that are there and were not collected before, oldest first; `warn` hears of files that are
        none.
        """
        found = []
        for path in _files(self._folder):
            if path in self._collected:
                continue
            self._collected.append(path)
            try:
                found.append(read_order(path))
            except InputError as error:
                if warn is not None:
                    warn(str(error))
        return found

    def done(self) -> None:
        """What was collected is carried out and kept."""
        for path in self._collected:
            with suppress(OSError):
                path.unlink()
        self._collected.clear()


class Overseer:
    """Looks after the members of a running solve between two exchanges.

    Parameters
    ----------
    orders : from this process. checkpoint : the folder where those of others are left, if there is one.
    warn : told who was lost or came back since the last look, and which orders cannot be carried out.
    told : how many events were told before.
    """

    def __init__(
        self,
        members: Membership,
        orders: Orders | None,
        checkpoint: Path | None,
        warn: Warn | None,
        told: int,
    ) -> None:
        self._members = members
        self._own = orders
        self._left = None if checkpoint is None else FolderOrders(checkpoint)
        self._warn = warn
        self._told = members.events[told - 1] if told else None

    def look(self) -> bool:
        """Carry out what was ordered; whether anything happened to the members."""
        given = [] if self._own is None else self._own.collect()
        if self._left is not None:
            given += self._left.collect(self._warn)
        for order in given:
            carry_out(order, self._members, self._warn)
        told, events = self._told, self._members.events
        fresh = list(takewhile(lambda event: event is not told, reversed(events)))[::-1]
        self._told = events[-1] if events else None
        for event in fresh:
            if self._warn is not None:
                self._warn(str(event))
        return bool(fresh)

    def done(self) -> None:
        """What was carried out is kept where a resumed run finds it."""
        if self._left is not None:
            self._left.done()


def leave_order(checkpoint: Path, order: Order, scenario: Scenario) -> None:
    """Leave an order for the solve of `scenario` that has this checkpoint folder.

    Raises
    ------
    InputError : there are no such regions, or none would be left, or the folder cannot be written.
    """
    unknown = [name for name in order.regions if name not in scenario.regions]
    problems = [
        f"{checkpoint}: no region is called {name}; there are {_listed(scenario.regions)}" for name in unknown
    ]
    if order.what == "drain" and set(order.regions) >= set(scenario.regions):
        problems.append(f"{checkpoint}: not all regions can be drained: somebody has to serve")
    if problems:
        raise InputError(problems)
    folder = checkpoint / _FOLDER
    # By time, and by who wrote it where two are of the same moment.
    path = folder / f"{time.time_ns():020d}-{os.getpid()}{_SUFFIX}"
    partial = path.with_suffix(".partial")
    try:
        folder.mkdir(exist_ok=True)
        partial.write_text(json.dumps(asdict(order)), "utf-8")
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from None


def waiting_orders(checkpoint: Path) -> list[Order]:
    """Those left in a checkpoint folder that are not carried out yet."""
    found = []
    for path in _files(checkpoint / _FOLDER):
        with suppress(InputError):
            found.append(read_order(path))
    return found


def read_order(path: Path) -> Order:
    """The order in a file.

    Raises
    ------
    InputError : there is none.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Order).validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise InputError(f"{path}: is no order, and is not carried out") from None


def last_of_each(events: Sequence[MembershipEvent]) -> dict[str, MembershipEvent]:
    """What last took each region out, by its name."""
    return {
        name: event
        for event in events
        if event.what in ("lost", "quarantined", "drained")
        for name in event.regions
    }


def member_lines(members: Mapping[str, Any], shortfall: Mapping[str, Any]) -> list[str]:
    """Who had no part in a plan, since when and why, and how much demand it leaves out for that; nothing of a
    whole one. As `Solution.to_dict` tells them.
    """
    out = members.get("out")
    if not out:
        return []
    it = "it" if len(out) == 1 else "them"
    events = [MembershipEvent(**event) for event in members["events"]]
    lines = [f"Without {missing(out, events)}; certified against the best plan without {it}."]
    if shortfall["mwh"]:
        span = f"{shortfall['slots']} slot{'s' * (shortfall['slots'] != 1)}"
        lines.append(
            f"{shortfall['mwh']:,.6g} MWh of demand cannot be met without {it}, in {span}: as little as "
            "possible is left out."
        )
    if shortfall.get("work_mwh"):
        late = f"{shortfall['jobs']} job{'s' * (shortfall['jobs'] != 1)}"
        lines.append(
            f"{shortfall['work_mwh']:,.6g} MWh of {late} cannot be done without {it}: as little as possible "
            "is left out."
        )
    return lines


def missing(out: Mapping[str, str], events: Sequence[MembershipEvent]) -> str:
    """Names, since when and why: ``oregon since round 12 (lost: no answer within 5 s)``."""
    since = last_of_each(events)
    alike: dict[str, list[str]] = {}
    for name, reason in out.items():
        event = since.get(name)
        when = f" since round {event.round}" if event is not None and event.round else ""
        alike.setdefault(f"{when} ({reason})", []).append(name)
    return ", ".join(_listed(names) + why for why, names in alike.items())


def _files(folder: Path) -> list[Path]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []  # nobody has ordered anything
    return [folder / name for name in sorted(names) if name.endswith(_SUFFIX)]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"{', '.join(names[:_NAMES_SHOWN])}{more}"

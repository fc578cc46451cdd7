"""Checkpoint and restart: what is kept of a run, and how another coordinator goes on from it."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from eglb import agents, coordinator
from eglb.coordinator.algorithms.algorithm import Incumbent
from eglb.coordinator.algorithms.reroute import Method
from eglb.coordinator.durability.snapshot import freeze, freeze_in_pieces, thaw
from eglb.coordinator.exchange import Traffic
from eglb.coordinator.fleet.fleet import Fleet
from eglb.coordinator.fleet.membership import MembershipEvent
from eglb.coordinator.market.market import Market
from eglb.coordinator.run import Run
from eglb.foundation.arrays import Array


@dataclass(frozen=True, eq=False)
class RunState:
    """A run after some round.

    Parameters
    ----------
    traffic : what went over the wire so far. seconds : since the first message.
    incumbent : best plan and bound of the problem of the members there were. equity_prices : (R, N, K) to
        start from beside them.
    closed : (N,) regions that took no part. meets_all : whether the incumbent meets all demand.
    drained : regions taken out on purpose. events, rejected : what `Membership` noted, by field.
    trace : what the caller tells of every round, as columns: one array (rounds,) for each name.
    state : what the run goes on from to the same iterates; None if agents know what it does not.
    """

    traffic: Traffic
    seconds: float
    incumbent: Incumbent
    equity_prices: Array
    closed: Array
    meets_all: bool
    drained: list[str]
    events: list[tuple[int, str, tuple[str, ...], str]]
    rejected: list[tuple[str, str, int]]
    trace: dict[str, Array]
    state: Sequence[bytes] | None

    @property
    def round(self) -> int:
        """The last round."""
        return self.traffic.rounds


_LENGTH = struct.Struct("<Q")
_KINDS = {
    "traffic": Traffic,
    "seconds": float,
    "incumbent": Incumbent,
    "equity_prices": np.ndarray,
    "closed": np.ndarray,
    "meets_all": bool,
    **dict.fromkeys(("drained", "events", "rejected"), list),
    "trace": dict,
}


def capture(run: Run, trace: Mapping[str, Array]) -> RunState:
    """What another coordinator needs to go on with `run`, between two exchanges."""
    fleet, members = run.fleet, run.fleet.membership
    incumbent, closed, meets_all = run.best
    state = None
    # A run that has ended has nothing to ask; whoever wants more of it starts from its plan.
    if run.action is not None and run.algorithm.resumable:
        going_on = {"run": run, "opening": fleet.opening, "number": fleet.number}
        known = _known(run.market, fleet, run.method, incumbent)
        with suppress(TypeError):  # an algorithm with something that cannot be kept starts again, too
            state = freeze_in_pieces({"program": _program(), **going_on}, known)
    return RunState(
        traffic=fleet.traffic,
        seconds=run.seconds,
        incumbent=incumbent,
        equity_prices=run.algorithm.remembered_equity_prices(),
        closed=closed,
        meets_all=meets_all,
        drained=[name for name, out in zip(members.names, members.drained, strict=True) if out],
        events=[(e.round, e.what, e.regions, e.reason) for e in members.events],
        rejected=[(*about, count) for about, count in members.rejected.items()],
        trace=dict(trace),
        state=state,
    )


def resume(
    kept: RunState, market: Market, fleet: Fleet, method: Method, gap: float, same_method: bool
) -> Run:
    """The run that was kept, with a fleet of agents that know nothing.

    It goes on to the same iterates if it can. If agents knew what died with them, or other regions take part
    now, or something else is wanted (`gap`, not the `same_method`), it starts again from the incumbent, whose
    bound is kept as long as no region has come back.
    """
    members = fleet.membership
    members.drain(kept.drained)
    fleet.settle()
    members.take_over(kept.round, [MembershipEvent(*event) for event in kept.events])
    members.rejected.update({(region, what): count for region, what, count in kept.rejected})
    _restore(fleet.traffic, kept.traffic)
    known = _known(market, fleet, method, replace(kept.incumbent))  # the run will change its own
    state = _exact_state(kept, known) if same_method else None
    if state is not None and state["run"].algorithm.gap == gap:
        run: Run = state["run"]
        if (run.closed == members.closed).all():
            fleet.resume(state["opening"], state["number"])
            return run
    run = Run(market, fleet, method(market, gap, None), method)
    run.seconds = kept.seconds
    run.action = run.start_from(kept.incumbent, kept.closed, kept.meets_all, kept.equity_prices)
    return run


def pack(kept: RunState, problem: str) -> list[bytes]:
    """`kept`, with the fingerprint of the problem it is about, as bytes in pieces.

    The state comes last, so that what else was kept can be read without it: its length, then itself.
    """
    rest = freeze({"problem": problem} | {name: getattr(kept, name) for name in _KINDS}, {})
    return [_LENGTH.pack(len(rest)), rest, *(kept.state or ())]


def unpack(data: bytes, problem: str) -> RunState:
    """What `pack` was given.

    Raises
    ------
    ValueError : `data` is not that, or about another problem.
    """
    if len(data) < _LENGTH.size:
        raise ValueError("not what is kept of a run")
    end = _LENGTH.size + _LENGTH.unpack_from(data)[0]
    told = thaw(data[_LENGTH.size : end], {})
    if not isinstance(told, dict) or set(told) != {"problem", *_KINDS}:
        raise ValueError("not what is kept of a run")
    if told.pop("problem") != problem:
        raise ValueError("of another scenario")
    if wrong := [name for name, kind in _KINDS.items() if not isinstance(told[name], kind)]:
        raise ValueError(f"not what is kept of a run: {', '.join(wrong)}")
    return RunState(**told, state=[data[end:]] if len(data) > end else None)


def _known(market: Market, fleet: Fleet, method: Method | None, incumbent: Incumbent) -> dict[str, Any]:
    """What a state need not hold: it is made again, or kept beside it."""
    return {"market": market, "fleet": fleet, "method": method, "incumbent": incumbent}


def _restore(traffic: Traffic, before: Traffic) -> None:
    traffic.rounds, traffic.bytes_up, traffic.bytes_down = before.rounds, before.bytes_up, before.bytes_down
    if len(before.bytes_up_by_host) == len(traffic.bytes_up_by_host):
        traffic.bytes_up_by_host = before.bytes_up_by_host


def _exact_state(kept: RunState, known: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was kept to go on from exactly; None if nothing was, or by another version of the program, whose
    attributes may mean something else.
    """
    if kept.state is None:
        return None
    try:
        state = thaw(b"".join(kept.state), known)
    except ValueError:
        return None
    return state if isinstance(state, dict) and state.get("program") == _program() else None


@cache
def _program() -> str:
    """A checksum of the sources of agents and coordinator."""
    found = hashlib.blake2b(digest_size=16)
    for folder in (Path(str(agents.__file__)).parent, Path(str(coordinator.__file__)).parent):
        for source in sorted(folder.rglob("*.py")):
            found.update(str(source.relative_to(folder)).encode() + b"\0" + source.read_bytes())
    return found.hexdigest()

"""Membership and failure detection: which hosts answer, which are given up, which regions are drained.

A pure state machine: what happened goes in, `closed` and `events` come out. The rules:

* A host that has not answered within the deadline after it was asked is lost; so is one that says
  `_FAILURES` times in succession that it cannot.
* Every wrong answer is a strike, every right one takes a part of a strike away: a host that answers wrong
  more often than one time in five ends in quarantine, for good. One in ten is only reported.
* A lost host that answers again is taken back, at once the first time; each further loss doubles the rounds
  that it has to wait, so that one that comes and goes cannot keep a run from its end.
* A region can be drained and admitted at any time, whatever its host does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from eglb.foundation.arrays import Array

_FAILURES = 3
_STRIKES, _STRIKE_FORGIVEN = 5.0, 0.25
_LONGEST_WAIT = 10
"""Doublings of the rounds that a lost host waits, at most."""
_EVENTS_KEPT = 1000


class HostStatus(Enum):
    """Of a host."""

    ACTIVE = "active"
    LOST = "lost"
    QUARANTINED = "quarantined"


@dataclass(frozen=True)
class MembershipEvent:
    """What happened to some regions, when and why; `what` is one of lost, back, quarantined, drained,
    admitted.
    """

    round: int
    what: str
    regions: tuple[str, ...]
    reason: str = ""

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"round {self.round}: {', '.join(self.regions)} {self.what}{why}"


@dataclass(eq=False)
class _Host:
    regions: slice
    status: HostStatus = HostStatus.ACTIVE
    asked_at: float | None = None
    """When the oldest message was sent that it has not answered."""
    failures: int = 0
    strikes: float = 0.0
    losses: int = 0
    lost_in: int = 0
    reason: str = ""


@dataclass(eq=False)
class Membership:
    """Hosts of consecutive regions, and what became of them.

    Parameters
    ----------
    names : of all regions. hosts : the regions of each host, in order. deadline_s : see the module.
    """

    names: tuple[str, ...]
    hosts: Sequence[slice]
    deadline_s: float
    events: list[MembershipEvent] = field(default_factory=list)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Answers not used, by the first region of the host and by what was wrong with them."""
    round: int = 0

    def __post_init__(self) -> None:
        self._hosts = [_Host(regions) for regions in self.hosts]
        self._drained = np.zeros(len(self.names), bool)
        self._open = self.closed

    @property
    def active(self) -> list[int]:
        """Hosts that are asked."""
        return [h for h, host in enumerate(self._hosts) if host.status is HostStatus.ACTIVE]

    @property
    def lost(self) -> list[int]:
        """Hosts that may come back."""
        return [h for h, host in enumerate(self._hosts) if host.status is HostStatus.LOST]

    @property
    def closed(self) -> Array:
        """(N,) regions that take no part now."""
        closed = self._drained.copy()
        for host in self._hosts:
            if host.status is not HostStatus.ACTIVE:
                closed[host.regions] = True
        return closed

    @property
    def drained(self) -> Array:
        """(N,) regions that were drained on purpose."""
        return self._drained.copy()

    @property
    def changed(self) -> bool:
        """Whether `closed` is another than at the last `settle`."""
        return bool((self.closed != self._open).any())

    def settle(self) -> None:
        """The present members are those that everything from here on is about."""
        self._open = self.closed

    def asked(self, host: int, now: float) -> None:
        """A message was sent to an active host."""
        state = self._hosts[host]
        state.asked_at = now if state.asked_at is None else state.asked_at

    def answered(self, host: int) -> None:
        """A right answer came in, to whatever message."""
        state = self._hosts[host]
        state.asked_at, state.failures, state.reason = None, 0, ""
        state.strikes = max(0.0, state.strikes - _STRIKE_FORGIVEN)

    def silent(self, host: int, reason: str) -> None:
        """Nothing can come from a host for now, as its process ended; it has until its deadline."""
        self._hosts[host].reason = reason

    def failed(self, host: int, reason: str) -> bool:
        """A host answered that it cannot; whether it is lost now."""
        state = self._hosts[host]
        if state.status is not HostStatus.ACTIVE:
            return False
        state.failures += 1
        state.reason = reason
        if state.failures < _FAILURES:
            return False
        self._lose(state, reason)
        return True

    def mistaken(self, host: int, reason: str) -> None:
        """An answer was wrong."""
        state = self._hosts[host]
        state.reason = reason
        if state.status is not HostStatus.ACTIVE:
            return
        state.strikes += 1.0
        if state.strikes >= _STRIKES:
            state.status = HostStatus.QUARANTINED
            self._note("quarantined", self.names[state.regions], reason)

    def reject(self, host: int, what: str) -> None:
        """Count an answer that is not used."""
        self.rejected[self.names[self._hosts[host].regions][0], what] += 1

    def overdue(self, now: float) -> list[int]:
        """Active hosts whose deadline has passed; they are lost now."""
        late = []
        for h in self.active:
            state = self._hosts[h]
            if state.asked_at is not None and now - state.asked_at >= self.deadline_s:
                # What it answered wrong or failed with since says more than its silence.
                self._lose(state, state.reason or f"no answer within {self.deadline_s:g} s")
                late.append(h)
        return late

    def patience(self, now: float) -> float:
        """Seconds until the next active host that was asked is overdue."""
        asked = [self._hosts[h].asked_at for h in self.active]
        return min((self.deadline_s - (now - at) for at in asked if at is not None), default=self.deadline_s)

    def returns(self, host: int) -> bool:
        """A lost host answered a probe; whether it is taken back."""
        state = self._hosts[host]
        if state.status is not HostStatus.LOST:
            return False
        wait = 0 if state.losses == 1 else 2 ** min(state.losses, _LONGEST_WAIT)
        if self.round < state.lost_in + wait:
            return False
        state.status, state.asked_at, state.failures, state.reason = HostStatus.ACTIVE, None, 0, ""
        self._note("back", self.names[state.regions])
        return True

    def drain(self, regions: Iterable[str]) -> None:
        """Take regions out, on purpose; unknown names are an error, drained ones are not."""
        self._turn(regions, True)

    def admit(self, regions: Iterable[str]) -> None:
        """Let drained regions take part again."""
        self._turn(regions, False)

    def take_over(self, round: int, events: Iterable[MembershipEvent]) -> None:
        """Go on after `round` of another coordinator, who noted `events`, with agents started afresh."""
        self.round = round
        self.events[:] = events
        gone: dict[str, bool] = {}
        for event in self.events:
            if event.what in ("lost", "quarantined", "back"):
                gone |= dict.fromkeys(event.regions, event.what != "back")
        if back := tuple(name for name in self.names if gone.get(name)):
            self._note("back", back, "started afresh")

    def reasons(self) -> dict[str, str]:
        """Why each region that is closed is so."""
        found = {self.names[i]: "drained" for i in np.flatnonzero(self._drained)}
        for host in self._hosts:
            if host.status is not HostStatus.ACTIVE:
                found |= dict.fromkeys(self.names[host.regions], f"{host.status.value}: {host.reason}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """What a report tells: members that are out and why, what happened, answers that were rejected."""
        rejected: dict[str, dict[str, int]] = {}
        for (name, what), count in sorted(self.rejected.items()):
            rejected.setdefault(name, {})[what] = count
        return {
            "out": self.reasons(),
            "events": [
                {"round": e.round, "what": e.what, "regions": list(e.regions), "reason": e.reason}
                for e in self.events
            ],
            "rejected": rejected,
        }

    def _lose(self, state: _Host, reason: str) -> None:
        state.status, state.asked_at, state.reason = HostStatus.LOST, None, reason
        state.losses, state.lost_in = state.losses + 1, self.round
        self._note("lost", self.names[state.regions], reason)

    def _turn(self, regions: Iterable[str], drained: bool) -> None:
        wanted = list(regions)
        if unknown := [name for name in wanted if name not in self.names]:
            raise KeyError(f"no region is called {', '.join(unknown)}")
        moved = [name for name in wanted if self._drained[self.names.index(name)] != drained]
        for name in moved:
            self._drained[self.names.index(name)] = drained
        if moved:
            self._note("drained" if drained else "admitted", tuple(moved))

    def _note(self, what: str, regions: tuple[str, ...], reason: str = "") -> None:
        self.events.append(MembershipEvent(self.round, what, regions, reason))
        del self.events[:-_EVENTS_KEPT]

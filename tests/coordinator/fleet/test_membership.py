"""Membership under any sequence of events, against each host's history and the rules as they are stated."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from eglb.coordinator.fleet.membership import Membership

NAMES = ("a", "b", "c", "d", "e")
HOSTS = (slice(0, 2), slice(2, 3), slice(3, 5))
DEADLINE_S = 8.0
hosts = st.integers(0, len(HOSTS) - 1)
some_names = st.lists(st.sampled_from(NAMES), max_size=3)


@dataclass
class Host:
    """What happened to a host; its standing is what the rules make of that."""

    standing: str = "active"
    asked_at: list[float] = field(default_factory=list)
    failures: int = 0
    judged: list[float] = field(default_factory=list)
    """1 for a wrong answer, -1/4 for a right one."""
    lost_in: list[int] = field(default_factory=list)

    @property
    def strikes(self) -> float:
        return [*accumulate(self.judged, lambda now, step: max(0.0, now + step), initial=0.0)][-1]

    def lose(self, round: int) -> None:
        self.standing, self.asked_at = "lost", []
        self.lost_in.append(round)


class Members(RuleBasedStateMachine):
    """Rules are what a fleet may call when; the checks are in the rules and the invariants."""

    @initialize()
    def start(self) -> None:
        self.members = Membership(NAMES, HOSTS, DEADLINE_S)
        self.hosts = [Host() for _ in HOSTS]
        self.drained: set[str] = set()
        self.now = 0.0
        self.settled = self.closed
        self.quarantined: set[int] = set()

    @property
    def closed(self) -> set[str]:
        away = [NAMES[at] for at, host in zip(HOSTS, self.hosts, strict=True) if host.standing != "active"]
        return self.drained.union(*away)

    @rule(rounds=st.sampled_from([1, 1, 2, 5, 40]))
    def rounds_pass(self, rounds: int) -> None:
        self.members.round += rounds

    @rule(seconds=st.sampled_from([0.5, 3.0, 7.5, 8.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(h=hosts)
    def ask(self, h: int) -> None:
        if self.hosts[h].standing == "active":
            self.members.asked(h, self.now)
            self.hosts[h].asked_at.append(self.now)

    @rule(h=hosts)
    def answer(self, h: int) -> None:
        if self.hosts[h].standing != "lost":  # who is lost is taken back first
            self.members.answered(h)
            self.hosts[h].asked_at.clear()
            self.hosts[h].failures = 0
            self.hosts[h].judged.append(-0.25)

    @rule(h=hosts, times=st.integers(1, 4))
    def answer_wrong(self, h: int, times: int) -> None:
        host = self.hosts[h]
        for _ in range(times):
            self.members.mistaken(h, "wrong")
            if host.standing == "active":
                host.judged.append(1.0)
                if host.strikes >= 5.0:
                    host.standing = "quarantined"
                    self.quarantined.add(h)

    @rule(h=hosts, times=st.integers(1, 4))
    def fail(self, h: int, times: int) -> None:
        host = self.hosts[h]
        for _ in range(times):
            host.failures += host.standing == "active"
            lost = host.standing == "active" and host.failures == 3
            if lost:
                host.lose(self.members.round)
            assert self.members.failed(h, "cannot") is lost

    @rule(h=hosts)
    def fall_silent(self, h: int) -> None:
        self.members.silent(h, "its process ended")

    @rule()
    def look_who_is_overdue(self) -> None:
        due = [
            h
            for h, host in enumerate(self.hosts)
            if host.standing == "active" and host.asked_at and self.now >= host.asked_at[0] + DEADLINE_S
        ]
        assert self.members.overdue(self.now) == due
        for h in due:
            self.hosts[h].lose(self.members.round)
        assert self.members.overdue(self.now) == []

    @rule(h=hosts)
    def answer_a_probe(self, h: int) -> None:
        host = self.hosts[h]
        back = host.standing == "lost"
        if back and len(host.lost_in) > 1:
            back = self.members.round >= host.lost_in[-1] + 2 ** min(len(host.lost_in), 10)
        assert self.members.returns(h) is back
        if back:
            host.standing, host.failures = "active", 0

    @rule(h=hosts, times=st.integers(2, 4), rounds=st.integers(0, 20))
    def come_and_go(self, h: int, times: int, rounds: int) -> None:
        for _ in range(times):
            self.fail(h, 3)
            self.rounds_pass(rounds)
            self.answer_a_probe(h)

    @rule(names=some_names, drain=st.booleans())
    def drain_or_admit(self, names: list[str], drain: bool) -> None:
        (self.members.drain if drain else self.members.admit)(names)
        self.drained = self.drained | set(names) if drain else self.drained - set(names)

    @precondition(lambda self: self.members.changed)
    @rule()
    def settle(self) -> None:
        self.members.settle()
        self.settled = self.closed

    @rule()
    def coordinator_starts_again(self) -> None:
        """Another one takes over, with agents started afresh; who is drained it is told."""
        before = self.members
        self.members = Membership(NAMES, HOSTS, DEADLINE_S)
        self.members.take_over(before.round, before.events)
        self.members.drain(sorted(self.drained))
        self.hosts = [Host() for _ in HOSTS]
        self.quarantined.clear()
        self.settled = set()

    @invariant()
    def hosts_stand_where_the_rules_put_them(self) -> None:
        standing = [host.standing for host in self.hosts]
        assert self.members.active == [h for h, where in enumerate(standing) if where == "active"]
        assert self.members.lost == [h for h, where in enumerate(standing) if where == "lost"]
        assert self.quarantined.isdisjoint([*self.members.active, *self.members.lost])

    @invariant()
    def closed_is_who_is_drained_or_not_active(self) -> None:
        def named(mask: np.ndarray) -> set[str]:
            return {NAMES[i] for i in np.flatnonzero(mask)}

        assert named(self.members.closed) == self.closed == set(self.members.reasons())
        assert named(self.members.drained) == self.drained
        assert self.members.changed == (self.closed != self.settled)

    @invariant()
    def what_happened_tells_who_is_out(self) -> None:
        away: dict[str, bool] = {}
        drained: dict[str, bool] = {}
        for event in self.members.events:
            which = drained if event.what in ("drained", "admitted") else away
            which |= dict.fromkeys(event.regions, event.what not in ("admitted", "back"))
        told = {name for which in (away, drained) for name, out in which.items() if out}
        assert told == self.closed
        assert [e.round for e in self.members.events] == sorted(e.round for e in self.members.events)

    @invariant()
    def patience_ends_with_the_next_deadline(self) -> None:
        active = (host for host in self.hosts if host.standing == "active")
        waits = [host.asked_at[0] + DEADLINE_S - self.now for host in active if host.asked_at]
        assert self.members.patience(self.now) == min(waits, default=DEADLINE_S)


TestMembers: Any = Members.TestCase
TestMembers.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


def test_one_wrong_answer_in_five_is_borne_for_ever_and_one_in_four_is_not() -> None:
    def survives(right: int) -> bool:
        members = Membership(NAMES, HOSTS, DEADLINE_S)
        for _ in range(200):
            members.mistaken(0, "wrong")
            for _ in range(right):
                members.answered(0)
        return 0 in members.active

    assert survives(4) and not survives(3)

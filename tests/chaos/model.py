"""What must be true of everything that a run publishes, from the raw scenario and from what the line carried.

Shares nothing with agents and coordinator: sums are written out here, the least shortfall is Gale's maximum
over all sets of gateways, the optimum is a general linear solver's, the bound is recomputed by `sims.audit`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
from support.small_fleets import optimum

from eglb.agents.codec import Fault, Message, decode, encode
from eglb.agents.host import RoundNumber
from eglb.coordinator.exchange import Broadcast, Round
from eglb.coordinator.fleet.fleet import Fleet
from eglb.coordinator.fleet.transport import Arrival, Transport, TransportWrapper, Wait
from eglb.coordinator.run import Run
from eglb.foundation.arrays import Array
from eglb.planning.audit import lower_bound
from eglb.planning.partition import Partition
from eglb.scenarios.scenario import Scenario

_MW = 1e-9
"""Of the largest demand: what any constraint may be violated by."""
_USD = 1e-9
"""Of the sum of all terms' sizes."""
_SOLVER = 1e-7
"""The same for the general solver's optimum."""
_ANSWERS_KEPT = 64
_FORGOTTEN_OR_OVER = re.compile(r"restarted and lost its memory|round \d+ is over")
CALL_AND_PAUSE = 2.0
"""By a clock that counts calls and pauses: how much later than its deadline a silent host is given up."""
_REROUTED_WITHIN = 2
_ANY_NUMBER = 10**9
"""Of exchanges to the first plan of all, which takes an algorithm what it takes."""


class Broken(AssertionError):
    """Something that must hold does not."""


class Carried(TransportWrapper):
    """Outermost: counts what the coordinator sends and gets, and since when each host has been silent."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.calls = self.bytes_down = self.bytes_up = 0
        self.asked_at: dict[int, float] = {}

    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        self.calls += 1
        self.bytes_down += sum(map(len, [*payloads.values(), *(probes or {}).values()]))
        for h in payloads:
            self.asked_at.setdefault(h, self.now())
        arrived = self.inner.call(payloads, wait, probes)
        for h, answer in arrived:
            if isinstance(answer, bytes):
                self.bytes_up += len(answer)
                self.asked_at.pop(h, None)
        return arrived

    def restart(self, host: int) -> None:
        self.asked_at.pop(host, None)
        self.inner.restart(host)


class Genuine(TransportWrapper):
    """Innermost: remembers what hosts really answered, and to which round. They may refuse what is damaged,
    is of a round that is over, or rests on what they have forgotten, and nothing else.
    """

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self._given: dict[int, deque[tuple[int, list[Message]]]] = {}

    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        arrived = self.inner.call(payloads, wait, probes)
        for h, answer in arrived:
            if isinstance(answer, bytes):
                head, *replies = decode(answer)
                if isinstance(head, RoundNumber):
                    for reply in replies:
                        if isinstance(reply, Fault) and not _FORGOTTEN_OR_OVER.fullmatch(reply.reason):
                            raise Broken(f"host {h} refused what it was sent undamaged: {reply.reason}")
                    self._given.setdefault(h, deque(maxlen=_ANSWERS_KEPT)).append((head.number, replies))
        return arrived

    def gave(self, host: int, number: int, replies: tuple[Message, ...]) -> bool:
        """Whether a host really gave these replies, at the end of an answer to that round."""
        said = encode(replies, narrow=False)
        return any(
            encode(given[-len(replies) :], narrow=False) == said
            for of, given in self._given.get(host, ())
            if of == number
        )


class HeardFleet(Fleet):
    """A fleet that can be asked what the last exchange brought."""

    heard: Round

    def exchange(self, broadcast: Broadcast) -> Round:
        self.heard = super().exchange(broadcast)
        return self.heard


class Model:
    """Looks at a run after every exchange; raises `Broken`."""

    def __init__(
        self,
        parts: Partition,
        fleet: HeardFleet,
        carried: Carried,
        genuine: Genuine,
        tolerance: float,
    ) -> None:
        self._host_of = {at.start: h for h, at in enumerate(fleet.membership.hosts)}
        self._parts = parts
        self._scenario = parts.scenario
        self._fleet = fleet
        self._carried = carried
        self._genuine = genuine
        self._tolerance = tolerance
        self._since_change = -_ANY_NUMBER
        self._published: tuple[object, ...] = ()
        self.plans = 0
        """Different plans and bounds that were looked at."""

    def look(self, run: Run) -> None:
        """After an exchange and what the algorithm made of it."""
        self._count()
        self._credit()
        self._notice()
        heard = self._fleet.heard
        self._since_change = 0 if heard.changed else self._since_change + 1
        best = run.incumbent
        if best.route is None and self._since_change >= _REROUTED_WITHIN:
            raise Broken(f"no plan {self._since_change} exchanges after a change of members")
        published = (best.objective, best.bound, id(best.route), run.closed.tobytes(), run.unmet.tobytes())
        if published != self._published:
            self._published = published
            self.plans += 1
            self._check(run)

    def members_problem(self, run: Run) -> Scenario:
        """What the plan is for: regions without part closed, and demand less what is declared unmet."""
        s = self._scenario
        left = s.demand - self._unmet(run)
        return replace(
            s,
            capacity=np.where(run.closed[:, None], 0.0, s.capacity),
            demand=np.where(left > _MW * s.demand.max(), left, 0.0),
        )

    def _unmet(self, run: Run) -> Array:
        """(J, T) MW declared unmet, parted among the gateways of a group as their demand is."""
        group, demand = self._parts.pairs.group, self._scenario.demand
        total = np.zeros((len(run.market.demand.T), self._scenario.slots))
        np.add.at(total, group, demand)
        share = np.divide(demand, total[group], out=np.zeros_like(demand), where=total[group] > 0.0)
        return run.unmet.T[group] * share

    def _count(self) -> None:
        traffic, carried = self._fleet.traffic, self._carried
        found = (traffic.rounds, traffic.bytes_down, traffic.bytes_up, sum(traffic.bytes_up_by_host))
        due = (carried.calls, carried.bytes_down, carried.bytes_up, carried.bytes_up)
        if found != due:
            raise Broken(f"counted rounds, bytes down, up, up by host {found}, the line carried {due}")

    def _credit(self) -> None:
        closed = self._fleet.membership.closed
        for host_reply in self._fleet.heard.host_replies:
            host = self._host_of[host_reply.regions.start]
            if not closed[host_reply.regions].any() and not self._genuine.gave(
                host, host_reply.number, host_reply.replies
            ):
                kinds = ", ".join(type(reply).__name__ for reply in host_reply.replies)
                raise Broken(
                    f"host {host} never answered round {host_reply.number} so ({kinds}), yet it is used"
                )

    def _notice(self) -> None:
        """Silence of a member never lasts longer than its deadline and the tolerance."""
        members = self._fleet.membership
        for h in members.active:
            asked = self._carried.asked_at.get(h)
            if asked is not None and self._carried.now() - asked > members.deadline_s + self._tolerance:
                raise Broken(f"host {h} is silent since {asked}, it is {self._carried.now()}, not lost")

    def _check(self, run: Run) -> None:
        best, s = run.incumbent, self._scenario
        size = float(np.abs(s.price_per_mw_slot()).max(initial=0.0) * s.demand.sum())
        size = max(size, abs(best.objective) if np.isfinite(best.objective) else 0.0)
        if best.bound > best.objective + _USD * size:
            raise Broken(f"bound {best.bound!r} above objective {best.objective!r}")
        if best.route is not None:
            self._check_plan(run, size)
        if best.demand_price is not None and np.isfinite(best.bound):
            self._check_bound(run, size)

    def _check_plan(self, run: Run, size: float) -> None:
        best, s = run.incumbent, self._scenario
        assert best.route is not None
        route, unmet = self._parts.expand_route(best.route), self._unmet(run)
        served, load = np.zeros_like(s.demand), np.zeros_like(s.capacity)
        np.add.at(served, s.reach_gateway, route)
        np.add.at(load, s.reach_region, route)
        tolerance = _MW * float(s.demand.max())
        room = np.where(run.closed[:, None], 0.0, s.capacity)
        for what, excess in (
            ("flow below zero", -route),
            ("unmet demand below zero", -unmet),
            ("demand neither met nor declared unmet", np.abs(served + unmet - s.demand)),
            ("load above capacity", load - room),
            ("load on a region without part", np.where(run.closed[:, None], load, 0.0)),
            ("more unmet than need be", unmet.sum(0) - least_shortfall(s, run.closed.tobytes())),
        ):
            if excess.max(initial=0.0) > tolerance:
                raise Broken(f"{what}: {excess.max():.3g} MW of {s.demand.max():.3g}")
        cost = float((s.price_per_mw_slot() * load).sum())
        for kind in s.footprints:
            totals = kind.region_weight * (s.intensity_per_mw_slot(kind) * load).sum(1)
            cost += kind.weight * float(totals.max())
        if abs(cost - best.objective) > _USD * size:
            raise Broken(f"objective {best.objective!r}, the plan costs {cost!r}")

    def _check_bound(self, run: Run, size: float) -> None:
        best = run.incumbent
        assert best.demand_price is not None and best.equity_price is not None
        if best.route is None and self._since_change >= 0:
            return  # of the problem before, whose unmet demand is not known any more
        problem = self.members_problem(run)
        proved = lower_bound(
            problem,
            self._parts.expand_demand_price(best.demand_price),
            self._parts.expand_equity_price(best.equity_price),
        )
        if best.bound > proved + _USD * max(size, abs(proved)):
            raise Broken(f"bound {best.bound!r}, its prices prove {proved!r}")
        least = members_optimum(_Key(problem))
        if best.bound > least + _SOLVER * max(size, abs(least)):
            raise Broken(f"bound {best.bound!r} above the optimum {least!r}")
        if best.objective < least - _SOLVER * max(size, abs(least)):
            raise Broken(f"objective {best.objective!r} below the optimum {least!r}")


class _Key:
    """A scenario as a key, by what of it changes in a run."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._bytes = (scenario.name, scenario.capacity.tobytes(), scenario.demand.tobytes())

    def __hash__(self) -> int:
        return hash(self._bytes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._bytes == other._bytes


@lru_cache(maxsize=64)
def members_optimum(key: _Key) -> float:
    """USD: the optimum of a problem with the members there are, of a hair more capacity.

    Where something is unmet the rest fills regions to the last bit, which a solver may take for infeasible.
    """
    problem = key.scenario
    most = float(problem.demand.max(initial=0.0))
    return optimum(replace(problem, capacity=problem.capacity + _MW * most)) if most else 0.0


def least_shortfall(scenario: Scenario, closed: bytes) -> Array:
    """(T,) MW that nobody can serve: the most that any set of gateways asks above what it reaches."""
    sets = (np.arange(2 ** len(scenario.gateways))[:, None] >> np.arange(len(scenario.gateways))) & 1
    reach = np.zeros((len(scenario.gateways), len(scenario.regions)))
    reach[scenario.reach_gateway, scenario.reach_region] = 1.0
    room = np.where(np.frombuffer(closed, bool)[:, None], 0.0, scenario.capacity)
    return np.asarray((sets @ scenario.demand - (sets @ reach > 0.0) @ room).max(0))

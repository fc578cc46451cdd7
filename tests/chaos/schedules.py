"""A seed makes a schedule: a small fleet, an algorithm, what goes wrong until when, who is drained."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial

import numpy as np
from chaos.model import Broken, Carried, Genuine, HeardFleet, Model
from small_fleets import draw_scenario

from eglb.coordinator.admm import Admm
from eglb.coordinator.dual import LevelBundle
from eglb.coordinator.fleet import Fleet, FleetError, group_regions, seat
from eglb.coordinator.newton import Newton
from eglb.coordinator.relay import Relay
from eglb.coordinator.reroute import Method
from eglb.coordinator.run import Outcome, Run
from eglb.coordinator.subgradient import Subgradient
from eglb.coordinator.transport import InProcess
from eglb.sims.faults import Bounded, Faults, FaultyLine, Outage
from eglb.sims.partition import partition
from eglb.sims.scenario import Scenario

METHODS: dict[str, Method] = {
    "admm": Admm,
    "dual": LevelBundle,
    "newton": partial(Relay, first=Newton, second=Admm),
    "crossover": partial(Relay, first=Admm, second=Newton, hand_over_gap=1e-3),
    "subgradient": Subgradient,
}
GAPS = {"subgradient": (1e-1, 3e-2, 1e-2)}
_GAPS = (1e-2, 1e-3, 1e-4)
_QUIET_ROUNDS = 400
"""For a run to converge in after the faults have ceased; one that does not has `_MOST_ROUNDS`, if it would
converge without any."""
_MOST_ROUNDS = 10_000


@dataclass(frozen=True)
class Order:
    """In a round, regions are drained or admitted again."""

    round: int
    drain: bool
    regions: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Schedule:
    """All that happens in one run; `deadline` in calls, `per_host` regions."""

    seed: int
    scenario: Scenario
    algorithm: str
    gap: float
    faults: Faults
    deadline: float
    per_host: int
    orders: tuple[Order, ...]

    def __str__(self) -> str:
        shape = f"{len(self.scenario.regions)}x{len(self.scenario.gateways)}x{self.scenario.slots}"
        return (
            f"{self.algorithm} to {self.gap:g} on {shape}, {self.per_host} regions a host, "
            f"deadline {self.deadline:g}, {self.faults}, {self.orders}"
        )


def draw_schedule(seed: int) -> Schedule:
    """Everything about a run that is left to chance."""
    random = np.random.default_rng([seed, 6])
    scenario = draw_scenario(int(random.integers(2**31)))
    algorithm = str(random.choice(list(METHODS)))
    until = int(random.integers(10, 60))

    def rate(most: float, share: float = 0.4) -> float:
        return float(random.uniform(0.0, most)) if random.random() < share else 0.0

    def bounded(rate_most: float, most: int, share: float = 0.4) -> Bounded:
        return Bounded(rate(rate_most, share), int(random.integers(1, most + 1)))

    outages = tuple(
        Outage(
            str(random.choice(scenario.regions)), int(random.integers(1, until)), int(random.integers(1, 40))
        )
        for _ in range(random.choice([0, 0, 1, 2]))
    )
    faults = Faults(
        drop=rate(0.4),
        unheard=rate(0.2),
        duplicate=rate(0.3),
        reorder=rate(0.2),
        corrupt=rate(0.3 if random.random() < 0.2 else 0.05),
        garble=rate(0.05),
        freeze=rate(0.02, 0.3),
        late=bounded(0.4, 6),
        slow=bounded(0.5, 6, 0.2),
        crash=bounded(0.04, 8),
        nodes=bounded(0.03, 3, 0.3),
        out=outages,
        until=until,
        seed=seed,
    )
    orders = tuple(
        Order(
            int(random.integers(1, until)),
            bool(random.random() < 0.6),
            tuple(map(str, random.choice(scenario.regions, random.integers(1, 3)))),
        )
        for _ in range(random.choice([0, 0, 1, 3]))
    )
    return Schedule(
        seed,
        scenario,
        algorithm,
        float(random.choice(GAPS.get(algorithm, _GAPS))),
        faults,
        float(random.integers(2, 15)),
        int(random.choice([1, 1, 1, 2, 3])),
        orders,
    )


@dataclass(frozen=True)
class Played:
    """How a schedule ended: an outcome, or nobody was left; and what happened on the way."""

    ended: str
    counts: Counter[str]


def play(schedule: Schedule) -> Played:
    """Run a schedule in process, the model looking on.

    Raises
    ------
    Broken : an invariant does not hold.
    """
    scenario = schedule.scenario
    parts = partition(scenario)
    hosts = group_regions(parts.region, schedule.per_host)
    genuine = Genuine(InProcess(hosts))
    faulty = FaultyLine(genuine, schedule.faults, [host.names for host in hosts])
    carried = Carried(faulty)
    sizes = {"slot": parts.market.slots, "kind": parts.market.kinds}
    fleet = HeardFleet(carried, seat(parts.market, hosts), schedule.deadline, sizes=sizes)
    method = METHODS[schedule.algorithm]
    run = Run(parts.market, fleet, method(parts.market, schedule.gap, None), method)
    model = Model(parts, fleet, carried, genuine)
    orders = sorted(schedule.orders, key=lambda order: order.round)

    def look(seconds: float) -> None:
        model.look(run)
        while orders and orders[0].round <= fleet.traffic.rounds:
            order = orders.pop(0)
            (fleet.membership.drain if order.drain else fleet.membership.admit)(order.regions)
        if fleet.traffic.rounds > _MOST_ROUNDS:
            raise Broken("goes on for ever")

    ended = "nobody left"
    try:
        outcome = run.go(max_rounds=schedule.faults.until + _QUIET_ROUNDS, on_round=look)
        slow = outcome is not Outcome.CONVERGED
        # The subgradient method makes no promise: its running mean is good by luck, disturbed or not.
        promised = schedule.algorithm != "subgradient"
        if slow and promised and _converges_undisturbed(schedule, model.members_problem(run)):
            outcome = run.go(max_rounds=_MOST_ROUNDS, on_round=look)
            if outcome is not Outcome.CONVERGED:
                reached = f"gap {run.incumbent.gap:.2g} after {fleet.traffic.rounds} rounds"
                raise Broken(f"{outcome.value}: {reached}, where the undisturbed run converges")
        ended = outcome.value + (" slowly" if slow else "")
    except FleetError:
        if fleet.membership.active:
            raise Broken("gave up, though hosts are left") from None
    happened = Counter({event.what: 0 for event in fleet.membership.events})
    happened.update(event.what for event in fleet.membership.events)
    rejected = Counter(what for (_, what), count in fleet.membership.rejected.items() for _ in range(count))
    return Played(ended, faulty.counts + happened + rejected + Counter(plans=model.plans))


def _converges_undisturbed(schedule: Schedule, problem: Scenario) -> bool:
    """Whether the same method solves the members' problem when nothing goes wrong."""
    parts = partition(problem)
    hosts = group_regions(parts.region, 1)
    sizes = {"slot": parts.market.slots, "kind": parts.market.kinds}
    fleet = Fleet(InProcess(hosts), seat(parts.market, hosts), sizes=sizes)
    algorithm = METHODS[schedule.algorithm](parts.market, schedule.gap, None)
    return Run(parts.market, fleet, algorithm, None).go(max_rounds=_QUIET_ROUNDS) is Outcome.CONVERGED

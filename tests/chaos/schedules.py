"""A seed makes a schedule: a small fleet, an algorithm, what goes wrong until when, who is drained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from chaos.model import CALL_AND_PAUSE, Broken, Carried, Genuine, HeardFleet, Model
from support.small_fleets import draw_scenario

from eglb.agents.region import PrivateData
from eglb.coordinator.algorithms.admm import Admm
from eglb.coordinator.algorithms.crossover import Crossover
from eglb.coordinator.algorithms.level_bundle import LevelBundle
from eglb.coordinator.algorithms.newton import Newton
from eglb.coordinator.algorithms.reroute import Method
from eglb.coordinator.algorithms.subgradient import Subgradient
from eglb.coordinator.fleet.faults import Bounded, Faults, FaultyTransport, Outage
from eglb.coordinator.fleet.fleet import Fleet, FleetError, group_regions, host_slices
from eglb.coordinator.fleet.transport import InProcess, Transport
from eglb.coordinator.run import Outcome, Run
from eglb.planning.partition import Partition, partition
from eglb.scenarios.scenario import Scenario

METHODS: dict[str, Method] = {
    "admm": Admm,
    "dual": LevelBundle,
    "newton": partial(Crossover, first=Newton, second=Admm),
    "crossover": partial(Crossover, first=Admm, second=Newton, hand_over_gap=1e-3),
    "subgradient": Subgradient,
}
GAPS = {"subgradient": (1e-1, 3e-2, 1e-2)}
_GAPS = (1e-2, 1e-3, 1e-4)
_QUIET_ROUNDS = 400
"""In which most runs converge once the faults have ceased; those that need more are counted apart."""
_MOST_ROUNDS = 10_000
"""Of any run, disturbed or not."""


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


def play(
    schedule: Schedule,
    start: Callable[[Sequence[PrivateData]], Transport] = InProcess,
    tolerance_s: float | None = None,
) -> Played:
    """Run a schedule, the model looking on.

    Parameters
    ----------
    start : makes the transport to the hosts of some private data; it is closed in the end.
    tolerance_s : by the clock, how much later than its deadline a silent host may be given up. None where the
        clock counts calls.

    Raises
    ------
    Broken : an invariant does not hold.
    """
    parts = partition(schedule.scenario)
    hosts = group_regions(parts.region, schedule.per_host)
    genuine = Genuine(start(hosts))
    faulty = FaultyTransport(genuine, schedule.faults, [host.names for host in hosts], tolerance_s is None)
    carried = Carried(faulty)
    try:
        sizes = {"slot": parts.market.slots, "kind": parts.market.kinds}
        fleet = HeardFleet(carried, host_slices(parts.market, hosts), schedule.deadline, sizes=sizes)
        model = Model(parts, fleet, carried, genuine, CALL_AND_PAUSE if tolerance_s is None else tolerance_s)
        ended = _run(schedule, fleet, model, parts)
    finally:
        carried.close()
    happened = Counter(event.what for event in fleet.membership.events)
    rejected = Counter(what for (_, what), count in fleet.membership.rejected.items() for _ in range(count))
    return Played(ended, faulty.counts + happened + rejected + Counter(plans=model.plans))


def _run(schedule: Schedule, fleet: HeardFleet, model: Model, parts: Partition) -> str:
    """How it ended."""
    method = METHODS[schedule.algorithm]
    run = Run(parts.market, fleet, method(parts.market, schedule.gap, None), method)
    orders = sorted(schedule.orders, key=lambda order: order.round)
    # The subgradient method makes no promise: its running mean is good by luck, disturbed or not.
    promised = schedule.algorithm != "subgradient"
    quiet = schedule.faults.until + _QUIET_ROUNDS

    def look(seconds: float) -> None:
        model.look(run)
        while orders and orders[0].round <= fleet.traffic.rounds:
            order = orders.pop(0)
            (fleet.membership.drain if order.drain else fleet.membership.admit)(order.regions)
        if fleet.traffic.rounds > 2 * _MOST_ROUNDS:
            raise Broken("goes on for ever")

    try:
        outcome = run.run(max_rounds=_MOST_ROUNDS if promised else quiet, on_round=look)
    except FleetError:
        if fleet.membership.active:
            raise Broken("gave up, though hosts are left") from None
        return "nobody left"
    rounds = fleet.traffic.rounds
    if outcome is not Outcome.CONVERGED and promised:
        undisturbed = _rounds_undisturbed(schedule, model.members_problem(run))
        if undisturbed is not None:
            reached = f"gap {run.incumbent.gap:.2g} after {rounds} rounds"
            raise Broken(f"{outcome.value}: {reached}, undisturbed it converges in {undisturbed}")
    return outcome.value + (" slowly" if rounds > quiet else "")


def _rounds_undisturbed(schedule: Schedule, problem: Scenario) -> int | None:
    """In which the same method solves the members' problem when nothing goes wrong; None if it does not.

    From any start and whatever went wrong before, a method that converges does so once it is left alone, in
    how many rounds nobody promises. So both runs have the same `_MOST_ROUNDS`, and stall by the same rule.
    """
    parts = partition(problem)
    hosts = group_regions(parts.region, 1)
    sizes = {"slot": parts.market.slots, "kind": parts.market.kinds}
    fleet = Fleet(InProcess(hosts), host_slices(parts.market, hosts), sizes=sizes)
    algorithm = METHODS[schedule.algorithm](parts.market, schedule.gap, None)
    outcome = Run(parts.market, fleet, algorithm, None).run(max_rounds=_MOST_ROUNDS)
    return fleet.traffic.rounds if outcome is Outcome.CONVERGED else None

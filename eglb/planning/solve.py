"""From a scenario to an audited plan: cut it up, start the fleet, run the algorithm, recompute every
number.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InfeasibleError, InputError
from eglb.planning.audit import audit, region_load
from eglb.planning.feasibility import require_feasible
from eglb.planning.progress import RoundRecord
from eglb.planning.solution import Solution
from eglb.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from eglb.coordinator.fleet.faults import Faults
    from eglb.coordinator.fleet.membership import MembershipEvent
    from eglb.coordinator.fleet.network import Network
    from eglb.planning.running.checkpoint import Checkpoint, SolveOptions
    from eglb.planning.running.membership_orders import Orders
    from eglb.planning.warm_start.align import WarmStartSource

ALGORITHMS: dict[str, str] = {
    "admm": "ADMM on the hourly loads; agents tell only the load they would choose (default)",
    "dual": "dual decomposition by a level bundle method; agents bid a price for every slot",
    "newton": "decentralised interior point; fewest rounds, agents disclose their series",
    "crossover": "admm to a gap of 1e-3, then newton from there: less time for large fleets",
    "subgradient": "textbook dual decomposition; the yardstick, slow",
    "central": "the central solver (HiGHS); one party sees everything",
}
"""Name and one line on each; `central` is not decentralised and starts no agents."""

_HAND_OVER_GAP = 1e-3
_CENTRAL_STATUS = {"optimal": "converged", "time_limit": "time_limit", "imprecise": "stalled"}


@dataclass(frozen=True, eq=False)
class _Found:
    """What any solver brings home, on the scenario's own gateways and kinds."""

    status: str
    route: Array
    demand_price: Array
    equity_price: Array
    actors: int
    rounds: int
    bytes_up: int
    bytes_down: int
    seconds_start: float
    seconds_solve: float
    agents_rss_mb: float
    trace: tuple[RoundRecord, ...]
    equity_prices: Array
    out: Mapping[str, str] = field(default_factory=dict)
    unmet: Array | None = None
    events: tuple[MembershipEvent, ...] = ()
    rejected: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    work: Array | None = None
    work_price: Array | None = None
    unmet_mwh: Array | None = None


def solve(
    scenario: Scenario,
    algorithm: str = "admm",
    *,
    gap: float = 1e-4,
    max_rounds: int | None = None,
    time_limit: float | None = None,
    address: str = "local",
    regions_per_actor: int | None = None,
    deadline: float = 20.0,
    network: Network | None = None,
    warm_start: str | Path | Solution | WarmStartSource | None = None,
    checkpoint: str | Path | Checkpoint | None = None,
    checkpoint_every: int | None = None,
    without: Iterable[str] = (),
    orders: Orders | None = None,
    faults: Faults | None = None,
    on_round: Callable[[RoundRecord], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Solution:
    """One plan for the whole horizon, with a certificate of how far it can be from optimal.

    Minimises energy cost plus, for each footprint kind, its weight times the worst region's total over the
    horizon, subject to demand, capacity and reach in every slot. Regions that are lost on the way are planned
    without; if demand cannot be met then, as little as possible is left out, and the plan says so.

    Parameters
    ----------
    algorithm : one of `ALGORITHMS`.
    gap : certified (objective - lower bound) / |objective| at which to stop.
    max_rounds, time_limit : exchanges and seconds after which to stop with the best plan so far; a run always
        goes on to its first feasible plan. The central solver knows no rounds.
    address : ``"local"`` (a private Ray cluster), ``"auto"`` or ``"HOST:PORT"`` (a running one), or
        ``"inprocess"``.
    regions_per_actor : default one for up to 32 regions, else what `regions_per_host` finds; in process, all
        in one if there is no `network`.
    deadline : seconds within which an agent must answer; one that does not is lost, until it answers again.
    network : on which to expect the exchanges, see `eglb.planning.wide_area.lay_network`; nothing waits for
        it.
    warm_start : an earlier results folder or solution of much the same fleet, to start from where it ended.
    checkpoint : a new folder to keep there what `resume` needs to go on, should this process die; or one that
        is open.
    checkpoint_every : exchanges after which to keep it again; by default ten, or as many more as keep the
        time for that below a tenth.
    without : regions to leave out from the start. orders : to take others out, or back in, on the way.
    faults : what goes wrong between coordinator and agents, for experiments in process.
    on_round : told the progress after every exchange.
    warn : told in a line who was lost or came back, and what went wrong and did not end the solve.

    Raises
    ------
    InputError : an argument is wrong. InfeasibleError : no plan can meet demand and do all jobs. FleetError :
    the cluster failed.
    """
    began = time.perf_counter()
    from eglb.planning.launch import place_problems

    problems = []
    if algorithm not in ALGORITHMS:
        problems.append(f"unknown algorithm {algorithm!r}; there are {', '.join(ALGORITHMS)}")
    for name, value in (
        ("gap", gap),
        ("max_rounds", max_rounds),
        ("time_limit", time_limit),
        ("checkpoint_every", checkpoint_every),
    ):
        if value is not None and not value > 0:
            problems.append(f"{name} must be above zero, not {value!r}")
    problems += place_problems(address, regions_per_actor, deadline)
    if network is not None and algorithm == "central":
        problems.append("the central solver exchanges no messages: it has no use for a network")
    if warm_start is not None and algorithm == "central":
        problems.append("the central solver starts afresh: it has no use for a warm start")
    if checkpoint is not None and algorithm == "central":
        problems.append("the central solver cannot go on from a checkpoint: it has no use for one")
    if checkpoint is not None and network is not None:
        problems.append("checkpoints do not keep the clock of a network: use one or the other")
    missing = tuple(dict.fromkeys(without))
    problems += [f"without: no region is called {name}" for name in missing if name not in scenario.regions]
    if set(missing) >= set(scenario.regions):
        problems.append("without: no region would be left")
    if algorithm == "central" and (missing or orders is not None):
        problems.append("the central solver asks no agents: it can leave none out")
    if faults is not None and (algorithm == "central" or address != "inprocess"):
        problems.append('faults are for experiments with agents in process: address="inprocess"')
    if faults is not None:
        problems += faults.unknown_regions(scenario.regions)
    if problems:
        raise InputError(problems)
    source = None
    if warm_start is not None:
        from eglb.planning.warm_start.align import find_source

        source = find_source(warm_start, scenario)
    require_feasible(scenario)
    if algorithm == "central":
        found = _solve_centrally(scenario, time_limit, on_round)
    else:
        from eglb.planning.running.checkpoint import SolveOptions, in_use

        options = SolveOptions(
            algorithm=algorithm,
            gap=gap,
            max_rounds=max_rounds,
            time_limit=time_limit,
            address=address,
            regions_per_actor=regions_per_actor,
            deadline=deadline,
            without=missing,
        )
        with in_use(checkpoint, scenario, options, checkpoint_every, warn) as kept:
            found = _solve_with_agents(
                scenario, options, network, source, kept, orders, faults, on_round, warn
            )
    left = scenario.without(found.out, found.unmet, found.unmet_mwh) if found.out else scenario
    prices = (found.demand_price, found.equity_price)
    checked = audit(left, found.route, *prices, found.work, found.work_price)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return Solution(
        status=found.status if found.unmet is None and found.unmet_mwh is None else "shortfall",
        scenario=scenario,
        algorithm=algorithm,
        address="inprocess" if algorithm == "central" else address,
        actors=found.actors,
        route=found.route,
        load=region_load(scenario, found.route, found.work),
        demand_price=found.demand_price,
        equity_price=found.equity_price,
        audit=checked,
        rounds=found.rounds,
        bytes_up=found.bytes_up,
        bytes_down=found.bytes_down,
        seconds_start=found.seconds_start,
        seconds_solve=found.seconds_solve,
        seconds_total=time.perf_counter() - began,
        peak_rss_mb=own + found.agents_rss_mb,
        trace=found.trace,
        equity_prices=found.equity_prices,
        network=network,
        out=found.out,
        unmet=found.unmet,
        events=found.events,
        rejected=found.rejected,
        work=found.work,
        work_price=found.work_price,
        unmet_mwh=found.unmet_mwh,
    )


def resume(
    checkpoint: str | Path,
    *,
    orders: Orders | None = None,
    on_round: Callable[[RoundRecord], None] | None = None,
    warn: Callable[[str], None] | None = None,
    **changes: Any,
) -> Solution:
    """Go on with a solve that died or was stopped, from the folder that it was given as `checkpoint`.

    Rounds and seconds, and the limits on them, count from its beginning. `changes` are arguments of `solve`
    to have otherwise: algorithm, gap, max_rounds, time_limit, address, regions_per_actor, deadline. With
    another algorithm or gap, and where agents knew what died with them (`newton`), it starts again from the
    best plan and bound; else it goes on to the same iterates.

    Raises
    ------
    InputError : the folder holds no checkpoint, is in use or was changed. Others as of `solve`.
    """
    from eglb.planning.running.checkpoint import resume_checkpoint

    with resume_checkpoint(Path(checkpoint), warn) as kept:
        options = kept.options.changed(changes)
        return solve(kept.scenario, **options, checkpoint=kept, orders=orders, on_round=on_round, warn=warn)


def _solve_with_agents(
    scenario: Scenario,
    options: SolveOptions,
    network: Network | None,
    source: WarmStartSource | None,
    checkpoint: Checkpoint | None,
    orders: Orders | None,
    faults: Faults | None,
    on_round: Callable[[RoundRecord], None] | None,
    warn: Callable[[str], None] | None,
) -> _Found:
    from eglb.coordinator.algorithms.admm import Admm
    from eglb.coordinator.algorithms.crossover import Crossover
    from eglb.coordinator.algorithms.level_bundle import LevelBundle
    from eglb.coordinator.algorithms.newton import Newton
    from eglb.coordinator.algorithms.reroute import Method
    from eglb.coordinator.algorithms.subgradient import Subgradient
    from eglb.coordinator.run import Run
    from eglb.planning.launch import launch
    from eglb.planning.partition import partition
    from eglb.planning.running.membership_orders import Overseer, leave_out
    from eglb.planning.warm_start.align import align

    methods: dict[str, Method] = {
        "admm": Admm,
        "dual": LevelBundle,
        "newton": partial(Crossover, first=Newton, second=Admm),
        "crossover": partial(Crossover, first=Admm, second=Newton, last=Admm, hand_over_gap=_HAND_OVER_GAP),
        "subgradient": Subgradient,
    }
    began = time.perf_counter()
    parts = partition(scenario)

    with launch(
        parts.market,
        parts.region,
        address=options.address,
        regions_per_actor=options.regions_per_actor,
        deadline=options.deadline,
        network=network,
        faults=faults,
    ) as agents:
        fleet, clock = agents.fleet, agents.clock
        method = methods[options.algorithm]
        trace: list[RoundRecord] = []
        if checkpoint is not None and checkpoint.kept is not None:
            run = checkpoint.resume(parts.market, fleet, method, options)
            trace += checkpoint.trace
            told = len(checkpoint.kept.events)
        else:
            warm = align(source, parts) if source is not None else None
            run = Run(parts.market, fleet, method(parts.market, options.gap, warm), method)
            leave_out(run, options.without, warm)
            told = len(fleet.membership.events)
        seconds_before = run.seconds
        overseer = Overseer(fleet.membership, orders, checkpoint.folder if checkpoint else None, warn, told)

        def record(seconds: float) -> None:
            best, traffic = run.incumbent, fleet.traffic
            if traffic.rounds == (trace[-1].round if trace else 0):
                return  # members changed between two exchanges: nothing was asked
            trace.append(
                RoundRecord(
                    round=traffic.rounds,
                    seconds=seconds,
                    objective=best.objective,
                    lower_bound=best.bound,
                    gap=best.gap,
                    bytes_up=traffic.bytes_up,
                    bytes_down=traffic.bytes_down,
                    seconds_network=clock.seconds if clock is not None else 0.0,
                    regions_out=int(run.closed.sum()),
                )
            )
            if checkpoint is not None:
                checkpoint.record(run, trace)
            if on_round is not None:
                on_round(trace[-1])
            if overseer.look() and checkpoint is not None:
                checkpoint.record(run, trace, last=True)
            overseer.done()

        overseer.look()
        seconds_start = time.perf_counter() - began
        outcome = run.run(max_rounds=options.max_rounds, time_limit_s=options.time_limit, on_round=record)
        if checkpoint is not None:
            checkpoint.record(run, trace, last=True)
        seconds_solve = seconds_before + time.perf_counter() - began - seconds_start
        agents_rss_mb = agents.transport.peak_rss_mb()
    best, members = run.incumbent, fleet.membership
    reasons = members.reasons()
    # Who was admitted after the last exchange had been drained in it.
    out = {members.names[i]: reasons.get(members.names[i], "drained") for i in np.flatnonzero(run.closed)}
    if best.route is None:
        raise InfeasibleError(f"{scenario.name}: no plan was found that does all work beside demand")
    assert best.demand_price is not None and best.equity_price is not None
    unmet, unmet_mwh = parts.expand_demand(run.unmet), parts.expand_unmet_work(run.unmet)
    return _Found(
        status=outcome.value,
        route=parts.expand_route(best.route),
        demand_price=parts.expand_demand_price(best.demand_price),
        equity_price=parts.expand_equity_price(best.equity_price),
        actors=len(agents.hosts),
        rounds=fleet.traffic.rounds,
        bytes_up=fleet.traffic.bytes_up,
        bytes_down=fleet.traffic.bytes_down,
        seconds_start=seconds_start,
        seconds_solve=seconds_solve,
        agents_rss_mb=agents_rss_mb,
        trace=tuple(trace),
        equity_prices=parts.expand_equity_price(run.algorithm.remembered_equity_prices()),
        out=out,
        unmet=unmet if unmet.any() else None,
        events=tuple(members.events),
        rejected=members.to_dict()["rejected"],
        work=parts.expand_work(best.route),
        work_price=parts.expand_work_price(best.demand_price),
        unmet_mwh=unmet_mwh if unmet_mwh is not None and unmet_mwh.any() else None,
    )


def _solve_centrally(
    scenario: Scenario, time_limit: float | None, on_round: Callable[[RoundRecord], None] | None
) -> _Found:
    from eglb.planning.central.central import solve_central

    result = solve_central(scenario, time_limit=time_limit)
    prices = (result.demand_price, result.equity_price)
    checked = audit(scenario, result.route, *prices, result.work, result.work_price)
    record = RoundRecord(
        round=0,
        seconds=result.seconds_build + result.seconds_solve + result.seconds_repair,
        objective=checked.objective,
        lower_bound=checked.lower_bound,
        gap=checked.gap,
        bytes_up=0,
        bytes_down=0,
    )
    if on_round is not None:
        on_round(record)
    return _Found(
        status=_CENTRAL_STATUS[result.status],
        route=result.route,
        demand_price=result.demand_price,
        equity_price=result.equity_price,
        actors=0,
        rounds=0,
        bytes_up=0,
        bytes_down=0,
        seconds_start=0.0,
        seconds_solve=record.seconds,
        agents_rss_mb=0.0,
        trace=(record,),
        equity_prices=np.zeros((0, 0, 0)),
        work=result.work,
        work_price=result.work_price,
    )

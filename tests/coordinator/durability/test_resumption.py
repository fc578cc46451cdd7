"""A run goes on from what was kept after any round: exactly where it can, else no worse than it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from support.known_answers import build_backwards

from eglb.agents.codec import encode
from eglb.coordinator.algorithms.admm import Admm
from eglb.coordinator.algorithms.crossover import Crossover
from eglb.coordinator.algorithms.level_bundle import LevelBundle
from eglb.coordinator.algorithms.newton import Newton
from eglb.coordinator.algorithms.reroute import Method
from eglb.coordinator.algorithms.subgradient import Subgradient
from eglb.coordinator.durability import resumption
from eglb.coordinator.durability.resumption import RunState, capture, pack, resume, unpack
from eglb.coordinator.exchange import Broadcast, Round
from eglb.coordinator.fleet.fleet import Fleet, group_regions, host_slices
from eglb.coordinator.fleet.transport import InProcess
from eglb.coordinator.run import Outcome, Run
from eglb.planning.partition import Partition, partition

METHODS: dict[str, Method] = {
    "admm": Admm,
    "dual": LevelBundle,
    "subgradient": Subgradient,
    "admm, then admm": partial(Crossover, first=Admm, second=Admm, hand_over_gap=1e-2),
    "dual, then admm": partial(Crossover, first=LevelBundle, second=Admm, hand_over_gap=1e-2),
    "crossover": partial(Crossover, first=Admm, second=Newton, hand_over_gap=1e-2),
    "newton": partial(Crossover, first=Newton, second=Admm),
}
GAP = 1e-4
Trace = list[tuple[int, int, int, float, float]]


def fleet_of(parts: Partition) -> Fleet:
    hosts = group_regions(parts.region, 2)
    sizes = {"slot": parts.market.slots, "kind": parts.market.kinds}
    return Fleet(InProcess(hosts), host_slices(parts.market, hosts), sizes=sizes)


def follow(run: Run, max_rounds: int, hear: Callable[[], None] = lambda: None) -> tuple[Outcome, Trace]:
    """Run to the end; rounds, bytes, objective and bound after every exchange."""
    trace: Trace = []

    def note(seconds: float) -> None:
        t, best = run.fleet.traffic, run.incumbent
        trace.append((t.rounds, t.bytes_up, t.bytes_down, best.objective, best.bound))
        hear()

    return run.run(max_rounds=max_rounds, on_round=note), trace


def run_and_keep(name: str, seed: int, max_rounds: int) -> tuple[Partition, Outcome, Trace, list[RunState]]:
    """An uninterrupted run, and what was kept after every round, by way of bytes."""
    parts = partition(build_backwards(seed)[0].scenario)
    method = METHODS[name]
    run = Run(parts.market, fleet_of(parts), method(parts.market, GAP, None), method)
    data: list[bytes] = []
    outcome, trace = follow(
        run, max_rounds, lambda: data.append(b"".join(pack(capture(run, {"n": np.ones(1)}), "it")))
    )
    return parts, outcome, trace, [unpack(each, "it") for each in data]


def resumed(parts: Partition, kept: RunState, name: str, max_rounds: int) -> tuple[Outcome, Trace]:
    run = resume(kept, parts.market, fleet_of(parts), METHODS[name], GAP, True)
    return follow(run, max_rounds)


@pytest.mark.parametrize("name", ["dual", "subgradient", "admm", "admm, then admm", "dual, then admm"])
def test_from_every_round_on_the_iterates_are_the_same(name: str) -> None:
    most = 40
    parts, outcome, trace, kept = run_and_keep(name, 5, most)
    assert len(trace) >= 10 and len(kept) == len(trace)
    for k, each in enumerate(kept[:-1]):
        assert each.state is not None and each.round == trace[k][0]
        ended, again = resumed(parts, each, name, most)
        assert ended is outcome
        if "admm" not in name:
            assert [row[3:] for row in again] == [row[3:] for row in trace[k + 1 :]]
        else:
            # Agents start the search for their multipliers, to 1e-12, from the last ones they found.
            assert np.array(again)[:, 3:] == pytest.approx(np.array(trace)[k + 1 :, 3:], rel=1e-9)
        assert [row[0] for row in again] == [row[0] for row in trace[k + 1 :]]


@pytest.mark.parametrize("name", ["admm", "crossover", "dual"])
def test_the_coordinator_s_own_part_is_exact_to_the_bit(name: str) -> None:
    """What a copy asks next after the same answers, in every round."""
    parts = partition(build_backwards(7)[0].scenario)
    fleet, method = fleet_of(parts), METHODS[name]
    run = Run(parts.market, fleet, method(parts.market, GAP, None), method)
    run.action = run.algorithm.start()
    steps = 0
    while run.action is not None and run.algorithm.resumable:
        kept = unpack(b"".join(pack(capture(run, {}), "")), "")
        copy = resume(kept, parts.market, fleet_of(parts), method, GAP, True)
        assert copy.action is not None
        heard = fleet.exchange(run.action)
        step = run.algorithm.step(heard)
        other = copy.algorithm.step(about(heard, copy.action))
        assert type(other) is type(step)
        if isinstance(step, Broadcast) and isinstance(other, Broadcast):
            assert encode(step.requests, narrow=False) == encode(other.requests, narrow=False)
        assert (run.incumbent.objective, run.incumbent.bound) == (
            copy.incumbent.objective,
            copy.incumbent.bound,
        )
        run.action = step if isinstance(step, Broadcast) else None
        steps += 1
    assert steps >= 8


def about(heard: Round, action: Broadcast) -> Round:
    """The same answers, to the requests of a copy."""
    return replace(
        heard, host_replies=tuple(replace(each, requests=action.requests) for each in heard.host_replies)
    )


@pytest.mark.parametrize("name", ["newton", "crossover"])
def test_what_agents_take_with_them_costs_rounds_but_neither_plan_nor_bound(name: str) -> None:
    parts, outcome, _, kept = run_and_keep(name, 3, 200)
    assert outcome is Outcome.CONVERGED
    optimum = build_backwards(3)[0].optimum
    for each in kept:
        run = resume(each, parts.market, fleet_of(parts), METHODS[name], GAP, True)
        ended, again = follow(run, 400)
        assert ended is Outcome.CONVERGED
        assert again[0][0] == each.round + 1 and again[0][1] > each.traffic.bytes_up
        best = run.incumbent
        assert best.objective <= each.incumbent.objective and best.bound >= each.incumbent.bound
        assert best.bound <= optimum * (1 + 1e-9) and best.objective >= optimum * (1 - 1e-9)
    assert kept[-1].state is None and any(each.state is None for each in kept[:-1])


def test_a_run_that_had_ended_goes_on_to_a_smaller_gap_from_its_plan() -> None:
    parts, _, trace, kept = run_and_keep("admm", 5, 200)
    run = resume(kept[-1], parts.market, fleet_of(parts), Admm, 1e-6, True)
    assert follow(run, 2000)[0] is Outcome.CONVERGED and run.incumbent.gap <= 1e-6
    assert run.incumbent.objective <= trace[-1][3]


def test_another_algorithm_goes_on_from_the_incumbent() -> None:
    parts, _, trace, kept = run_and_keep("admm", 5, 30)
    run = resume(kept[20], parts.market, fleet_of(parts), LevelBundle, GAP, False)
    assert follow(run, 300)[0] is Outcome.CONVERGED
    assert run.incumbent.bound >= trace[20][4]


def test_another_program_goes_on_from_the_incumbent(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, _, trace, kept = run_and_keep("admm", 5, 30)
    monkeypatch.setattr(resumption, "_program", lambda: "another")
    run = resume(kept[20], parts.market, fleet_of(parts), Admm, GAP, True)
    assert follow(run, 300)[0] is Outcome.CONVERGED
    assert run.incumbent.objective <= trace[20][3] and run.incumbent.bound >= trace[20][4]


def test_killed_again_before_it_has_a_plan_nothing_is_lost() -> None:
    parts, _, _, kept = run_and_keep("newton", 3, 200)
    before = kept[-2].incumbent
    run = resume(kept[-2], parts.market, fleet_of(parts), METHODS["newton"], GAP, True)
    again = unpack(b"".join(pack(capture(run, {}), "")), "")
    assert (again.incumbent.objective, again.incumbent.bound) == (before.objective, before.bound)
    assert again.meets_all and not again.closed.any()


def test_drained_regions_stay_drained_and_history_is_told_again() -> None:
    parts = partition(build_backwards(5)[0].scenario)
    fleet = fleet_of(parts)
    run = Run(parts.market, fleet, Admm(parts.market, GAP), Admm)
    name = parts.region.names[0]

    def drain_once() -> None:
        if fleet.traffic.rounds == 12:
            fleet.membership.drain([name])
            fleet.membership.reject(0, "late")

    follow(run, 25, drain_once)
    assert run.closed[0]
    kept = unpack(b"".join(pack(capture(run, {}), "")), "")
    other = fleet_of(parts)
    again = resume(kept, parts.market, other, Admm, GAP, True)
    assert other.membership.reasons() == {name: "drained"}
    assert other.membership.events == fleet.membership.events
    assert other.membership.rejected == fleet.membership.rejected
    most = 60
    wanted = follow(run, most)
    found = follow(again, most)
    assert np.array(found[1])[:, 3:] == pytest.approx(np.array(wanted[1])[:, 3:], rel=1e-9)
    assert (again.market.load(again.incumbent.route)[:, 0] == 0.0).all()


def test_a_region_that_is_back_is_planned_for_again() -> None:
    """Out when the coordinator died, in when it went on: the plan is kept, the bound is not."""
    (scenario, optimum), _ = build_backwards(5)
    parts = partition(scenario)
    fleet = fleet_of(parts)
    run = Run(parts.market, fleet, Admm(parts.market, GAP), Admm)

    def lose_once() -> None:
        if fleet.traffic.rounds == 12:
            for _ in range(5):
                fleet.membership.mistaken(0, "nonsense")

    follow(run, 40, lose_once)
    assert run.closed[0] and run.incumbent.bound > optimum * (1 + 1e-9)  # of a smaller fleet
    kept = unpack(b"".join(pack(capture(run, {}), "")), "")
    again = resume(kept, parts.market, fleet_of(parts), Admm, GAP, True)
    assert not again.closed.any()
    last = again.fleet.membership.events[-1]
    assert (last.round, last.what, last.regions) == (kept.round, "back", scenario.regions[:1])
    assert follow(again, 600)[0] is Outcome.CONVERGED
    assert again.incumbent.bound <= optimum * (1 + 1e-9)
    assert again.incumbent.objective <= optimum * (1 + 2 * GAP)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda told: told, "another scenario"),
        (lambda told: told.pop("closed"), "not what is kept"),
        (lambda told: told.update(traffic=3), "traffic"),
        (lambda told: told.update(surprise=1), "not what is kept"),
    ],
)
def test_what_was_not_kept_is_refused(change: Callable[[dict[str, Any]], Any], match: str) -> None:
    kept = run_and_keep("dual", 5, 6)[3][-1]
    told = {"problem": "it", **vars(kept)}
    told.pop("state")
    change(told)
    data = resumption.freeze(told, {})
    with pytest.raises(ValueError, match=match):
        unpack(len(data).to_bytes(8, "little") + data, "this" if match == "another scenario" else "it")
    for torn in (b"", b"\1\2", len(data).to_bytes(8, "little") + data[:-1], data):
        with pytest.raises(ValueError, match=r"not a state|not what is kept"):
            unpack(torn, "it")

"""The curve of equity weights: certified points, from the cheapest plan to where nothing more is gained."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path

import pytest
from support.known_answers import make_kind, make_scenario

import eglb
from eglb.foundation.console import as_text
from eglb.foundation.errors import InputError
from eglb.scenarios.scenario import Scenario
from eglb.sims.sweep.sweep import Sweep, SweepPoint, sweep
from eglb.sims.sweep.tables import IMPROVEMENT


@pytest.fixture(scope="module")
def fleet() -> Scenario:
    return eglb.load("synthetic:5x24,seed=3")


@pytest.fixture(scope="module")
def curve(fleet: Scenario) -> Sweep:
    return sweep(fleet, gap=1e-6)


def test_the_curve_runs_from_the_cheapest_plan_over_the_own_weights(fleet: Scenario, curve: Sweep) -> None:
    factors = [point.factor for point in curve.points]
    assert factors == sorted(set(factors)) and factors[0] == 0.0 and 1.0 in factors
    assert len(factors) > 5 and curve.converged and curve.saturated
    cheapest = eglb.solve(fleet.with_weights({"water": 0, "carbon": 0}), "central").audit
    assert curve.points[0].energy_usd == pytest.approx(cheapest.energy_cost_usd, rel=1e-9)
    for point in curve.points:
        assert point.solution.audit.gap <= 1e-6
        weights = [kind.weight for kind in point.solution.scenario.footprints]
        assert weights == [point.factor * kind.weight for kind in fleet.footprints]


def test_no_point_beats_another_at_the_others_weights_beyond_its_gap(curve: Sweep) -> None:
    for point, other in permutations(curve.points, 2):
        elsewhere = other.energy_usd + point.factor * other.all_equity_usd
        assert point.solution.audit.lower_bound <= elsewhere * (1 + 1e-12)
        own = point.energy_usd + point.factor * point.all_equity_usd
        assert own == pytest.approx(point.solution.audit.objective, rel=1e-9)
    for low, high in pairwise(curve.points):
        assert high.energy_usd >= low.energy_usd * (1 - 1e-4)
        assert high.all_equity_usd <= low.all_equity_usd * (1 + 1e-4)


@pytest.mark.parametrize("factor", [0.0, 1.0])
def test_points_agree_with_the_central_solver(curve: Sweep, factor: float) -> None:
    point = next(p for p in curve.points if p.factor == factor)
    best = eglb.solve(point.solution.scenario, "central").audit.objective
    assert best * (1 - 1e-9) <= point.solution.audit.objective <= best * (1 + 1e-6)


def test_beyond_the_end_no_worst_region_gains_more_than_is_said(curve: Sweep) -> None:
    last = curve.points[-1]
    weights = {k.name: 2 * k.weight for k in last.solution.scenario.footprints}
    beyond = eglb.solve(curve.scenario.with_weights(weights), "central").audit
    for kind in curve.scenario.footprints:
        before = last.equity_usd[kind.name] / kind.weight
        assert beyond.footprints[kind.name].max >= before * (1 - 2 * IMPROVEMENT)


def test_the_knee_is_the_point_farthest_from_the_chord(curve: Sweep) -> None:
    first, last = curve.points[0], curve.points[-1]

    def distance(point: SweepPoint) -> float:
        x = (point.all_equity_usd - last.all_equity_usd) / (first.all_equity_usd - last.all_equity_usd)
        y = (point.energy_usd - first.energy_usd) / (last.energy_usd - first.energy_usd)
        return abs(x + y - 1.0) / math.sqrt(2.0)

    assert curve.knee is max(curve.points, key=distance)
    assert curve.knee is not first and curve.knee is not last


def test_more_points_lie_nearer_together(fleet: Scenario, curve: Sweep) -> None:
    few, many = sweep(fleet, points=3, gap=1e-6), curve

    def widest(found: Sweep) -> float:
        first, last = found.points[0], found.points[-1]
        across = last.energy_usd - first.energy_usd
        along = first.all_equity_usd - last.all_equity_usd
        return max(
            math.hypot((b.energy_usd - a.energy_usd) / across, (b.all_equity_usd - a.all_equity_usd) / along)
            for a, b in pairwise(found.points)
        )

    assert {p.factor for p in few.points} < {p.factor for p in many.points}
    assert widest(many) < widest(few)


def test_small_weights_do_not_end_the_curve_before_it_begins(fleet: Scenario, curve: Sweep) -> None:
    faint = fleet.with_weights({kind.name: 1e-6 * kind.weight for kind in fleet.footprints})
    found = sweep(faint, points=3, gap=1e-6)
    assert found.saturated and found.points[-1].factor > 1e5
    totals = [s.points[-1].solution.audit.footprints["water"].max for s in (found, curve)]
    assert totals[0] == pytest.approx(totals[1], rel=1e-2)


def test_a_warm_start_saves_rounds(fleet: Scenario) -> None:
    factors = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
    warm = sweep(fleet, factors=factors, algorithm="dual", gap=1e-4)
    assert [p.started_from for p in warm.points] == [None, *factors[:-1]]
    cold = [eglb.solve(p.solution.scenario, "dual", gap=1e-4, address="inprocess") for p in warm.points]
    assert sum(p.solution.rounds for p in warm.points) < 0.9 * sum(run.rounds for run in cold)


def test_one_kind_alone_leaves_the_others_free(fleet: Scenario) -> None:
    found = sweep(fleet, kind="water", factors=(0, 1, 4))
    assert found.swept == ("water",) and found.saturated is None
    assert [k.weight for k in found.points[1].solution.scenario.footprints if k.name != "water"] == [0.0]
    water = [p.solution.audit.footprints["water"].max for p in found.points]
    assert water[0] > water[1] >= water[2]
    assert "followed, but not priced: carbon" in str(found)


def test_any_number_of_kinds_is_swept() -> None:
    kinds = [make_kind([[1.0 + n] * 2, [0.5, 3.0]], 2.0, name=f"kind{n}") for n in range(3)]
    for count in (1, 3):
        case = make_scenario(
            [[1.0, 1.0]], [[10.0, 10.0], [12.0, 12.0]], [[2.0, 2.0]] * 2, footprints=kinds[:count]
        )
        found = sweep(case)
        assert found.swept == tuple(kind.name for kind in kinds[:count])
        assert found.points[0].energy_usd == pytest.approx(20.0)
        assert as_text(found, 80)


def test_without_any_inequity_the_curve_is_a_point() -> None:
    nothing = make_kind([[0.0, 0.0], [0.0, 0.0]], 1.0)
    found = sweep(
        make_scenario([[1.0, 1.0]], [[10.0, 10.0], [12.0, 12.0]], [[2.0, 2.0]] * 2, footprints=[nothing])
    )
    assert [p.factor for p in found.points] == [0.0, 1.0]
    assert found.saturated and found.knee is None and found.to_dict()["knee_factor"] is None


def test_what_cannot_be_swept_is_refused(fleet: Scenario) -> None:
    free = fleet.with_weights({"water": 0, "carbon": 0})
    for call, message in (
        (lambda: sweep(free), "weight of every footprint is 0"),
        (lambda: sweep(fleet.with_weights({"water": 0}), kind="water"), "weight of water is 0"),
        (lambda: sweep(fleet, kind="noise"), "no such footprint; it has water, carbon"),
        (lambda: sweep(fleet, factors=(1, -1)), "factor -1 is not"),
        (lambda: sweep(fleet, factors=()), "at least one"),
        (lambda: sweep(replace(fleet, footprints=())), "weight of every footprint is 0"),
    ):
        with pytest.raises(InputError, match=message):
            call()


def test_the_published_case_passes_through_the_published_figures(data_directory: Path) -> None:
    case = eglb.load("paper10-partial", data=data_directory)
    found = sweep(case)
    cheapest, own = found.points[0], found.own
    assert own is not None and found.saturated and found.converged
    assert cheapest.energy_usd == pytest.approx(296_594.70, abs=0.01)
    assert cheapest.solution.audit.footprints["water"].par == pytest.approx(1.7165, abs=1e-4)
    assert own.energy_usd == pytest.approx(341_856.45, rel=1e-4)
    assert own.solution.audit.footprints["water"].par == pytest.approx(1.2987, abs=5e-4)
    assert found.cost_of_equity(own) == pytest.approx(0.1526, abs=2e-4)


def test_on_the_published_case_a_warm_start_saves_a_third_of_the_rounds(data_directory: Path) -> None:
    case = eglb.load("paper10-partial", data=data_directory)
    warm = sweep(case, factors=(0, 0.5, 1, 2, 4, 8), algorithm="dual", gap=1e-4)
    cold = [eglb.solve(p.solution.scenario, "dual", gap=1e-4, address="inprocess") for p in warm.points]
    assert sum(p.solution.rounds for p in warm.points) < 0.8 * sum(run.rounds for run in cold)

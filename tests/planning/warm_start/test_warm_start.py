"""Starting where an earlier solve ended: what is carried over or refused, and that none of it is believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from eglb.coordinator.algorithms.algorithm import WarmStart
from eglb.foundation.errors import InputError
from eglb.foundation.staging import staged_folder
from eglb.planning.partition import partition
from eglb.planning.solution import Solution
from eglb.planning.solve import ALGORITHMS, solve
from eglb.planning.storage.folder import write_solution
from eglb.planning.warm_start.align import align, find_source
from eglb.scenarios.catalog import load
from eglb.scenarios.scenario import Scenario

DECENTRALISED = [name for name in ALGORITHMS if name != "central"]
SLOTS = 48


@pytest.fixture(scope="module")
def fleet() -> Scenario:
    return load("synthetic:6x60,seed=4,reach=3")


@pytest.fixture(scope="module")
def earlier(fleet: Scenario) -> Solution:
    return solve(fleet.window(0, SLOTS), "dual", address="inprocess")


@pytest.fixture
def folder(earlier: Solution, tmp_path: Path) -> Path:
    with staged_folder(tmp_path / "earlier") as staging:
        write_solution(earlier, staging)
    return tmp_path / "earlier"


def told(earlier: Solution | Path, scenario: Scenario) -> WarmStart:
    return align(find_source(earlier, scenario), partition(scenario))


def without_region(scenario: Scenario, gone: int) -> Scenario:
    """The scenario with one region closed and the names of the others as they were."""
    stay = np.delete(np.arange(len(scenario.regions)), gone)
    pair = scenario.reach_region != gone
    return replace(
        scenario,
        regions=tuple(scenario.regions[i] for i in stay),
        region_lat=scenario.region_lat[stay],
        region_lon=scenario.region_lon[stay],
        pue=scenario.pue[stay],
        capacity=4.0 * scenario.capacity[stay],
        price=scenario.price[stay],
        footprints=tuple(
            replace(k, intensity=k.intensity[stay], region_weight=k.region_weight[stay])
            for k in scenario.footprints
        ),
        reach_gateway=scenario.reach_gateway[pair],
        reach_region=np.searchsorted(stay, scenario.reach_region[pair]),
        reach_rtt_ms=scenario.reach_rtt_ms[pair],
    )


def test_a_window_is_the_fleet_over_part_of_its_slots(fleet: Scenario) -> None:
    part = fleet.window(5, 7)
    assert part.slots == 7 and part.times[0] == fleet.times[5] and part.regions == fleet.regions
    np.testing.assert_array_equal(part.demand, fleet.demand[:, 5:12])
    np.testing.assert_array_equal(part.footprints[0].intensity, fleet.footprints[0].intensity[:, 5:12])
    assert part.demand.flags.c_contiguous
    for start, slots in ((-1, 2), (0, 0), (55, 6)):
        with pytest.raises(IndexError):
            fleet.window(start, slots)


def test_on_the_same_scenario_it_is_the_earlier_solution_itself(earlier: Solution) -> None:
    parts = partition(earlier.scenario)
    warm = align(find_source(earlier, earlier.scenario), parts)
    assert warm.known.all() and len(warm.equity_prices) == len(earlier.equity_prices) > 1
    np.testing.assert_allclose(parts.expand_route(warm.route), earlier.route, atol=1e-9)
    np.testing.assert_allclose(parts.expand_equity_price(warm.equity_price), earlier.equity_price)
    np.testing.assert_allclose(parts.expand_equity_price(warm.equity_prices), earlier.equity_prices)
    np.testing.assert_allclose(parts.expand_demand_price(warm.demand_price), earlier.demand_price)


def test_a_folder_tells_what_its_solution_tells(fleet: Scenario, earlier: Solution, folder: Path) -> None:
    window = fleet.window(1, SLOTS)
    for name, value in vars(told(earlier, window)).items():
        np.testing.assert_array_equal(getattr(told(folder, window), name), value, err_msg=name)


def test_new_slots_are_guessed_from_the_day_before(fleet: Scenario, earlier: Solution) -> None:
    window = fleet.window(3, SLOTS)
    warm = told(earlier, window)
    assert warm.known.tolist() == [True] * (SLOTS - 3) + [False] * 3
    before = told(earlier, fleet.window(SLOTS - 24, 3))
    np.testing.assert_array_equal(warm.demand_price[-3:], before.demand_price)
    # The flows too, each gateway's scaled to what it asks for now.
    parts = partition(window)
    served = np.add.reduceat(warm.route, parts.market.gateway_start[:-1], axis=1)
    np.testing.assert_allclose(served, parts.market.demand)


def test_regions_come_and_go_by_name(fleet: Scenario, earlier: Solution) -> None:
    fewer = without_region(earlier.scenario, 2)
    warm = told(earlier, fewer)
    stay = [0, 1, 3, 4, 5]
    weight = partition(fewer).market.equity_weight
    left = earlier.equity_price[:, stay].T
    np.testing.assert_allclose(warm.equity_price, left / left.sum(0) * weight)
    back = told(solve(fewer, "dual", gap=1e-3, address="inprocess"), earlier.scenario)
    market = partition(earlier.scenario).market
    assert (back.equity_price[2] == 0.0).all() and (back.equity_prices[:, 2] == 0.0).all()
    np.testing.assert_allclose(back.equity_price.sum(0), market.equity_weight)


def test_changed_weights_and_a_new_kind_are_priced_at_their_weight(earlier: Solution) -> None:
    scenario = earlier.scenario
    extra = replace(scenario.footprints[0], name="noise", weight=7.0)
    changed = replace(scenario.with_weights({"water": 3.0}), footprints=(extra, *scenario.footprints))
    changed = changed.with_weights({"water": 3.0})
    warm = told(earlier, changed)
    weight = [kind.weight for kind in changed.footprints]
    np.testing.assert_allclose(warm.equity_price.sum(0), weight)
    np.testing.assert_allclose(warm.equity_price[:, 0], 7.0 / len(scenario.regions))
    water = [kind.name for kind in scenario.footprints].index("water")
    ratio = 3.0 / scenario.footprints[water].weight
    np.testing.assert_allclose(warm.equity_price[:, 1 + water], earlier.equity_price[water] * ratio)


@pytest.mark.parametrize("algorithm", DECENTRALISED)
def test_whatever_it_is_told_a_solve_claims_only_what_is_true(fleet: Scenario, algorithm: str) -> None:
    """Flows and prices from nowhere; the claims are checked against the optimum."""
    window = fleet.window(1, SLOTS)
    optimum = solve(window, "central").audit.objective
    source = find_source(solve(fleet.window(0, SLOTS), "dual", gap=1e-2, address="inprocess"), window)
    random = np.random.default_rng(0)
    absurd = replace(
        source,
        flow=source.flow * random.choice([0.0, 1e3], len(source.flow)),
        demand_price=random.normal(0.0, 1e4, source.demand_price.shape),
        equity_price=random.uniform(0.0, 1e6, source.equity_price.shape),
        equity_prices=random.uniform(0.0, 1e6, source.equity_prices.shape),
    )
    done = solve(window, algorithm, gap=1e-2, max_rounds=60, address="inprocess", warm_start=absurd)
    for record in done.trace:
        assert record.lower_bound <= optimum * (1 + 1e-9) and record.objective >= optimum * (1 - 1e-9)
    assert done.audit.objective == pytest.approx(done.trace[-1].objective, rel=1e-9)
    assert max(done.audit.violations.values()) <= 1e-9 * window.demand.max()


def test_a_week_an_hour_further_takes_a_fifth_of_the_rounds() -> None:
    """Over several weeks together; single ones can take a quarter."""
    world = load("world10")
    cold_rounds = warm_rounds = 0
    for hour in (5, 45, 85, 125, 165):
        week = world.window(hour + 1, 168)
        before = solve(world.window(hour, 168), "dual", address="inprocess")
        cold = solve(week, "dual", address="inprocess")
        warm = solve(week, "dual", address="inprocess", warm_start=before)
        assert cold.converged and warm.converged and warm.audit.gap <= 1e-4
        cold_rounds += cold.rounds
        warm_rounds += warm.rounds
    assert 5 * warm_rounds <= cold_rounds


@pytest.mark.parametrize("algorithm", ["dual", "subgradient"])
def test_less_capacity_and_another_length_are_fine(
    fleet: Scenario, earlier: Solution, algorithm: str
) -> None:
    shorter = fleet.window(10, 20)
    tight = replace(shorter, capacity=0.97 * shorter.capacity)
    done = solve(tight, algorithm, gap=1e-2, address="inprocess", warm_start=earlier)
    assert done.converged and max(done.audit.violations.values()) <= 1e-9 * tight.demand.max()


def test_another_fleet_has_nothing_to_tell(earlier: Solution, folder: Path) -> None:
    other = load("world10").window(0, 24)
    with pytest.raises(InputError, match=r"earlier: none of its gateways .* is one of world10") as caught:
        solve(other, "dual", address="inprocess", warm_start=folder)
    assert len(caught.value.problems) == 2
    with pytest.raises(InputError, match="no use for a warm start"):
        solve(earlier.scenario, "central", warm_start=folder)


def _run_json(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        run = json.loads((folder / "run.json").read_text())
        change(run)
        (folder / "run.json").write_text(json.dumps(run))

    return damage


def _table(name: str, change: Callable[..., object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        pq.write_table(change(pq.read_table(folder / name)), folder / name)

    return damage


def _with_first(table, column: str, value: object):
    values = table[column].to_pylist()
    place = table.column_names.index(column)
    return table.set_column(place, column, [[value, *values[1:]]])


DAMAGED = {
    "no folder": (lambda f: (f / "run.json").unlink(), "run.json"),
    "no plan": (lambda f: (f / "plan.parquet").unlink(), "no plan.parquet"),
    "no table": (lambda f: (f / "plan.parquet").write_text("x"), "plan.parquet"),
    "a comparison": (_run_json(lambda run: run.pop("equity_price")), "run.json: has no equity_price"),
    "a list": (lambda f: (f / "run.json").write_text("[]"), "run.json: has no equity_price"),
    "a price of text": (
        _run_json(lambda run: next(iter(run["equity_price"].values())).update({"r": "x"})),
        "run.json: equity_price of .* in r: 'x'",
    ),
    "kind without regions": (
        _run_json(lambda run: run["equity_price"].update(water=3)),
        "equity_price of water",
    ),
    "a column less": (_table("plan.parquet", lambda t: t.drop(["mw"])), "plan.parquet: no column mw"),
    "not a number": (
        _table("plan.parquet", lambda t: _with_first(t, "mw", float("nan"))),
        "plan.parquet: column mw, row 1: nan",
    ),
    "a hole": (
        _table("prices.parquet", lambda t: _with_first(t, "gateway", None)),
        "prices.parquet: column gateway, row 1: None",
    ),
    "words for numbers": (
        _table("plan.parquet", lambda t: t.drop(["mw"]).append_column("mw", t["region"])),
        "plan.parquet: column mw: ",
    ),
    "negative flow": (_table("plan.parquet", lambda t: _with_first(t, "mw", -1.0)), "row 1: -1 MW"),
    "rows missing": (_table("prices.parquet", lambda t: t.slice(1)), "not one row for every gateway"),
    "no prices": (_table("prices.parquet", lambda t: t.slice(0, 0)), "not one row for every gateway"),
    "foreign kind": (
        _table("equity_prices.parquet", lambda t: _with_first(t, "footprint", "noise")),
        "equity_prices.parquet: a negative price, or",
    ),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_folder_is_refused_with_what_and_where(damage: str, fleet: Scenario, folder: Path) -> None:
    harm, says = DAMAGED[damage]
    harm(folder)
    with pytest.raises(InputError, match=says) as caught:
        find_source(folder, fleet)
    assert str(folder) in str(caught.value)

"""Feasibility of every slot, against Hall's condition over all sets of gateways and a linear program."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InfeasibleError
from eglb.scenarios.catalog import load
from eglb.scenarios.feasibility import balanced_load, find_shortages, reach_matrix, require_served
from eglb.scenarios.scenario import Scenario


def fleet(reach: Array, demand: Array, capacity: Array) -> Scenario:
    """A bare scenario from a 0/1 reach matrix (N, J), demand (J, T) and capacity (N, T)."""
    n, j = reach.shape
    region, gateway = np.nonzero(reach)
    slots = demand.shape[1]
    return Scenario(
        name="tiny",
        times=np.datetime64("2024-01-01T00:00:00", "s") + np.arange(slots) * np.timedelta64(3600, "s"),
        slot_hours=1.0,
        regions=tuple(f"r{i}" for i in range(n)),
        region_lat=np.zeros(n),
        region_lon=np.zeros(n),
        pue=np.ones(n),
        capacity=np.asarray(capacity, dtype=float),
        gateways=tuple(f"g{i}" for i in range(j)),
        gateway_lat=np.zeros(j),
        gateway_lon=np.zeros(j),
        gateway_utc_offset_h=np.zeros(j),
        demand=np.asarray(demand, dtype=float),
        price=np.ones((n, slots)),
        footprints=(),
        reach_gateway=gateway,
        reach_region=region,
        reach_rtt_ms=np.full(len(region), np.nan),
    )


def largest_violation(reach: Array, demand: Array, capacity: Array) -> float:
    """max over all sets S of gateways of demand(S) - capacity(all that S reaches)."""
    gateways = range(len(demand))
    sets = itertools.chain.from_iterable(itertools.combinations(gateways, k) for k in range(len(demand) + 1))
    return max(demand[list(s)].sum() - capacity[reach[:, list(s)].any(axis=1)].sum() for s in sets)


def least_unserved(reach: Array, demand: Array, capacity: Array) -> float:
    """The smallest demand left unserved, by scipy's linear program."""
    n, j = reach.shape
    pairs = np.argwhere(reach)
    cost = -np.ones(len(pairs))
    load_of = (pairs[:, 0][None] == np.arange(n)[:, None]).astype(float)
    sent = (pairs[:, 1][None] == np.arange(j)[:, None]).astype(float)
    answer = linprog(cost, A_ub=np.vstack([load_of, sent]), b_ub=np.concatenate([capacity, demand]))
    return float(demand.sum() + answer.fun)


@st.composite
def instances(draw: st.DrawFn) -> tuple[Array, Array, Array, float]:
    n, j, slots = draw(st.integers(1, 5)), draw(st.integers(1, 6)), draw(st.integers(1, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    reach = random.random((n, j)) < draw(st.sampled_from([0.3, 0.6, 1.0]))
    reach[random.integers(0, n, j), np.arange(j)] = True
    scale = draw(st.sampled_from([1e-6, 1.0, 1e9]))
    # Whole numbers make ties, zero demand, zero capacity and exactly full sets common.
    demand = random.integers(0, 5, (j, slots)) * scale
    capacity = random.integers(0, 9, (n, slots)) * scale
    return reach, demand, capacity, scale


@settings(max_examples=150, deadline=None)
@given(instances())
def test_shortages_are_halls_largest_violation(instance: tuple[Array, Array, Array, float]) -> None:
    reach, demand, capacity, scale = instance
    found = find_shortages(fleet(reach, demand, capacity))
    for slot in range(demand.shape[1]):
        mine = [s for s in found if s.slot == slot]
        total = sum(s.mw for s in mine)
        expected = largest_violation(reach, demand[:, slot], capacity[:, slot])
        assert total == pytest.approx(expected, rel=1e-12, abs=1e-12 * scale)
        assert total == pytest.approx(
            least_unserved(reach, demand[:, slot], capacity[:, slot]), abs=1e-6 * scale
        )
        for s in mine:
            reached = np.flatnonzero(reach[:, list(s.gateways)].any(axis=1))
            assert list(s.regions) == reached.tolist()
            assert s.mw == pytest.approx(
                demand[list(s.gateways), slot].sum() - capacity[reached, slot].sum(), rel=1e-12
            )


@settings(max_examples=100, deadline=None)
@given(instances(), st.integers(0, 2**32 - 1))
def test_exactly_full_is_feasible_and_a_little_more_is_not(
    instance: tuple[Array, Array, Array, float], seed: int
) -> None:
    """Capacities set to the load of some routing: every region exactly full, whatever the routing."""
    reach, demand, _, scale = instance
    random = np.random.default_rng(seed)
    demand = demand * random.random(demand.shape) + 0.1 * scale
    share = reach * random.random(reach.shape)
    share /= share.sum(axis=0)
    full = fleet(reach, demand, share @ demand)
    assert find_shortages(full) == ()
    more = replace(full, demand=demand * (1 + 1e-6))
    found = find_shortages(more)
    assert {s.slot for s in found} == set(range(demand.shape[1]))
    assert sum(s.mw for s in found) == pytest.approx(1e-6 * demand.sum(), rel=1e-4)


def test_rounding_at_full_load_is_forgiven_but_no_more() -> None:
    reach = np.ones((3, 2), dtype=bool)
    demand = np.array([[0.1], [0.2]])
    capacity = np.array([[0.1], [0.1], [0.1]])
    assert find_shortages(fleet(reach, demand, capacity)) == ()
    assert find_shortages(fleet(reach, demand * (1 + 5e-10), capacity)) == ()
    assert len(find_shortages(fleet(reach, demand * (1 + 1e-8), capacity))) == 1


def test_capacity_out_of_reach_does_not_help() -> None:
    """g0 and g1 share r0 only; r1 has all the room in the world for g2."""
    reach = np.array([[1, 1, 1], [0, 0, 1]], dtype=bool)
    demand = np.array([[2.0, 3.0], [2.0, 3.0], [1.0, 1.0]])
    (shortage,) = find_shortages(fleet(reach, demand, np.array([[4.0, 4.0], [100.0, 100.0]])))
    assert (shortage.slot, shortage.gateways, shortage.regions, shortage.mw) == (1, (0, 1), (0,), 2.0)


def test_separate_pockets_are_separate_shortages() -> None:
    reach = np.eye(3, dtype=bool)
    found = find_shortages(fleet(reach, np.array([[3.0], [1.0], [5.0]]), np.array([[1.0], [1.0], [4.0]])))
    assert [(s.gateways, s.mw) for s in found] == [((0,), 2.0), ((2,), 1.0)]


def test_no_capacity_at_all() -> None:
    reach = np.ones((1, 1), dtype=bool)
    (shortage,) = find_shortages(fleet(reach, np.array([[1.0]]), np.array([[0.0]])))
    assert shortage.mw == 1.0
    assert find_shortages(fleet(reach, np.array([[0.0]]), np.array([[0.0]]))) == ()


def test_messages_name_slots_gateways_regions_and_are_cut() -> None:
    reach = np.ones((1, 9), dtype=bool)
    scenario = fleet(reach, np.ones((9, 20)), np.full((1, 20), 4.0))
    with pytest.raises(InfeasibleError) as caught:
        require_served(scenario)
    problems = caught.value.problems
    assert len(problems) == 6
    assert problems[1] == (
        "tiny: slot 1 (2024-01-01T01:00:00Z): gateways g0, g1, g2, g3, g4, g5 and 3 more ask 9 MW, "
        "but all they reach, region r0, hold 4 MW: 5 MW short"
    )
    assert problems[-1].startswith("tiny: 20 of 20 slots are short; the worst shortage is 5 MW in slot 0")


def test_balanced_load_serves_all_demand_and_evens_out() -> None:
    scenario = load("synthetic:30x24,seed=1")
    reach = reach_matrix(30, 30, scenario.reach_region, scenario.reach_gateway)
    served, weight = balanced_load(reach, scenario.demand, scenario.capacity, passes=200, target=0.0)
    np.testing.assert_allclose(served.sum(axis=0), scenario.demand.sum(axis=0), rtol=1e-12)
    assert (weight > 0).all()
    first, _ = balanced_load(reach, scenario.demand, scenario.capacity, passes=0)
    assert (served / scenario.capacity).max() <= (first / scenario.capacity).max()


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """Standard output belongs to the command's one JSON object."""
    scenario = load("synthetic:10x24")
    assert find_shortages(replace(scenario, demand=scenario.demand * 3))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("factor", [1.0, 1.3, 3.0])
def test_a_thousand_regions_take_seconds(factor: float) -> None:
    import time

    scenario = load("synthetic:1000x24")
    started = time.perf_counter()
    found = find_shortages(replace(scenario, demand=scenario.demand * factor))
    assert time.perf_counter() - started < 10
    assert bool(found) == (factor > 1.2)

"""From a scenario to an audited plan: what `solve` promises whatever the algorithm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eglb.foundation.errors import InfeasibleError, InputError
from eglb.planning.partition import partition
from eglb.planning.solve import ALGORITHMS, solve
from eglb.scenarios.catalog import load
from eglb.scenarios.scenario import Scenario

GAP = {"subgradient": 1e-2}
"""The textbook method is slow; the others reach 1e-3 in a moment."""
DECENTRALISED = [name for name in ALGORITHMS if name != "central"]


@pytest.fixture(scope="module")
def fleet() -> Scenario:
    return load("synthetic:6x12,seed=4,reach=3")


@pytest.mark.parametrize("algorithm", DECENTRALISED)
def test_claims_are_those_of_the_audit(fleet: Scenario, algorithm: str) -> None:
    done = solve(fleet, algorithm, gap=GAP.get(algorithm, 1e-3), max_rounds=2000, address="inprocess")
    claimed = done.trace[-1]
    assert done.status == "converged"
    assert done.audit.objective == pytest.approx(claimed.objective, rel=1e-12)
    assert done.audit.lower_bound >= claimed.lower_bound * (1 - 1e-12)
    assert done.audit.gap <= GAP.get(algorithm, 1e-3)
    assert claimed.round == done.rounds == len(done.trace)
    assert (claimed.bytes_up, claimed.bytes_down) == (done.bytes_up, done.bytes_down)


@pytest.mark.parametrize("algorithm", DECENTRALISED)
def test_grouping_of_regions_changes_no_iterate(fleet: Scenario, algorithm: str) -> None:
    one, all_in_one = (
        solve(fleet, algorithm, gap=1e-3, max_rounds=60, address="inprocess", regions_per_actor=per_actor)
        for per_actor in (1, 6)
    )
    assert (one.actors, all_in_one.actors) == (6, 1)
    assert [(r.objective, r.lower_bound) for r in one.trace] == [
        (r.objective, r.lower_bound) for r in all_in_one.trace
    ]


@pytest.mark.parametrize("algorithm", DECENTRALISED)
def test_units_change_nothing(fleet: Scenario, algorithm: str) -> None:
    """Power in units of a thousandth and money in millions: the same rounds and the same relative gap.

    The factors are powers of two, so that no rounding can send a bundle method another way.
    """
    kilo, mega = 2.0**10, 2.0**20
    grand = replace(
        fleet,
        demand=fleet.demand * kilo,
        capacity=fleet.capacity * kilo,
        price=fleet.price / mega,
        footprints=tuple(replace(kind, weight=kind.weight / mega) for kind in fleet.footprints),
    )
    small, large = (
        solve(scenario, algorithm, gap=1e-3, max_rounds=60, address="inprocess")
        for scenario in (fleet, grand)
    )
    assert small.rounds == large.rounds
    assert large.audit.objective == pytest.approx(small.audit.objective * kilo / mega, rel=1e-6)


@pytest.mark.parametrize("algorithm", DECENTRALISED)
@pytest.mark.parametrize("weights", [{"water": 0.0, "carbon": 0.0}, {"water": 0.0}])
def test_kinds_without_weight_cost_nothing_and_are_reported(
    fleet: Scenario, algorithm: str, weights: dict[str, float]
) -> None:
    gap = GAP.get(algorithm, 1e-3)
    done = solve(fleet.with_weights(weights), algorithm, gap=gap, max_rounds=2000, address="inprocess")
    assert done.status == "converged"
    assert set(done.audit.footprints) == {"water", "carbon"}
    if len(weights) == 2:
        assert done.audit.objective == pytest.approx(done.audit.energy_cost_usd)


def test_a_limit_returns_the_best_plan_and_its_gap(fleet: Scenario) -> None:
    for algorithm in DECENTRALISED:
        done = solve(fleet, algorithm, gap=1e-9, max_rounds=1, address="inprocess")
        assert done.status == "round_limit"
        assert 0.0 < done.audit.gap < 10.0
        assert max(done.audit.violations.values()) <= 1e-9 * fleet.demand.max()
    assert solve(fleet, gap=1e-9, time_limit=1e-6, address="inprocess").status == "time_limit"


def test_wrong_arguments_are_all_named_at_once(fleet: Scenario) -> None:
    with pytest.raises(InputError) as caught:
        solve(fleet, "simplex", gap=0.0, max_rounds=0, time_limit=-1.0, regions_per_actor=0)
    message = str(caught.value)
    for word in ("simplex", "admm", "gap", "max_rounds", "time_limit", "regions_per_actor"):
        assert word in message


def test_what_cannot_be_served_is_refused_before_any_agent_starts(fleet: Scenario) -> None:
    with pytest.raises(InfeasibleError, match=fleet.gateways[0]):
        solve(replace(fleet, demand=fleet.demand * np.where(np.arange(6) == 0, 1e3, 1.0)[:, None]))


def test_partition_merges_gateways_of_the_same_reach_and_expands_them_again() -> None:
    base = load("synthetic:5x7,seed=2,reach=3")
    pairs = [(g, r) for g in range(5) for r in base.reach_region[base.reach_gateway == g]]
    twins = sorted((r, g + 5 * copy) for g, r in pairs for copy in (0, 1))
    scenario = replace(
        base,
        gateways=base.gateways + tuple(f"{name}-twin" for name in base.gateways),
        demand=np.concatenate([0.25 * base.demand, 0.75 * base.demand]),
        reach_region=np.array([r for r, _ in twins]),
        reach_gateway=np.array([g for _, g in twins]),
        reach_rtt_ms=np.full(len(twins), np.nan),
    )
    parts = partition(scenario)
    assert parts.market.gateways <= 5
    assert parts.market.demand.sum() == pytest.approx(base.demand.sum())
    route = parts.expand_route(parts.market.spread())
    served = np.zeros_like(scenario.demand)
    np.add.at(served, scenario.reach_gateway, route)
    np.testing.assert_allclose(served, scenario.demand, rtol=1e-12)
    apart, together = (solve(s, "newton", gap=1e-6, address="inprocess") for s in (base, scenario))
    assert together.audit.objective == pytest.approx(apart.audit.objective, rel=3e-6)

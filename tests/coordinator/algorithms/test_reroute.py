"""After any change of members: within two exchanges a priced plan, feasible, that leaves out the least."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.small_fleets import small_market

from eglb.agents.region import Region
from eglb.coordinator.algorithms.admm import Admm
from eglb.coordinator.algorithms.algorithm import Incumbent
from eglb.coordinator.algorithms.level_bundle import LevelBundle
from eglb.coordinator.algorithms.reroute import Method, Reroute
from eglb.coordinator.algorithms.subgradient import Subgradient
from eglb.coordinator.exchange import Broadcast
from eglb.coordinator.fleet.fleet import Fleet, group_regions, host_slices
from eglb.coordinator.fleet.transport import InProcess
from eglb.coordinator.market.market import Market
from eglb.coordinator.run import Run
from eglb.foundation.arrays import Array

METHODS: dict[str, Method] = {"admm": Admm, "dual": LevelBundle, "subgradient": Subgradient}


def least_shortfall(market: Market, room: Array) -> Array:
    """(T,) MW, by Gale: the most by which the demand of some gateways exceeds the room (T, N) they reach."""
    gateways = range(market.gateways)
    worst = np.zeros(market.slots)
    for some in chain.from_iterable(combinations(gateways, count) for count in range(1, market.gateways + 1)):
        reached = np.unique(market.edge_region[np.isin(market.edge_gateway, some)])
        worst = np.maximum(worst, market.demand[:, list(some)].sum(1) - room[:, reached].sum(1))
    return worst


def by_gateway(market: Market, route: Array) -> Array:
    return np.stack([route[:, market.edge_gateway == j].sum(1) for j in range(market.gateways)], axis=1)


def cost_of(region: Region, market: Market, route: Array) -> float:
    load = market.load(route).T
    worst = (region.intensity * load[:, None, :]).sum(2).max(0)
    return float((region.price * load).sum() + market.equity_weight @ worst)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(list(METHODS)), st.integers(0, 12), st.data())
def test_two_exchanges_after_any_loss_there_is_a_feasible_plan(
    seed: int, name: str, rounds: int, data: st.DataObject
) -> None:
    region, market = small_market(seed)
    hosts = group_regions(region, 1)
    sizes = {"slot": market.slots, "kind": market.kinds}
    fleet = Fleet(InProcess(hosts), host_slices(market, hosts), sizes=sizes)
    run = Run(market, fleet, METHODS[name](market, 1e-6, None), METHODS[name])
    action = run.algorithm.start()
    for _ in range(rounds):  # of the whole fleet, before the loss
        step = run.algorithm.step(fleet.exchange(action))
        if not isinstance(step, Broadcast):
            break
        action = step
    bound = run.best[0].bound  # none counts as long as there is no plan
    out = data.draw(st.sets(st.sampled_from(region.names), min_size=1, max_size=len(region.names) - 1))
    fleet.membership.drain(sorted(out))
    assert fleet.exchange(action).changed
    action = run.start_from(*run.best, run.algorithm.remembered_equity_prices())
    for _ in range(2):
        step = run.algorithm.step(fleet.exchange(action))
        assert isinstance(step, Broadcast) or run.incumbent.gap <= 1e-6
        action = step if isinstance(step, Broadcast) else action
    assert isinstance(run.algorithm, Reroute)
    route, unmet = run.incumbent.route, run.unmet
    assert route is not None
    unit = float(market.demand.max())
    room = np.where(np.isin(region.names, sorted(out))[:, None], 0.0, region.capacity).T
    assert (route >= 0.0).all() and (market.load(route) <= room + 1e-9 * unit).all()
    np.testing.assert_allclose(by_gateway(market, route) + unmet, market.demand, atol=1e-9 * unit)
    assert (unmet >= 0.0).all() and (unmet <= market.demand * (1.0 + 1e-12)).all()
    np.testing.assert_allclose(unmet.sum(1), least_shortfall(market, room), atol=1e-9 * unit)
    assert run.incumbent.objective == pytest.approx(cost_of(region, market, route), rel=1e-9)
    if not unmet.any():
        assert run.incumbent.bound >= bound  # a smaller fleet cannot be cheaper


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 1.5))
def test_repair_leaves_out_the_least_and_changes_nothing_that_is_feasible(
    seed: int, tightness: float
) -> None:
    _, market = small_market(seed)
    random = np.random.default_rng(seed)
    route = market.meet(random.exponential(1.0, (market.slots, len(market.edge_region))))
    ceiling = market.load(route)
    unit = float(market.demand.max())
    for slack in (1.0, 1.0 + random.random(ceiling.shape)):
        same, none = market.repair(route, ceiling * slack)
        np.testing.assert_allclose(same, route, rtol=1e-12, atol=1e-14 * unit)
        assert not none.any()
    room = ceiling * tightness * random.uniform(0.5, 1.5, ceiling.shape)
    plan, unmet = market.repair(route, room)
    assert (plan >= 0.0).all() and (market.load(plan) <= room + 1e-10 * unit).all()
    assert (unmet >= 0.0).all() and (unmet <= market.demand).all()
    np.testing.assert_allclose(by_gateway(market, plan) + unmet, market.demand, atol=1e-10 * unit)
    np.testing.assert_allclose(unmet.sum(1), least_shortfall(market, room), atol=1e-10 * unit)
    again, still = market.repair(plan, room)
    np.testing.assert_allclose(again, plan, atol=1e-10 * unit)
    np.testing.assert_allclose(still, unmet, atol=1e-10 * unit)


def test_the_first_members_of_all_are_planned_for_without_a_plan_before() -> None:
    region, market = small_market(3)
    hosts = group_regions(region, 2)
    fleet = Fleet(
        InProcess(hosts), host_slices(market, hosts), sizes={"slot": market.slots, "kind": market.kinds}
    )
    reroute = Reroute(market, 1e-6, Incumbent(), np.zeros((0, market.regions, market.kinds)), Admm, False)
    action = reroute.start()
    for _ in range(2):
        assert reroute.incumbent.route is None
        step = reroute.step(fleet.exchange(action))
        assert isinstance(step, Broadcast)
        action = step
    assert reroute.incumbent.route is not None and not reroute.unmet.any()

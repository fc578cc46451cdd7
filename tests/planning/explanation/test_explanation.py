"""What `eglb explain` says adds up: prices to the reduced cost, slackness to the gap, worth to savings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.known_answers import TINY, KnownAnswer, build_backwards, make_scenario

from eglb.foundation.arrays import Array
from eglb.foundation.equity_shape import EquityShape
from eglb.foundation.errors import InputError
from eglb.planning.audit import audit, lower_bound, plan_objective, region_load
from eglb.planning.central.central import solve_central
from eglb.planning.explanation.explain import explain
from eglb.planning.explanation.explanation import Explanation, explain_plan
from eglb.planning.explanation.prices import knapsack_price
from eglb.planning.explanation.rows import gateway_rows, pair_rows, region_rows, select
from eglb.planning.solve import solve
from eglb.scenarios.catalog import load
from eglb.scenarios.lookup import find_slot
from eglb.scenarios.scenario import Scenario


def money(s: Scenario, objective: float) -> float:
    """USD that sums of this size may be off by rounding."""
    return 1e-11 * max(abs(objective), float(np.abs(s.price_per_mw_slot()).max() * s.demand.sum()))


def check_sums(e: Explanation) -> None:
    """Prices add up to the reduced cost, and slackness to objective less bound, each part at least zero."""
    s = e.scenario
    region, gateway = s.reach_region, s.reach_gateway
    parts = e.energy + e.surcharge.sum(axis=0) + e.capacity_price
    np.testing.assert_allclose(
        parts[region] - e.demand_price[gateway], e.reduced_cost, atol=1e-12 * np.abs(parts).max()
    )
    assert (e.reduced_cost >= 0.0).all() and (e.capacity_price >= 0.0).all()
    for k, kind in enumerate(s.footprints):
        expected = e.equity_price[k][:, None] * kind.region_weight[:, None] * s.intensity_per_mw_slot(kind)
        np.testing.assert_allclose(e.surcharge[k], expected, rtol=1e-12)

    slack, rounding = e.slackness, money(s, e.audit.objective)
    assert slack.gap == e.audit.objective - e.audit.lower_bound
    total = slack.sharpened + slack.routing + slack.capacity + sum(slack.equity.values())
    assert total == pytest.approx(slack.gap, abs=rounding)
    assert abs(slack.residual) <= rounding
    assert min(slack.sharpened, slack.routing, slack.capacity, *slack.equity.values(), 0.0) >= -rounding
    # Of every single pair, flow times reduced cost is part of the gap: near zero where much flows.
    assert (e.reduced_cost * e.route).max() <= slack.gap + rounding
    # The prices shown are prices that the audit takes, and prove at least as much as the stored ones.
    shown = lower_bound(s, e.demand_price, e.equity_price)
    assert shown == pytest.approx(e.audit.lower_bound + slack.sharpened, abs=rounding)


@pytest.mark.parametrize("seed", range(30))
def test_at_the_optimum_load_flows_where_the_reduced_cost_is_zero(seed: int) -> None:
    (s, optimum), best = build_backwards(seed, kinds=seed % 4)
    e = explain_plan(s, "", *best)
    check_sums(e)
    assert e.slackness.gap == pytest.approx(0.0, abs=10 * money(s, optimum))
    assert e.reduced_cost[best.route > 0].max() <= 1e-9
    assert e.capacity_price[e.load < s.capacity * (1 - 1e-9)].max(initial=0.0) <= 1e-9


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("far", [1e-3, 0.3])
def test_poor_prices_and_poor_plans_are_accounted_for_to_the_cent(seed: int, far: float) -> None:
    (s, _), best = build_backwards(seed, kinds=seed % 4)
    random = np.random.default_rng(seed)
    demand_price = best.demand_price + far * random.normal(size=s.demand.shape) * 30
    equity_price = best.equity_price + far * random.normal(size=best.equity_price.shape) * 10
    # Half of the first gateway's load to any one region that it reaches, which is given the room for it.
    route = best.route.copy()
    pairs = np.flatnonzero(s.reach_gateway == 0)
    moved = 0.5 * route[pairs].sum(axis=0)
    route[pairs] *= 0.5
    route[random.choice(pairs)] += moved
    s = replace(s, capacity=np.maximum(s.capacity, region_load(s, route)))
    check_sums(explain_plan(s, "", route, demand_price, equity_price))


@pytest.mark.parametrize("case", TINY, ids=lambda case: case.__name__)
def test_tiny_fleets_solved_centrally(case: type[KnownAnswer]) -> None:
    s, _ = case()
    found = solve_central(s)
    check_sums(explain_plan(s, "central", found.route, found.demand_price, found.equity_price))


@pytest.mark.parametrize("shape", ["max", "lq:2", "lq:8", "worst:2"])
def test_every_equity_shape_adds_up(shape: str) -> None:
    fleet = load("synthetic:5x8,seed=3,reach=3").with_shape(EquityShape.parse(shape))
    for algorithm in ("admm", "newton"):
        solution = solve(fleet, algorithm, gap=1e-3, address="inprocess")
        e = explain(solution)
        check_sums(e)
        assert e.slackness.gap <= 1e-3 * solution.audit.objective


def test_capacity_price_is_the_multiplier_of_the_knapsack() -> None:
    for seed in range(20):
        (s, _), best = build_backwards(seed)
        random = np.random.default_rng(seed)
        offered = best.demand_price + random.normal(size=s.demand.shape) * 20
        cost = s.price_per_mw_slot()
        price = knapsack_price(s, cost, offered)
        for i in range(len(s.regions)):
            gateways = s.reach_gateway[s.reach_region == i]
            for t in range(s.slots):
                margin, demand = offered[gateways, t] - cost[i, t], s.demand[gateways, t]
                kinks = [0.0, *np.maximum(margin, 0.0)]
                value = [knapsack_dual(pi, margin, demand, s.capacity[i, t]) for pi in (price[i, t], *kinks)]
                assert value[0] == pytest.approx(min(value), rel=1e-9, abs=1e-9)
                smaller = [v for v, pi in zip(value[1:], kinks, strict=True) if pi < price[i, t] - 1e-9]
                assert all(v > min(value) + 1e-12 for v in smaller)


def knapsack_dual(pi: float, margin: Array, demand: Array, capacity: float) -> float:
    return pi * capacity + float(demand @ np.maximum(margin - pi, 0.0))


def optimum(s: Scenario) -> float:
    return plan_objective(s, region_load(s, solve_central(s).route))


def central(s: Scenario) -> Explanation:
    found = solve_central(s)
    return explain_plan(s, "central", found.route, found.demand_price, found.equity_price)


def test_one_more_mw_is_worth_what_the_central_optimum_saves() -> None:
    """A MW more never saves more than its price, a MW less never costs less; mostly it is just that."""
    exact = priced = 0
    for seed in range(8):
        s = load(f"synthetic:4x5,seed={seed},reach=2,util=0.8")
        e = central(s)
        best, rounding = e.audit.objective, 1e-10 * e.audit.objective
        mw = 1e-3 * s.capacity.min()
        at = np.argwhere(e.capacity_price > 0.0)
        slots = [np.array([t]) for _, t in at[::3]] + [np.arange(s.slots)] * len(s.regions)
        regions = [i for i, _ in at[::3]] + list(range(len(s.regions)))
        for i, when in zip(regions, slots, strict=True):
            worth = e.capacity_price[i, when].sum()
            changed = []
            for sign in (1.0, -1.0):
                capacity = s.capacity.copy()
                capacity[i, when] += sign * mw
                changed.append(optimum(replace(s, capacity=capacity)))
            saved, lost = best - changed[0], changed[1] - best
            assert saved <= worth * mw + rounding
            assert lost >= worth * mw - rounding
            if worth * mw > 100 * rounding:
                priced += 1
                exact += saved == pytest.approx(worth * mw, rel=1e-2)
        assert e.capacity_worth() == pytest.approx(e.capacity_price.sum(axis=1))
    assert priced >= 30 and exact >= 0.8 * priced


def test_one_more_reachable_region_is_worth_what_the_central_optimum_saves() -> None:
    """Reaching another region saves at most what is said, and just that for the first of a gateway's load."""
    exact = priced = 0
    for seed in range(16):
        s = load(f"synthetic:4x5,seed={seed},reach=2,util=0.8")
        e = central(s)
        best, rounding = e.audit.objective, 1e-10 * e.audit.objective
        for j in range(len(s.gateways)):
            worth = e.reach_worth(j).sum(axis=1)
            for region in np.flatnonzero(worth > 0.0):
                at_most = float(e.reach_worth(j)[region] @ s.demand[j])
                assert best - optimum(with_pair(s, j, int(region))) <= at_most + rounding
                mw = 1e-3 * s.demand[j].min()
                saved = best - optimum(with_pair(split(s, j, mw), len(s.gateways), int(region)))
                assert -rounding <= saved <= worth[region] * mw + rounding
                if worth[region] * mw > 100 * rounding:
                    priced += 1
                    exact += saved == pytest.approx(worth[region] * mw, rel=1e-2)
    assert priced >= 20 and exact >= 0.7 * priced


def with_pair(s: Scenario, gateway: int, region: int) -> Scenario:
    """The same fleet with one more allowed pair."""
    pairs = sorted([*zip(s.reach_region.tolist(), s.reach_gateway.tolist(), strict=True), (region, gateway)])
    regions, gateways = np.array(pairs).T
    return replace(s, reach_region=regions, reach_gateway=gateways, reach_rtt_ms=np.full(len(pairs), np.nan))


def split(s: Scenario, gateway: int, mw: float) -> Scenario:
    """The same fleet with `mw` of one gateway's demand asked for at a further gateway of the same reach."""
    pairs = list(zip(s.reach_region.tolist(), s.reach_gateway.tolist(), strict=True))
    pairs += [(i, len(s.gateways)) for i, j in pairs if j == gateway]
    regions, gateways = np.array(sorted(pairs)).T
    demand = np.concatenate([s.demand, np.full((1, s.slots), mw)])
    demand[gateway] -= mw
    return replace(
        s,
        gateways=(*s.gateways, "more"),
        gateway_lat=np.append(s.gateway_lat, 0.0),
        gateway_lon=np.append(s.gateway_lon, 0.0),
        gateway_utc_offset_h=np.append(s.gateway_utc_offset_h, 0.0),
        demand=demand,
        reach_region=regions,
        reach_gateway=gateways,
        reach_rtt_ms=np.full(len(regions), np.nan),
    )


@pytest.fixture(scope="module")
def explained() -> Explanation:
    return central(load("synthetic:5x24,seed=1,reach=3,util=0.8"))


def test_rows_add_up_as_slots_do(explained: Explanation) -> None:
    s = explained.scenario
    whole = region_rows(explained, select(explained))
    assert sum(row.share for row in whole) == pytest.approx(1.0)
    assert sum(row.served_mwh for row in whole) == pytest.approx(s.demand.sum() * s.slot_hours)
    for gateway in (None, s.gateways[2]):
        for hour in (None, 7):
            for row in region_rows(explained, select(explained, hour=hour, gateway=gateway)):
                parts = row.energy + sum(row.surcharge.values()) + row.capacity
                assert parts == pytest.approx(row.full_price, abs=1e-9)
                if gateway is not None:
                    assert row.reduced_cost is not None and row.demand_price is not None
                    assert parts - row.demand_price == pytest.approx(row.reduced_cost, abs=1e-9)
                    assert row.reduced_cost >= -1e-9
    shares = explained.equity_share().sum(axis=1)
    assert shares == pytest.approx(np.ones(len(s.footprints)))


def test_pairs_tell_the_next_best_region(explained: Explanation) -> None:
    s = explained.scenario
    rows = pair_rows(explained, select(explained, hour=3))
    assert len(rows) == len(s.reach_region)
    assert sum(row["mw"] for row in rows) == pytest.approx(s.demand[:, 3].sum())
    for row in rows:
        price = row["energy"] + sum(row["surcharge"].values()) + row["capacity"]
        assert price - row["demand_price"] == pytest.approx(row["reduced_cost"], abs=1e-9)
        j = s.gateways.index(row["gateway"])
        others = {
            s.regions[i]: explained.full_price[i, 3] / s.slot_hours
            for i in s.reach_region[s.reach_gateway == j]
            if s.regions[i] != row["region"]
        }
        assert row["next_best"] == min(others, key=lambda name: others[name])
        assert row["next_best_price"] == pytest.approx(min(others.values()))


def test_gateways_say_who_serves_them_and_who_would_else(explained: Explanation) -> None:
    s = explained.scenario
    for row in gateway_rows(explained, select(explained)):
        assert sum(row.served_by.values()) == pytest.approx(1.0, abs=1e-2)
        assert row.next_best is not None and row.next_best_extra is not None and row.next_best_extra >= 0.0
        reached = {s.regions[i] for i in s.reach_region[s.reach_gateway == s.gateways.index(row.gateway)]}
        assert set(row.served_by) <= reached and not {best["region"] for best in row.reach_worth} & reached


def test_a_region_alone_in_reach_has_no_next_best() -> None:
    s = make_scenario([[1.0], [1.0]], [[10.0], [20.0]], [[9.0], [9.0]], reach=[(0, 0), (1, 0), (1, 1)])
    first, second = gateway_rows(central(s), select(central(s)))
    assert first.next_best is None and first.next_best_extra is None
    assert (second.next_best, second.next_best_extra) == ("r1", 10.0)


def test_what_is_not_there_is_said_all_at_once(explained: Explanation) -> None:
    with pytest.raises(InputError) as caught:
        select(explained, region="r9", hour="2031-01-01", gateway="gg1")
    region, hour, gateway = caught.value.problems
    assert "'r9' is no region of this fleet" in region and "hour 2031-01-01 is not in" in hour
    assert "did you mean g1?" in gateway


def test_an_hour_is_a_number_or_a_time_within_it() -> None:
    s = load("synthetic:2x6")
    first = str(s.times[0])
    assert [find_slot(s, text) for text in ("0", "5", first, f"{first}Z", f"{s.times[3]}")] == [0, 5, 0, 0, 3]
    assert find_slot(s, f"{str(s.times[2])[:13]}:30") == 2
    assert find_slot(s, f"{str(s.times[2])[:13]}:00+00:00") == 2
    for bad in ("6", "-1", "noon", "", str(s.times[0] - np.timedelta64(1, "s"))):
        with pytest.raises(InputError):
            find_slot(s, bad)


@pytest.mark.parametrize("name", ["paper10-partial", "world10"])
def test_real_fleets_explain_their_gap(name: str, data_directory: object) -> None:
    solution = solve(load(name), "newton", gap=1e-4, address="inprocess")
    e = explain(solution)
    check_sums(e)
    again = audit(solution.scenario, solution.route, e.demand_price, e.equity_price)
    assert again.gap <= solution.audit.gap * (1 + 1e-9)
    served = float((e.reduced_cost * e.route).sum()) / solution.audit.objective
    assert served <= 1e-4

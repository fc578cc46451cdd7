"""Random small fleets of every awkward kind, and their optimum from a general solver that shares nothing."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from eglb.agents.region import Region
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array
from eglb.scenarios.scenario import FootprintKind, Scenario


def _draw_reach(random: np.random.Generator, regions: int, gateways: int) -> Array:
    """(J, N) booleans; every gateway reaches somebody, a region may be reached by nobody."""
    if random.random() < 0.3:
        return np.ones((gateways, regions), bool)
    reach = random.random((gateways, regions)) < random.uniform(0.2, 0.9)
    reach[np.arange(gateways), random.integers(regions, size=gateways)] = True
    return reach


def draw_scenario(seed: int) -> Scenario:
    """N 1..8, J 1..8, T 1..6, K 0..3; feasible, because capacity is laid around a plan that was drawn first.

    By chance: slots at exactly full load, closed regions, gateways that ask for nothing, regions nobody
    reaches, negative prices, kinds of no weight, region weights, footprints of zero, and any scale of units.
    """
    random = np.random.default_rng(seed)
    regions, gateways, slots = random.integers(1, 9), random.integers(1, 9), random.integers(1, 7)
    reach = _draw_reach(random, regions, gateways)
    route = random.exponential(1.0, (gateways, regions, slots)) * reach[:, :, None]
    route[random.random(route.shape) < 0.3] = 0.0
    if random.random() < 0.3:
        route[random.integers(gateways)] = 0.0
    if random.random() < 0.3:
        route[:, random.integers(regions)] = 0.0
    if not route.any():
        route[0, np.flatnonzero(reach[0])[0], 0] = 1.0
    route *= 10.0 ** random.uniform(-2, 4)
    load = route.sum(0)
    slack = random.choice([0.0, 0.05, 0.5, 3.0]) * random.random((regions, slots))
    if random.random() < 0.3:
        slack[:, random.integers(slots)] = 0.0
    closed = random.random(regions) < 0.15
    room = np.where(closed[:, None], 0.0, slack * max(load.mean(), 1e-9))
    price = 10.0 ** random.uniform(-1, 3) * random.uniform(0.2, 1.0, (regions, slots))
    if random.random() < 0.3:
        price -= random.uniform(0.0, 1.0) * price.max()
    cost = float((np.abs(price) * load).sum())
    kinds = []
    for k in range(random.integers(0, 4)):
        intensity = 10.0 ** random.uniform(-4, 2) * random.uniform(0.0, 1.0, (regions, slots))
        intensity[random.random(regions) < 0.15] = 0.0
        region_weight = np.ones(regions) if random.random() < 0.6 else random.uniform(0.0, 2.0, regions)
        worst = float((region_weight * (intensity * load).sum(1)).max())
        share = random.choice([0.0, 0.02, 0.3, 3.0], p=[0.15, 0.2, 0.45, 0.2])
        weight = share * cost / worst if worst > 0.0 else 1.0
        per = str(random.choice(["it", "facility"]))
        kinds.append(FootprintKind(f"kind{k}", "u", weight, intensity, per, region_weight))
    gateway, region = np.nonzero(reach)
    order = np.lexsort((gateway, region))
    return Scenario(
        name=f"drawn {seed}",
        times=np.datetime64("2024-01-01T00:00:00", "s") + np.arange(slots) * np.timedelta64(3600, "s"),
        slot_hours=1.0,
        regions=tuple(f"r{i}" for i in range(regions)),
        region_lat=np.zeros(regions),
        region_lon=np.zeros(regions),
        pue=random.uniform(1.0, 1.6, regions),
        capacity=load + room,
        gateways=tuple(f"g{j}" for j in range(gateways)),
        gateway_lat=np.zeros(gateways),
        gateway_lon=np.zeros(gateways),
        gateway_utc_offset_h=np.zeros(gateways),
        demand=np.ascontiguousarray(route.sum(1)),
        price=price,
        footprints=tuple(kinds),
        reach_gateway=gateway[order],
        reach_region=region[order],
        reach_rtt_ms=np.full(len(order), np.nan),
    )


def optimum(scenario: Scenario) -> float:
    """USD: the problem as it is written, handed to a general linear solver."""
    edges, slots, kinds = len(scenario.reach_region), scenario.slots, len(scenario.footprints)
    price = scenario.price_per_mw_slot()[scenario.reach_region]
    weight = np.array([kind.weight for kind in scenario.footprints])
    count = edges * slots
    demand_rows = np.zeros((len(scenario.gateways) * slots, count + kinds))
    capacity_rows = np.zeros((len(scenario.regions) * slots, count + kinds))
    for e in range(edges):
        for t in range(slots):
            demand_rows[scenario.reach_gateway[e] * slots + t, e * slots + t] = 1.0
            capacity_rows[scenario.reach_region[e] * slots + t, e * slots + t] = 1.0
    level_rows = np.zeros((kinds * len(scenario.regions), count + kinds))
    for k, kind in enumerate(scenario.footprints):
        intensity = scenario.intensity_per_mw_slot(kind) * kind.region_weight[:, None]
        for e in range(edges):
            i = scenario.reach_region[e]
            level_rows[k * len(scenario.regions) + i, e * slots : (e + 1) * slots] = intensity[i]
        level_rows[k * len(scenario.regions) : (k + 1) * len(scenario.regions), count + k] = -1.0
    # In units of order one: the solver's tolerances are absolute.
    power = scenario.demand.max()
    money = max(np.abs(price).max(), 1e-300)
    size = np.maximum(
        level_rows[:, :count].max(1, initial=0.0).reshape(kinds, len(scenario.regions)).max(1), 1e-300
    )
    level_rows[:, :count] /= np.repeat(size, len(scenario.regions))[:, None]
    found = linprog(
        np.concatenate([price.ravel() / money, weight * size / money]),
        A_ub=np.vstack([capacity_rows, level_rows]),
        b_ub=np.concatenate([scenario.capacity.ravel() * (1.0 + 1e-13) / power, np.zeros(len(level_rows))]),
        A_eq=demand_rows,
        b_eq=scenario.demand.ravel() / power,
        bounds=[(0.0, None)] * count + [(None, None)] * kinds,
        method="highs",
    )
    assert found.status == 0, found.message
    return float(found.fun) * power * money


def small_market(seed: int, kinds: int = 2) -> tuple[Region, Market]:
    """A fleet of a few regions at scale one, for tests that take the parts of a round in hand."""
    random = np.random.default_rng(seed)
    regions, gateways, slots = random.integers(2, 6), random.integers(1, 6), random.integers(1, 5)
    gateway, region = np.nonzero(_draw_reach(random, regions, gateways))
    demand = random.uniform(0.1, 1.0, (slots, gateways))
    market = Market(demand, int(regions), gateway, region, random.uniform(0.5, 3.0, kinds))
    load = market.load(market.spread()).T
    private = Region(
        tuple(f"r{i}" for i in range(regions)),
        random.uniform(0.2, 2.0, (regions, slots)),
        load + random.uniform(0.05, 1.0, load.shape),
        random.uniform(0.1, 1.0, (regions, kinds, slots)),
    )
    return private, market

"""Random fleets hour by hour, for tests: small, awkward, and replayed with little ado."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.scenario import FootprintKind, Scenario


def draw_hours(seed: int, slots: int, negative: bool = False, start: str = "2024-01-29T00:00:00") -> Scenario:
    """1 to 6 regions, 1 to 4 gateways, 1 or 2 kinds; feasible; prices above zero unless `negative`."""
    random = np.random.default_rng(seed)
    regions, gateways, kinds = random.integers(1, 7), random.integers(1, 5), random.integers(1, 3)
    reach = random.random((gateways, regions)) < random.uniform(0.3, 1.2)
    reach[np.arange(gateways), random.integers(regions, size=gateways)] = True
    route = random.exponential(1.0, (gateways, regions, slots)) * reach[:, :, None]
    load = route.sum(0)
    capacity = load + random.choice([0.0, 0.3, 2.0]) * random.random((regions, slots)) * load.mean()
    price = random.uniform(5.0, 100.0, (regions, slots))
    if negative:
        price -= random.uniform(0.0, 120.0, (1, slots)) * (random.random(slots) < 0.4)
    cost = float((np.abs(price) * load).sum())
    footprints = []
    for k in range(kinds):
        intensity = random.uniform(0.0, 1.0, (regions, 1)) * random.uniform(0.3, 1.7, (regions, slots))
        worst = float((intensity * load).sum(1).max())
        footprints.append(
            FootprintKind(
                f"kind{k}",
                "u",
                random.choice([0.1, 0.5, 2.0]) * cost / worst,
                intensity,
                "it",
                np.ones(regions),
            )
        )
    region, gateway = np.nonzero(reach.T)
    return Scenario(
        name=f"hours {seed}",
        times=np.datetime64(start, "s") + np.arange(slots) * np.timedelta64(3600, "s"),
        slot_hours=1.0,
        regions=tuple(f"r{i}" for i in range(regions)),
        region_lat=random.uniform(-50, 50, regions),
        region_lon=random.uniform(-180, 180, regions),
        pue=np.ones(regions),
        capacity=capacity,
        gateways=tuple(f"g{j}" for j in range(gateways)),
        gateway_lat=random.uniform(-50, 50, gateways),
        gateway_lon=random.uniform(-180, 180, gateways),
        gateway_utc_offset_h=np.zeros(gateways),
        demand=np.ascontiguousarray(route.sum(1)),
        price=price,
        footprints=tuple(footprints),
        reach_gateway=gateway,
        reach_region=region,
        reach_rtt_ms=np.full(len(gateway), np.nan),
    )


def scramble_after(scenario: Scenario, slot: int, seed: int = 1) -> Scenario:
    """The same hours up to `slot`, and others afterwards: prices and footprints drawn anew, demand scaled
    down.
    """
    random = np.random.default_rng(seed)

    def other(values: Array) -> Array:
        changed = values.copy()
        changed[:, slot + 1 :] *= random.uniform(0.3, 2.0, changed[:, slot + 1 :].shape)
        return changed

    demand = scenario.demand.copy()
    demand[:, slot + 1 :] *= 0.8
    kinds = tuple(replace(k, intensity=other(k.intensity)) for k in scenario.footprints)
    return replace(scenario, price=other(scenario.price), demand=demand, footprints=kinds)


def objective_so_far(scenario: Scenario, load: Array) -> Array:
    """(T,) USD: energy cost and equity terms of the slots up to each, from the raw scenario."""
    total = np.cumsum((scenario.price_per_mw_slot() * load).sum(0))
    for kind in scenario.footprints:
        weighted = kind.region_weight[:, None] * scenario.intensity_per_mw_slot(kind) * load
        total = total + kind.weight * np.cumsum(weighted, axis=1).max(0)
    return total

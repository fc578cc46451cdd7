"""Scenarios whose optimum is known without a solver: built backwards from it, or solved by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.equity_shape import EquityShape
from eglb.scenarios.scenario import FootprintKind, Scenario


class KnownAnswer(NamedTuple):
    """A scenario and its optimal objective in USD; inf where no feasible plan exists."""

    scenario: Scenario
    optimum: float


class Certificate(NamedTuple):
    """An optimal plan and the prices that prove it, in the shapes and units of `audit`'s arguments."""

    route: Array
    demand_price: Array
    equity_price: Array


def make_scenario(
    demand: Sequence[Sequence[float]] | Array,
    price: Sequence[Sequence[float]] | Array,
    capacity: Sequence[Sequence[float]] | Array,
    *,
    footprints: Sequence[FootprintKind] = (),
    reach: Sequence[tuple[int, int]] | None = None,
    pue: Sequence[float] | Array | None = None,
    slot_hours: float = 1.0,
    name: str = "by-hand",
) -> Scenario:
    """A scenario from (J, T) demand, (N, T) price and capacity; `reach` is (gateway, region) pairs or all."""
    d, p, c = (np.array(a, dtype=float) for a in (demand, price, capacity))
    n, j = len(p), len(d)
    pairs = [(g, i) for i in range(n) for g in range(j)] if reach is None else list(reach)
    pairs.sort(key=lambda pair: (pair[1], pair[0]))
    places = np.linspace(-60.0, 60.0, n), np.linspace(-60.0, 60.0, j)
    step = np.timedelta64(round(3600 * slot_hours), "s")
    return Scenario(
        name=name,
        times=np.datetime64("2024-01-01T00:00:00", "s") + np.arange(d.shape[1]) * step,
        slot_hours=slot_hours,
        regions=tuple(f"r{i}" for i in range(n)),
        region_lat=places[0],
        region_lon=places[0] * 2,
        pue=np.ones(n) if pue is None else np.array(pue, dtype=float),
        capacity=c,
        gateways=tuple(f"g{g}" for g in range(j)),
        gateway_lat=places[1],
        gateway_lon=places[1] * 2,
        gateway_utc_offset_h=np.zeros(j),
        demand=d,
        price=p,
        footprints=tuple(footprints),
        reach_gateway=np.array([g for g, _ in pairs], dtype=int),
        reach_region=np.array([i for _, i in pairs], dtype=int),
        reach_rtt_ms=np.full(len(pairs), np.nan),
    )


def make_kind(
    intensity: Sequence[Sequence[float]] | Array,
    weight: float,
    *,
    name: str = "carbon",
    unit: str = "t",
    per: str = "facility",
    region_weight: Sequence[float] | Array | None = None,
    shape: str = "max",
) -> FootprintKind:
    """A footprint kind from its (N, T) intensity."""
    a = np.array(intensity, dtype=float)
    weights = np.ones(len(a)) if region_weight is None else np.array(region_weight, dtype=float)
    return FootprintKind(name, unit, weight, a, per, weights, EquityShape.parse(shape))


def build_backwards(
    seed: int,
    *,
    regions: int = 5,
    gateways: int = 4,
    slots: int = 6,
    kinds: int = 2,
    demand_scale: float = 1.0,
    price_scale: float = 1.0,
    shape: str = "max",
) -> tuple[KnownAnswer, Certificate]:
    """A random scenario derived from a plan and prices that are optimal by construction.

    First the full price v_i(t) of every region, on few levels so that gateways have ties to split between;
    each gateway's demand price is the lowest it reaches, and it sends only there. Some regions are then
    declared full and given a price on capacity, the others get room. Equity prices go to a random set of
    regions, whose weights are set so that exactly they tie for the worst; of an equity `shape` other than the
    maximum they are its gradient at the plan. Energy price is what is left of v. It may be negative. The
    optimum is the value of the dual, ``sum nu d - sum gamma cap``; the tests compare
    it with the plan's cost.
    """
    random = np.random.default_rng(seed)
    n, j, t = regions, gateways, slots
    allowed = random.random((n, j)) < 0.6
    allowed[random.integers(n, size=j), np.arange(j)] = True
    reach_region, reach_gateway = np.nonzero(allowed)

    full_price = random.choice([40.0, 55.0, 70.0, 100.0], size=(n, t))
    demand_price = np.where(allowed[:, :, None], full_price[:, None, :], np.inf).min(axis=0)
    wanted = random.uniform(0.2, 2.0, size=(j, t)) * (random.random((j, t)) < 0.9)
    best = allowed[:, :, None] & (full_price[:, None, :] == demand_price[None])
    share = np.where(best, random.uniform(0.1, 1.0, size=(n, j, t)), 0.0)
    flow = share / share.sum(axis=0) * wanted
    load = flow.sum(axis=1)

    full = random.random((n, t)) < 0.3
    capacity_price = np.where(full, random.uniform(0.0, 20.0, size=(n, t)), 0.0)
    capacity = np.where(full, load, load + random.uniform(0.1, 2.0, size=(n, t)))

    pue = random.uniform(1.0, 1.6, n)
    slot_hours = float(random.choice([0.5, 1.0, 2.0]))
    price_per_mw_slot = full_price - capacity_price
    footprints = []
    equity_price = np.zeros((kinds, n))
    for k in range(kinds):
        per = ("it", "facility")[k % 2]
        energy = slot_hours * (np.ones(n) if per == "it" else pue)
        intensity = random.uniform(0.0, 2.0, size=(n, t)) * (random.random((n, t)) < 0.9)
        total = (intensity * energy[:, None] * load).sum(axis=1)
        used = np.flatnonzero(total > 0)
        region_weight = random.uniform(0.5, 1.5, n)
        weight = float(random.choice([0.0, 5.0, 25.0]))
        if len(used) and shape != "max":
            family, parameter = shape.split(":")[0], int(shape.split(":")[1])
            weighted = region_weight * total
            if family == "lq":
                size = float((weighted**parameter).sum()) ** (1.0 / parameter)
                equity_price[k] = weight * (weighted / size) ** (parameter - 1)
            else:
                count = min(parameter, n)
                equity_price[k, np.argsort(-weighted)[:count]] = weight / count
        elif len(used):
            worst = random.choice(used, size=random.integers(1, len(used) + 1), replace=False)
            level = float(total[used].max())
            region_weight[used] = level * random.uniform(0.1, 0.99, len(used)) / total[used]
            region_weight[worst] = level / total[worst]
            mass = random.uniform(0.1, 1.0, len(worst))
            equity_price[k, worst] = weight * mass / mass.sum()
        else:
            equity_price[k] = weight / n
        price_per_mw_slot -= (equity_price[k] * region_weight * energy)[:, None] * intensity
        footprints.append(
            make_kind(
                intensity,
                weight * price_scale,
                name=("water", "carbon", "health")[k % 3] + (str(k) if k > 2 else ""),
                per=per,
                region_weight=region_weight,
                shape=shape,
            )
        )
    scenario = make_scenario(
        wanted * demand_scale,
        price_per_mw_slot * price_scale / (pue * slot_hours)[:, None],
        capacity * demand_scale,
        footprints=footprints,
        reach=list(zip(reach_gateway.tolist(), reach_region.tolist(), strict=True)),
        pue=pue,
        slot_hours=slot_hours,
        name=f"backwards-{seed}",
    )
    optimum = math.fsum(
        np.concatenate([(demand_price * wanted).ravel(), -(capacity_price * capacity).ravel()]).tolist()
    )
    certificate = Certificate(
        route=flow[scenario.reach_region, scenario.reach_gateway] * demand_scale,
        demand_price=demand_price * price_scale,
        equity_price=equity_price * price_scale,
    )
    return KnownAnswer(scenario, optimum * demand_scale * price_scale), certificate


def one_region() -> KnownAnswer:
    """Nothing to decide: 3 and 4 MW at 10 and 20 USD, 2 t per MW at 5 USD per t."""
    scenario = make_scenario(
        [[1, 2], [2, 2]], [[10, 20]], [[5, 5]], footprints=[make_kind([[2, 2]], 5.0)], name="one-region"
    )
    return KnownAnswer(scenario, 3 * 10 + 4 * 20 + 5 * 2 * (3 + 4))


def one_slot() -> KnownAnswer:
    """Moving load from price 10 to price 12 costs 2 and saves 1 x 3 of equity: split 6 MW evenly."""
    scenario = make_scenario(
        [[6]], [[10], [12]], [[9], [9]], footprints=[make_kind([[1], [1]], 3.0)], name="one-slot"
    )
    return KnownAnswer(scenario, 3 * 10 + 3 * 12 + 3 * 3)


def degenerate() -> KnownAnswer:
    """Three equal regions, three equal gateways: any routing with equal totals is optimal."""
    scenario = make_scenario(
        np.full((3, 4), 1.0),
        np.full((3, 4), 10.0),
        np.full((3, 4), 2.0),
        footprints=[make_kind(np.full((3, 4), 1.0), 6.0)],
        name="degenerate",
    )
    return KnownAnswer(scenario, 12 * 10 + 6 * 4)


def tie_in_the_max() -> KnownAnswer:
    """Equal prices, intensities 1 and 3: totals tie at 3 t with 3 and 1 MW."""
    scenario = make_scenario(
        [[2, 2]],
        [[10, 10], [10, 10]],
        [[4, 4], [4, 4]],
        footprints=[make_kind([[1, 1], [3, 3]], 100.0)],
        name="tie-in-the-max",
    )
    return KnownAnswer(scenario, 4 * 10 + 100 * 3)


def zero_capacity() -> KnownAnswer:
    """The cheap region has no capacity in either slot, so the dear one serves all."""
    scenario = make_scenario(
        [[1, 2]], [[1, 1], [30, 40]], [[0, 0], [2, 2]], footprints=[make_kind(np.ones((2, 2)), 7.0)],
        name="zero-capacity",
    )  # fmt: skip
    return KnownAnswer(scenario, 30 + 80 + 7 * 3)


def exactly_full() -> KnownAnswer:
    """Slot 1 asks for all the capacity there is; slot 0 is free to go where it is cheap, 3 t against 3 t."""
    scenario = make_scenario(
        [[1, 2], [1, 2]],
        [[10, 10], [20, 20]],
        [[2, 1], [2, 3]],
        footprints=[make_kind(np.ones((2, 2)), 4.0)],
        name="exactly-full",
    )
    return KnownAnswer(scenario, 2 * 10 + 1 * 10 + 3 * 20 + 4 * 3)


def zero_weight() -> KnownAnswer:
    """Equity at no price is cheapest-first: 2 MW at 10, the remaining 1 MW at 30, whatever the totals."""
    scenario = make_scenario(
        [[3]], [[10], [30]], [[2], [2]], footprints=[make_kind([[50], [1]], 0.0)], name="zero-weight"
    )
    return KnownAnswer(scenario, 2 * 10 + 30)


def negative_prices() -> KnownAnswer:
    """Being paid to consume, 2 MW at -30 and 1 MW at 5, against 2 t at 4 USD: the objective is below zero."""
    scenario = make_scenario(
        [[3]], [[-30], [5]], [[2], [2]], footprints=[make_kind([[1], [1]], 4.0)], name="negative-prices"
    )
    return KnownAnswer(scenario, -60 + 5 + 4 * 2)


def zero_demand() -> KnownAnswer:
    """Nothing asked, nothing spent."""
    scenario = make_scenario(
        np.zeros((2, 3)), np.full((2, 3), 9.0), np.ones((2, 3)),
        footprints=[make_kind(np.ones((2, 3)), 2.0)], name="zero-demand",
    )  # fmt: skip
    return KnownAnswer(scenario, 0.0)


def no_footprints() -> KnownAnswer:
    """No footprint kind at all: each gateway to the cheaper of what it reaches."""
    scenario = make_scenario(
        [[1, 1], [1, 1]], [[10, 30], [20, 20]], [[5, 5], [5, 5]], reach=[(0, 0), (0, 1), (1, 1)],
        name="no-footprints",
    )  # fmt: skip
    return KnownAnswer(scenario, 10 + 20 + 20 + 20)


def infeasible() -> KnownAnswer:
    """In slot 1 gateway 0 asks 3 MW of a region of 2; gateway 1's free region is out of its reach."""
    scenario = make_scenario(
        [[1, 3], [1, 1]], np.full((2, 2), 10.0), [[2, 2], [5, 5]], reach=[(0, 0), (1, 0), (1, 1)],
        footprints=[make_kind(np.ones((2, 2)), 1.0)], name="infeasible",
    )  # fmt: skip
    return KnownAnswer(scenario, math.inf)


TINY: tuple[Callable[[], KnownAnswer], ...] = (
    one_region,
    one_slot,
    degenerate,
    tie_in_the_max,
    zero_capacity,
    exactly_full,
    zero_weight,
    negative_prices,
    zero_demand,
    no_footprints,
)
"""The feasible ones; `infeasible` is apart."""

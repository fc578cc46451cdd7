"""From the name of a measured world to its scenario."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.scenarios.geography import distances_km
from eglb.scenarios.physics.figure import Estimate
from eglb.scenarios.scenario import FootprintKind, Scenario
from eglb.scenarios.worlds import demand, population
from eglb.scenarios.worlds.files import require
from eglb.scenarios.worlds.naming import parse_name
from eglb.scenarios.worlds.reach import allowed_pairs
from eglb.scenarios.worlds.world import World

# Per region, since the worst region's total is about one N-th of all: equity then counts about as much in
# small fleets as in large ones.
WATER_USD_PER_M3_AND_REGION, CARBON_USD_PER_T_AND_REGION = 6.0, 150.0
_CHOSEN = "chosen for experiments: {:g} MW in every region, reach, weights"


def build(world: World, name: str, data: Path, *, seed: int | None = None) -> Scenario:
    """The scenario that `name` asks for, from the data directory; windows of one fleet join.

    Every region is a gateway too, unless nobody lives there and demand is split by population. All regions
    have the same capacity. What the regions in reach cannot take at 95 % of it is no demand.

    Raises
    ------
    InputError : the name is wrong, or files or prices are missing.
    """
    choice = parse_name(name, world, seed)
    require(data, world.name, (*world.files, *population.FILES, demand.trace_file(choice.demand)))
    ground = world.read(data, choice.hydro == "yes")
    start = int((choice.first - world.first).astype(int))
    chosen = np.sort(ground.order[: choice.regions])
    n = len(chosen)

    def part(series: Array) -> Array:
        return np.ascontiguousarray(series[chosen, start : start + choice.slots])

    def kind(name: str, unit: str, weight: float, per: str, values: Estimate, signal: str) -> FootprintKind:
        low, central, high = part(values.low), part(values.central), part(values.high)
        return FootprintKind(
            name, unit, weight * n, central, per, np.ones(n), signal=signal, low=low, high=high
        )

    regions = tuple(ground.regions[i] for i in chosen)
    price = part(ground.price)
    hourly = {"prices": price, "water": part(ground.water.central), "carbon": part(ground.carbon.central)}
    if unknown := [
        f"{name}: {what} of {regions[i]} {'are' if what == 'prices' else 'is'} missing in these hours"
        for what, series in hourly.items()
        for i in np.flatnonzero(np.isnan(series).any(1))
    ]:
        raise InputError(unknown)
    lat, lon, offset = ground.lat[chosen], ground.lon[chosen], ground.utc_offset_h[chosen]
    share = demand.shares(choice, regions, lat, lon, data)
    asking = np.flatnonzero(share > 0.0)
    gateways = tuple(regions[j] for j in asking)
    rtt = ground.rtt_ms[np.ix_(chosen[asking], chosen)].T
    allowed = allowed_pairs(choice.reach, rtt)
    region, gateway = np.nonzero(allowed)
    trace = demand.read_trace(choice.demand, data)
    wanted = demand.gateway_demand(choice, world, gateways, share[asking], offset[asking], trace)
    return Scenario(
        name=name,
        times=(choice.first + np.arange(choice.slots)).astype("datetime64[s]"),
        slot_hours=1.0,
        regions=regions,
        region_lat=lat,
        region_lon=lon,
        pue=ground.pue[chosen],
        capacity=np.full((n, choice.slots), world.capacity_mw),
        gateways=tuple(f"gw-{g}" for g in gateways),
        gateway_lat=lat[asking],
        gateway_lon=lon[asking],
        gateway_utc_offset_h=offset[asking],
        demand=demand.servable(wanted, allowed, world.capacity_mw),
        price=price,
        footprints=(
            kind("water", "m3", WATER_USD_PER_M3_AND_REGION, "it", ground.water, ground.water_signal),
            kind("carbon", "t", CARBON_USD_PER_T_AND_REGION, "facility", ground.carbon, ground.carbon_signal),
        ),
        reach_gateway=gateway,
        reach_region=region,
        reach_rtt_ms=rtt[region, gateway],
        note="; ".join((*ground.notes, demand.said(choice), _CHOSEN.format(world.capacity_mw))),
        sources=(*ground.sources, demand.source(choice.demand), population.SOURCE),
        water_stress=ground.water_stress[chosen],
        people_m=population.people_nearby(lat, lon, data),
    )


def preceding(world: World, name: str, slots: int, data: Path, *, seed: int | None = None) -> Scenario | None:
    """The hours right before those of `name`, `slots` of them in whole days, or as many as there are; None if
    none.
    """
    choice = parse_name(name, world, seed)
    days = min(slots // 24, int((choice.first - world.first).astype(int)) // 24)
    if days < 1:
        return None
    first = (choice.first - 24 * days).astype("datetime64[D]")
    return build(world, f"{world.name}@{first}/{days}d{''.join(name.partition(',')[1:])}", data, seed=seed)


def spread_out(lat: Array, lon: Array) -> Array:
    """(N,) an order of places in degrees in which each is the farthest from all before it; place 0 first."""
    distance = distances_km(lat, lon)
    order = [0]
    nearest = distance[0].copy()
    while len(order) < len(lat):
        nearest[order] = -1.0
        order.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, distance[order[-1]])
    return np.array(order)

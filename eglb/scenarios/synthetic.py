"""Generated fleets of any size: ``synthetic:N[xHOURS][,seed=S][,reach=K][,util=U]``."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.scenarios.feasibility import balanced_load, reach_matrix
from eglb.scenarios.geography import EARTH_RADIUS_KM, modelled_rtt_ms, unit_vectors
from eglb.scenarios.scenario import FootprintKind, Scenario

USAGE = "synthetic:N[xHOURS][,seed=S][,reach=K][,util=U]"
PEAK_UTILISATION = 0.97
EQUITY_SHARE = 0.2


@dataclass(frozen=True)
class SyntheticSpec:
    """What a ``synthetic:...`` name asks for: N regions and gateways, slots of one hour, and the rest."""

    regions: int
    hours: int = 168
    seed: int = 0
    reach: int = 8
    utilisation: float = 0.7

    @property
    def name(self) -> str:
        """The canonical name, from which the same scenario is generated again."""
        return (
            f"synthetic:{self.regions}x{self.hours},seed={self.seed},"
            f"reach={self.reach},util={self.utilisation!r}"
        )


def parse_name(name: str, *, seed: int | None = None) -> SyntheticSpec:
    """Read a ``synthetic:...`` name; `seed` counts where the name has none.

    Raises
    ------
    InputError : every part that cannot be read or is out of range.
    """
    size, *options = name.removeprefix("synthetic:").split(",")
    problems: list[str] = []
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", size)
    regions, hours = (int(match[1]), int(match[2] or 168)) if match else (0, 168)
    if match is None:
        problems.append(f"{name}: size {size!r} is not N or NxHOURS; write {USAGE}")
    elif regions < 1 or hours < 1:
        problems.append(f"{name}: N and HOURS must be at least 1, got {size}")
    values: dict[str, str] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or key not in ("seed", "reach", "util"):
            problems.append(f"{name}: unknown option {option!r}; write {USAGE}")
        elif key in values:
            problems.append(f"{name}: {key} is given twice")
        else:
            values[key] = value
    for key, pattern in (("seed", r"\d+"), ("reach", r"\d+"), ("util", r"\d*\.?\d+")):
        if key in values and not re.fullmatch(pattern, values[key]):
            problems.append(
                f"{name}: {key}={values[key]} is not a {'fraction' if key == 'util' else 'whole number'}"
            )
            del values[key]
    reach = int(values.get("reach", min(8, max(regions, 1))))
    utilisation = float(values.get("util", 0.7))
    if regions and not 1 <= reach <= regions:
        problems.append(f"{name}: reach={reach} must lie between 1 and the number of regions, {regions}")
    if not 0 < utilisation <= 1:
        problems.append(f"{name}: util={utilisation} must lie above 0 and at most at 1")
    if problems:
        raise InputError(problems)
    chosen_seed = int(values["seed"]) if "seed" in values else (seed or 0)
    return SyntheticSpec(regions, hours, chosen_seed, reach, utilisation)


def generate(spec: SyntheticSpec) -> Scenario:
    """N regions and N gateways at random places of a sphere, with daily shapes that follow the longitude.

    Each gateway reaches its `spec.reach` nearest regions; a region that would be left without any gateway
    gets the nearest one. Price and carbon dip with the sun, water and demand swing with the day, all
    with noise. Capacities are constant; together they make total demand / total capacity over the
    horizon equal to `spec.utilisation`. Where a balanced spread of the demand would fill a region beyond
    97 %, that region's capacity is raised, and the others are lowered to keep the total; where the peaks
    leave no room for that, the total grows and the true utilisation is lower than asked. So every slot is
    feasible by construction. Equity weights make each footprint's term about 20 % of the energy cost at
    that balanced spread. The same `spec` gives the same arrays.
    """
    random = np.random.default_rng(spec.seed)
    n, hours = spec.regions, spec.hours
    region_lat, region_lon = _sphere(random, n)
    gateway_lat, gateway_lon = _sphere(random, n)
    pair_region, pair_gateway, rtt_ms = _nearest_pairs(
        unit_vectors(region_lat, region_lon), unit_vectors(gateway_lat, gateway_lon), spec.reach
    )
    day = np.arange(hours) * (2 * np.pi / 24)
    region_phase = day[None] + np.radians(region_lon)[:, None]
    gateway_phase = day[None] + np.radians(gateway_lon)[:, None]

    size = 20.0 * random.lognormal(0.0, 0.6, n)[:, None]
    demand = size * np.maximum(1 - 0.45 * np.cos(gateway_phase) + 0.1 * random.normal(size=(n, hours)), 0.1)
    reach = reach_matrix(n, n, pair_region, pair_gateway)
    capacity, load = _size_capacity(reach, demand, random.uniform(0.7, 1.5, n), spec.utilisation)

    # Local solar time is 12 h where the phase is pi: the sun lowers price and carbon around then.
    sun = np.maximum(0.0, -np.cos(region_phase))
    evening = np.sin(region_phase - 1.25 * np.pi + 0.5 * np.pi)
    price = random.uniform(40, 120, n)[:, None] * (1 + 0.3 * evening - 0.25 * sun)
    price = np.maximum(price * (1 + 0.15 * random.normal(size=(n, hours))), 5.0)
    carbon = random.uniform(0.05, 0.7, n)[:, None] * (1 - 0.35 * sun)
    carbon = np.maximum(carbon * (1 + 0.05 * random.normal(size=(n, hours))), 1e-3)
    water = random.uniform(0.2, 3.0, n)[:, None] * (1 - 0.35 * np.cos(region_phase))
    water = np.maximum(water * (1 + 0.1 * random.normal(size=(n, hours))), 1e-3)
    pue = random.uniform(1.08, 1.5, n)

    facility_energy = pue[:, None] * load
    energy_cost = float((price * facility_energy).sum())
    worst_water = float((water * load).sum(axis=1).max())
    worst_carbon = float((carbon * facility_energy).sum(axis=1).max())
    ones = np.ones(n)
    digits = len(str(n - 1))
    return Scenario(
        name=spec.name,
        times=np.datetime64("2024-01-01T00:00:00", "s") + np.arange(hours) * np.timedelta64(3600, "s"),
        slot_hours=1.0,
        regions=tuple(f"r{i:0{digits}d}" for i in range(n)),
        region_lat=region_lat,
        region_lon=region_lon,
        pue=pue,
        capacity=np.repeat(capacity[:, None], hours, axis=1),
        gateways=tuple(f"g{j:0{digits}d}" for j in range(n)),
        gateway_lat=gateway_lat,
        gateway_lon=gateway_lon,
        gateway_utc_offset_h=np.round(gateway_lon / 15.0),
        demand=demand,
        price=price,
        footprints=(
            FootprintKind("water", "m3", EQUITY_SHARE * energy_cost / worst_water, water, "it", ones),
            FootprintKind("carbon", "t", EQUITY_SHARE * energy_cost / worst_carbon, carbon, "facility", ones),
        ),
        reach_gateway=pair_gateway,
        reach_region=pair_region,
        reach_rtt_ms=rtt_ms,
        note="generated: places, levels and hourly shapes are random, round-trip times follow distance",
    )


def _sphere(random: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Latitude and longitude in degrees of `n` points uniform on the sphere."""
    return np.degrees(np.arcsin(random.uniform(-1, 1, n))), random.uniform(-180, 180, n)


def _nearest_pairs(regions: Array, gateways: Array, reach: int) -> tuple[Array, Array, Array]:
    """Each gateway's `reach` nearest regions as sorted (region, gateway) pairs, and their RTT in ms."""
    n, j = len(regions), len(gateways)
    nearest = cKDTree(regions).query(gateways, k=[*range(1, reach + 1)])[1]
    key = nearest.ravel().astype(np.int64) * j + np.repeat(np.arange(j), reach)
    alone = np.setdiff1d(np.arange(n), nearest)
    if len(alone):
        key = np.concatenate([key, alone * j + cKDTree(gateways).query(regions[alone])[1]])
    key = np.unique(key)
    region, gateway = key // j, key % j
    chord = np.linalg.norm(regions[region] - gateways[gateway], axis=1)
    distance_km = EARTH_RADIUS_KM * 2 * np.arcsin(np.minimum(chord / 2, 1.0))
    return region, gateway, modelled_rtt_ms(distance_km)


def _size_capacity(
    reach: sp.csr_matrix, demand: Array, spare: Array, utilisation: float
) -> tuple[Array, Array]:
    """Capacities (N,) MW that a balanced spread fills to 97 % at most, and its load (N, T)."""
    hours = demand.shape[1]
    wanted = demand.sum() / hours / utilisation
    degree = np.asarray(reach.sum(axis=0)).ravel()
    shape = (reach @ (demand / degree[:, None])).max(axis=1) * spare
    shape *= wanted / shape.sum()
    load, _ = balanced_load(
        reach, demand, np.repeat(shape[:, None], hours, axis=1), passes=12, target=PEAK_UTILISATION
    )
    floor = load.max(axis=1) / PEAK_UTILISATION
    # Water-filling: the share of `shape` that, with no region below its floor, sums to what is wanted
    # (none, where the floors alone exceed it).
    low, high = 0.0, 1.0
    for _ in range(60):
        share = (low + high) / 2
        low, high = (share, high) if np.maximum(share * shape, floor).sum() < wanted else (low, share)
    return np.maximum(high * shape, floor), load

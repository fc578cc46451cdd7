"""Measured hours of sixteen grid zones on all continents, 2021 to 2023, with language-model demand.

Prices, carbon intensities and wet-bulb temperatures are measured; where demand arises and how large it is,
capacities, reach and weights are choices of this module, made for experiments and said in the scenario's
note.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from eglb.agents.estimation.cooling import tower_wue
from eglb.agents.forecasting import keyed_random
from eglb.coordinator.market import Market
from eglb.sims.geography import great_circle_km, modelled_rtt_ms
from eglb.sims.problems import InputError
from eglb.sims.scenario import FootprintKind, Scenario

Array = np.ndarray

# The first N of them make a fleet of N; continents alternate. GB, whose prices begin on 2022-01-21, is last.
ZONES = (
    "US-TEX-ERCO",
    "DE",
    "JP-TK",
    "BR-CS",
    "US-MIDA-PJM",
    "SG",
    "ZA",
    "US-CAL-CISO",
    "AU-NSW",
    "IN-WE",
    "CA-ON",
    "KR",
    "CL-SEN",
    "US-NY-NYIS",
    "AU-VIC",
    "GB",
)
TRACES = ("m-small", "m-mid", "m-large", "bloom")
FIRST, END = np.datetime64("2021-01-01T00", "h"), np.datetime64("2024-01-01T00", "h")
PUE = 1.1
WATER_USD_PER_M3_AND_REGION, CARBON_USD_PER_T_AND_REGION = 6.0, 150.0
CAPACITY_MW, FULLEST = 1.0, 0.95
SHARE_CONCENTRATION, NOISE_SD = 8.0, 0.04
NEAR_RTT_MS, NEAR_REGIONS = 150.0, 4
SOURCES = (
    "carbon: Electricity Maps 2021-2023, ODbL 1.0; weather: Open-Meteo.com ERA5, CC BY 4.0",
    "compilation: HewlettPackard/sustain-cluster @293fbd15 (MIT); prices: the market operators named there",
    "demand: alibaba/ServeGen @f891d118 (Apache-2.0); BLOOM: Ren-Research/Environmentally-Equitable-AI (MIT)",
    "fuel mix 2022: electricitymaps-contrib @b354f28a (AGPL-3.0)",
)


@dataclass(frozen=True)
class Choice:
    """What a name asks for:
    ``world16@START/DAYSd[,regions=N][,demand=TRACE][,seed=S][,reach=all|near][,util=U]``.
    """

    first: np.datetime64
    slots: int
    regions: int = 16
    demand: str = "m-mid"
    seed: int = 0
    reach: str = "all"
    util: float = 0.6


def parse_name(name: str, seed: int | None = None) -> Choice:
    """Read a name; `seed` counts where the name has none.

    Raises
    ------
    InputError : everything that is wrong with it.
    """
    head, *rest = name.split(",")
    problems = []
    first, slots = FIRST, 24
    match = re.fullmatch(r"world16@(\d{4}-\d{2}-\d{2})/(\d+)d", head)
    try:
        if match is None:
            raise ValueError
        first, slots = np.datetime64(match[1], "h"), 24 * int(match[2])
        if first < FIRST or slots < 1 or first + slots > END:
            problems.append(f"{name}: the hours are those from {FIRST}:00 to {END}:00 UTC")
    except ValueError:
        problems.append(f"{name}: not world16@YYYY-MM-DD/DAYSd, such as world16@2023-07-01/14d")
    given: dict[str, int | float | str] = {} if seed is None else {"seed": seed}
    for part in rest:
        key, _, value = part.partition("=")
        if key in ("regions", "seed") and value.isascii() and value.isdigit():
            given[key] = int(value)
        elif key in ("demand", "reach"):
            given[key] = value
        elif key == "util" and re.fullmatch(r"0?\.\d+|1(\.0+)?", value):
            given[key] = float(value)
        else:
            has = "regions=N, demand=TRACE, seed=S, reach=all|near, util=U"
            problems.append(f"{name}: {part!r} is none of {has}")
    choice = Choice(first, slots, **given)  # type: ignore[arg-type]
    if not 2 <= choice.regions <= len(ZONES):
        problems.append(f"{name}: regions={choice.regions} is not from 2 to {len(ZONES)}")
    if choice.demand not in TRACES:
        problems.append(f"{name}: demand={choice.demand} is none of {', '.join(TRACES)}")
    if choice.reach not in ("all", "near"):
        problems.append(f"{name}: reach={choice.reach} is neither all nor near")
    if not 0 < choice.util <= FULLEST:
        problems.append(f"{name}: util={choice.util} is not above 0 and at most {FULLEST}")
    if problems:
        raise InputError(problems)
    return choice


def read_world16(name: str, data: Path, *, seed: int | None = None) -> Scenario:
    """The scenario that `name` asks for, from the data directory.

    Every region is a gateway too. Demand of a gateway is its share of the fleet's mean demand, ``util`` times
    all capacity, times a trace of requests to a language model shifted to local time, times noise; shares are
    drawn from a Dirichlet distribution. Hours of more than 95 % of all capacity are scaled down to that, and
    with ``reach=near`` what the regions in reach cannot take is left out. All of it depends on the hour, the
    zone and the seed alone, so that windows of one fleet join.

    Price and carbon count facility energy, PUE 1.1. Water counts IT energy: on site by wet-bulb temperature,
    off site 1.1 times the zone's water per energy, by its fuel mix of 2022.

    Raises
    ------
    InputError : the name is wrong, or files or prices are missing.
    """
    choice = parse_name(name, seed)
    zones = ZONES[: choice.regions]
    files = {
        "series": data / "world16" / "world16_hourly_2021_2023.parquet",
        "sites": data / "world16" / "world16_sites.csv",
        "fuel": data / "zones123" / "zones_fuel_mix_2022.csv",
        "llm": data / "llm" / "servegen_10min.csv",
        "bloom": data / "paper10" / "paper10_2022.csv",
    }
    if missing := [path for path in files.values() if not path.is_file()]:
        raise InputError(
            f"{path}: no such file; world16 is read from the data directory: give --data DIR or set EGLB_DATA"
            for path in missing
        )
    start = int((choice.first - FIRST).astype(int))
    hours = slice(start, start + choice.slots)
    series = {name: values[: choice.regions, hours] for name, values in _series(files["series"]).items()}
    lacking = [z for z, row in zip(zones, series["price_usd_mwh"], strict=True) if np.isnan(row).any()]
    if lacking:
        raise InputError(f"{name}: prices of {zone} are missing in these hours" for zone in lacking)
    sites = _columns(files["sites"])
    row = [sites["zone"].index(zone) for zone in zones]
    lat, lon = (np.array([sites[key][r] for r in row], float) for key in ("weather_lat", "weather_lon"))
    offset = np.array([_utc_offset_h(sites["tz"][r]) for r in row])
    fuel = _columns(files["fuel"])
    offsite = np.array([fuel["ewif_ren_l_kwh"][fuel["zone"].index(zone)] for zone in zones], float)
    rtt = modelled_rtt_ms(great_circle_km(lat[:, None], lon[:, None], lat[None], lon[None]))
    allowed = np.ones(rtt.shape, bool)
    if choice.reach == "near":
        allowed = (rtt <= NEAR_RTT_MS) | (np.argsort(np.argsort(rtt, axis=0), axis=0) < NEAR_REGIONS)
    region, gateway = np.nonzero(allowed)
    n = choice.regions
    demand = _demand(choice, zones, offset, _trace(choice.demand, files), start)
    demand = _servable(demand, allowed)
    ones = np.ones(n)
    return Scenario(
        name=name,
        times=(choice.first + np.arange(choice.slots)).astype("datetime64[s]"),
        slot_hours=1.0,
        regions=zones,
        region_lat=lat,
        region_lon=lon,
        pue=np.full(n, PUE),
        capacity=np.full((n, choice.slots), CAPACITY_MW),
        gateways=tuple(f"gw-{zone}" for zone in zones),
        gateway_lat=lat.copy(),
        gateway_lon=lon.copy(),
        gateway_utc_offset_h=offset,
        demand=demand,
        price=np.ascontiguousarray(series["price_usd_mwh"]),
        footprints=(
            FootprintKind(
                "water",
                "m3",
                WATER_USD_PER_M3_AND_REGION * n,
                tower_wue(series["twb_c"]) + PUE * offsite[:, None],
                "it",
                ones,
            ),
            FootprintKind(
                "carbon",
                "t",
                CARBON_USD_PER_T_AND_REGION * n,
                series["ci_lca_g_kwh"] / 1000.0,
                "facility",
                ones,
            ),
        ),
        reach_gateway=gateway,
        reach_region=region,
        reach_rtt_ms=rtt[gateway, region],
        note="price, carbon and weather measured; demand, capacity, reach and weights chosen for experiments",
        sources=SOURCES,
    )


def preceding(name: str, slots: int, data: Path, *, seed: int | None = None) -> Scenario | None:
    """The hours right before those of `name`, `slots` of them in whole days, or as many as there are; None if
    none.
    """
    choice = parse_name(name, seed)
    days = min(slots // 24, int((choice.first - FIRST).astype(int)) // 24)
    if days < 1:
        return None
    first = choice.first - 24 * days
    rest = name.partition(",")[1:]
    return read_world16(f"world16@{first.astype('datetime64[D]')}/{days}d{''.join(rest)}", data, seed=seed)


@lru_cache(maxsize=2)
def _series(path: Path) -> dict[str, Array]:
    """Column -> (16, hours) of all zones, in the order of `ZONES`."""
    import pyarrow.parquet as pq

    wanted = ["price_usd_mwh", "ci_lca_g_kwh", "twb_c"]
    table = pq.read_table(path, columns=["time_utc", "zone", *wanted])
    hours = int((END - FIRST).astype(int))
    zone = table["zone"].combine_chunks().dictionary_decode().to_numpy(zero_copy_only=False)
    slot = (table["time_utc"].to_numpy().astype("datetime64[h]") - FIRST).astype(int)
    out = {}
    names, which = np.unique(zone.astype(str), return_inverse=True)
    place = np.array([ZONES.index(name) for name in names])[which]
    for column in wanted:
        values = np.full((len(ZONES), hours), np.nan)
        values[place, slot] = table[column].to_numpy().astype(float)
        out[column] = values
    return out


def _columns(path: Path) -> dict[str, list[str]]:
    import csv

    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {key: [row[key] for row in rows] for key in rows[0]}


def _trace(name: str, files: dict[str, Path]) -> Array:
    """Hours of demand with mean one; whole days, to be repeated."""
    if name == "bloom":
        watts = np.array(_columns(files["bloom"])["workload_w"], float)
        hourly = watts[: len(watts) // 24 * 24]
    else:
        rows = _columns(files["llm"])
        mine = [float(r) for r, model in zip(rows["req_per_s"], rows["model"], strict=True) if model == name]
        hourly = np.array(mine).reshape(-1, 6).mean(1)
    return hourly / hourly.mean()


def _utc_offset_h(zone: str) -> float:
    """Hours ahead of UTC in January."""
    ahead = datetime(2022, 1, 1, tzinfo=ZoneInfo(zone)).utcoffset()
    assert ahead is not None
    return ahead.total_seconds() / 3600.0


def _demand(choice: Choice, zones: tuple[str, ...], offset: Array, trace: Array, start: int) -> Array:
    """(N, T) MW before what cannot be served is left out."""
    weight = np.array([keyed_random(choice.seed, "share", z).gamma(SHARE_CONCENTRATION) for z in zones])
    mean = choice.util * CAPACITY_MW * len(zones) * weight / weight.sum()
    # Weeks start on Mondays in the traces' own count; 2021-01-01 was a Friday.
    hour = start + 4 * 24 + np.arange(choice.slots)
    all_hours = int((END - FIRST).astype(int))
    out = np.empty((len(zones), choice.slots))
    for row, zone in enumerate(zones):
        noise = keyed_random(choice.seed, "noise", zone).standard_normal(all_hours)
        local = (hour + round(offset[row])) % len(trace)
        out[row] = mean[row] * trace[local] * np.exp(NOISE_SD * noise[start : start + choice.slots])
    most = FULLEST * CAPACITY_MW * len(zones)
    return out * np.minimum(1.0, most / out.sum(0))


def _servable(demand: Array, allowed: Array) -> Array:
    """`demand` (N, T) less what the regions in reach, at 95 % of their capacity, cannot take."""
    if allowed.all():
        return demand
    gateway, region = np.nonzero(allowed.T)
    market = Market(demand.T, len(demand), gateway, region, np.ones(1))
    _, unmet = market.repair(market.spread(), np.full(demand.T.shape, FULLEST * CAPACITY_MW))
    return np.ascontiguousarray(np.maximum(demand - unmet.T, 0.0))

"""``world10``: ten real cloud regions over two weeks, the scenario that ships with the project.

Annual levels are published figures, typed in below with their sources; everything hourly is modelled
and deterministic: sun, evening peak, working week, warmth and slow weather as a sum of sines. Each hourly
series keeps its published level as its mean over the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.sims.geography import great_circle_km, modelled_rtt_ms
from eglb.sims.scenario import FootprintKind, Scenario

Array = np.ndarray


@dataclass(frozen=True)
class Site:
    """A region's published annual facts, and three parameters of the hourly model.

    `pue` and `wue_l_kwh` (on-site water per kWh of IT energy) are the operator's; `ewif_l_kwh` is water
    consumed off-site per kWh of grid energy; `carbon_g_kwh` and `price_usd_mwh` are grid means of 2023.
    `capacity_mw`, `solar_dip` (share by which the midday sun lowers carbon) and `weather_swing` are modelled.
    """

    name: str
    lat: float
    lon: float
    pue: float
    wue_l_kwh: float
    ewif_l_kwh: float
    carbon_g_kwh: float
    price_usd_mwh: float
    capacity_mw: float
    solar_dip: float
    weather_swing: float


@dataclass(frozen=True)
class Metro:
    """Where requests enter: a city, its UTC offset in July, its time zone's urban population in millions."""

    name: str
    lat: float
    lon: float
    utc_offset_h: float
    urban_population_m: float


# fmt: off
SITES = (
    #    name             lat     lon    PUE   WUE   EWIF  gCO2  USD/MWh  MW   sun  weather
    Site("virginia",     39.03,  -77.46, 1.15, 0.12, 2.31, 322.0,  35.8, 160.0, 0.06, 0.06),
    Site("california",   37.34, -121.89, 1.18, 0.51, 5.19, 198.0,  61.5,  90.0, 0.45, 0.10),
    Site("sao-paulo",   -23.55,  -46.63, 1.17, 0.23, 18.6,  56.0,  14.4,  90.0, 0.10, 0.12),
    Site("frankfurt",    50.11,    8.68, 1.35, 0.01, 1.95, 345.0, 103.0, 110.0, 0.30, 0.30),
    Site("aragon",       41.65,   -0.89, 1.09, 0.24, 6.21, 131.0,  94.3,  80.0, 0.35, 0.25),
    Site("cape-town",   -33.92,   18.42, 1.24, 0.18, 2.28, 646.0,  71.5,  70.0, 0.05, 0.04),
    Site("mumbai",       19.08,   72.88, 1.42, 0.98, 3.44, 648.0,  64.2, 130.0, 0.12, 0.05),
    Site("singapore",     1.35,  103.82, 1.32, 1.68, 0.80, 369.0, 184.3,  80.0, 0.02, 0.02),
    Site("tokyo",        35.69,  139.69, 1.27, 0.91, 2.31, 459.0,  95.5, 110.0, 0.20, 0.06),
    Site("sydney",      -33.87,  151.21, 1.27, 0.12, 4.73, 501.0,  63.7,  70.0, 0.35, 0.15),
)
METROS = (
    Metro("new-york",      40.71,  -74.01, -4.0,  89.0),
    Metro("chicago",       41.88,  -87.63, -5.0,  55.5),
    Metro("los-angeles",   34.05, -118.24, -7.0,  46.3),
    Metro("sao-paulo",    -23.55,  -46.63, -3.0, 125.4),
    Metro("london",        51.51,   -0.13,  1.0,  57.8),
    Metro("berlin",        52.52,   13.41,  2.0,  62.7),
    Metro("madrid",        40.42,   -3.70,  2.0,  42.9),
    Metro("johannesburg", -26.20,   28.05,  2.0,  47.9),
    Metro("mumbai",        19.08,   72.88,  5.5, 366.2),
    Metro("jakarta",       -6.21,  106.85,  7.0,  68.8),
    Metro("tokyo",         35.69,  139.69,  9.0, 141.3),
    Metro("sydney",       -33.87,  151.21, 10.0,   9.4),
)
# fmt: on

SOURCES = (
    "PUE and on-site water (WUE): Amazon Web Services, data center efficiency figures by region for 2024; "
    "its Asia-Pacific means where a region has none (PUE of Sydney, WUE of Mumbai); Cape Town's WUE listed "
    "in the Green Software Foundation's cloud region metadata",
    "off-site water (EWIF): World Resources Institute, Guidance for Calculating Water Use Embedded in "
    "Purchased Electricity, 2020 (CC BY 4.0), hydropower's evaporation included; Singapore and Cape Town: "
    "Macknick et al. 2012, Environ. Res. Lett. 7 045802, medians of tower cooling on the 2022 fuel mix "
    "without hydropower",
    "carbon: average operational gross emissions of the grid (not lifecycle) in 2023, as published by Google "
    "Cloud for its region on the same grid (region-carbon-info, Apache-2.0)",
    "price: mean wholesale price of 2023 from the market operators PJM (Dominion zone), CAISO (NP15), CCEE, "
    "EPEX, OMIE, IEX, EMC, JEPX and AEMO; Cape Town: Eskom's Megaflex tariff",
    "demand: urban population by time zone, GeoNames (CC BY 4.0)",
)
NOTE = (
    "annual levels are published, hourly shapes are modelled; capacities, demand and round-trip times are "
    "modelled too (demand follows the square root of urban population, round trips follow distance)"
)

SLOTS = 14 * 24
START = np.datetime64("2023-07-03T00:00:00", "s")  # a Monday
REACH_MS, REACH_AT_LEAST = 120.0, 3
PEAK_UTILISATION = 0.75
# At the optimum each equity term is then about a fifth of the objective.
WATER_WEIGHT_USD_PER_M3 = 50.0
CARBON_WEIGHT_USD_PER_T = 250.0


def build_world10() -> Scenario:
    """The scenario: 10 regions, 12 gateways, 336 hourly slots from Monday 2023-07-03 UTC; always the same.

    A gateway may use the regions within 120 ms, at least the three nearest. Demand is scaled to fill 75 % of
    all capacity at its peak.
    """
    lat, lon, pue, wue, ewif, carbon_g, price_level, size, dip, swing = np.array(
        [
            (s.lat, s.lon, s.pue, s.wue_l_kwh, s.ewif_l_kwh, s.carbon_g_kwh, s.price_usd_mwh, s.capacity_mw,
             s.solar_dip, s.weather_swing) for s in SITES
        ]
    ).T.copy()  # fmt: skip
    metro_lat, metro_lon, offset, population = np.array(
        [(m.lat, m.lon, m.utc_offset_h, m.urban_population_m) for m in METROS]
    ).T.copy()
    n, j = len(SITES), len(METROS)
    hour = np.arange(SLOTS, dtype=float)
    solar_hour = hour[None] + lon[:, None] / 15.0
    sun = np.maximum(0.0, np.cos((solar_hour - 12.0) * np.pi / 12.0))
    warmth = np.cos((solar_hour - 15.0) * np.pi / 12.0)

    price = 1 + 0.30 * _bump(solar_hour, 19.0) + 0.12 * _bump(solar_hour, 8.0) - 0.6 * dip[:, None] * sun
    price = price * (1 - 0.12 * _weekend(solar_hour)) * (1 + 0.12 * _weather(n, shift=0))
    carbon = 1 - dip[:, None] * sun + 0.06 * _bump(solar_hour, 19.0)
    carbon = carbon * (1 + swing[:, None] * _weather(n, shift=1))
    on_site = 1 + 0.5 * warmth + 0.2 * _weather(n, shift=2)
    off_site = 1 - 0.5 * dip[:, None] * sun + 0.05 * _weather(n, shift=3)
    water = _at_level(on_site, wue) + pue[:, None] * _at_level(off_site, ewif)

    local_hour = hour[None] + offset[:, None]
    busy = 1 + 0.30 * np.cos((local_hour - 15.0) * np.pi / 12.0) + 0.12 * _bump(local_hour, 20.0)
    busy = busy * (1 - 0.15 * _weekend(local_hour)) * (1 + 0.03 * _weather(j, shift=4))
    demand = np.sqrt(population)[:, None] * busy
    demand *= PEAK_UTILISATION * size.sum() / demand.sum(axis=0).max()

    distance_km = great_circle_km(lat[:, None], lon[:, None], metro_lat[None], metro_lon[None])
    rtt_ms = modelled_rtt_ms(distance_km)
    rank = rtt_ms.argsort(axis=0).argsort(axis=0)
    region, gateway = np.nonzero((rtt_ms <= REACH_MS) | (rank < REACH_AT_LEAST))
    ones = np.ones(n)
    return Scenario(
        name="world10",
        times=START + np.arange(SLOTS) * np.timedelta64(3600, "s"),
        slot_hours=1.0,
        regions=tuple(s.name for s in SITES),
        region_lat=lat,
        region_lon=lon,
        pue=pue,
        capacity=np.repeat(size[:, None], SLOTS, axis=1),
        gateways=tuple(f"gw-{m.name}" for m in METROS),
        gateway_lat=metro_lat,
        gateway_lon=metro_lon,
        gateway_utc_offset_h=offset,
        demand=demand,
        price=_at_level(price, price_level),
        footprints=(
            FootprintKind("water", "m3", WATER_WEIGHT_USD_PER_M3, water, "it", ones),
            FootprintKind(
                "carbon", "t", CARBON_WEIGHT_USD_PER_T, _at_level(carbon, carbon_g / 1000.0), "facility", ones
            ),
        ),
        reach_gateway=gateway,
        reach_region=region,
        reach_rtt_ms=rtt_ms[region, gateway].round(1),
        note=NOTE,
        sources=SOURCES,
    )


def _at_level(shape: Array, level: Array) -> Array:
    """(n, T) with the given means over the horizon."""
    return shape * (level / shape.mean(axis=1))[:, None]


def _bump(local_hour: Array, peak: float) -> Array:
    """A daily bell of about five hours around `peak`, 1 at its top."""
    return np.exp(6.0 * (np.cos((local_hour - peak) * np.pi / 12.0) - 1.0))


def _weekend(local_hour: Array) -> Array:
    """1 on Saturday and Sunday by local time, else 0; hour 0 is a Monday midnight UTC."""
    return np.asarray((local_hour // 24) % 7 >= 5, dtype=float)


def _weather(n: int, *, shift: int) -> Array:
    """(n, T) slow noise of standard deviation about 1: sines of unrelated periods and phases.

    A formula rather than a random generator, so that every version of every library gives the same.
    """
    hour = np.arange(SLOTS)
    periods = np.array([97.0, 61.0, 37.0, 23.0, 11.0])
    # Multiples of these irrational numbers spread evenly over a turn: each region gets its own five phases.
    turns = np.arange(1, n + 1)[:, None] * 0.6180339887 + np.arange(1, 6)[None] * 0.7548776662
    phase = 7.0 * (turns + shift * 0.5698402910)
    angle = 2 * np.pi * (hour[None, None] / periods[None, :, None] + phase[:, :, None])
    return np.asarray(np.sin(angle).sum(axis=1) * np.sqrt(2 / len(periods)))

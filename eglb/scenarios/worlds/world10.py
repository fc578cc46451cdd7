"""``world10``: ten real cloud regions over two weeks, the scenario that ships with the project.

Annual facts are published figures, typed in below with their sources. Everything hourly is modelled for the
whole of 2023 and is deterministic: sun by latitude and solar time, electricity demand by a published daily
shape, weather by sines; carbon and water follow through the footprint estimator. Each region's year keeps its
published means.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.geography import great_circle_km
from eglb.scenarios.physics.cooling import tower_range
from eglb.scenarios.physics.electricity import IPCC_CARBON, MACKNICK_WATER, carbon_intensity, water_intensity
from eglb.scenarios.physics.figure import Estimate
from eglb.scenarios.physics.weather import saturation_hpa, wet_bulb_c
from eglb.scenarios.scenario import FootprintKind, Scenario
from eglb.scenarios.worlds.reach import fitted_rtt_ms


@dataclass(frozen=True)
class Site:
    """A region's published annual facts; only its capacity is made up.

    `pue` and `wue_l_kwh` (on-site water per kWh of IT energy) are the operator's; `carbon_g_kwh` and
    `price_usd_mwh` are grid means of 2023; `water_stress` is the category;
    `people_m` are millions of people within 500 km.
    """

    name: str
    lat: float
    lon: float
    elevation_m: float
    pue: float
    wue_l_kwh: float
    carbon_g_kwh: float
    price_usd_mwh: float
    water_stress: float
    people_m: float
    capacity_mw: float


@dataclass(frozen=True)
class Climate:
    """Monthly means in Celsius of temperature and dew point, and the usual rise from night to day."""

    january: float
    july: float
    january_dew: float
    july_dew: float
    daily_range: float


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
    #    name             lat     lon    m   PUE   WUE  gCO2  USD/MWh stress people MW
    Site("virginia",     39.03,  -77.46,  95, 1.15, 0.12, 322.0,  35.8, 2.0,  79.0, 160.0),
    Site("california",   37.34, -121.89,  25, 1.18, 0.51, 198.0,  61.5, 4.0,  29.0,  90.0),
    Site("sao-paulo",   -23.55,  -46.63, 760, 1.17, 0.23,  56.0,  14.4, 1.0, 108.0,  90.0),
    Site("frankfurt",    50.11,    8.68, 112, 1.35, 0.01, 345.0, 103.0, 2.0, 118.0, 110.0),
    Site("aragon",       41.65,   -0.89, 208, 1.09, 0.24, 131.0,  94.3, 3.0,  36.0,  80.0),
    Site("cape-town",   -33.92,   18.42,  25, 1.24, 0.18, 646.0,  71.5, 4.0,   9.0,  70.0),
    Site("mumbai",       19.08,   72.88,  14, 1.42, 0.98, 648.0,  64.2, 4.0, 117.0, 130.0),
    Site("singapore",     1.35,  103.82,  16, 1.32, 1.68, 369.0, 184.3, 4.0,  55.0,  80.0),
    Site("tokyo",        35.69,  139.69,  40, 1.27, 0.91, 459.0,  95.5, 2.0, 117.0, 110.0),
    Site("sydney",      -33.87,  151.21,  58, 1.27, 0.12, 501.0,  63.7, 3.0,   9.0,  70.0),
)
CLIMATES = (
    Climate( 1.0, 25.0, -4.0, 19.0, 11.0),
    Climate(10.0, 20.0,  7.0, 12.0, 11.0),
    Climate(22.0, 16.0, 19.0, 11.0, 10.0),
    Climate( 3.0, 21.0,  1.0, 13.0,  9.0),
    Climate( 7.0, 25.0,  3.0, 13.0, 12.0),
    Climate(21.0, 12.0, 15.0,  9.0, 10.0),
    Climate(23.0, 27.0, 17.0, 24.0,  7.0),
    Climate(26.0, 28.0, 23.0, 24.0,  4.0),
    Climate( 4.0, 27.0, -2.0, 23.0,  8.0),
    Climate(22.0, 12.0, 18.0,  7.0,  8.0),
)
FUELS = ("coal", "gas", "oil", "nuclear", "hydro", "wind", "solar", "biomass", "geothermal", "unknown")
FUEL_MIX_PERCENT = (
    # coal gas oil nuclear hydro wind solar biomass geothermal unknown
    (20, 40,  0, 33,  2,  4,  1,  0,  0,  0),
    ( 2, 42,  0, 11, 12, 10, 16,  2,  3,  2),
    ( 0,  0,  0,  4, 80,  4,  1,  0,  0, 11),
    (33,  9,  1,  7,  5, 25, 11,  9,  0,  0),
    ( 3, 30,  1, 22,  9, 22, 11,  2,  0,  0),
    (84,  0,  2,  5,  2,  4,  3,  0,  0,  0),
    (91,  1,  0,  2,  5,  0,  1,  0,  0,  0),
    ( 0, 96,  0,  0,  0,  0,  1,  0,  0,  3),
    (38, 42,  4,  0,  6,  0,  9,  1,  0,  0),
    (68,  4,  0,  0,  5,  9, 14,  0,  0,  0),
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
# By hour of the day, mean about 1: electricity on working days in standard time, requests to a model.
ELECTRICITY = np.array([0.88, 0.85, 0.84, 0.83, 0.84, 0.87, 0.93, 0.98, 1.01, 1.03, 1.04, 1.06,
                        1.07, 1.09, 1.09, 1.10, 1.11, 1.12, 1.12, 1.11, 1.08, 1.04, 0.98, 0.93])
REQUESTS = np.array([0.84, 0.71, 0.73, 0.68, 0.71, 0.66, 0.68, 0.85, 1.02, 1.05, 1.13, 1.09,
                     1.06, 1.07, 1.06, 1.05, 1.09, 1.08, 1.01, 1.23, 1.46, 1.40, 1.27, 1.06])
# fmt: on
WEEKEND = 0.94  # electricity on Saturdays and Sundays, of that on working days

SOURCES = (
    "PUE and on-site water (WUE): Amazon Web Services, data center efficiency figures by region for 2024; "
    "its Asia-Pacific means where a region has none (PUE of Sydney, WUE of Mumbai); Cape Town's WUE listed "
    "in the Green Software Foundation's cloud region metadata",
    "water stress: WRI Aqueduct 4.0 baseline category (CC BY 4.0); Singapore, which it leaves out: Gassert, "
    "Reig, Luo and Maddocks 2013, Aqueduct country and river basin rankings",
    "fuel mix of 2022 of each grid: Electricity Maps, yearly origin of power, rounded to per cent; water and "
    "the range of carbon by fuel: Macknick et al. 2012 (towers, without reservoirs) and IPCC AR5",
    "carbon: average operational gross emissions of the grid (not lifecycle) in 2023, as published by Google "
    "Cloud for its region on the same grid (region-carbon-info, Apache-2.0)",
    "price: mean wholesale price of 2023 from the market operators PJM (Dominion zone), CAISO (NP15), CCEE, "
    "EPEX, OMIE, IEX, EMC, JEPX and AEMO; Cape Town: Eskom's Megaflex tariff",
    "climate: Open-Meteo.com ERA5 2021-2023 (CC BY 4.0); Virginia NREL TMY3; Aragon and Cape Town: normals "
    "of their weather services; rounded to 1 C",
    "daily shapes: electricity from five balancing authorities of EIA-930, 2022 (public domain); requests "
    "from alibaba/ServeGen, m-small (Apache-2.0)",
    "people: urban population within 500 km and by time zone, GeoNames (CC BY 4.0)",
)
WATER_SIGNAL = "on site plus off site; average, modelled from the fuel mix, reservoirs not counted"
CARBON_SIGNAL = "average, operational, hours modelled"
NOTE = (
    "annual facts are published, everything hourly is modelled from latitude, solar time, climate and daily "
    "shapes; capacities and demand are modelled too (demand follows the square root of urban population), "
    "round trips follow distance"
)

YEAR, HOURS = np.datetime64("2023-01-01T00", "h"), 8760
START, SLOTS = np.datetime64("2023-07-03T00", "h"), 14 * 24  # from a Monday
REACH_MS, REACH_AT_LEAST = 120.0, 3
PEAK_UTILISATION = 0.75
STEADY = ("nuclear", "wind", "biomass", "geothermal")
LEAST_DISPATCHED = 0.1
# At the optimum each equity term is then about a seventh of the objective.
WATER_WEIGHT_USD_PER_M3 = 50.0
CARBON_WEIGHT_USD_PER_T = 250.0


def build_world10() -> Scenario:
    """The scenario: 10 regions, 12 gateways, 336 hourly slots from Monday 2023-07-03 UTC; always the same.

    A gateway may use the regions within 120 ms, at least the three nearest. Demand is scaled to fill 75 % of
    all capacity at its peak.
    """
    lat, lon, pue, stress, people, size = _facts(
        "lat", "lon", "pue", "water_stress", "people_m", "capacity_mw"
    )
    metro_lat, metro_lon, offset, population = np.array([astuple(m)[1:] for m in METROS]).T.copy()
    price, water, carbon = signals()
    local_hour = np.arange(HOURS) + offset[:, None]
    demand = np.sqrt(population)[:, None] * np.interp(local_hour, np.arange(24), REQUESTS, period=24)
    demand = _window(demand * (1 + 0.03 * _weather(len(METROS), shift=4)))
    demand *= PEAK_UTILISATION * size.sum() / demand.sum(axis=0).max()

    rtt_ms = fitted_rtt_ms(great_circle_km(lat[:, None], lon[:, None], metro_lat[None], metro_lon[None]))
    rank = rtt_ms.argsort(axis=0).argsort(axis=0)
    region, gateway = np.nonzero((rtt_ms <= REACH_MS) | (rank < REACH_AT_LEAST))
    return Scenario(
        name="world10",
        times=(START + np.arange(SLOTS)).astype("datetime64[s]"),
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
        price=_window(price),
        footprints=(
            _kind("water", "m3", WATER_WEIGHT_USD_PER_M3, "it", water, WATER_SIGNAL),
            _kind("carbon", "t", CARBON_WEIGHT_USD_PER_T, "facility", carbon, CARBON_SIGNAL),
        ),
        reach_gateway=gateway,
        reach_region=region,
        reach_rtt_ms=rtt_ms[region, gateway].round(1),
        note=NOTE,
        sources=SOURCES,
        water_stress=stress,
        people_m=people,
    )


def signals() -> tuple[Array, Estimate, Estimate]:
    """The year's price (N, HOURS), USD/MWh; water, L/kWh of IT energy; carbon, kg/kWh at the meter.

    Price and carbon have their published means over the year, and so has on-site water; price rises by 0.6 %
    where 1 % more than usual must be dispatched.
    """
    lat, lon, elevation, pue = _facts("lat", "lon", "elevation_m", "pue")
    wue, carbon_g, price_level = _facts("wue_l_kwh", "carbon_g_kwh", "price_usd_mwh")
    solar_hour = np.arange(HOURS) + lon[:, None] / 15.0
    mix, scarcity = _generation(lat, solar_hour)
    price = np.maximum(0.4 + 0.6 * scarcity, 0.1) * (1 + 0.12 * _weather(len(SITES), shift=0))
    by_fuel = carbon_intensity(mix, IPCC_CARBON)
    tower = tower_range(_wet_bulb_c(solar_hour, elevation))
    on_site = tower.times((wue / tower.central.mean(1))[:, None])
    return (
        price * (price_level / price.mean(1))[:, None],
        on_site + water_intensity(mix, MACKNICK_WATER).times(pue[:, None]),
        by_fuel.times((carbon_g / 1000.0 / by_fuel.central.mean(1))[:, None]),
    )


def _facts(*names: str) -> tuple[Array, ...]:
    """(N,) of each named fact of the sites."""
    return tuple(np.array([getattr(site, name) for site in SITES]) for name in names)


def _generation(lat: Array, solar_hour: Array) -> tuple[dict[str, Array], Array]:
    """Fuel -> (N, HOURS) generated, in units of the year's mean load; and how much is dispatched, mean 1.

    Sun follows its elevation; nuclear, wind (with slow weather), biomass and geothermal run steadily; the
    others share what is left of the load in the proportions of the year.
    """
    share = {
        fuel: column[:, None] / 100.0
        for fuel, column in zip(FUELS, np.array(FUEL_MIX_PERCENT).T, strict=True)
    }
    weekday = (np.floor(solar_hour / 24.0) + 6) % 7  # 2023-01-01 was a Sunday
    load = np.interp(solar_hour, np.arange(24), ELECTRICITY, period=24) * np.where(weekday >= 5, WEEKEND, 1.0)
    sun = _sun(lat, solar_hour)
    mix = {fuel: share[fuel] + np.zeros_like(load) for fuel in STEADY}
    mix["wind"] = mix["wind"] * np.maximum(1 + 0.5 * _weather(len(lat), shift=1), 0.0)
    mix["solar"] = share["solar"] * sun / sun.mean(1, keepdims=True)
    left = np.maximum(load - sum(mix.values()), LEAST_DISPATCHED)
    dispatched = [fuel for fuel in FUELS if fuel not in mix]
    together = sum(share[fuel] for fuel in dispatched)
    mix |= {fuel: left * share[fuel] / together for fuel in dispatched}
    return mix, left / left.mean(1, keepdims=True)


def _sun(lat: Array, solar_hour: Array) -> Array:
    """(N, HOURS) sine of the sun's elevation, 0 at night."""
    declination = -np.radians(23.44) * np.cos(2 * np.pi * (solar_hour / 24.0 + 10.0) / 365.0)
    phi = np.radians(lat)[:, None]
    angle = (solar_hour - 12.0) * np.pi / 12.0
    return np.maximum(
        0.0, np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(angle)
    )


def _wet_bulb_c(solar_hour: Array, elevation_m: Array) -> Array:
    """(N, HOURS): from January's to July's means and back, warmest at 15 h solar time, with slow weather."""
    january, july, january_dew, july_dew, daily = np.array([astuple(c) for c in CLIMATES]).T[:, :, None]
    summer = 0.5 - 0.5 * np.cos(2 * np.pi * (solar_hour / 24.0 - 15.0) / 365.0)  # 0 in mid-January
    warm = 1.5 * _weather(len(CLIMATES), shift=2)
    temp = january + (july - january) * summer + daily / 2 * np.cos((solar_hour - 15.0) * np.pi / 12.0) + warm
    dew = january_dew + (july_dew - january_dew) * summer + warm
    humidity = 100.0 * np.minimum(saturation_hpa(dew) / saturation_hpa(temp), 0.99)
    return wet_bulb_c(temp, humidity, elevation_m[:, None])


def _kind(name: str, unit: str, weight: float, per: str, values: Estimate, signal: str) -> FootprintKind:
    """A kind over the scenario's slots, every region counting alike."""
    low, central, high = (_window(series) for series in (values.low, values.central, values.high))
    return FootprintKind(
        name, unit, weight, central, per, np.ones(len(SITES)), signal=signal, low=low, high=high
    )


def _window(year: Array) -> Array:
    """(n, SLOTS) of (n, HOURS)."""
    first = int((START - YEAR).astype(int))
    return np.ascontiguousarray(year[:, first : first + SLOTS])


def _weather(n: int, *, shift: int) -> Array:
    """(n, HOURS) slow noise of standard deviation about 1: sines of unrelated periods and phases.

    A formula rather than a random generator, so that every version of every library gives the same.
    """
    hour = np.arange(HOURS)
    periods = np.array([97.0, 61.0, 37.0, 23.0, 11.0])
    # Multiples of these irrational numbers spread evenly over a turn: each region gets its own five phases.
    turns = np.arange(1, n + 1)[:, None] * 0.6180339887 + np.arange(1, 6)[None] * 0.7548776662
    phase = 7.0 * (turns + shift * 0.5698402910)
    angle = 2 * np.pi * (hour[None, None] / periods[None, :, None] + phase[:, :, None])
    return np.asarray(np.sin(angle).sum(axis=1) * np.sqrt(2 / len(periods)))

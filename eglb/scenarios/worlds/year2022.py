"""Grid zones in 2022, and places in them: prices, carbon, weather and facts that three worlds share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.geography import great_circle_km
from eglb.scenarios.physics.cooling import scaled_to_mean, tower_wue
from eglb.scenarios.physics.electricity import IPCC_CARBON, carbon_intensity
from eglb.scenarios.physics.figure import Estimate
from eglb.scenarios.physics.weather import wet_bulb_c
from eglb.scenarios.worlds import cloud_regions, footprints, world16
from eglb.scenarios.worlds.files import HOURS, columns, find_rows, year
from eglb.scenarios.worlds.fleet import spread_out
from eglb.scenarios.worlds.population import utc_offset_h
from eglb.scenarios.worlds.world import Ground

FIRST, END = np.datetime64("2022-01-01T00", "h"), np.datetime64("2023-01-01T00", "h")
ZONES, CARBON = "zones123/zones.csv", "zones123/carbon_2022_lca_g_kwh.csv.gz"
PRICE = "zones123/price_2022_usd_mwh.csv.gz"
TYPICAL_TEMP, TYPICAL_RH = "tmy3_us/tmy3_temp_c.csv.gz", "tmy3_us/tmy3_rh_pct.csv.gz"
TYPICAL_SITES = "tmy3_us/tmy3_sites.csv"
FILES = (
    ZONES,
    CARBON,
    PRICE,
    footprints.FUEL_MIX,
    cloud_regions.CLOUD_REGIONS,
    world16.SERIES,
    world16.SITES,
    TYPICAL_TEMP,
    TYPICAL_RH,
    TYPICAL_SITES,
)
PRICE_SOURCE = (
    "prices 2022: the market operators named in HewlettPackard/sustain-cluster @293fbd15 (MIT), wholesale; "
    "ZA a tariff, CL-SEN with transmission and tax"
)
WEATHER_SOURCE = (
    "weather: Open-Meteo.com ERA5, CC BY 4.0; typical years of US places: NREL TMY3, climate.onebuilding.org"
)
SOURCES = (
    "carbon: Electricity Maps 2022, ODbL 1.0 (umassos/decarbonization-potential @3493a630)",
    PRICE_SOURCE,
    WEATHER_SOURCE,
    footprints.FUEL_MIX_SOURCE + "; zones: its config files",
    cloud_regions.SOURCE,
)
# As zones.csv has them, and as the table of time zones does; Bosnia's is a slip there.
_TIME_ZONE = {
    "US/Pacific": "America/Los_Angeles",
    "US/Mountain": "America/Denver",
    "US/Central": "America/Chicago",
    "US/Eastern": "America/New_York",
    "US/Arizona": "America/Phoenix",
    "Asia/Bahrain": "Europe/Sarajevo",
}
# Of the carbon series, found by looking at them.
CONSTANT = ("HK", "ID", "US-NW-SCL")
FLAT = ("US-CENT-SPA", "US-NW-CHPD", "US-NW-DOPD", "US-NW-GCPD")
ESTIMATED = ("IN-WE", "JP-TK")
LISTED = 16  # more names than these are counted in a note


@dataclass(frozen=True, eq=False)
class Places:
    """N places in grid zones: where each stands, and the weather there, where it is known.

    Parameters
    ----------
    zones : (N,) names. lat, lon : (N,) degrees.
    wet_bulb_c : (N, 8760) NaN where unknown.
    typical : (N,) whether that is a typical year instead of 2022.
    """

    zones: tuple[str, ...]
    lat: Array
    lon: Array
    wet_bulb_c: Array
    typical: Array


def zone_names(data: Path) -> tuple[str, ...]:
    """The zones, in the order of their table."""
    return tuple(columns(data / ZONES, ["zone"])[0]["zone"])


def places(data: Path, zones: Sequence[str]) -> Places:
    """Each zone's place: where its weather was measured, else its first cloud region, else its centre."""
    text, number = columns(data / ZONES, ["zone"], ["lat", "lon"])
    rows = find_rows(data / ZONES, "zone", text["zone"], zones)
    cloud_text, cloud = cloud_regions.read(data)
    measured_text, measured = columns(
        data / world16.SITES, ["zone"], ["weather_lat", "weather_lon", "elev_m"]
    )
    measured_rows = find_rows(data / world16.SITES, "zone", measured_text["zone"], world16.ZONES)
    typical_text, typical = columns(data / TYPICAL_SITES, ["zone"], ["lat", "lon", "elev_m"])
    hours = slice(*((int((t - world16.FIRST).astype(int))) for t in (FIRST, END)))
    series = world16.series(data / world16.SERIES)
    where = np.full((len(zones), 2), np.nan)
    wet_bulb = np.full((len(zones), HOURS), np.nan)
    is_typical = np.zeros(len(zones), bool)
    for i, zone in enumerate(zones):
        if zone in world16.ZONES:
            row = measured_rows[world16.ZONES.index(zone)]
            where[i] = measured["weather_lat"][row], measured["weather_lon"][row]
            temp, rh = (series[name][world16.ZONES.index(zone), hours] for name in ("temp_c", "rh_pct"))
            wet_bulb[i] = wet_bulb_c(temp, rh, measured["elev_m"][row])
        elif zone in typical_text["zone"]:
            row = typical_text["zone"].index(zone)
            where[i] = typical["lat"][row], typical["lon"][row]
            temp, rh = (
                year(data / file, tuple(typical_text["zone"]), "hour_of_year_utc")[row]
                for file in (TYPICAL_TEMP, TYPICAL_RH)
            )
            wet_bulb[i] = wet_bulb_c(temp, rh, typical["elev_m"][row])
            is_typical[i] = True
        elif zone in cloud_text["zone"]:
            row = cloud_text["zone"].index(zone)
            where[i] = cloud["lat"][row], cloud["lon"][row]
        else:
            where[i] = number["lat"][rows[i]], number["lon"][rows[i]]
    return Places(tuple(zones), where[:, 0].copy(), where[:, 1].copy(), wet_bulb, is_typical)


def zone_offset_h(data: Path, zones: Sequence[str]) -> Array:
    """(N,) hours ahead of UTC in January, by the zones' own time zone."""
    text, _ = columns(data / ZONES, ["zone", "tz"])
    names = [text["tz"][row] for row in find_rows(data / ZONES, "zone", text["zone"], zones)]
    return utc_offset_h([_TIME_ZONE.get(name, name) for name in names], data)


def prices(data: Path, zones: Sequence[str]) -> tuple[Array, str]:
    """USD per MWh, (N, 8760), and which zones' prices stand in for which.

    A zone without a price has that of the nearest one with a price in its country, else of the nearest; and
    so has a zone in hours without one.
    """
    text, number = columns(data / ZONES, ["zone", "country", "price_2022"], ["lat", "lon"])
    row_of = {zone: row for row, zone in enumerate(text["zone"])}
    priced = [zone for zone, has in zip(text["zone"], text["price_2022"], strict=True) if has == "yes"]
    rows = np.array([row_of[zone] for zone in priced])
    known = dict(zip(priced, year(data / PRICE, tuple(priced)), strict=True))
    out = np.empty((len(zones), HOURS))
    stand_ins: dict[str, list[str]] = defaultdict(list)
    for i, zone in enumerate(zones):
        row = row_of[zone]
        if zone in known and not np.isnan(known[zone]).any():
            out[i] = known[zone]
            continue
        other = text["price_2022"][row]
        if other not in known:
            away = great_circle_km(
                number["lat"][row], number["lon"][row], number["lat"][rows], number["lon"][rows]
            )
            abroad = np.array([text["country"][r] != text["country"][row] for r in rows])
            gaps = np.array([np.isnan(known[z]).any() for z in priced])
            other = priced[int(np.lexsort((away, abroad, gaps))[0])]
        series = known.get(zone, np.full(HOURS, np.nan))
        out[i] = np.where(np.isnan(series), known[other], series)
        part = f" ({np.isnan(series).sum()} hours)" if zone in known else ""
        stand_ins[other].append(zone + part)
    listed = ", ".join(f"{other} for {' '.join(takers)}" for other, takers in sorted(stand_ins.items()))
    return out, f"price stand-ins: {listed}" if listed else "prices are each zone's own"


def on_site_water(data: Path, at: Places) -> Estimate:
    """L per kWh of IT energy, (N, 8760): what operators publish nearby, as the year's mean of the cooling
    tower's curve where weather is known, else constant; from their least to their largest figure.
    """
    level = cloud_regions.published_nearby("wue_l_kwh", at.lat, at.lon, data)
    curve = scaled_to_mean(np.nan_to_num(tower_wue(at.wet_bulb_c), nan=1.0), 1.0)
    return Estimate(*(curve * mean[:, None] for mean in (level.low, level.central, level.high)))


def ground(
    data: Path,
    hydro: bool,
    names: Sequence[str],
    at: Places,
    *,
    pue: Array,
    water_stress: Array,
    rtt_ms: Array,
    notes: Sequence[str],
    sources: Sequence[str] = SOURCES,
    hourly_mix: Mapping[str, Array] | None = None,
) -> Ground:
    """The year of places called `names`: water and carbon from the fuel mix of every hour, where it is given,
    else carbon as published and water from the zone's mix of the whole year.
    """
    price, stand_ins = prices(data, at.zones)
    if hourly_mix is None:
        mix = footprints.fuel_mix(data, at.zones)
        carbon = footprints.carbon_with_range(year(data / CARBON, at.zones) / 1000.0, mix)
        carbon_signal, mix_said = footprints.CONSUMPTION_MIX, "fuel mix of the year"
        notes = (*notes, *_carbon_notes(names, at.zones))
    else:
        mix = dict(hourly_mix)
        carbon = carbon_intensity(mix, IPCC_CARBON).times(1e-3)
        carbon_signal, mix_said = "average, lifecycle, generation mix", "fuel mix by the hour"
    water = on_site_water(data, at) + footprints.off_site_water(mix, hydro).times(pue[:, None])
    every_hour = np.zeros((1, HOURS))
    return Ground(
        regions=tuple(names),
        lat=at.lat,
        lon=at.lon,
        utc_offset_h=zone_offset_h(data, at.zones),
        pue=pue,
        price=price,
        water=Estimate(water.low + every_hour, water.central + every_hour, water.high + every_hour),
        carbon=carbon,
        water_signal=footprints.water_signal(mix_said, hydro),
        carbon_signal=carbon_signal,
        rtt_ms=rtt_ms,
        order=spread_out(at.lat, at.lon),
        water_stress=water_stress,
        notes=(*notes, stand_ins, *_weather_notes(names, at)),
        sources=tuple(sources),
    )


def _carbon_notes(names: Sequence[str], zones: Sequence[str]) -> list[str]:
    return [
        f"carbon {what}: {_listed(found)}"
        for what, which in (
            ("the same all year", CONSTANT),
            ("flat for weeks", FLAT),
            ("all estimated", ESTIMATED),
        )
        if (found := [name for name, zone in zip(names, zones, strict=True) if zone in which])
    ]


def _listed(names: Sequence[str]) -> str:
    return " ".join(names) if len(names) <= LISTED else f"{len(names)} regions"


def _weather_notes(names: Sequence[str], at: Places) -> list[str]:
    """Whose on-site water has which weather."""
    unknown = np.isnan(at.wet_bulb_c).any(1)
    typical = [name for name, is_typical in zip(names, at.typical, strict=True) if is_typical]
    constant = [name for name, lacks in zip(names, unknown, strict=True) if lacks]
    said = ["on-site water: what operators publish within 300 km or nearest, by wet bulb"]
    if typical:
        said.append(f"weather of a typical year, not 2022: {_listed(typical)}")
    if constant:
        said.append(f"on-site water constant for want of weather: {_listed(constant)}")
    return said

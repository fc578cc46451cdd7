"""gcp33, zones123 and usba8 against the raw files, read here with the csv module; and when files are bad."""

from __future__ import annotations

import csv
import gzip
import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import eglb
from eglb.foundation.errors import InputError
from eglb.scenarios.catalog import MEASURED, load_history
from eglb.scenarios.feasibility import find_shortages
from eglb.scenarios.scenario import Scenario

START, HOUR = "2022-07-04", 4416  # 31+28+31+30+31+30 days and 3 more into the year


@lru_cache(maxsize=16)
def rows(path: Path) -> list[dict[str, str]]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    return list(csv.DictReader(text.splitlines()))


def row(path: Path, column: str, value: str) -> dict[str, str]:
    return next(r for r in rows(path) if r[column] == value)


def cloud_region(data: Path, region: str) -> dict[str, str]:
    wanted = (r for r in rows(data / "regions" / "cloud_regions.csv") if r["provider"] == "gcp")
    return next(r for r in wanted if r["region"] == region)


def km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """By the spherical law of cosines."""
    (p, q), (r, s) = (tuple(map(math.radians, at)) for at in (a, b))
    cosine = math.sin(p) * math.sin(r) + math.cos(p) * math.cos(r) * math.cos(q - s)
    return 6371.0 * math.acos(min(1.0, max(-1.0, cosine)))


def published(data: Path, column: str, at: tuple[float, float]) -> list[float]:
    """What operators publish within 300 km, else at the nearest."""
    known = [r for r in rows(data / "regions" / "cloud_regions.csv") if r[column]]
    away = [km(at, (float(r["lat"]), float(r["lon"]))) for r in known]
    return [float(r[column]) for r, d in zip(known, away, strict=True) if d <= max(300.0, min(away) + 1e-6)]


# Medians of Macknick et al. 2012, towers; unknown as the authors of equity-aware balancing have it.
EWIF = {"coal": 2.6006, "gas": 0.776, "oil": 1.32, "nuclear": 2.5438, "hydro": 0.0, "wind": 0.0}
EWIF |= {"solar": 0.0038, "biomass": 2.0933, "geothermal": 0.0568, "unknown": 1.8}


def annual_ewif(data: Path, zone: str, hydro: float = 0.0) -> float:
    mix = row(data / "zones123" / "zones_fuel_mix_2022.csv", "zone", zone)
    total = sum(float(mix[fuel]) for fuel in (*EWIF, "hydro_discharge", "battery_discharge"))
    return sum(float(mix[fuel]) * factor for fuel, factor in (EWIF | {"hydro": hydro}).items()) / total


@pytest.fixture(scope="module")
def gcp(data_directory: Path) -> Scenario:
    return eglb.load(f"gcp33@{START}/2d", data=data_directory)


@pytest.fixture(scope="module")
def zones(data_directory: Path) -> Scenario:
    return eglb.load(f"zones123@{START}/2", data=data_directory)


@pytest.fixture(scope="module")
def authorities(data_directory: Path) -> Scenario:
    return eglb.load(f"usba8@{START}/2d", data=data_directory)


def test_regions_of_gcp33_are_those_measured(gcp: Scenario, data_directory: Path) -> None:
    senders = [r["sending_region"] for r in rows(data_directory / "latency" / "gcp_rtt_ms.csv")]
    assert list(gcp.regions) == [name for name in senders if name != "asia-south2"] and len(gcp.regions) == 33
    assert "asia-south2" in gcp.note
    for name, lat, lon in zip(gcp.regions, gcp.region_lat, gcp.region_lon, strict=True):
        there = cloud_region(data_directory, name)
        assert (lat, lon) == (float(there["lat"]), float(there["lon"]))


def test_round_trips_of_gcp33_are_those_measured(gcp: Scenario, data_directory: Path) -> None:
    table = data_directory / "latency" / "gcp_rtt_ms.csv"
    gateways = [name.removeprefix("gw-") for name in gcp.gateways]
    pairs = {}
    for g, r, rtt in zip(gcp.reach_gateway, gcp.reach_region, gcp.reach_rtt_ms, strict=True):
        text = row(table, "sending_region", gateways[g])[gcp.regions[r]]
        assert (np.isnan(rtt) and gateways[g] == gcp.regions[r]) if not text else rtt == float(text)
        pairs[gateways[g], gcp.regions[r]] = rtt
    # Everything within 150 ms is in reach, and all else is not among a gateway's four nearest.
    for gateway in gateways:
        measured = {r: float(row(table, "sending_region", gateway)[r] or 0.0) for r in gcp.regions}
        fourth = sorted(measured.values())[3]
        assert {r for r, ms in measured.items() if ms <= max(150.0, fourth)} == {
            r for g, r in pairs if g == gateway
        }


def test_carbon_and_price_of_gcp33_are_those_of_their_zone(gcp: Scenario, data_directory: Path) -> None:
    carbon = rows(data_directory / "zones123" / "carbon_2022_lca_g_kwh.csv.gz")[HOUR : HOUR + 48]
    price = rows(data_directory / "zones123" / "price_2022_usd_mwh.csv.gz")[HOUR : HOUR + 48]
    assert carbon[0]["time_utc"].startswith(START) and price[0]["time_utc"].startswith(START)
    priced_by = {"europe-west3": "DE", "us-south1": "US-TEX-ERCO", "asia-northeast2": "JP-TK"}
    priced_by |= {"europe-north1": "DE", "us-west4": "US-CAL-CISO", "northamerica-northeast1": "CA-ON"}
    for region, priced in priced_by.items():
        i, zone = gcp.regions.index(region), cloud_region(data_directory, region)["zone"]
        kind = gcp.footprints[1]
        np.testing.assert_allclose(kind.intensity[i], [float(r[zone]) / 1000 for r in carbon], rtol=1e-12)
        np.testing.assert_allclose(gcp.price[i], [float(r[priced]) for r in price], rtol=1e-12)
        assert zone == priced or (f"{priced} for " in gcp.note and zone in gcp.note)
    assert kind.signal == "average, lifecycle, consumption mix" and kind.unit == "t"


def test_water_of_gcp33_without_weather_is_published_plus_fuel_mix(
    gcp: Scenario, data_directory: Path
) -> None:
    kind = gcp.footprints[0]
    for region in ("europe-north1", "northamerica-northeast1", "asia-southeast2"):
        i, there = gcp.regions.index(region), cloud_region(data_directory, region)
        wue = published(data_directory, "wue_l_kwh", (float(there["lat"]), float(there["lon"])))
        pue = float(there["pue"] or 1.10)
        expected = sum(wue) / len(wue) + pue * annual_ewif(data_directory, there["zone"])
        np.testing.assert_allclose(kind.intensity[i], expected, rtol=1e-3)
        assert gcp.pue[i] == pue and region in gcp.note.partition("want of weather")[2]
    with_hydro = eglb.load(f"gcp33@{START}/1d,hydro=yes", data=data_directory)
    i = gcp.regions.index("southamerica-east1")
    evaporated = annual_ewif(data_directory, "BR-CS", 17.0) - annual_ewif(data_directory, "BR-CS")
    more = with_hydro.footprints[0].intensity[i] - kind.intensity[i, :24]
    np.testing.assert_allclose(more, gcp.pue[i] * evaporated, rtol=1e-3)
    assert "reservoirs not counted" in kind.signal
    assert "reservoirs counted" in with_hydro.footprints[0].signal


def test_water_on_site_follows_the_wet_bulb(gcp: Scenario, data_directory: Path) -> None:
    """Las Vegas, from the typical year's published wet bulb and the authors' curve, by hand."""
    there = cloud_region(data_directory, "us-west4")
    bulb = [float(r["US-NW-NEVP"]) for r in rows(data_directory / "tmy3_us" / "tmy3_wetbulb_c.csv.gz")]
    fahrenheit = [1.8 * t + 32.0 for t in bulb]
    curve = [max(1.2 * (6e-5 * f**3 - 0.01 * f**2 + 0.61 * f - 10.4), 0.05) for f in fahrenheit]
    wue = published(data_directory, "wue_l_kwh", (float(there["lat"]), float(there["lon"])))
    level = sum(wue) / len(wue) / (sum(curve) / len(curve))
    off_site = float(there["pue"]) * annual_ewif(data_directory, "US-NW-NEVP")
    got = gcp.footprints[0].intensity[gcp.regions.index("us-west4")]
    expected = np.array(curve[HOUR : HOUR + 48]) * level + off_site
    # The station is at 648 m, whose pressure our wet bulb knows of.
    assert np.abs(got - expected).max() < 0.03 and np.corrcoef(got, expected)[0, 1] > 0.99


def test_gcp33_is_fed_by_the_people_around(gcp: Scenario, data_directory: Path) -> None:
    assert len(gcp.gateways) == 33
    share = dict(zip(gcp.gateways, gcp.demand.mean(1) / gcp.demand.mean(1).sum(), strict=True))
    # Sao Paulo serves most of its time zone: 125 million of 2.1 billion people within 1,000 km of a gateway.
    assert share["gw-southamerica-east1"] == pytest.approx(125.4 / 2101, rel=0.15)
    assert share["gw-asia-east2"] > share["gw-europe-west9"] > share["gw-us-central1"]
    zones_people = rows(data_directory / "demand" / "urban_population_by_timezone.csv")
    tokyo = next(float(r["urban_population"]) for r in zones_people if r["tz"] == "Asia/Tokyo") / 1e6
    people = dict(zip(gcp.regions, gcp.people_m, strict=True))
    assert 0.6 * tokyo < people["asia-northeast1"] < tokyo
    stress = dict(zip(gcp.regions, gcp.water_stress, strict=True))
    assert stress["us-west2"] == 4 and stress["europe-north1"] == 0 and np.isnan(stress["asia-southeast1"])


def test_zones123_holds_every_zone(zones: Scenario, data_directory: Path) -> None:
    table = data_directory / "zones123" / "zones.csv"
    assert list(zones.regions) == [r["zone"] for r in rows(table)] and len(zones.regions) == 123
    carbon = rows(data_directory / "zones123" / "carbon_2022_lca_g_kwh.csv.gz")[HOUR : HOUR + 48]
    for zone in ("DK-BHM", "HK", "US-HI-OA", "UY"):
        got = zones.footprints[1].intensity[zones.regions.index(zone)]
        np.testing.assert_allclose(got, [float(r[zone]) / 1000 for r in carbon], rtol=1e-12)
    assert "same all year: HK ID US-NW-SCL" in zones.note
    # Luxembourg is in Germany's bidding zone; the nearest priced one of its country stands in for Queensland.
    price = rows(data_directory / "zones123" / "price_2022_usd_mwh.csv.gz")[HOUR]
    for zone, priced in (("LU", "DE"), ("AU-QLD", "AU-NSW"), ("BR-N", "BR-CS"), ("FR", "FR")):
        assert zones.price[zones.regions.index(zone), 0] == float(price[priced])
    # Nobody lives near some centres; whoever does asks at the nearest.
    assert 60 < len(zones.gateways) < 123


def test_zones_without_a_price_in_january_borrow_one(data_directory: Path) -> None:
    price = rows(data_directory / "zones123" / "price_2022_usd_mwh.csv.gz")[264:312]
    assert price[0]["GB"] == "" and price[-1]["GB"] != ""
    fleet = eglb.load("gcp33@2022-01-12/2d", data=data_directory)
    got = fleet.price[fleet.regions.index("europe-west2")]
    np.testing.assert_allclose(got, [float(r["GB"] or r["NL"]) for r in price], rtol=1e-12)


def test_distance_fit_is_that_of_the_file(zones: Scenario, data_directory: Path) -> None:
    here = {}
    for r in rows(data_directory / "latency" / "gcp_rtt_ms.csv"):
        there = cloud_region(data_directory, r["sending_region"])
        here[r["sending_region"]] = float(there["lat"]), float(there["lon"])
    pairs = [
        (km(here[r["sending_region"]], here[to]), float(r[to]))
        for r in rows(data_directory / "latency" / "gcp_rtt_ms.csv")
        for to in here
        if r[to]
    ]
    distance, rtt = np.array(pairs).T
    slope, intercept = np.polyfit(distance, rtt, 1)
    assert (round(intercept, 1), round(slope, 5)) == (16.8, 0.01513) and len(pairs) == 1122
    residual = rtt - (intercept + slope * distance)
    assert np.median(np.abs(residual)) < 19.0
    assert 1 - residual.var() / rtt.var() == pytest.approx(0.76, abs=0.005)
    j, i = zones.reach_gateway[5], zones.reach_region[5]
    at = [(zones.gateway_lat[j], zones.gateway_lon[j]), (zones.region_lat[i], zones.region_lon[i])]
    assert zones.reach_rtt_ms[5] == pytest.approx(16.8 + 0.01513 * km(*at), abs=0.01)


def test_usba8_follows_the_fuel_mix_of_the_hour(authorities: Scenario, data_directory: Path) -> None:
    table = rows(data_directory / "us_ba_2022" / "us_ba_fuelmix_2022.csv.gz")
    grams = {"WND": 11, "SUN": 48, "WAT": 24, "OIL": 720, "NG": 490, "COL": 820, "NUC": 12, "OTH": 700}
    water, carbon = authorities.footprints
    for name in ("CISO", "MISO", "SOCO"):
        mine = [r for r in table if r["ba"] == name][HOUR : HOUR + 48]
        assert mine[0]["time_utc"].startswith(START)
        mw = np.array([[float(r[fuel]) for fuel in grams] for r in mine])
        expected = mw @ np.array(list(grams.values())) / mw.sum(1) / 1000.0
        i = authorities.regions.index(name)
        np.testing.assert_allclose(carbon.intensity[i], expected, rtol=1e-12)
        # The table's own column of water has the authors' factors: other levels, much the same hours.
        theirs = [float(r["ewif_ren_l_kwh"]) for r in mine]
        if name == "CISO":
            assert np.corrcoef(water.intensity[i], theirs)[0, 1] > 0.9
    assert carbon.signal == "average, lifecycle, generation mix"


def test_odd_hours_of_usba8_are_mended(data_directory: Path) -> None:
    march = eglb.load("usba8@2022-03-12/3d", data=data_directory)
    carbon = march.footprints[1].intensity[march.regions.index("PJM")]
    # Blank from 2022-03-13T07 to 2022-03-14T04: the day before stands in.
    np.testing.assert_array_equal(carbon[24 + 7 : 48], carbon[7:24])
    np.testing.assert_array_equal(carbon[48:53], carbon[24:29])
    assert carbon[53] != carbon[29]
    october = eglb.load("usba8@2022-10-01/1d", data=data_directory)
    assert october.footprints[1].intensity[october.regions.index("PJM")].min() > 0.25
    september = eglb.load("usba8@2022-09-25/2d", data=data_directory)
    new_york = september.footprints[1].intensity[september.regions.index("NYIS")]
    # Nuclear is booked as other from 2022-09-26T06 on, which would add 0.2 kg/kWh.
    assert np.abs(np.diff(new_york)[28:32]).max() < 0.05
    assert "52 blank or odd hours" in march.note and "559 hours nuclear" in march.note


@pytest.mark.parametrize("name", ["gcp33", "zones123", "usba8", "world16"])
def test_windows_join(name: str, data_directory: Path) -> None:
    options = ",regions=7,demand=m-small,seed=4,split=population,reach=near"
    whole = eglb.load(f"{name}@2022-10-28/6d{options}", data=data_directory)
    late = eglb.load(f"{name}@2022-11-01/2{options}", data=data_directory)
    early = load_history(f"{name}@2022-11-01/2d{options}", 96, data=data_directory)
    assert early is not None
    joined = late.after(early)
    np.testing.assert_array_equal(joined.times, whole.times)
    for field in ("demand", "price", "capacity"):
        np.testing.assert_allclose(getattr(joined, field), getattr(whole, field), rtol=1e-12)
    for a, b in zip(joined.footprints, whole.footprints, strict=True):
        for end in ("low", "intensity", "high"):
            np.testing.assert_array_equal(getattr(a, end), getattr(b, end))
    assert (
        load_history(f"{name}@{'2021' if name == 'world16' else '2022'}-01-01/1d", 24, data=data_directory)
        is None
    )


@pytest.mark.parametrize("name", MEASURED)
def test_each_can_be_served_solved_and_is_as_busy_as_asked(name: str, data_directory: Path) -> None:
    fleet = eglb.load(f"{name}@2022-02-06/14d,util=0.5,regions=8", data=data_directory)
    assert len(fleet.regions) == 8 and find_shortages(fleet) == ()
    # Two weeks are the trace's own length; little is cut off its peaks.
    assert fleet.demand.sum() / fleet.capacity.sum() == pytest.approx(0.5, rel=0.06)
    for kind in fleet.footprints:
        assert (kind.low <= kind.intensity + 1e-12).all() and (kind.intensity <= kind.high + 1e-12).all()
    assert eglb.solve(fleet.window(0, 48), "admm", gap=1e-4, address="inprocess").converged
    small = set(fleet.regions)
    larger = eglb.load(f"{name}@2022-02-06/1d,regions=8,demand=bloom,split=dirichlet", data=data_directory)
    assert set(larger.regions) == small and len(larger.gateways) == 8
    assert any("BLOOM" in source for source in larger.sources)


def test_small_fleets_span_the_world(data_directory: Path) -> None:
    fleet = eglb.load(f"zones123@{START}/1d,regions=6", data=data_directory)
    at = list(zip(fleet.region_lat, fleet.region_lon, strict=True))
    assert min(km(a, b) for i, a in enumerate(at) for b in at[:i]) > 4000


@pytest.mark.parametrize("name", MEASURED)
def test_missing_files_are_all_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        eglb.load(f"{name}@2022-07-04/7d", data=tmp_path)
    problems = caught.value.problems
    assert len(problems) >= 6 and len(set(problems)) == len(problems)
    for problem in problems:
        path, _, rest = problem.partition(": ")
        assert path.startswith(str(tmp_path))
        assert (
            rest
            == f"no such file; {name} is read from the data directory: give --data DIR, set EGLB_DATA, or "
            f"`eglb data fetch {name}`"
        )


@pytest.mark.parametrize(
    ("file", "good", "bad", "message"),
    [
        ("zones123/zones.csv", "zone,name", "zones,name", "column zone is missing"),
        ("zones123/zones.csv", "\nFI,", "\nFinland,", "column zone: FI is missing"),
        ("regions/cloud_regions.csv", "gcp,us-west4", "gcp,us-west9", "gcp us-west4 is missing"),
        ("regions/cloud_regions.csv", ",36.169941,", ",north,", "'north' is not a number"),
        ("latency/gcp_rtt_ms.csv", "36.0", "fast", "'fast' is not a number"),
        ("demand/urban_population_by_timezone.csv", "Asia/Tokyo", "Tokyo", "Asia/Tokyo is missing"),
        ("llm/servegen_10min.csv", "m-mid", "m-odd", "holds no whole day of m-mid"),
        ("zones123/carbon_2022_lca_g_kwh.csv.gz", "2022-12-31T23", "2022-12-31T22", "not the 8760 hours"),
        ("tmy3_us/tmy3_temp_c.csv.gz", "US-NW-NEVP", "NEVADA", "column US-NW-NEVP is missing"),
        ("zones123/price_2022_usd_mwh.csv.gz", "54.09", "dear", "column AT holds what is not a number"),
        ("world16/world16_hourly_2021_2023.parquet", "", "", "cannot be read"),
    ],
)
def test_damaged_files_are_refused(
    file: str, good: str, bad: str, message: str, data_directory: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for folder in data_directory.iterdir():
        if folder.is_dir():
            (data / folder.name).mkdir(parents=True)
            for path in folder.iterdir():
                (data / folder.name / path.name).symlink_to(path)
    broken = data / file
    original = broken.resolve()
    broken.unlink()
    if not good:
        broken.write_bytes(original.read_bytes()[:1000])
    elif broken.suffix == ".gz":
        text = gzip.decompress(original.read_bytes()).decode()
        broken.write_bytes(gzip.compress(text.replace(good, bad).encode(), 1))
    else:
        broken.write_text(original.read_text().replace(good, bad))
    with pytest.raises(InputError) as caught:
        eglb.load("gcp33@2022-07-04/1d", data=data)
    assert all(problem.startswith(str(broken)) for problem in caught.value.problems)
    assert message in str(caught.value)

"""Signals that answer: values, units, times and where they come from, as the services are documented."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.http_shelf import serving
from support.signal_servers import (
    CARBON_PATH,
    NOW,
    SECRET,
    answer,
    carbon,
    fleet,
    only_with,
    open_meteo,
    opened,
    watttime,
)

from eglb.live.signals import open_signals
from eglb.scenarios.estimation import estimating

ELECTRICITY_MAPS = """
[carbon.regions.frankfurt]
source = "electricity_maps"
base_url = "BASE"
key_env = "MAPS_KEY"
zone = "DE"
"""
DE = ("carbon", "frankfurt")


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAPS_KEY", "WATT_USER", "WATT_KEY", "OTHER_KEY"):
        monkeypatch.setenv(name, SECRET)


def hour(count: int) -> np.timedelta64:
    return np.timedelta64(count, "h")


def test_latest_of_electricity_maps_in_t_per_mwh(tmp_path: Path) -> None:
    files = {CARBON_PATH: only_with("auth-token", SECRET, carbon(g_per_kwh=302))}
    with serving(files) as shelf, opened(tmp_path, ELECTRICITY_MAPS, shelf) as signals:
        reading = signals.read_all(NOW, 5.0)[DE]
        later = signals.read_all(NOW + hour(2), 5.0)[DE]
    assert (reading.ok, reading.fallback, reading.problem) == (True, None, "")
    assert reading.value == pytest.approx(0.302, rel=1e-12)
    assert (reading.unit, reading.at_utc, reading.age_s) == ("t/MWh", NOW, 0.0)
    said = "Electricity Maps v3 latest DE, lifecycle, estimated, gCO2eq/kWh x 0.001"
    assert reading.source == said
    # The service's clock counts, however little time went by.
    assert (later.ok, later.age_s) == (True, 7200.0)


def test_carbon_of_it_energy_has_the_pue_in_it(tmp_path: Path) -> None:
    scenario = fleet()
    kinds = tuple(replace(kind, per="it") for kind in scenario.footprints)
    scenario = replace(scenario, footprints=kinds)
    files = {CARBON_PATH: carbon(g_per_kwh=300)}
    with serving(files) as shelf, opened(tmp_path, ELECTRICITY_MAPS, shelf, scenario) as signals:
        reading = signals.read_all(NOW, 5.0)[DE]
    assert reading.value == pytest.approx(0.3 * scenario.pue[scenario.regions.index("frankfurt")])


@pytest.mark.parametrize("listed", ["history", "forecast", "data"])
def test_of_many_hours_the_present_one_counts_and_yesterday_is_remembered(
    tmp_path: Path, listed: str
) -> None:
    rows = [
        {
            "carbonIntensity": 100 + back,
            "datetime": f"{NOW - hour(back)}.000Z",
            "emissionFactorType": "lifecycle",
        }
        for back in range(-3, 25)
    ]
    endpoint = "forecast" if listed == "forecast" else "history"
    path = CARBON_PATH.replace("latest", endpoint)
    toml = ELECTRICITY_MAPS + f'endpoint = "{endpoint}"\nfallback = ["same hour yesterday"]\nretries = 0\n'
    files = {path: answer({"zone": "DE", listed: rows})}
    with serving(files) as shelf, opened(tmp_path, toml, shelf) as signals:
        reading = signals.read_all(NOW, 5.0)[DE]
        del shelf.files[path]
        next_hour = signals.read_all(NOW + hour(1), 5.0)[DE]
    assert (reading.value, reading.at_utc) == (pytest.approx(0.100), NOW)
    assert next_hour.fallback == "same hour yesterday"
    assert (next_hour.value, next_hour.at_utc) == (pytest.approx(0.123), NOW - hour(23))


def test_day_ahead_price_in_another_currency(tmp_path: Path) -> None:
    toml = """
    [price.regions.frankfurt]
    source = "electricity_maps"
    base_url = "BASE"
    key_env = "MAPS_KEY"
    zone = "DE"
    factor = 1.08
    """
    row = {"zone": "DE", "datetime": "2023-07-05T12:00:00.000Z", "value": -10.5, "unit": "EUR/MWh"}
    path = "v3/price-day-ahead/latest?zone=DE"
    with serving({path: answer(row)}) as shelf, opened(tmp_path, toml, shelf) as signals:
        good = signals.read_all(NOW, 5.0)["price", "frankfurt"]
        shelf.files[path] = answer(row | {"unit": "GBP/MWh"})
        other = signals.read_all(NOW, 5.0)["price", "frankfurt"]
    assert (good.ok, good.value, good.unit) == (True, pytest.approx(-11.34), "USD/MWh")
    assert (other.ok, other.fallback) == (False, "last value")
    assert "not in EUR/MWh" in other.problem


def test_watttime_logs_in_once_for_all_regions(tmp_path: Path) -> None:
    toml = """
    [carbon]
    source = "watttime"
    base_url = "BASE"
    user_env = "WATT_USER"
    key_env = "WATT_KEY"
    [carbon.regions]
    """
    toml += "california = {region = 'CAISO_NORTH'}\nvirginia = {region = 'PJM_DC'}\n"
    toml += "".join(
        f"{region} = {{source = 'scenario'}}\n"
        for region in fleet().regions
        if region not in ("california", "virginia")
    )
    basic = base64.b64encode(f"{SECRET}:{SECRET}".encode()).decode()
    query = "v3/forecast?region={}&signal_type=co2_moer&horizon_hours=0"
    files = {
        "login": only_with("Authorization", f"Basic {basic}", answer({"token": "t0ken"})),
        query.format("CAISO_NORTH"): only_with(
            "Authorization", "Bearer t0ken", watttime("CAISO_NORTH", 850.0)
        ),
        query.format("PJM_DC"): watttime("PJM_DC", 61.0, units="percentile"),
    }
    with serving(files) as shelf, opened(tmp_path, toml, shelf) as signals:
        found = signals.read_all(NOW, 5.0)
    caiso, pjm = found["carbon", "california"], found["carbon", "virginia"]
    assert shelf.asked.count("login") == 1
    # 850 lb = 385.5535 kg.
    assert (caiso.ok, caiso.value) == (True, pytest.approx(0.3855535145, rel=1e-12))
    assert "lbs_co2_per_mwh x 0.000453592" in caiso.source
    assert (pjm.ok, pjm.fallback) == (False, "annual mean")
    assert "not in lbs_co2_per_mwh" in pjm.problem


def test_historical_of_watttime_asks_for_the_last_hours(tmp_path: Path) -> None:
    toml = """
    [carbon.regions.california]
    source = "watttime"
    base_url = "BASE"
    user_env = "WATT_USER"
    key_env = "WATT_KEY"
    region = "CAISO_NORTH"
    endpoint = "historical"
    """
    start, end = "2023-07-05T09:00:00+00:00", "2023-07-05T12:00:00+00:00"
    path = f"v3/historical?region=CAISO_NORTH&signal_type=co2_moer&start={start}&end={end}"
    files = {
        "login": answer({"token": "t0ken"}),
        path: watttime("CAISO_NORTH", 1000.0, at="2023-07-05T11:40:00+00:00"),
    }
    with serving(files) as shelf, opened(tmp_path, toml, shelf) as signals:
        reading = signals.read_all(NOW, 5.0)["carbon", "california"]
    assert (reading.ok, reading.age_s) == (True, 1200.0)
    assert reading.value == pytest.approx(0.45359237)


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_footprints_of_weather_and_fuels_are_those_of_scenario_estimate(tmp_path: Path, version: str) -> None:
    scenario = fleet()
    i = scenario.regions.index("frankfurt")
    lat, lon = float(scenario.region_lat[i]), float(scenario.region_lon[i])
    facts = tmp_path / "facts"
    facts.mkdir()
    (facts / "regions.csv").write_text(f"region,pue,elevation_m\nfrankfurt,{scenario.pue[i]},810\n")
    (facts / "weather.csv").write_text("time_utc,region,temp_c,rh_pct\n2023-07-05T11:00Z,frankfurt,27.5,40\n")
    (facts / "fuel_mix.csv").write_text("region,coal,gas,nuclear,hydro,wind\nfrankfurt,300,200,100,50,350\n")
    expected = estimating.estimate(facts, estimating.Method())
    grid = f'grid = {{base_url = "BASE", key_env = "MAPS_KEY", zone = "DE", version = "{version}"}}'
    toml = f"""
    [water.regions.frankfurt]
    source = "weather"
    base_url = "BASE"
    {grid}
    [carbon.regions.frankfurt]
    source = "fuel_mix"
    {grid}
    """
    weather = (
        f"v1/forecast?latitude={lat:.4f}&longitude={lon:.4f}&current=temperature_2m,relative_humidity_2m"
    )
    breakdown = {"coal": 300, "gas": 200, "nuclear": 100, "hydro": 50, "wind": 350, "hydro discharge": None}
    row = {"datetime": "2023-07-05T11:00:00.000Z"}
    path, mix = {
        "v3": ("power-breakdown", {"zone": "DE", **row, "powerConsumptionBreakdown": breakdown}),
        "v4": ("electricity-mix", {"zone": "DE", "unit": "MW", "data": [{**row, "mix": breakdown}]}),
    }[version]
    files = {
        f"{weather}&timezone=GMT": open_meteo(lat, lon, temp_c=27.5, rh_pct=40, elevation=810.0),
        f"{version}/{path}/latest?zone=DE": only_with("auth-token", SECRET, answer(mix)),
    }
    with serving(files) as shelf, opened(tmp_path, toml, shelf) as signals:
        found = signals.read_all(NOW, 5.0)
    water, fuel = found["water", "frankfurt"], found["carbon", "frankfurt"]
    assert (water.ok, water.unit) == (True, "m3/MWh")
    assert water.value == pytest.approx(expected.water.central[0, 0], rel=1e-9)
    assert fuel.value == pytest.approx(expected.carbon.central[0, 0], rel=1e-9)
    # As old as the older of the two, and both asked for once.
    assert water.age_s == fuel.age_s == 3600.0
    assert "27.5 C, 40 %" in water.source and "mix of Electricity Maps DE" in water.source
    assert sorted(shelf.asked) == sorted(files)


@pytest.mark.parametrize(
    ("offsite", "expected"),
    [("ewif_l_kwh = 2.0", 2.0), ("country = 'DE'", 1.947), ("mix = {wind = 1.0, coal = 1.0}", 1.3002889)],
)
def test_water_of_a_dry_cooler_is_that_of_its_electricity(
    tmp_path: Path, offsite: str, expected: float
) -> None:
    toml = f"""
    [water.regions.frankfurt]
    source = "weather"
    base_url = "BASE"
    cooling = "dry"
    latitude = 50.0
    longitude = 8.0
    {offsite}
    """
    path = "v1/forecast?latitude=50.0000&longitude=8.0000&current=temperature_2m,relative_humidity_2m"
    with (
        serving({f"{path}&timezone=GMT": open_meteo(50.0, 8.0)}) as shelf,
        opened(tmp_path, toml, shelf) as signals,
    ):
        reading = signals.read_all(NOW, 5.0)["water", "frankfurt"]
    assert reading.value == pytest.approx(1.35 * expected, rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "body"),
    [
        ('value = "now.price"', {"now": {"price": 41.5}}),
        ('value = "0.p"\ntime = "0.t"', [{"p": 41.5, "t": "2023-07-05T14:00:00+02:00"}]),
        (
            'series = "data"\nvalue = "intensity.actual"\ntime = "from"',
            {
                "data": [
                    {"from": "2023-07-05T11:30Z", "intensity": {"actual": 12}},
                    {"from": "2023-07-05T12:00Z", "intensity": {"actual": 41.5}},
                    {"from": "2023-07-05T12:30Z", "intensity": {"actual": None}},
                    {"from": "2023-07-05T13:00Z", "intensity": {"actual": 13}},
                ]
            },
        ),
        (
            'value = "price"\ntime = "unix_seconds"\nzone_at = "zone"',
            {"zone": "DE-LU", "unix_seconds": [1688554800, 1688558400, 1688562000], "price": [1, 41.5, 2]},
        ),
    ],
)
def test_plain_json(tmp_path: Path, settings: str, body: object) -> None:
    toml = f"""
    [price.regions.frankfurt]
    source = "json"
    url = "BASE/price/{{zone}}/{{date}}?from={{hour}}"
    zone = "DE-LU"
    {settings}
    """
    files = {"price/DE-LU/2023-07-05?from=2023-07-05T12:00Z": answer(body)}
    with serving(files) as shelf, opened(tmp_path, toml, shelf) as signals:
        reading = signals.read_all(NOW, 5.0)["price", "frankfurt"]
    assert (reading.ok, reading.value, reading.at_utc) == (True, 41.5, NOW), reading.problem


def test_plain_csv_is_asked_for_once_for_all_its_columns(tmp_path: Path) -> None:
    names = fleet().regions
    rows = ["time_utc," + ",".join(names)]
    rows += [
        f"{NOW - hour(back)}Z," + ",".join(str(10 * i + back) for i in range(len(names)))
        for back in (2, 1, 0, -1)
    ]
    toml = """
    [price]
    source = "csv"
    url = "BASE/prices.csv"
    unit = "cents/kWh"
    key_env = "OTHER_KEY"
    key_param = "token"
    """
    body = "\n".join(rows).encode("utf-8-sig")
    with serving({f"prices.csv?token={SECRET}": body}) as shelf, opened(tmp_path, toml, shelf) as signals:
        found = signals.read_all(NOW, 5.0)
    assert len(shelf.asked) == 1
    assert [found["price", name].value for name in names] == [100.0 * i for i in range(len(names))]
    assert found["price", names[3]].source.endswith("cents/kWh x 10")


def test_a_file_is_played_back_by_the_clock(tmp_path: Path) -> None:
    rows = [f"{NOW + hour(h)}Z,{h + 100}" for h in range(-30, 5)]
    (tmp_path / "carbon.csv").write_text("time_utc,frankfurt\n" + "\n".join(rows))
    toml = (
        '[carbon.regions.frankfurt]\nsource = "file"\npath = "carbon.csv"\nunit = "g/kWh"\nmax_age_s = 3599\n'
    )
    with opened(tmp_path, toml) as signals:
        values = [signals.read_all(NOW + hour(h), 1.0)[DE] for h in range(8)]
    assert [reading.ok for reading in values] == [True] * 5 + [False] * 3
    assert [reading.value for reading in values[:5]] == pytest.approx([0.1 + h / 1000 for h in range(5)])
    assert "1.0 h old" in values[5].problem and values[5].fallback == "last value"


def test_what_no_settings_name_is_the_scenarios_own_series() -> None:
    scenario = fleet()
    with open_signals(None, scenario) as signals:
        for slot in (0, 1, 50, 335):
            now = scenario.times[slot] + np.timedelta64(1799, "s")
            found = signals.read_all(now, 1.0)
            assert len(found) == 30 and all(reading.ok for reading in found.values())
            for i, region in enumerate(scenario.regions):
                assert found["price", region].value == scenario.price[i, slot]
                for kind in scenario.footprints:
                    reading = found[kind.name, region]
                    assert (reading.value, reading.age_s) == (kind.intensity[i, slot], 1799.0)
        beyond = signals.read_all(scenario.times[-1] + hour(40), 1.0)["price", "mumbai"]
    assert (beyond.ok, beyond.fallback) == (False, "annual mean")
    assert beyond.value == pytest.approx(scenario.price[scenario.regions.index("mumbai")].mean())

"""Signals whose servers lag, lie and die: what is believed, what stands in, how long it takes."""

from __future__ import annotations

import gzip
import logging
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote, quote_plus

import numpy as np
import pytest
from support.http_shelf import Answer, busy_once, cut_short_once, send, serving, silent
from support.signal_servers import (
    CARBON_PATH,
    NOW,
    SECRET,
    answer,
    carbon,
    fleet,
    of_type,
    open_meteo,
    opened,
)

from eglb.foundation.errors import InputError
from eglb.live.signals import Reading, Signals, open_signals
from eglb.live.signals.electricity_maps import ElectricityMaps
from eglb.live.signals.reading import Point
from eglb.live.signals.source import secret

ELECTRICITY_MAPS = """
[carbon.regions.frankfurt]
source = "electricity_maps"
base_url = "BASE"
key_env = "MAPS_KEY"
zone = "DE"
retries = 1
backoff_s = 0.01
"""
HASTY = ELECTRICITY_MAPS + "timeout_s = 0.3\n"
DE = ("carbon", "frankfurt")
DEEP = b"[" * 200_000 + b"]" * 200_000


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAPS_KEY", "WATT_USER", "WATT_KEY"):
        monkeypatch.setenv(name, SECRET)


def hour(count: int) -> np.timedelta64:
    return np.timedelta64(count, "h")


def mean_of(kind: int, region: str) -> float:
    scenario = fleet()
    return float(scenario.footprints[kind].intensity[scenario.regions.index(region)].mean())


def drip(handler: BaseHTTPRequestHandler, attempt: int) -> None:
    """A byte now and then: never silent for long, never done."""
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(40):
            handler.wfile.write(b" ")
            time.sleep(0.05)
    except OSError:
        pass


LIES: dict[str, tuple[Answer, str]] = {
    "NaN": (carbon(g_per_kwh=float("nan")), "holds NaN"),
    "infinity": (carbon(g_per_kwh=float("-inf")), "holds -Infinity"),
    "overflow": (carbon().replace(b"302", b"1e999"), "finite number"),
    "endless digits": (carbon().replace(b"302", b"9" * 5000), "not JSON"),
    "below zero": (carbon(g_per_kwh=-1), "below zero"),
    "text": (carbon(g_per_kwh="302"), "valid number"),
    "true": (carbon(g_per_kwh=True), "valid number"),
    "null": (carbon(g_per_kwh=None), "no value"),
    "more than at_most": (carbon(g_per_kwh=302_000), "more than at_most"),
    "another zone": (carbon(zone="FR"), "not of zone DE"),
    "no zone": (answer({"carbonIntensity": 1, "datetime": "2023-07-05T12:00Z"}), "not of zone DE"),
    "other factors": (carbon(emissionFactorType="direct"), "not lifecycle"),
    "old": (carbon(at="2023-07-05T07:00:00Z"), "5.0 h old"),
    "of tomorrow": (carbon(at="2023-07-06T12:00:00Z"), "still to come"),
    "no time": (carbon(at="lately"), "datetime"),
    "no values": (answer({"zone": "DE", "history": []}), "no value"),
    "a list": (answer([1, 2]), "not as expected"),
    "rubbish": (b"\x00\xff\xfe{", "not JSON"),
    "half": (carbon()[:60], "not JSON"),
    "nothing": (b"", "not JSON"),
    "too deep": (DEEP, "not JSON"),
    "too large": (b" " * (5 << 20) + carbon(), "larger than 4 MiB"),
    "a web page": (of_type("text/html; charset=utf-8", b"<html>Log in</html>"), "web page"),
    "packed": (
        of_type("application/json", gzip.compress(b" " * (64 << 20)), Content_Encoding="gzip"),
        "packed",
    ),
    "elsewhere": (of_type("text/plain", b"", 302, Location="/elsewhere"), "redirects are not followed"),
    "forbidden": (of_type("application/json", b"{}", 403), "key is not accepted"),
    "gone": (of_type("application/json", b"{}", 410), "410"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_refused_counted_and_not_asked_for_again(tmp_path: Path, lie: str) -> None:
    body, why = LIES[lie]
    files = {CARBON_PATH: body, "elsewhere": carbon()}
    toml = ELECTRICITY_MAPS + "at_most = 5.0\n"
    with serving(files) as shelf, opened(tmp_path, toml, shelf) as signals:
        reading = signals.read_all(NOW, 5.0)[DE]
        counts = {outcome: n for (*key, outcome), n in signals.counts.items() if tuple(key) == DE}
    assert why in reading.problem
    assert shelf.asked == [CARBON_PATH]
    assert (reading.ok, counts) == (False, {"refused": 1})
    if lie == "old":  # no present value, but the last one there is
        assert (reading.fallback, reading.value, reading.age_s) == (
            "last value",
            pytest.approx(0.302),
            18_000.0,
        )
    else:
        assert (reading.fallback, reading.value) == ("annual mean", pytest.approx(mean_of(1, "frankfurt")))
        assert (reading.at_utc, reading.age_s) == (None, None)


@pytest.mark.parametrize("make", [busy_once, cut_short_once])
def test_what_passes_is_asked_for_again(tmp_path: Path, make: Callable[[bytes], Answer]) -> None:
    files = {CARBON_PATH: make(carbon())}
    with serving(files) as shelf, opened(tmp_path, ELECTRICITY_MAPS, shelf) as signals:
        reading = signals.read_all(NOW, 5.0)[DE]
    assert (reading.ok, reading.value, len(shelf.asked)) == (True, pytest.approx(0.302), 2)


def test_a_busy_server_is_given_the_time_it_asks_for(tmp_path: Path) -> None:
    busy = of_type("text/plain", b"", 429, Retry_After="1")
    files = {
        CARBON_PATH: lambda handler, attempt: (
            busy(handler, attempt) if attempt == 1 else send(handler, carbon())
        )
    }
    with serving(files) as shelf, opened(tmp_path, ELECTRICITY_MAPS, shelf) as signals:
        began = time.monotonic()
        reading = signals.read_all(NOW, 5.0)[DE]
        took = time.monotonic() - began
    assert (reading.ok, len(shelf.asked)) == (True, 2) and took >= 1.0


@pytest.mark.parametrize("lag", [silent(1.0), drip], ids=["silent", "drip"])
def test_a_laggard_is_given_up_after_its_tries(tmp_path: Path, lag: Answer) -> None:
    with serving({CARBON_PATH: lag}) as shelf, opened(tmp_path, HASTY, shelf) as signals:
        began = time.monotonic()
        reading = signals.read_all(NOW, 5.0)[DE]
        took = time.monotonic() - began
    assert len(shelf.asked) == 2 and 0.6 <= took < 2.0
    assert "no whole answer within 0.3 s, 2 tries" in reading.problem
    assert (reading.ok, reading.fallback) == (False, "annual mean")


def test_all_of_a_slot_are_read_before_its_deadline(tmp_path: Path) -> None:
    toml = "[defaults]\ntimeout_s = 60\n[price]\nsource = 'json'\nurl = 'BASE/{zone}'\nvalue = 'v'\n"
    toml += "[price.regions]\n"
    toml += "".join(f"{region} = {{zone = '{region}'}}\n" for region in fleet().regions)
    files: dict[str, Answer] = {region: silent(4.0) for region in fleet().regions}
    files["tokyo"] = answer({"v": 7})
    with serving(files) as shelf, opened(tmp_path, toml, shelf) as signals:
        began = time.monotonic()
        found = signals.read_all(NOW, 1.0)
        took = time.monotonic() - began
        late = {region for (_, region, outcome) in signals.counts if outcome == "late"}
        shelf.files.update(dict.fromkeys(fleet().regions, answer({"v": 8})))
        again = signals.read_all(NOW, 5.0)
    assert 1.0 <= took < 2.5
    assert len(found) == 30
    assert found["price", "tokyo"].value == 7.0
    assert late == set(fleet().regions) - {"tokyo"}
    assert "within the 1 s of a slot" in found["price", "mumbai"].problem
    assert [again["price", region].value for region in fleet().regions] == [8.0] * 10
    assert all(np.isfinite(reading.value) for reading in found.values())


def test_fallbacks_follow_each_other_when_a_server_dies(tmp_path: Path) -> None:
    series = [
        {"carbonIntensity": 100 + h, "datetime": f"{NOW + hour(h)}Z", "emissionFactorType": "lifecycle"}
        for h in range(-23, 1)
    ]
    toml = ELECTRICITY_MAPS + 'endpoint = "history"\nhold_s = 10800\n'
    path = CARBON_PATH.replace("latest", "history")
    with serving({path: answer({"zone": "DE", "history": series})}) as shelf:
        signals = opened(tmp_path, toml, shelf)
        good = signals.read_all(NOW, 5.0)[DE]
    # The server is gone, its port closed.
    with signals:
        after = {h: signals.read_all(NOW + hour(h), 5.0)[DE] for h in (1, 3, 4, 23, 24, 49)}
    assert good.ok
    assert "nobody answers there, 2 tries" in after[1].problem
    assert [after[h].fallback for h in (1, 3)] == ["last value"] * 2
    assert [after[h].value for h in (1, 3)] == pytest.approx([0.1, 0.1])
    assert [after[h].age_s for h in (1, 3)] == [3600.0, 10_800.0]
    assert [after[h].fallback for h in (4, 23, 24)] == ["same hour yesterday"] * 3
    assert [after[h].value for h in (4, 23, 24)] == pytest.approx([0.080, 0.099, 0.100])
    assert after[4].at_utc == NOW - hour(20)
    assert (after[49].fallback, after[49].value) == ("annual mean", pytest.approx(mean_of(1, "frankfurt")))


def test_the_order_of_fallbacks_is_the_settings(tmp_path: Path) -> None:
    toml = ELECTRICITY_MAPS + 'fallback = ["same hour yesterday", "last value"]\nannual_mean = 0.5\n'
    with serving({}) as shelf, opened(tmp_path, toml, shelf) as signals:
        nothing = signals.read_all(NOW, 5.0)[DE]
        signals.remember(*DE, NOW - hour(24), 0.11)
        signals.remember(*DE, NOW - hour(1), 0.22)
        yesterday, last = (signals.read_all(NOW + hour(h), 5.0)[DE] for h in (0, 2))
    assert np.isnan(nothing.value) and (nothing.fallback, nothing.ok) == (None, False)
    assert "404" in nothing.problem
    assert (yesterday.fallback, yesterday.value) == ("same hour yesterday", 0.11)
    assert (last.fallback, last.value, last.age_s) == ("last value", 0.22, 10_800.0)


def test_a_forecast_that_starts_in_some_minutes_is_a_last_value(tmp_path: Path) -> None:
    with serving({CARBON_PATH: carbon(at="2023-07-05T12:05:00Z")}) as shelf:
        signals = opened(tmp_path, ELECTRICITY_MAPS, shelf)
        good = signals.read_all(NOW, 5.0)[DE]
    with signals:
        bad = signals.read_all(NOW + hour(1), 5.0)[DE]
    assert (good.ok, good.age_s) == (True, 0.0)
    assert (bad.fallback, bad.value, bad.age_s) == ("last value", good.value, 3300.0)


def test_no_slot_is_lost_to_an_error_that_nobody_foresaw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> list[Point]:
        raise KeyError(SECRET)

    monkeypatch.setattr(ElectricityMaps, "points", broken)
    with serving({}) as shelf, opened(tmp_path, ELECTRICITY_MAPS, shelf) as signals:
        found = signals.read_all(NOW, 5.0)
        assert signals.counts[*DE, "failed"] == 1
    assert (found[DE].fallback, found[DE].problem) == ("annual mean", "cannot be read (KeyError)")
    assert sum(reading.ok for reading in found.values()) == 29


def test_a_signal_that_is_silenced_is_not_asked(tmp_path: Path) -> None:
    with serving({CARBON_PATH: carbon()}) as shelf, opened(tmp_path, ELECTRICITY_MAPS, shelf) as signals:
        signals.silenced = {DE: "rehearsed silence"}
        silent_one = signals.read_all(NOW, 5.0)[DE]
        assert shelf.asked == []
        signals.silenced = {}
        assert signals.read_all(NOW, 5.0)[DE].ok
    assert (silent_one.fallback, silent_one.problem) == ("annual mean", "rehearsed silence")


def test_a_given_annual_mean_goes_before_the_scenarios(tmp_path: Path) -> None:
    toml = ELECTRICITY_MAPS + 'fallback = ["annual mean"]\nannual_mean = 0.5\n'
    with serving({CARBON_PATH: carbon()}) as shelf, opened(tmp_path, toml, shelf) as signals:
        assert signals.read_all(NOW, 5.0)[DE].ok
        shelf.files.clear()
        reading = signals.read_all(NOW, 5.0)[DE]
    assert (reading.fallback, reading.value) == ("annual mean", 0.5)


WEATHER_LIES: dict[str, tuple[bytes, str]] = {
    "another place": (open_meteo(10.0, 8.0), "is of 10, 8"),
    "too hot": (open_meteo(50.0, 8.0, temp_c=81.5), "no weather"),
    "too humid": (open_meteo(50.0, 8.0, rh_pct=101), "no weather"),
    "in Fahrenheit": (
        open_meteo(50.0, 8.0, current_units={"temperature_2m": "°F", "relative_humidity_2m": "%"}),
        "not in UTC, C and %",
    ),
    "by another clock": (open_meteo(50.0, 8.0, utc_offset_seconds=7200), "not in UTC, C and %"),
    "without humidity": (open_meteo(50.0, 8.0, rh_pct=None), "relative_humidity_2m"),
}


@pytest.mark.parametrize("lie", WEATHER_LIES)
def test_weather_that_cannot_be_is_refused(tmp_path: Path, lie: str) -> None:
    body, why = WEATHER_LIES[lie]
    toml = """
    [water.regions.frankfurt]
    source = "weather"
    base_url = "BASE"
    latitude = 50.0
    longitude = 8.0
    ewif_l_kwh = 1.0
    """
    path = "v1/forecast?latitude=50.0000&longitude=8.0000&current=temperature_2m,relative_humidity_2m"
    with serving({f"{path}&timezone=GMT": body}) as shelf, opened(tmp_path, toml, shelf) as signals:
        reading = signals.read_all(NOW, 5.0)["water", "frankfurt"]
        assert signals.counts["water", "frankfurt", "refused"] == 1
    assert why in reading.problem
    assert (reading.fallback, reading.value) == ("annual mean", pytest.approx(mean_of(0, "frankfurt")))


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (b"time_utc,frankfurt\n2023-07-05T12:00Z,nan\n", "no number"),
        (b"time_utc,frankfurt\n2023-07-05T12:00Z,many\n", "row 2"),
        (b"time_utc,frankfurt\nnoon,1\n", "row 2"),
        (b"time_utc,frankfurt\n2023-07-05T12:00Z\n", "row 2"),
        (b"time_utc,tokyo\n2023-07-05T12:00Z,1\n", "no table with a column frankfurt"),
        (b"time_utc,frankfurt\n", "no value"),
        (b'time_utc,frankfurt\n"2023', "not CSV"),
        (b"\xff\xfe\x00", "not CSV"),
        (b"<html><body>Log in</body></html>", "no table with a column time_utc"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path: Path, table: bytes, why: str) -> None:
    toml = "[price.regions.frankfurt]\nsource = 'csv'\nurl = 'BASE/p.csv'\n"
    with serving({"p.csv": table}) as shelf, opened(tmp_path, toml, shelf) as signals:
        reading = signals.read_all(NOW, 5.0)["price", "frankfurt"]
    assert (reading.ok, reading.fallback) == (False, "annual mean")
    assert why in reading.problem


def test_a_dead_signal_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving({}) as shelf, opened(tmp_path, ELECTRICITY_MAPS, shelf) as signals:
        for h in range(5):
            signals.read_all(NOW + hour(h), 5.0)
        shelf.files[CARBON_PATH] = carbon(at=f"{NOW + hour(5)}Z")
        signals.read_all(NOW + hour(5), 5.0)
        del shelf.files[CARBON_PATH]
        signals.read_all(NOW + hour(6), 5.0)
        counts = [signals.counts[*DE, outcome] for outcome in ("ok", "refused")]
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert counts == [1, 6] and len(warned) == 2
    assert "carbon of frankfurt" in warned[0] and "annual mean stands in" in warned[0]
    assert "last value stands in" in warned[1]


def echo(handler: BaseHTTPRequestHandler, attempt: int) -> None:
    """Tells everybody what it was sent, wherever there is room for it."""
    sent = handler.headers.get("auth-token") or handler.headers.get("Authorization") or handler.path
    body = {
        "zone": "DE",
        "emissionFactorType": sent,
        "datetime": sent,
        "carbonIntensity": sent,
        "powerConsumptionBreakdown": {sent: sent},
        "price": sent,
        "token": SECRET,
        "meta": {"region": SECRET, "signal_type": SECRET, "units": SECRET},
        "data": [],
    }
    send(handler, answer(body))


def test_no_key_is_ever_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    toml = """
    [defaults]
    timeout_s = 0.3
    retries = 0
    [carbon.regions]
    frankfurt = {source = "electricity_maps", base_url = "BASE/echo", key_env = "MAPS_KEY", zone = "DE"}
    tokyo = {source = "electricity_maps", base_url = "BASE/forbidden", key_env = "MAPS_KEY", zone = "JP"}
    mumbai = {source = "electricity_maps", base_url = "http://127.0.0.1:1", key_env = "MAPS_KEY", zone = "IN"}
    sydney = {source = "electricity_maps", base_url = "BASE/silent", key_env = "MAPS_KEY", zone = "AU"}
    singapore = {source = "fuel_mix", grid = {base_url = "BASE/echo", key_env = "MAPS_KEY", zone = "DE"}}
    [price.regions]
    frankfurt = {source = "json", url = "BASE/echo", value = "price", key_env = "WATT_KEY", key_param = "k"}
    tokyo = {source = "json", url = "BASE/echo?a=1", value = "no", key_env = "WATT_KEY", key_param = "k"}
    [carbon.regions.california]
    source = "watttime"
    base_url = "BASE/echo"
    user_env = "WATT_USER"
    key_env = "WATT_KEY"
    region = "C"
    """
    paths = [
        "echo/v3/carbon-intensity/latest?zone=DE&emissionFactorType=lifecycle",
        "echo/v3/power-breakdown/latest?zone=DE",
        "echo/login",
        "echo/v3/forecast?region=C&signal_type=co2_moer&horizon_hours=0",
        f"echo?k={SECRET}",
        f"echo?a=1&k={SECRET}",
    ]
    files: dict[str, Answer] = dict.fromkeys(paths, echo)
    files["forbidden/v3/carbon-intensity/latest?zone=JP&emissionFactorType=lifecycle"] = of_type(
        "application/json", SECRET.encode(), 403, X_Key=SECRET
    )
    files["silent/v3/carbon-intensity/latest?zone=AU&emissionFactorType=lifecycle"] = silent(0.6)
    with serving(files) as shelf, opened(tmp_path, toml, shelf) as signals:
        found = signals.read_all(NOW, 5.0)
        shown = [repr(signals), str(vars(signals)), repr(found), repr(list(signals.counts)), caplog.text]
        asked = list(shelf.asked)
    assert sorted(asked) == sorted(files), "every server was asked, with the key"
    failed: list[Reading] = [reading for reading in found.values() if not reading.ok]
    assert len(failed) == 8 and all(reading.problem for reading in failed)
    assert "HTTP Request: GET" in caplog.text, "httpx logs what it does"
    for key in (
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        "nobody+may",
        "nobody%2Bmay",
    ):
        assert not [text for text in shown if key in text]
    assert SECRET not in repr(secret("MAPS_KEY"))


@pytest.mark.parametrize(
    ("value", "why"), [("", "not set"), ("  ", "not set"), ("a\nb", "no key"), ("schlüssel", "no key")]
)
def test_keys_that_are_none_are_found_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, why: str
) -> None:
    monkeypatch.setenv("MAPS_KEY", value)
    with pytest.raises(InputError) as raised:
        opened(tmp_path, ELECTRICITY_MAPS.replace("BASE", "https://example.org"))
    (problem,) = raised.value.problems
    assert "[carbon.regions.frankfurt], key key_env" in problem and why in problem
    assert not value.strip() or value not in problem


WRONG = """
[defaults]
timeout = 3
retries = 1

[priec]
source = "json"

[price]
source = "json"
url = "ftp://example.org"
value = "price"
unit = "EUR/MWh"
key_header = "X-Key"

[carbon]
source = "electricity_maps"
key_env = "MAPS_KEY"
max_age_s = -1

[carbon.regions]
frankfrut = {zone = "DE"}
mumbai = {source = "electricity_map", zone = "IN"}
sydney = {source = "json", url = "http://user:s3cr3t-k3y@example.org", value = "v"}
singapore = {source = "json", url = "http://example.org", value = "v", key_env = "MAPS_KEY", key_param = "k"}
virginia = {source = "file", path = "nowhere.csv"}
california = {source = "fuel_mix", mix = {lignite = 1.0}}
aragon = {source = "scenario", fallback = ["guess"]}
sao-paulo = "BR"

[carbon.regions.tokyo]
source = "watttime"
region = "JP"
user_env = "WATT_USER"
key_env = "s3cr3t-k3y"
signal_type = "co2_aoer"

[water]
source = "weather"
elevation_m = "high"
"""


def test_all_that_is_wrong_with_settings_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        opened(tmp_path, WRONG)
    problems = raised.value.problems
    assert raised.value.exit_code == 2 and len(set(problems)) == len(problems)
    path = tmp_path / "signals.toml"
    assert all(problem.startswith(f"{path}: [") for problem in problems)
    for expected in [
        "[defaults], key timeout: is not read here",
        "[priec]: is no signal of world10; did you mean price?",
        "[price], key url: is no address",
        "[price], key unit: 'EUR/MWh' is not known for USD/MWh",
        "[price], key key_env: goes with one of key_header and key_param",
        "[carbon.regions.frankfrut]: is no region of world10; did you mean frankfurt?",
        "[carbon], key max_age_s: -1: input should be greater than 0",
        "[carbon], key zone: is missing",
        "[carbon.regions.tokyo], key signal_type: 'co2_aoer' is historical only",
        "[carbon.regions.tokyo], key key_env: names an environment variable that is not set",
        "[carbon.regions.mumbai], key source: 'electricity_map' is none of 'electricity_maps'",
        "[carbon.regions.sydney], key url: has a user in it",
        "[carbon.regions.singapore], key url: would send the key in the clear",
        "[carbon.regions.virginia], key path: nowhere.csv",
        "[carbon.regions.california], key mix: 'lignite' is no fuel",
        "[carbon.regions.aragon], key fallback.0: 'guess'",
        "[carbon.regions.sao-paulo]: must be a table",
        "[water], key elevation_m: 'high'",
    ]:
        assert [problem for problem in problems if expected in problem], (expected, problems)
    assert not [problem for problem in problems if "s3cr3t" in problem]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "no such file"),
        (b"[price", "not valid TOML"),
        (b"\xff", "not UTF-8"),
        (b"price = 1", "must be a table"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "signals.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=why):
        open_signals(path, fleet())


def test_the_example_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[3] / "docs" / "signals.md").read_text("utf-8")
    example = text.split("```toml\n")[1].split("```")[0]
    for name in ("ELECTRICITY_MAPS_KEY", "WATTTIME_USER", "WATTTIME_PASSWORD"):
        assert name in example
        monkeypatch.setenv(name, SECRET)
    (tmp_path / "signals.toml").write_text(example, encoding="utf-8")
    signals: Signals = open_signals(tmp_path / "signals.toml", fleet())
    signals.close()

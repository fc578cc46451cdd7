"""What builders make of sources: small ones whose files are known, and real files taken apart."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from eglb.foundation.errors import InputError
from eglb.scenarios.data_sets import manifest
from eglb.scenarios.data_sets.builders import (
    balancing,
    fuelmix,
    latency,
    paper10,
    prices,
    regions,
    requests,
    servegen,
)
from eglb.scenarios.data_sets.builders import world16 as world16_set
from eglb.scenarios.data_sets.sets import AZURE, CLUSTER, DCRL, MAPS, MOONCAKE, PAPER, POTENTIAL, SERVEGEN
from eglb.scenarios.data_sets.text_tables import Sources, quoted, write_rows


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path / "sources")


def put(sources: Sources, repository: str, path: str, text: str) -> None:
    place = sources.path(repository, path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, "utf-8")


def table(path: Path) -> list[list[str]]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    return list(csv.reader(text.splitlines()))


def test_cells_survive_being_written_and_read(tmp_path: Path) -> None:
    rows = [["a,b", 'say "so"', ""], ["1.0", "Zürich", "x"]]
    write_rows(tmp_path / "t.csv", ["p", "q", "r"], rows)
    assert table(tmp_path / "t.csv") == [["p", "q", "r"], *rows]
    assert quoted("plain") == "plain"


# Prices ------------------------------------------------------------------------------------------


def naive_on_a_line(values: list[float]) -> list[float]:
    out = list(values)
    for i, value in enumerate(values):
        before = max((j for j in range(i) if np.isfinite(values[j])), default=None)
        after = min((j for j in range(i, len(values)) if np.isfinite(values[j])), default=None)
        if np.isnan(value) and before is not None and i - before <= 3:
            ends = values[before], values[before if after is None else after]
            out[i] = ends[0] + (ends[1] - ends[0]) * (
                0.0 if after is None else (i - before) / (after - before)
            )
    return out


@pytest.mark.parametrize("seed", range(5))
def test_gaps_begin_on_a_line(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = np.where(random.random(60) < 0.6, np.nan, random.normal(size=60))
    assert_allclose(prices.on_a_line(values), naive_on_a_line(list(values)), rtol=1e-12)


def test_hours_that_a_clock_skips_or_repeats_are_left_out() -> None:
    day = [[f"2022-03-27 {hour:02}:00:00", str(hour)] for hour in range(24)]
    spring = prices._hourly(day, "Europe/Paris")[-22:]
    # 02:00 does not exist: 01:00 is midnight UTC, 03:00 is one o'clock.
    assert_array_equal(spring, [1, *range(3, 24)])
    day = [[f"2022-10-30 {hour:02}:00:00", str(hour)] for hour in range(24)]
    autumn = prices._hourly(day, "Europe/Paris")[-24:]
    # 02:00 comes twice, at midnight and at one o'clock UTC: which of them the source has is unknown.
    assert_array_equal(autumn, [1, np.nan, np.nan, *range(3, 24)])


def test_a_clock_written_in_the_file_counts_and_doubled_hours_are_averaged() -> None:
    rows = [
        ["2020-01-01 00:00:00-06:00", "5"],
        ["2020-01-01 00:00:00-06:00", "7"],
        ["2020-01-01 01:00:00-06:00", "9"],
    ]
    assert_array_equal(prices._hourly(rows, 0.0)[6:], [6, 9])


def test_a_clock_half_an_hour_off_has_the_mean_of_both_sides() -> None:
    rows = [[f"2020-01-01 {hour:02}:00:00", str(float(hour**2))] for hour in range(10)]
    found = prices._hourly(rows, 5.5)
    # 05:00 and 06:00 there are 23:30 and 00:30 UTC.
    assert_allclose(found, [(5**2 + 6**2) / 2, (6**2 + 7**2) / 2, (7**2 + 8**2) / 2, (8**2 + 9**2) / 2])


def test_prices_in_dollars_with_their_gaps_filled_from_other_days(sources: Sources) -> None:
    hours = np.datetime64("2020-01-01T09", "h") + np.arange(24 * 14)  # Korea is nine hours ahead
    gap = range(100, 130)
    for year in prices.YEARS:
        rows = [
            f"{str(hour)[:10]} {str(hour)[11:]}:00:00,{1000.0 * (i % 24 + 1)}"
            for i, hour in enumerate(hours)
            if year == 2020 and i not in gap
        ]
        put(sources, CLUSTER, prices._path("KR", year), "\n".join(["Datetime,Price", *rows]) + "\n")
    found = prices.usd_per_mwh(sources, "KR")
    daily = np.round(1000.0 * (np.arange(24 * 14) % 24 + 1) / 1179.2, 2)
    assert_array_equal(found[: gap[0]], daily[: gap[0]])
    assert_array_equal(found[gap[-1] + 1 :], daily[gap[-1] + 1 :])
    line = np.interp([100, 101, 102], [99, 130], 1000.0 * np.array([99 % 24 + 1, 130 % 24 + 1]) / 1179.2)
    assert_array_equal(found[100:103], np.round(line, 2))
    assert_array_equal(found[103:124], daily[103:124])  # a day before
    assert_array_equal(found[124:127], found[100:103])  # a day before, where it was on the line
    assert_array_equal(found[127:130], daily[127:130])  # two days before


# Other sets --------------------------------------------------------------------------------------


def test_the_published_case_taken_apart_is_put_together_byte_for_byte(
    data_directory: Path, sources: Sources, tmp_path: Path
) -> None:
    folder = data_directory / "paper10"
    heading, *rows = table(folder / "paper10_2022.csv")
    series = {name: [(row[0], row[i]) for row in rows] for i, name in enumerate(heading)}

    def put_series(path: str, name: str) -> None:
        put(sources, PAPER, path, "Time (UTC),x\n" + "".join(f"{time},{v}\n" for time, v in series[name]))

    put_series(paper10.WORKLOAD, "workload_w")
    for region in paper10.REGIONS:
        for name, path in paper10.SERIES:
            put_series(path.format("Belguim" if region == "Belgium" else region), f"{region}.{name}")
    pairs = {tuple(row) for row in table(folder / "reach_partial.csv")[1:]}
    mask = [[int((f"gw-{g}", r) in pairs) for g in paper10.REGIONS] for r in paper10.REGIONS]
    put(sources, PAPER, paper10.MASK, f"## Mask\nmask = np.array({mask})\n")
    paper10.build(sources, data_directory, tmp_path)
    for name in ("paper10_2022.csv", "reach_partial.csv"):
        assert (tmp_path / "paper10" / name).read_bytes() == (folder / name).read_bytes()
    put(sources, PAPER, paper10.MASK, "no mask here\n")
    with pytest.raises(InputError, match="holds no mask of 10 rows of 10"):
        paper10.build(sources, data_directory, tmp_path)


def test_round_trips_taken_apart_are_put_together_byte_for_byte(
    data_directory: Path, sources: Sources, tmp_path: Path
) -> None:
    path = data_directory / "latency" / "gcp_rtt_ms.csv"
    (_, *names), *rows = table(path)
    pairs = [f"{a},{b},{float(ms):g}" for a, *row in rows for b, ms in zip(names, row, strict=True) if ms]
    pairs.sort(key=hash)
    put(
        sources, POTENTIAL, latency.PAIRS, "\n".join(["sending_region,receiving_region,milliseconds", *pairs])
    )
    latency.build(sources, data_directory, tmp_path)
    assert (tmp_path / "latency" / "gcp_rtt_ms.csv").read_bytes() == path.read_bytes()


def test_requests_have_seconds_since_the_first(sources: Sources, tmp_path: Path) -> None:
    for service in requests.SERVICES:
        rows = "2023-11-16 18:17:03.9799600,4808,10\r\n2023-11-16 18:17:04.0319600,3180,8\r\n\r\n"
        put(
            sources, AZURE, requests.azure_path(service), "TIMESTAMP,ContextTokens,GeneratedTokens\r\n" + rows
        )
    lines = [{"timestamp": t, "input_length": t + 1, "output_length": 5, "hash_ids": [1]} for t in (0, 27)]
    put(sources, MOONCAKE, requests.CONVERSATION, "\n".join(map(json.dumps, lines)) + "\n")
    requests.build(sources, tmp_path, tmp_path)
    assert table(tmp_path / "llm" / "azure_llm_2023_conv.csv.gz")[1:] == [
        ["0.0", "4808", "10"],
        ["0.052", "3180", "8"],
    ]
    assert table(tmp_path / "llm" / "mooncake_conversation.csv.gz")[1:] == [
        ["0", "1", "5"],
        ["27", "28", "5"],
    ]


def test_rates_are_summed_and_tokens_weighted_by_the_clients_that_tell_them(
    sources: Sources, tmp_path: Path
) -> None:
    rates = {3: [1.0] * 72, 11: [3.0] * 36 + [0.0] * 36, 20: [2.0] * 72}
    for model, (category, entered) in servegen.MODELS.items():
        folder = f"data/{category}/{model}"
        for client, rate in rates.items():
            text = "".join(f"{600 * i},{r},0,Gamma,1,1\n" for i, r in enumerate(rate))
            put(sources, SERVEGEN, f"{folder}/chunk-{client}-trace.csv", text)
        told = {3: "{100: 0.5, 300: 0.5}", 11: "{1000: 1e-0}"}
        for client, distribution in told.items():
            window = {entered: distribution, "output_tokens": "{10: 1.0}"}
            windows = {"0": window, "21600": window if client == 3 else dict.fromkeys(window, "{}")}
            put(sources, SERVEGEN, f"{folder}/chunk-{client}-dataset.json", json.dumps(windows))
    servegen.build(sources, tmp_path, tmp_path)
    rows = [row for row in table(tmp_path / "llm" / "servegen_10min.csv") if row[1] == "m-mid"]
    assert len(rows) == 72
    assert rows[0] == ["0", "m-mid", "6.0", "800.0", "10.0", "0.667"]  # (1 x 200 + 3 x 1000) / 4
    assert rows[71] == ["42600", "m-mid", "3.0", "200.0", "10.0", "0.333"]
    clients = table(tmp_path / "llm" / "servegen_m-mid_clients_hourly.csv.gz")
    assert clients[0] == ["hour", "c20", "c11", "c3"] and clients[6] == ["5", "2.0", "3.0", "1.0"]
    assert clients[7] == ["6", "2.0", "0.0", "1.0"]


def test_weather_of_a_clock_half_an_hour_off_lies_between(sources: Sources) -> None:
    times = np.datetime64("2021-01-01T00", "h") + np.arange(8)
    place = {
        "latitude": 19.1,
        "longitude": 72.9,
        "elevation": 9.0,
        "timezone": "Asia/Kolkata",
        "utc_offset_seconds": 19800,
    }
    hourly = {"time": [f"{t}:00" for t in times], "temperature_2m": [10.0 + i for i in range(8)]}
    hourly["relative_humidity_2m"] = [50.0 + 2 * i for i in range(8)]
    put(sources, CLUSTER, world16_set.weather_path("IN-WE", 2021), json.dumps(place | {"hourly": hourly}))
    found = world16_set.weather(sources, "IN-WE")
    assert_allclose(found.temp_c[:2], [15.5, 16.5])
    assert_allclose(found.rh_pct[:2], [61.0, 63.0])


def test_water_of_a_fuel_mix_is_that_of_its_fuels(sources: Sources, tmp_path: Path) -> None:
    for name in balancing.AUTHORITIES:
        text = "timestamp,WND,SUN,WAT,OIL,NG,COL,NUC,OTH,avg_CI\n"
        text += (
            "2022-01-01 00:00:00+00:00,0,0,0,0,0,0,50,0,15.0\n2022-01-01 01:00:00+00:00,0,0,30,0,10,0,,0,\n"
        )
        put(sources, DCRL, balancing.source_path(name), text)
    balancing.build(sources, tmp_path, tmp_path)
    _, first, second, *_ = table(tmp_path / "us_ba_2022" / "us_ba_fuelmix_2022.csv.gz")
    assert first == [
        "2022-01-01T00:00",
        "AZPS",
        *["0.0", "0.0", "0.0", "0.0", "0.0", "0.0", "50.0", "0.0", "15.0", "2.2712"],
    ]
    assert second[8:] == ["", "0.0", "", ""]


def test_zones_without_a_mix_of_their_year_are_named(
    sources: Sources, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = "config/zones/XX.yaml"
    monkeypatch.setattr(manifest, "sources", lambda: (manifest.Source("fuelmix", MAPS, path, 1, "0" * 64),))
    ratios = "[{{datetime: '{}-01-01', value: {{coal: 0.5, hydro: 0.5}}}}]"
    mix = f"fallbackZoneMixes: {{{{powerOriginRatios: {ratios}}}}}"
    put(sources, MAPS, path, mix.format(2022))
    fuelmix.build(sources, tmp_path, tmp_path)
    (row,) = table(tmp_path / "zones123" / "zones_fuel_mix_2022.csv")[1:]
    assert row[:3] == ["XX", "2022", "0.5"] and row[-3:] == ["0.8517", "9.8004", "1.3003"]
    put(sources, MAPS, path, mix.format(2021))
    with pytest.raises(InputError, match=r"XX of .* has no fuel mix of 2022"):
        fuelmix.build(sources, tmp_path, tmp_path)


def test_the_last_year_that_tells_is_taken() -> None:
    rows = [
        {"year": y, "pue": p} for y, p in (("2024", ""), ("2023", "1.2"), ("2023", "1.3"), ("2022", "1.1"))
    ]
    assert regions._latest(rows, "pue") == ("1.3", "2023")
    assert regions._latest(rows[:1], "pue") == ("", "")

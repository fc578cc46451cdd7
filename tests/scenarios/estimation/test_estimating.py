"""From cooling, weather and fuel mix to footprint tables: the numbers, the hours, and what can be wrong."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eglb.foundation.errors import InputError
from eglb.scenarios.estimation.estimating import WRITTEN, Method, estimate, write
from eglb.scenarios.folder import reading
from eglb.scenarios.folder.writing import new
from eglb.scenarios.physics.cooling import tower_wue
from eglb.scenarios.physics.electricity import AUTHORS_WATER, IPCC_CARBON, MACKNICK_WATER, water_intensity
from eglb.scenarios.physics.weather import wet_bulb_c

HOURS = 72  # the example's demand has the first 48 of them
REGIONS = ("oregon", "texas", "virginia")
MIX = {
    "oregon": {"coal": 0.1, "gas": 0.3, "hydro": 0.5, "wind": 0.1},
    "texas": {"coal": 20.0, "gas": 45.0, "hydro": 0.0, "wind": 35.0},
    "virginia": {"coal": 1.0, "gas": 0.0, "hydro": 0.0, "wind": 0.0},
}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def hour(h: int) -> str:
    return f"2024-07-{1 + h // 24:02d}T{h % 24:02d}:00Z"


def weather(h: int, region: str) -> tuple[float, float]:
    place = REGIONS.index(region)
    return round(20 + 4 * place + 6 * np.cos(h * np.pi / 12), 2), round(50 + 5 * place - 10 * np.cos(h), 2)


def add_columns(folder: Path, **columns: list[Any]) -> None:
    rows = read_rows(folder / "regions.csv")
    write_rows(
        folder / "regions.csv", [row | {c: v[i] for c, v in columns.items()} for i, row in enumerate(rows)]
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example fleet without footprints, with weather (wide) and one fuel mix for all hours."""
    fleet = tmp_path / "fleet"
    new(fleet)
    (fleet / "water.csv").unlink()
    (fleet / "carbon.csv").unlink()
    rows = []
    for h in range(HOURS):
        cells = {}
        for region in REGIONS:
            cells[f"{region}.temp_c"], cells[f"{region}.rh_pct"] = weather(h, region)
        rows.append({"time_utc": hour(h)} | cells)
    write_rows(fleet / "weather.csv", rows)
    write_rows(fleet / "fuel_mix.csv", [{"region": region, **mix} for region, mix in MIX.items()])
    return fleet


def problems(folder: Path, method: Method | None = None) -> list[str]:
    with pytest.raises(InputError) as caught:
        estimate(folder, method or Method())
    return [problem.removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_numbers_by_region(folder: Path) -> None:
    """Towers at two elevations and a dry region, each against its formula."""
    add_columns(folder, cooling=["tower", "Tower", "dry"], elevation_m=[1500, "", ""], cycles=["", 4, ""])
    found = estimate(folder, Method())
    assert found.regions == REGIONS and len(found.times) == 48
    temp, rh = np.array([[weather(h, r) for h in range(48)] for r in REGIONS]).transpose(2, 0, 1)
    np.testing.assert_allclose(found.onsite.central[0], tower_wue(wet_bulb_c(temp[0], rh[0], 1500.0)))
    np.testing.assert_allclose(found.onsite.central[1], tower_wue(wet_bulb_c(temp[1], rh[1]), 4.0))
    assert (found.onsite.central[2] == 0.0).all() and (found.onsite.high[2] == 0.05).all()
    coal, gas = MACKNICK_WATER["coal"].central, MACKNICK_WATER["gas"].central
    np.testing.assert_allclose(
        found.offsite.central[:, 0], [0.1 * coal + 0.3 * gas, 0.2 * coal + 0.45 * gas, coal]
    )
    pue = np.array([1.12, 1.2, 1.15])[:, None]
    np.testing.assert_allclose(found.water.central, found.onsite.central + pue * found.offsite.central)
    assert found.carbon.central[2] == pytest.approx(np.full(48, 0.82))
    for kind in (found.water, found.carbon):
        assert (kind.low <= kind.central).all() and (kind.central <= kind.high).all()
        assert kind.low.shape == (3, 48)


def test_a_published_mean_is_met_over_all_weather_given(folder: Path) -> None:
    add_columns(folder, cooling=["tower", "constant", ""], wue_l_kwh=[0.5, 0.25, ""])
    found = estimate(folder, Method())
    temp, rh = np.array([weather(h, "oregon") for h in range(HOURS)]).T
    curve = tower_wue(wet_bulb_c(temp, rh))
    np.testing.assert_allclose(found.onsite.central[0], (0.5 * curve / curve.mean())[:48])
    assert (found.onsite.central[1] == 0.25).all()


def test_long_weather_and_hourly_mix_in_any_order_are_the_same(folder: Path) -> None:
    expected = estimate(folder, Method())
    rows = [
        {"time_utc": hour(h), "region": r, "temp_c": weather(h, r)[0], "rh_pct": weather(h, r)[1]}
        for h in range(HOURS)
        for r in REGIONS
    ]
    write_rows(folder / "weather.csv", rows[::-1])
    rows = [{"time_utc": hour(h), "region": r, **MIX[r]} for r in REGIONS for h in range(HOURS)]
    write_rows(folder / "fuel_mix.csv", rows)
    found = estimate(folder, Method())
    np.testing.assert_allclose(found.water.high, expected.water.high, rtol=1e-12)
    np.testing.assert_allclose(found.carbon.low, expected.carbon.low, rtol=1e-12)


def test_reservoirs_and_other_tables(folder: Path) -> None:
    without = estimate(folder, Method()).offsite.central[0, 0]
    counted = estimate(folder, Method(hydro=True)).offsite
    assert counted.central[0, 0] - without == pytest.approx(0.5 * MACKNICK_WATER["hydro"].central)
    authors = estimate(folder, Method(water="ren", carbon="ren"))
    mix = {fuel: np.array([MIX[r][fuel] for r in REGIONS]) for fuel in MIX["oregon"]}
    np.testing.assert_allclose(authors.offsite.central[:, 0], water_intensity(mix, AUTHORS_WATER).central)
    assert authors.carbon.central[2, 0] == pytest.approx(0.968)


def test_factors_by_country_and_given_ones(folder: Path) -> None:
    add_columns(folder, country=["us-or", "US-TX", ""], ewif_l_kwh=["", "", 1.5])
    found = estimate(folder, Method(water="wri"))
    np.testing.assert_allclose(found.offsite.central[:, 0], [9.482, 1.270, 1.5])
    add_columns(folder, country=["", "US-TX", ""], ewif_l_kwh=["", "", 1.5])
    assert "column country: '' of region oregon has no WRI factor" in problems(folder, Method(water="wri"))[0]


def test_a_given_intensity_takes_the_range_of_the_mix(folder: Path) -> None:
    rows = [{"time_utc": hour(h), **dict.fromkeys(REGIONS, 400 + h)} for h in range(48)]
    write_rows(folder / "carbon_intensity.csv", rows)
    found = estimate(folder, Method())
    np.testing.assert_allclose(found.carbon.central[1], (400 + np.arange(48)) / 1000)
    ratio = IPCC_CARBON["coal"].high / IPCC_CARBON["coal"].central
    np.testing.assert_allclose(found.carbon.high[2], found.carbon.central[2] * ratio)
    assert found.signals["carbon"] == "as given"
    (folder / "fuel_mix.csv").unlink()
    add_columns(folder, ewif_l_kwh=[1, 1, 1])
    alone = estimate(folder, Method())
    np.testing.assert_array_equal(alone.carbon.high, alone.carbon.low)


def test_written_tables_are_read_as_a_scenario_with_its_ranges(folder: Path) -> None:
    add_columns(folder, cooling=["tower", "tower", "dry"], elevation_m=[1500, "", ""])
    tables = estimate(folder, Method())
    assert write(tables, folder) == [*(f"{name}.csv" for name in WRITTEN), "scenario.toml"]
    fleet = reading.read(folder)
    water, carbon = fleet.footprints
    np.testing.assert_allclose(water.high, tables.water.high, atol=1e-6)
    np.testing.assert_allclose(carbon.intensity, tables.carbon.central, atol=1e-6)
    assert (water.signal, carbon.signal) == ("average, operational", "average, lifecycle")
    for kind in fleet.footprints:
        assert kind.low is not None and kind.high is not None
        assert (kind.low <= kind.intensity).all() and (kind.intensity <= kind.high).all()
    with pytest.raises(InputError, match=r"carbon_high.csv: exists; --force writes over it"):
        write(tables, folder)
    assert "scenario.toml" not in write(tables, folder, force=True)
    (folder / "water_low.parquet").touch()
    with pytest.raises(InputError, match=r"water_low.parquet: would stand beside"):
        write(tables, folder, force=True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "[equity.water]\nweight = 1 # a\n",
            '[equity.water]\nsignal = "average, operational"\nweight = 1 # a\n',
        ),
        ("[equity.water]\nsignal = ''  # a\n", '[equity.water]\nsignal = "average, operational"  # a\n'),
        ('[equity.water]\nsignal = "mine"\n', '[equity.water]\nsignal = "mine"\n'),
        ("equity.water.weight = 1\n", "equity.water.weight = 1\n"),
        ("not toml", "not toml"),
    ],
)
def test_a_signal_is_written_where_none_is(before: str, after: str, folder: Path) -> None:
    (folder / "scenario.toml").write_text(before)
    write(estimate(folder, Method()), folder)
    assert (folder / "scenario.toml").read_text() == after


def spoil(path: Path, row: int, column: str, value: str) -> None:
    """Write `value` in a cell; `row` counts as the messages do, the header being 1."""
    rows = read_rows(path)
    rows[row - 2][column] = value
    write_rows(path, rows)


@pytest.mark.parametrize(
    ("file", "row", "column", "value", "message"),
    [
        (
            "weather",
            3,
            "texas.temp_c",
            "warm",
            "weather.csv: column texas.temp_c, row 3: 'warm' is not a number",
        ),
        (
            "weather",
            3,
            "texas.rh_pct",
            "120",
            "weather.csv: texas, 2024-07-01T01:00:00Z: rh_pct must lie between",
        ),
        (
            "weather",
            3,
            "texas.temp_c",
            "295",
            "weather.csv: texas, 2024-07-01T01:00:00Z: temp_c must lie between",
        ),
        ("weather", 3, "time_utc", "2024-07-01T00:00Z", "region oregon has 2 rows at 2024-07-01T00:00:00Z"),
        (
            "weather",
            3,
            "time_utc",
            "2025-07-01T00:00Z",
            "1 of the hours are missing, first 2024-07-01T01:00:00Z",
        ),
        ("fuel_mix", 2, "gas", "-1", "fuel_mix.csv: column gas, row 2: -1.0 is negative"),
        ("fuel_mix", 2, "gas", "", "fuel_mix.csv: column gas, row 2: empty cell"),
        (
            "fuel_mix",
            2,
            "region",
            "oragon",
            "column region, row 2: 'oragon' is not in regions.csv; did you mean",
        ),
        ("fuel_mix", 2, "region", "texas", "fuel_mix.csv: region oregon has 0 rows; one is needed"),
        ("fuel_mix", 4, "coal", "0", "fuel_mix.csv: virginia: all fuels are zero"),
        ("regions", 2, "pue", "0.9", "regions.csv: column pue, row 2: 0.9 must be at least 1"),
    ],
)
def test_wrong_cells(file: str, row: int, column: str, value: str, message: str, folder: Path) -> None:
    spoil(folder / f"{file}.csv", row, column, value)
    assert message in problems(folder)[0]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"cooling": ["tower", "pond", "dry"]},
            "column cooling, row 3: 'pond' is none of tower, dry, constant",
        ),
        ({"cooling": ["tower", "constant", "dry"]}, "row 3: 'constant' needs a published mean in wue_l_kwh"),
        (
            {"cooling": ["dry"] * 3, "wue_l_kwh": [1, "", ""]},
            "row 2: 'dry' takes no wue_l_kwh; write constant",
        ),
        ({"cycles": [1, 6, 6]}, "column cycles, row 2: 1.0 must be at least 1.1"),
        ({"ewif_l_kwh": [-1, 6, 6]}, "column ewif_l_kwh, row 2: -1.0 is negative"),
    ],
)
def test_wrong_regions(columns: dict[str, list[Any]], message: str, folder: Path) -> None:
    add_columns(folder, **columns)
    assert message in problems(folder)[0]


def test_missing_files_are_said_with_what_would_do(folder: Path) -> None:
    (folder / "fuel_mix.csv").unlink()
    said = [text.partition("; ")[2].partition(",")[0] for text in problems(folder)]
    assert said == ["water off site needs it", "carbon needs it"]
    (folder / "weather.csv").unlink()
    assert "cooling towers need temp_c and rh_pct" in problems(folder)[0]
    (folder / "demand.csv").unlink()
    assert "nothing says which hours" in problems(folder)[0]
    (folder / "regions.csv").unlink()
    assert problems(folder)[0] == "regions.csv: no such file"
    assert problems(folder / "nowhere")[0].endswith("no such folder")


def test_unknown_fuels_and_columns(folder: Path) -> None:
    rows = read_rows(folder / "fuel_mix.csv")
    write_rows(folder / "fuel_mix.csv", [row | {"peat": "0"} for row in rows])
    rows = read_rows(folder / "weather.csv")
    write_rows(
        folder / "weather.csv", [{k: v for k, v in row.items() if k != "texas.rh_pct"} for row in rows]
    )
    assert [text.partition(";")[0] for text in problems(folder)] == [
        "weather.csv: column texas.rh_pct is missing",
        "fuel_mix.csv: column peat: not a fuel",
    ]


def test_reservoirs_cannot_be_asked_of_tables_that_settle_them(folder: Path) -> None:
    with pytest.raises(InputError, match="--hydro: the factors of ren"):
        estimate(folder, Method(water="ren", hydro=True))
    with pytest.raises(InputError, match="--no-hydro: the factors of wri"):
        estimate(folder, Method(water="wri", hydro=False))

"""Water and carbon of fuel mixes: tables in order, sums by hand, and the check columns of the data."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eglb.scenarios.physics.countries import WRI_WATER
from eglb.scenarios.physics.electricity import (
    AUTHORS_CARBON,
    AUTHORS_WATER,
    FUEL_NAMES,
    FUELS,
    IPCC_CARBON,
    MACKNICK_WATER,
    carbon_intensity,
    water_intensity,
)
from eglb.scenarios.physics.figure import Estimate, Figure

TABLES = [MACKNICK_WATER, AUTHORS_WATER, IPCC_CARBON, AUTHORS_CARBON]


@pytest.mark.parametrize("table", TABLES)
def test_every_fuel_has_a_figure_with_unit_and_source(table: Mapping[str, Figure]) -> None:
    assert set(table) == set(FUELS)
    assert len({figure.unit for figure in table.values()}) == 1
    assert all(figure.source for figure in table.values())
    assert set(FUEL_NAMES.values()) == set(FUELS)


def test_a_figure_is_in_order() -> None:
    with pytest.raises(ValueError, match=r"2 <= 1 <= 3"):
        Figure(2, 1, 3, "", "")


def test_gallons_are_litres() -> None:
    """Macknick et al. 2012: 687, 205 and 672 gal/MWh."""
    found = [MACKNICK_WATER[fuel].central for fuel in ("coal", "gas", "nuclear")]
    np.testing.assert_allclose(found, [2.6006, 0.7760, 2.5438], atol=5e-5)


def test_by_hand() -> None:
    mix = {"coal": np.array([300.0, 0.0]), "wind": np.array([100.0, 0.0])}
    found = carbon_intensity(mix, IPCC_CARBON)
    for got, coal, wind in ((found.low, 740, 7), (found.central, 820, 11), (found.high, 910, 56)):
        assert got[0] == pytest.approx(0.75 * coal + 0.25 * wind)
        assert np.isnan(got[1])


def test_shares_and_megawatts_are_the_same() -> None:
    rng = np.random.default_rng(2)
    mix = {fuel: rng.uniform(0.0, 5e4, (4, 24)) for fuel in FUELS}
    total = sum(mix.values())
    shares = {fuel: values / total for fuel, values in mix.items()}
    for table in TABLES[:2]:
        a, b = water_intensity(mix, table, hydro=True), water_intensity(shares, table, hydro=True)
        np.testing.assert_allclose(a.central, b.central)
        assert (a.low <= a.central).all() and (a.central <= a.high).all()


def test_the_range_goes_around_another_central_estimate() -> None:
    found = Estimate(np.array([1.0, 0.0]), np.array([2.0, 0.0]), np.array([3.0, 5.0]))
    moved = found.around(np.array([[10.0, 7.0]]))
    np.testing.assert_array_equal(moved.low, [[5.0, 7.0]])
    np.testing.assert_array_equal(moved.central, [[10.0, 7.0]])
    np.testing.assert_array_equal(moved.high, [[15.0, 7.0]])


def test_countries_are_codes() -> None:
    assert all(len(code) in (2, 5) and code.isupper() for code in WRI_WATER)
    assert WRI_WATER["BR"].central == pytest.approx(18.6, abs=0.01)


def zones(data: Path) -> tuple[list[dict[str, str]], dict[str, np.ndarray]]:
    with (data / "zones123" / "zones_fuel_mix_2022.csv").open() as text:
        rows = list(csv.DictReader(text))
    mix: dict[str, np.ndarray] = {}
    for column in rows[0]:
        if fuel := FUEL_NAMES.get(column):
            mix[fuel] = mix.get(fuel, np.zeros(())) + np.array([float(row[column]) for row in rows])
    return rows, mix


@pytest.mark.parametrize(
    ("column", "factors", "hydro", "apart"),
    [
        ("ewif_ren_l_kwh", AUTHORS_WATER, False, 4e-4),
        ("ewif_macknick_nohydro_l_kwh", MACKNICK_WATER, False, 4e-4),
        ("ewif_macknick_l_kwh", MACKNICK_WATER, True, 3e-3),  # 17 L/kWh times shares of four decimals
    ],
)
def test_water_of_all_zones(
    column: str, factors: Mapping[str, Figure], hydro: bool, apart: float, data_directory: Path
) -> None:
    rows, mix = zones(data_directory)
    found = water_intensity(mix, factors, hydro=hydro)
    expected = np.array([float(row[column]) for row in rows])
    assert len(rows) == 122 and np.abs(found.central - expected).max() < apart


def test_reservoirs_move_brazil(data_directory: Path) -> None:
    rows, mix = zones(data_directory)
    brazil = [row["zone"] for row in rows].index("BR-CS")
    without = water_intensity(mix, MACKNICK_WATER).central[brazil]
    counted = water_intensity(mix, MACKNICK_WATER, hydro=True).central[brazil]
    assert (round(without, 1), round(counted, 1)) == (0.3, 13.9)


def test_hours_of_us_balancing_authorities(data_directory: Path) -> None:
    """Water to its rounding; carbon too once the three factors that differ there are put in."""
    with gzip.open(data_directory / "us_ba_2022" / "us_ba_fuelmix_2022.csv.gz", "rt") as text:
        rows = [row for row in csv.DictReader(text) if all(row.values())]
    columns = [name for name in rows[0] if name.lower() in FUEL_NAMES]
    mix = {FUEL_NAMES[name.lower()]: np.array([float(row[name]) for row in rows]) for name in columns}
    assert len(rows) == 70051 and len(mix) == 8
    water = np.array([float(row["ewif_ren_l_kwh"]) for row in rows])
    assert np.abs(water_intensity(mix, AUTHORS_WATER).central - water).max() < 5.1e-5
    carbon = np.array([float(row["avg_CI"]) for row in rows])
    found = carbon_intensity(mix, IPCC_CARBON)
    assert (found.low <= carbon).all() and (carbon <= found.high).all()
    assert np.median(np.abs(found.central / carbon - 1)) < 0.02
    theirs = dict(IPCC_CARBON)
    for fuel, central in (("solar", 41.0), ("oil", 650.0), ("unknown", 230.0)):
        theirs[fuel] = replace(IPCC_CARBON[fuel], central=central)
    assert np.abs(carbon_intensity(mix, theirs).central - carbon).max() < 0.051

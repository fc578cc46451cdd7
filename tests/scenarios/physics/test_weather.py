"""Wet bulb: published points, the psychrometric equation put back in, the check columns of the data."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from eglb.scenarios.physics.weather import (
    pressure_hpa,
    psychrometric_wet_bulb_c,
    saturation_hpa,
    stull_wet_bulb_c,
    wet_bulb_c,
)


def test_stulls_own_example() -> None:
    """Section 2 of the paper: 20 C and 50 % give 13.7 C."""
    assert stull_wet_bulb_c(np.array(20.0), np.array(50.0)) == pytest.approx(13.7, abs=0.005)


def test_humidity_beyond_the_fit_is_taken_at_its_ends() -> None:
    warm = np.full(4, 30.0)
    at = stull_wet_bulb_c(warm, np.array([0.0, 5.0, 99.0, 100.0]))
    assert at[0] == at[1] and at[2] == at[3]


def test_standard_atmosphere_and_saturation() -> None:
    assert pressure_hpa(0.0) == pytest.approx(1013.25)
    assert pressure_hpa(1500.0) == pytest.approx(845.6, abs=0.2)  # ICAO standard atmosphere
    assert saturation_hpa(np.array(20.0)) == pytest.approx(23.39, rel=2e-3)  # steam tables


@pytest.mark.parametrize("pressure", [1013.25, 830.0])
def test_psychrometric_wet_bulb_solves_its_equation(pressure: float) -> None:
    rng = np.random.default_rng(0)
    t, rh = rng.uniform(-15.0, 45.0, 500), rng.uniform(3.0, 100.0, 500)
    tw = psychrometric_wet_bulb_c(t, rh, np.full(500, pressure))

    def moisture(vapour: np.ndarray) -> np.ndarray:
        return 0.621945 * vapour / (pressure - vapour)

    left = moisture(rh / 100 * saturation_hpa(t)) * (2501 + 1.86 * t - 4.186 * tw)
    right = (2501 - 2.326 * tw) * moisture(saturation_hpa(tw)) - 1.006 * (t - tw)
    np.testing.assert_allclose(left, right, atol=1e-6)
    assert (tw <= t + 1e-9).all()
    np.testing.assert_allclose(psychrometric_wet_bulb_c(t, np.full(500, 100.0), np.full(500, pressure)), t)


def test_the_fit_and_the_equation_agree_where_the_fit_is_meant_to_hold() -> None:
    t, rh = np.meshgrid(np.arange(5.0, 41.0), np.arange(20.0, 100.0))
    apart = stull_wet_bulb_c(t, rh) - psychrometric_wet_bulb_c(t, rh, np.full(t.shape, 1013.25))
    assert np.abs(apart).max() < 0.85 and np.abs(apart).mean() < 0.28


def test_pressure_counts_above_500_m_alone() -> None:
    t, rh = np.full((3, 2), 25.0), np.full((3, 2), 40.0)
    tw = wet_bulb_c(t, rh, np.array([[0.0], [500.0], [1734.0]]))
    assert (tw[0] == tw[1]).all() and (tw[0] == stull_wet_bulb_c(t[0], rh[0])).all()
    assert (tw[2] < tw[0] - 0.5).all()


def test_wet_bulb_of_the_sixteen_zones(data_directory: Path) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(data_directory / "world16" / "world16_hourly_2021_2023.parquet")
    temp, rh, wet = (table[name].to_numpy().astype(float) for name in ("temp_c", "rh_pct", "twb_c"))
    assert len(wet) == 16 * 26280
    assert np.abs(stull_wet_bulb_c(temp, rh) - wet).max() < 0.006  # two decimals there


def test_wet_bulb_of_typical_years(data_directory: Path) -> None:
    def read(name: str) -> np.ndarray:
        with gzip.open(data_directory / "tmy3_us" / f"tmy3_{name}.csv.gz", "rt") as text:
            rows = list(csv.reader(text))[1:]
        return np.array([row[1:] for row in rows], float)

    apart = np.abs(stull_wet_bulb_c(read("temp_c"), read("rh_pct")) - read("wetbulb_c"))
    assert apart.size == 50 * 8760 and apart.max() < 0.051  # one decimal there

"""world16: joining windows, units; and that its numbers are those of the files."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

import eglb
from eglb.foundation.errors import InputError
from eglb.scenarios.catalog import load_history
from eglb.scenarios.worlds.world16 import ZONES


@pytest.mark.parametrize("reach", ["all", "near"])
def test_windows_join(reach: str, data_directory: Path) -> None:
    options = f",regions=6,demand=m-small,seed=4,reach={reach}"
    whole = eglb.load(f"world16@2022-12-18/28d{options}", data=data_directory)
    name = f"world16@2023-01-01/14d{options}"
    late = eglb.load(name, data=data_directory)
    early = load_history(name, 14 * 24, data=data_directory)
    assert early is not None
    joined = late.after(early)
    np.testing.assert_array_equal(joined.times, whole.times)
    for part, all_of_it in ((joined.demand, whole.demand), (joined.price, whole.price)):
        np.testing.assert_allclose(part, all_of_it, rtol=1e-12)
    for a, b in zip(joined.footprints, whole.footprints, strict=True):
        np.testing.assert_array_equal(a.intensity, b.intensity)


def test_before_a_mix_of_jobs_demand_is_without_their_part(data_directory: Path) -> None:
    name = "world16@2023-01-01/2d,regions=4"
    early, mixed = (load_history(f"{name}{jobs}", 48, data=data_directory) for jobs in ("", ",jobs=0.2:6"))
    assert early is not None and mixed is not None and mixed.jobs is None
    np.testing.assert_allclose(mixed.demand, 0.8 * early.demand, rtol=1e-12)
    now = eglb.load(f"{name},jobs=0.2:6", data=data_directory)
    np.testing.assert_allclose(now.demand, 0.8 * eglb.load(name, data=data_directory).demand, rtol=1e-12)


def test_numbers_are_those_of_the_files(data_directory: Path) -> None:
    fleet = eglb.load("world16@2023-03-01/2d", data=data_directory)
    for file, values, scale in (
        ("y2023_price_usd_mwh.csv.gz", fleet.price, 1.0),
        ("y2023_carbon_lca_g_kwh.csv.gz", fleet.footprints[1].intensity, 1e-3),
    ):
        with gzip.open(data_directory / "world16" / file, "rt") as text:
            rows = list(csv.DictReader(text))
        first = next(i for i, row in enumerate(rows) if next(iter(row.values())).startswith("2023-03-01"))
        for zone in ("DE", "ZA", "GB"):
            expected = [float(row[zone]) * scale for row in rows[first : first + 48]]
            np.testing.assert_allclose(values[ZONES.index(zone)], expected, rtol=1e-3, atol=0.02 * scale)


def test_demand_is_as_large_as_asked_and_can_be_served(data_directory: Path) -> None:
    fleet = eglb.load("world16@2023-05-01/14d,util=0.5,demand=m-mid", data=data_directory)
    assert fleet.demand.sum() / fleet.capacity.sum() == pytest.approx(0.5, rel=0.05)
    assert (fleet.demand.sum(0) / fleet.capacity.sum(0)).max() <= 0.95 + 1e-9
    other = eglb.load("world16@2023-05-01/14d,util=0.5,demand=m-mid", data=data_directory, seed=7)
    assert not np.allclose(other.demand, fleet.demand)
    near = eglb.load("world16@2023-05-01/7d,reach=near,demand=m-large", data=data_directory)
    assert np.bincount(near.reach_gateway).min() >= 4
    assert eglb.solve(near, "newton", address="inprocess").converged


def test_missing_prices_and_files(data_directory: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="prices of GB are missing"):
        eglb.load("world16@2021-06-01/7d", data=data_directory)
    with pytest.raises(InputError, match="no such file; world16 is read from the data directory"):
        eglb.load("world16@2023-06-01/7d", data=tmp_path)
    assert load_history("world16@2021-01-01/7d,regions=4", 100, data=data_directory) is None
    assert load_history("world10", 100) is None

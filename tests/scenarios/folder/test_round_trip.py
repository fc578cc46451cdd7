"""A scenario written to a folder and read again is the same, bit for bit, in every format."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from eglb.foundation.errors import InputError
from eglb.scenarios.catalog import load
from eglb.scenarios.description import describe
from eglb.scenarios.folder.reading import read
from eglb.scenarios.folder.writing import new, save
from eglb.scenarios.scenario import FootprintKind, Scenario


def assert_same(a: object, b: object) -> None:
    for f in dataclasses.fields(a):  # type: ignore[arg-type]
        x, y = getattr(a, f.name), getattr(b, f.name)
        if f.name == "footprints":
            for p, q in zip(x, y, strict=True):
                assert_same(p, q)
        elif isinstance(x, np.ndarray):
            assert x.dtype == y.dtype and x.shape == y.shape, f.name
            assert x.tobytes() == y.tobytes(), f.name
        else:
            assert x == y, f.name


def awkward() -> Scenario:
    """Names that need quoting, capacity by slot, region weights, unknown round trips, half-hour slots."""
    random = np.random.default_rng(3)
    demand = random.random((2, 5)) * 1e-3
    return Scenario(
        name='say "hi", \\ünit',
        times=np.datetime64("2024-02-28T23:30:00", "s") + np.arange(5) * np.timedelta64(1800, "s"),
        slot_hours=0.5,
        regions=("a, b", 'c "d"', "ümlaut"),
        region_lat=random.uniform(-90, 90, 3),
        region_lon=random.uniform(-180, 180, 3),
        pue=1 + random.random(3),
        capacity=1 + random.random((3, 5)) * 1e9,
        gateways=("g 1", "g,2"),
        gateway_lat=random.uniform(-90, 90, 2),
        gateway_lon=random.uniform(-180, 180, 2),
        gateway_utc_offset_h=np.array([5.75, -3.5]),
        demand=demand,
        price=random.normal(size=(3, 5)) * 1e3,
        footprints=(
            FootprintKind("water", "m3", 1 / 3, random.random((3, 5)), "it", random.random(3)),
            FootprintKind("pm2-5", "kg \u00b7 h", 0.0, random.random((3, 5)) * 1e-9, "facility", np.ones(3)),
        ),
        reach_gateway=np.array([0, 0, 1, 1]),
        reach_region=np.array([0, 1, 1, 2]),
        reach_rtt_ms=np.array([1.5, np.nan, 0.1 + 0.2, 7.0]),
        note="two\nlines",
        sources=("one", 'two "quoted"'),
    )


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("name", ["awkward", "world10", "synthetic:13x30,seed=4,reach=3"])
def test_round_trip_is_exact(tmp_path: Path, name: str, suffix: str) -> None:
    scenario = awkward() if name == "awkward" else load(name)
    save(scenario, tmp_path / "fleet", suffix=suffix)
    tables = {p.name.partition(".")[2] for p in (tmp_path / "fleet").iterdir()} - {"toml"}
    assert tables == {suffix[1:]}
    assert_same(scenario, read(tmp_path / "fleet"))


def test_nothing_but_the_folder_is_left_behind(tmp_path: Path) -> None:
    save(awkward(), tmp_path / "fleet")
    assert [p.name for p in tmp_path.iterdir()] == ["fleet"]


@pytest.mark.parametrize("write", [new, lambda folder: save(awkward(), folder)], ids=["new", "save"])
def test_a_folder_in_use_is_refused_and_untouched(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="mine: exists and is not empty"):
        write(tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    new(tmp_path / "empty")
    assert read(tmp_path / "empty").slots == 48


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be created"):
        new(tmp_path / "file" / "fleet")


def test_the_example_is_what_it_says(tmp_path: Path) -> None:
    new(tmp_path / "fleet")
    scenario = read(tmp_path / "fleet")
    assert (len(scenario.regions), len(scenario.gateways), scenario.slots) == (3, 2, 48)
    assert [(k.name, k.weight, k.per) for k in scenario.footprints] == [
        ("water", 60.0, "it"),
        ("carbon", 1500.0, "facility"),
    ]


def test_description_gives_the_figures(tmp_path: Path) -> None:
    new(tmp_path / "fleet")
    scenario = read(tmp_path / "fleet")
    rows = dict(describe(scenario))
    assert rows["size"] == "3 regions, 2 gateways, 48 slots"
    assert rows["horizon"] == "2024-07-01 00:00 to 2024-07-03 00:00 UTC, slots of 1 h"
    share = scenario.demand.sum() / scenario.capacity.sum()
    assert rows["utilisation"].startswith(f"{share:.1%} mean")
    assert rows["reach"] == "3 regions per gateway, 6 pairs, round trip 9 to 68 ms"
    assert rows["equity weight, carbon"] == "1500 USD per t of the worst region"
    assert {"oregon", "texas", "virginia"} <= set(rows)


def test_description_of_a_large_fleet_stays_short() -> None:
    assert len(describe(load("synthetic:200x24"))) < 20


def test_description_shows_note_and_sources() -> None:
    scenario = load("world10")
    rows = describe(scenario)
    assert ("note", scenario.note) in rows
    assert [value for label, value in rows if label == "source"] == list(scenario.sources)

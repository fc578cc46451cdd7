"""From a name to a scenario: the built-in ones, generated ones, folders, and names that are none of these."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from eglb.foundation.errors import InputError
from eglb.scenarios.catalog import known, load
from eglb.scenarios.folder.writing import new
from eglb.scenarios.geography import great_circle_km
from eglb.scenarios.scenario import Scenario
from eglb.scenarios.synthetic import SyntheticSpec, parse_name

needs_data = pytest.mark.skipif("EGLB_DATA" not in os.environ, reason="EGLB_DATA is not set")


def served_by_flow(scenario: Scenario, slot: int) -> bool:
    """Whether a slot can be served, by a linear program built row by row."""
    pairs = list(zip(scenario.reach_gateway, scenario.reach_region, strict=True))
    balance = np.array([[float(g == j) for g, _ in pairs] for j in range(len(scenario.gateways))])
    load_of = np.array([[float(r == i) for _, r in pairs] for i in range(len(scenario.regions))])
    answer = linprog(
        np.zeros(len(pairs)),
        A_ub=load_of,
        b_ub=scenario.capacity[:, slot],
        A_eq=balance,
        b_eq=scenario.demand[:, slot],
    )
    return bool(answer.status == 0)


def test_known_names_load_or_say_how() -> None:
    names = [name for name, _ in known()]
    assert names[0] == "world10"
    assert any(name.startswith("synthetic:") for name in names)
    assert all(description for _, description in known())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("world11", "world11: no such folder and no built-in scenario; did you mean world10?"),
        ("nowhere/fleet", "built in are world10, paper10"),
        ("world16@2023-07-01", "not world16@YYYY-MM-DD/DAYSd"),
        ("gcp33", "not gcp33@YYYY-MM-DD/DAYSd, such as gcp33@2022-07-04/14d"),
        ("zones12@2022-01-01/7d", "no such folder and no built-in scenario"),
        ("synthetic", "size 'synthetic' is not N or NxHOURS"),
        ("synthetic:", "size '' is not N or NxHOURS"),
        ("synthetic:ten", "size 'ten' is not N or NxHOURS"),
        ("synthetic:0", "N and HOURS must be at least 1, got 0"),
        ("synthetic:10x0", "N and HOURS must be at least 1, got 10x0"),
        ("synthetic:10,speed=3", "unknown option 'speed=3'"),
        ("synthetic:10,seed", "unknown option 'seed'"),
        ("synthetic:10,seed=x", "seed=x is not a whole number"),
        ("synthetic:10,seed=1,seed=2", "seed is given twice"),
        ("synthetic:10,reach=11", "reach=11 must lie between 1 and the number of regions, 10"),
        ("synthetic:10,reach=0", "reach=0 must lie between 1"),
        ("synthetic:10,util=0", "util=0.0 must lie above 0 and at most at 1"),
        ("synthetic:10,util=1.2", "util=1.2 must lie above 0"),
        ("synthetic:10,util=much", "util=much is not a fraction"),
    ],
)
def test_names_that_are_none(name: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load(name)
    assert message in str(caught.value)


def test_all_wrong_parts_of_a_name_at_once() -> None:
    with pytest.raises(InputError) as caught:
        load("synthetic:10,reach=99,util=7,speed=3")
    assert len(caught.value.problems) == 3


def test_a_file_is_no_scenario(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(InputError, match="is a file; a scenario is a folder"):
        load(tmp_path / "a.csv")


def test_a_folder_loads_and_a_built_in_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new(tmp_path / "world10")
    monkeypatch.chdir(tmp_path)
    assert len(load("world10").regions) == 10
    assert len(load("./world10").regions) == 3
    assert len(load(tmp_path / "world10").regions) == 3


def test_paper10_without_data_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGLB_DATA", str(tmp_path / "unset"))
    with pytest.raises(InputError, match="give --data DIR, set EGLB_DATA, or `eglb data fetch"):
        load("paper10")
    with pytest.raises(InputError) as caught:
        load("paper10-partial", data=tmp_path)
    assert len(caught.value.problems) == 2
    assert str(tmp_path / "paper10") in caught.value.problems[0]


@needs_data
def test_damaged_paper10_data_is_refused_by_cell(tmp_path: Path) -> None:
    folder = tmp_path / "paper10"
    folder.mkdir()
    source = Path(os.environ["EGLB_DATA"]) / "paper10"
    lines = (source / "paper10_2022.csv").read_text().splitlines()
    lines[7] = lines[7].replace(lines[7].split(",")[3], "none")
    (folder / "paper10_2022.csv").write_text("\n".join(lines))
    (folder / "reach_partial.csv").write_text("gateway,region\ngw-Mars,Texas\n")
    with pytest.raises(InputError) as caught:
        load("paper10-partial", data=tmp_path)
    assert caught.value.problems == (
        f"{folder}/paper10_2022.csv: column Texas.price_usd_mwh, row 8: 'none' is not a number",
        f"{folder}/reach_partial.csv: row 2: 'gw-Mars', 'Texas' is no pair of this case",
    )


@needs_data
def test_paper10_is_the_published_case() -> None:
    scenario = load("paper10")
    assert scenario.regions == (
        "Texas", "Virginia", "Georgia", "Nevada", "Germany",
        "Belgium", "Netherlands", "Denmark", "Japan", "Singapore",
    )  # fmt: skip
    assert scenario.demand.shape == (10, 457)
    assert str(scenario.times[0]) == "2022-09-22T00:00:00"
    assert (np.diff(scenario.times) == np.timedelta64(3600, "s")).all()
    # 2,700 W of the cluster's 2,708 W in the first hour; in three hours every region is exactly full.
    np.testing.assert_allclose(scenario.demand[:, 0], 2700 / 2708, rtol=1e-15)
    assert (scenario.demand.max(axis=1) == 1.0).all()
    assert (scenario.demand.sum(axis=0) == scenario.capacity.sum(axis=0)).sum() == 3
    assert scenario.price[0, 0] == 38.35 and scenario.price[4, 0] == 412.6215942
    assert scenario.footprints[1].intensity[9, 0] == 0.5129036769152197
    assert len(scenario.reach_region) == 100


@needs_data
def test_paper10_served_at_home_costs_what_the_reference_says() -> None:
    """Each gateway at its own region: the reference's GLB-Nearest row, recomputed here from the scenario."""
    import json

    reference = json.loads(
        (Path(os.environ["EGLB_DATA"]) / "../reference/paper10_reference.json").read_text()
    )
    row = reference["GLB-Nearest"]["full"]
    scenario = load("paper10")
    assert (scenario.demand * scenario.price).sum() == pytest.approx(row["energy_cost_usd"], rel=1e-12)
    for kind, key in zip(scenario.footprints, ("water_m3", "carbon_t"), strict=True):
        totals = (scenario.demand * kind.intensity).sum(axis=1)
        assert totals.tolist() == pytest.approx(list(row[key]["by_region"].values()), rel=1e-12)


@needs_data
def test_paper10_partial_reach() -> None:
    scenario = load("paper10-partial")
    regions_of = {
        gateway: {scenario.regions[i] for i in scenario.reach_region[scenario.reach_gateway == j]}
        for j, gateway in enumerate(scenario.gateways)
    }
    assert len(scenario.reach_region) == 56
    assert regions_of["gw-Japan"] == {"Nevada", "Japan", "Singapore"}
    assert regions_of["gw-Texas"] == {"Texas", "Virginia", "Georgia", "Nevada"}
    for j, region in enumerate(scenario.regions):
        assert region in regions_of[scenario.gateways[j]]


def test_synthetic_is_a_function_of_its_name() -> None:
    a, b, other = (load(f"synthetic:30x48,seed={s}") for s in (5, 5, 6))
    for field in ("capacity", "demand", "price", "reach_region", "region_lat"):
        assert getattr(a, field).tobytes() == getattr(b, field).tobytes()
    assert a.demand.tobytes() != other.demand.tobytes()
    assert load(a.name).demand.tobytes() == a.demand.tobytes()


def test_seed_argument_counts_where_the_name_has_none() -> None:
    assert parse_name("synthetic:5", seed=3).seed == 3
    assert parse_name("synthetic:5,seed=4", seed=3).seed == 4
    assert parse_name("synthetic:5") == SyntheticSpec(5, 168, 0, 5, 0.7)
    assert parse_name("synthetic:50x24,util=.5,reach=2") == SyntheticSpec(50, 24, 0, 2, 0.5)


def test_synthetic_reach_is_the_nearest_regions() -> None:
    scenario = load("synthetic:40x24,reach=4,seed=2")
    distance = great_circle_km(
        scenario.region_lat[:, None],
        scenario.region_lon[:, None],
        scenario.gateway_lat[None],
        scenario.gateway_lon[None],
    )
    wanted = {(int(i), j) for j in range(40) for i in np.argsort(distance[:, j])[:4]}
    for i in set(range(40)) - {i for i, _ in wanted}:
        wanted.add((i, int(np.argmin(distance[i]))))
    pairs = list(zip(scenario.reach_region.tolist(), scenario.reach_gateway.tolist(), strict=True))
    assert pairs == sorted(wanted)
    expected = 5 + 0.015 * distance[scenario.reach_region, scenario.reach_gateway]
    np.testing.assert_allclose(scenario.reach_rtt_ms, expected, rtol=1e-9)


@pytest.mark.parametrize("utilisation", [0.3, 0.7])
def test_synthetic_utilisation_is_as_asked_where_peaks_allow(utilisation: float) -> None:
    scenario = load(f"synthetic:60,util={utilisation}")
    assert scenario.demand.sum() / scenario.capacity.sum() == pytest.approx(utilisation, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 12),
    hours=st.integers(1, 30),
    seed=st.integers(0, 10**6),
    reach=st.integers(1, 12),
    utilisation=st.sampled_from([0.1, 0.5, 0.7, 0.95, 1.0]),
)
def test_synthetic_is_always_feasible(n: int, hours: int, seed: int, reach: int, utilisation: float) -> None:
    scenario = load(f"synthetic:{n}x{hours},seed={seed},reach={min(reach, n)},util={utilisation}")
    assert scenario.demand.sum() / scenario.capacity.sum() <= utilisation * (1 + 1e-9)
    fullest = int((scenario.demand.sum(axis=0) / scenario.capacity.sum(axis=0)).argmax())
    assert served_by_flow(scenario, fullest) and served_by_flow(scenario, hours - 1)
    assert set(range(n)) == set(scenario.reach_region) == set(scenario.reach_gateway)


def test_synthetic_equity_weights_price_a_fifth_of_energy() -> None:
    """At a balanced spread; here at every gateway's equal split, which is close to it."""
    scenario = load("synthetic:50")
    degree = np.bincount(scenario.reach_gateway)
    load_ = np.zeros_like(scenario.capacity)
    np.add.at(load_, scenario.reach_region, (scenario.demand / degree[:, None])[scenario.reach_gateway])
    cost = (load_ * scenario.price_per_mw_slot()).sum()
    for kind in scenario.footprints:
        term = kind.weight * (scenario.intensity_per_mw_slot(kind) * load_).sum(axis=1).max()
        assert 0.1 < term / cost < 0.4

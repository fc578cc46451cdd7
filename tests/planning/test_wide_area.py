"""Where the coordinator stands and how far regions are: by distance, as measured, and from a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eglb.foundation.errors import InputError
from eglb.planning.solve import solve
from eglb.planning.wide_area import lay_network, measured_between, modelled_between, place_coordinator
from eglb.scenarios.catalog import load
from eglb.scenarios.geography import great_circle_km
from eglb.scenarios.scenario import Scenario
from eglb.sims.wide_area_plots import Variant, draw_wide_area


@pytest.fixture(scope="module")
def world() -> Scenario:
    return load("world10")


@pytest.fixture(scope="module")
def fleet() -> Scenario:
    return load("synthetic:6x12,seed=4,reach=3")


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A data directory with three measured places: Frankfurt, Tokyo and Sydney."""
    for name, text in (
        ("latency/gcp_rtt_ms.csv", "sending_region,a,b,c\na,,230,\nb,250,,110\nc,300,90,\n"),
        (
            "regions/cloud_regions.csv",
            "provider,region,lat,lon\naws,a,0,0\ngcp,a,50.11,8.68\ngcp,b,35.69,139.69\ngcp,c,-33.87,151.21\n",
        ),
    ):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text(text)
    return tmp_path


def test_modelled_round_trips_are_a_metric_of_distance(world: Scenario) -> None:
    rtt_ms = modelled_between(world)
    np.testing.assert_allclose(rtt_ms, rtt_ms.T)
    np.testing.assert_allclose(np.diag(rtt_ms), 5.0)
    virginia, tokyo = world.regions.index("virginia"), world.regions.index("tokyo")
    assert rtt_ms[virginia, tokyo] == pytest.approx(5.0 + 0.015 * 10_900, rel=0.02)


def test_measured_where_both_ends_are_near_a_place_and_modelled_elsewhere(
    world: Scenario, measured: Path
) -> None:
    rtt_ms, note = measured_between(world, measured)
    modelled = modelled_between(world)
    at = {name: index for index, name in enumerate(world.regions)}
    assert rtt_ms[at["frankfurt"], at["tokyo"]] == pytest.approx(240.0, abs=0.1)
    assert rtt_ms[at["tokyo"], at["sydney"]] == pytest.approx(100.0, abs=0.1)
    # One direction is missing in the table, so that pair is not measured.
    for a, b in (("frankfurt", "sydney"), ("virginia", "tokyo"), ("tokyo", "tokyo")):
        assert rtt_ms[at[a], at[b]] == modelled[at[a], at[b]]
    np.testing.assert_array_equal(rtt_ms, rtt_ms.T)
    assert "modelled by distance for virginia" in note and "tokyo" not in note


def test_the_way_to_the_measured_place_is_added(world: Scenario, measured: Path) -> None:
    lon = world.region_lon.copy()
    tokyo, frankfurt = world.regions.index("tokyo"), world.regions.index("frankfurt")
    lon[tokyo] -= 4.0
    off_km = float(great_circle_km(*(np.array(v) for v in (35.69, 139.69, 35.69, 135.69))))
    rtt_ms, _ = measured_between(replace(world, region_lon=lon), measured)
    assert rtt_ms[tokyo, frankfurt] == pytest.approx(240.0 + 0.015 * off_km, abs=0.1)


def test_the_coordinator_stands_where_the_slowest_round_trip_is_shortest(world: Scenario) -> None:
    network = lay_network(world, "modelled")
    slowest = [lay_network(world, "modelled", coordinator=name).rtt_ms.max() for name in world.regions]
    assert network.rtt_ms.max() == min(slowest)
    assert network.coordinator == world.regions[int(np.argmin(slowest))]
    assert place_coordinator(np.array([[0.0, 9.0, 9.0], [9.0, 0.0, 3.0], [9.0, 3.0, 0.0]])) == 0


def test_published_round_trips_between_clouds(world: Scenario, data_directory: Path) -> None:
    rtt_ms, note = measured_between(world, data_directory)
    assert note.endswith("modelled by distance for cape-town")
    frankfurt, singapore = world.regions.index("frankfurt"), world.regions.index("singapore")
    assert 150.0 < rtt_ms[frankfurt, singapore] < 260.0
    assert (rtt_ms > 0.0).all()


def test_a_file_of_ones_own(fleet: Scenario, tmp_path: Path) -> None:
    path = tmp_path / "lines.csv"
    rows = [f"{region},{10 * i},{5 + i}" for i, region in enumerate(fleet.regions)]
    path.write_text("region,rtt_ms,up_mbit_s\nelsewhere,1,1\n" + "\n".join(reversed(rows)) + "\n")
    network = lay_network(fleet, path)
    assert network.rtt_ms.tolist() == [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]
    assert network.up_mbit_s.tolist() == [5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    assert set(network.down_mbit_s.tolist()) == {100.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("region\nr0\n", "column rtt_ms is missing"),
        ("region,rtt_ms\nr0,slow\n", "column rtt_ms, row 2: 'slow' is not a number"),
        ("region,rtt_ms\nr0,-1\n", "column rtt_ms, row 2: -1.0 is negative"),
        ("region,rtt_ms,up_mbit_s\nr0,1,0\n", "column up_mbit_s, row 2: 0.0 is not above 0"),
        ("region,rtt_ms\nr0,1\nr0,2\n", "column region: r0 appears twice"),
        ("region,rtt_ms\nr0,1\n", "column region: r5 is missing"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(fleet: Scenario, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "lines.csv"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        lay_network(fleet, path)
    assert f"lines.csv: {message}" in str(raised.value)


def test_what_is_wrong_with_a_network_is_said(fleet: Scenario, tmp_path: Path) -> None:
    for given, message in (
        ({"source": "modeled"}, "modeled: no such file; a network is measured, modelled or a table"),
        ({"source": "modelled", "coordinator": "r9"}, "coordinator 'r9' is no region of"),
        ({"source": tmp_path / "f.csv", "coordinator": "r0"}, "says how far it is from each region"),
        ({"source": "measured", "data": tmp_path}, "gcp_rtt_ms.csv: no such file; measured round trips"),
    ):
        with pytest.raises(InputError, match=message):
            lay_network(fleet, **given)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="central solver exchanges no messages"):
        solve(fleet, "central", network=lay_network(fleet, "modelled"))


@pytest.mark.parametrize("algorithm", ["admm", "newton"])
def test_a_solve_on_a_network_is_the_same_solve_with_a_clock(fleet: Scenario, algorithm: str) -> None:
    network = lay_network(fleet, "modelled")
    plain = solve(fleet, algorithm, gap=1e-3, address="inprocess")
    timed = solve(fleet, algorithm, gap=1e-3, address="inprocess", network=network)
    assert timed.actors == len(fleet.regions) and timed.rounds == plain.rounds
    assert timed.audit.objective == plain.audit.objective
    slowest_s = network.rtt_ms.max() / 1e3
    clock = [record.seconds_network for record in timed.trace]
    assert (np.diff([0.0, *clock]) > slowest_s).all()
    assert clock[-1] == timed.seconds_network == pytest.approx(timed.rounds * slowest_s, rel=0.05)
    assert timed.to_dict()["seconds"]["network"] == timed.seconds_network
    assert "network" not in plain.to_dict()["seconds"] and plain.seconds_network == 0.0
    assert f"coordinator {network.coordinator}" in str(timed) and "wide-area" not in str(plain)


def test_the_picture_draws_what_was_reached_and_what_was_not(tmp_path: Path) -> None:
    variants = [
        Variant("admm", "as shipped", [(0.5, 1e-1), (2.0, 5e-5)], 2.0, 12, 34.0),
        Variant("admm", "double", [(0.5, 1e-1)], None, None, None),
        Variant("newton", "as shipped", [(0.4, 1e-6)], 0.4, 3, 8.0),
    ]
    draw_wide_area({"one": variants, "two": variants[1:]}, 1e-4, tmp_path)
    drawn = (tmp_path / "wide_area.svg").read_text()
    assert (tmp_path / "wide_area.png").stat().st_size > 10_000
    for text in ("12 rounds, 34 kB", "not reached", "newton, as shipped", "certified gap"):
        assert text in drawn

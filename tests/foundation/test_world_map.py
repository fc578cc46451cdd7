"""The coarse map: land where land is, and every region on it."""

from __future__ import annotations

import numpy as np
import pytest

from eglb.foundation.world_map import CELL_DEGREES, LAND, land_drawn, terminal_map
from eglb.scenarios.catalog import load
from eglb.scenarios.synthetic import generate, parse_name


def land_at(lat: float, lon: float) -> bool:
    return bool(LAND[int((90 - lat) // CELL_DEGREES), int((lon + 180) // CELL_DEGREES)])


def test_land_is_where_it_is() -> None:
    places = {
        "Frankfurt": (50.1, 8.7),
        "Denver": (39.7, -105.0),
        "Sao Paulo": (-23.5, -47.0),
        "Alice Springs": (-23.7, 133.9),
        "Kinshasa": (-4.3, 15.3),
    }
    assert all(land_at(lat, lon) for lat, lon in places.values())
    seas = {"Atlantic": (30.0, -45.0), "Pacific": (0.0, -150.0), "Indian Ocean": (-30.0, 80.0)}
    assert not any(land_at(lat, lon) for lat, lon in seas.values())
    # Weighted by area, 29 % of the Earth is land, 34 % with the ice around Antarctica's coast.
    weight = np.cos(np.radians(89.0 - 2 * np.arange(90)))[:, None]
    assert 0.27 < float((LAND * weight).sum() / (weight.sum() * 180)) < 0.34


def test_land_is_drawn_as_it_is_at_the_middles_of_cells_and_smoothly_between() -> None:
    lat, lon = 89.0 - 2 * np.arange(90), 2 * np.arange(180) - 179.0
    assert (land_drawn(lat, lon) == LAND).all()
    assert (land_drawn(lat, lon + 360) == LAND).all()
    # The middle of four cells of which two are land is land, of one is not: twice as many dots, no steps.
    between = land_drawn(lat[:-1] - 1, lon[:-1] + 1)
    corners = LAND[:-1, :-1].astype(int) + LAND[1:, :-1] + LAND[:-1, 1:] + LAND[1:, 1:]
    assert (between == (corners >= 2)).all()


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_region_is_on_the_map_once_and_near_its_place(width: int, ascii_only: bool) -> None:
    fleet = load("world10")
    lines = terminal_map(fleet.region_lat, fleet.region_lon, fleet.regions, width, ascii_only)
    assert max(map(len, lines)) <= width
    if ascii_only:
        assert "".join(lines).isascii()
    start = next(index for index, line in enumerate(lines) if line.startswith("A "))
    drawn, legend = lines[:start], " ".join(lines[start:])
    wide = min(width, 96)
    for letter, name, lat, lon in zip(
        "ABCDEFGHIJ", fleet.regions, fleet.region_lat, fleet.region_lon, strict=True
    ):
        assert f"{letter} {name}" in legend
        found = [(r, line.index(letter)) for r, line in enumerate(drawn) if letter in line]
        assert len(found) == 1 and "".join(drawn).count(letter) == 1
        row, column = found[0]
        assert abs(column - (lon + 180) * wide / 360) <= 3
        assert abs(row - (78 - lat) * wide / 720) <= 2


def test_many_regions_are_counted_and_a_small_part_of_the_world_is_shown_larger() -> None:
    fleet = generate(parse_name("synthetic:200x2", seed=0))
    *drawn, last = terminal_map(fleet.region_lat, fleet.region_lon, fleet.regions, 80)
    assert "200 regions" in last and "+" not in "".join(drawn)
    assert sum(int(c) for c in "".join(drawn) if c.isdigit()) == 200
    lat, lon = np.array([40.0, 31.0, 37.0]), np.array([-77.0, -99.0, -120.0])
    lines = terminal_map(lat, lon, ["east", "texas", "west"], 80)
    columns = [next(line.index(c) for line in lines if c in line) for c in "CBA"]
    assert columns == sorted(columns) and columns[2] - columns[0] > 40
    assert len(terminal_map(np.array([50.0]), np.array([8.0]), ["a" * 200], 40)[-1]) <= 40


def test_regions_at_one_place_get_a_cell_each() -> None:
    lines = terminal_map(np.zeros(5), np.zeros(5), list("vwxyz"), 60)
    drawn = "".join(lines[:-1])
    assert all(drawn.count(letter) == 1 for letter in "ABCDE")

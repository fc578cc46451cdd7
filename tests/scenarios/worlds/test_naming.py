"""Names of measured worlds: one parser for all, every mistake at once."""

from __future__ import annotations

import numpy as np
import pytest

from eglb.foundation.errors import InputError
from eglb.scenarios.catalog import MEASURED, load
from eglb.scenarios.worlds import gcp33, usba8, world16, zones123
from eglb.scenarios.worlds.naming import parse_name

WORLDS = [world16.WORLD, gcp33.WORLD, zones123.WORLD, usba8.WORLD]


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("", "not {name}@YYYY-MM-DD/DAYSd, such as {name}@20"),
        ("@", "not {name}@YYYY-MM-DD/DAYSd"),
        ("@2022-07-04", "not {name}@YYYY-MM-DD/DAYSd"),
        ("@2022-13-01/2d", "not {name}@YYYY-MM-DD/DAYSd"),
        ("@2022-02-30/2d", "not {name}@YYYY-MM-DD/DAYSd"),
        ("@2022-07-04/2w", "not {name}@YYYY-MM-DD/DAYSd"),
        ("@2022-07-04/-2", "not {name}@YYYY-MM-DD/DAYSd"),
        ("@2022-07-04/0d", "the hours are those from 202"),
        ("@2019-07-04/2d", "the hours are those from 202"),
        ("@2022-12-30/900d", "the hours are those from 202"),
        ("@2022-12-30/99999999999999999999d", "{name}@"),
        ("@2022-07-04/2d,regions=1", "regions=1 is not from 2 to {regions}"),
        ("@2022-07-04/2d,regions=124", "regions=124 is not from 2 to {regions}"),
        ("@2022-07-04/2d,regions=two", "'regions=two' is none of regions=N"),
        ("@2022-07-04/2d,demand=chat", "demand=chat is none of m-small, m-mid, m-large, bloom"),
        ("@2022-07-04/2d,split=even", "split=even is neither population nor dirichlet"),
        ("@2022-07-04/2d,reach=far", "reach=far is neither all nor near"),
        ("@2022-07-04/2d,hydro=maybe", "hydro=maybe is neither no nor yes"),
        ("@2022-07-04/2d,util=0.99", "util=0.99 is not above 0 and at most 0.95"),
        ("@2022-07-04/2d,util=0", "util=0.0 is not above 0"),
        ("@2022-07-04/2d,util=much", "'util=much' is none of"),
        ("@2022-07-04/2d,seed=-1", "'seed=-1' is none of"),
        ("@2022-07-04/2d,seed=1,seed=1", "seed is given twice"),
        ("@2022-07-04/2d,colour=red", "'colour=red' is none of"),
        ("@2022-07-04/2d,", "'' is none of"),
    ],
)
def test_bad_names(world: object, rest: str, message: str) -> None:
    name = world.name + rest
    with pytest.raises(InputError) as caught:
        parse_name(name, world)
    assert message.format(name=world.name, regions=world.regions) in str(caught.value)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_all_mistakes_at_once_whoever_asks(world: object) -> None:
    with pytest.raises(InputError) as caught:
        load(f"{world.name}@never/2d,regions=1,demand=x,reach=y,split=z,util=9,colour=red")
    assert len(caught.value.problems) == 7
    assert all(problem.startswith(f"{world.name}@never/2d") for problem in caught.value.problems)


def test_days_with_and_without_a_letter() -> None:
    with_letter, without = (parse_name(f"gcp33@2022-07-04/{d}", gcp33.WORLD) for d in ("14d", "14"))
    assert with_letter.slots == without.slots == 336
    assert with_letter.first == without.first == np.datetime64("2022-07-04T00", "h")


def test_what_a_name_without_options_means() -> None:
    choice = parse_name("gcp33@2022-07-04/1d", gcp33.WORLD)
    assert (choice.regions, choice.split, choice.reach, choice.util) == (33, "population", "near", 0.6)
    # The recorded figures of the online policies were made with these.
    choice = parse_name("world16@2022-07-04/1d", world16.WORLD, seed=3)
    assert (choice.regions, choice.split, choice.reach, choice.seed) == (16, "dirichlet", "all", 3)
    assert parse_name("usba8@2022-07-04/1d,seed=4", usba8.WORLD, seed=3).seed == 4
    assert [world.name for world in WORLDS] == list(MEASURED)

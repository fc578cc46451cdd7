"""Forecasters: what they say, that it depends on the past alone, and on one series at a time."""

from __future__ import annotations

import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from eglb.agents import forecasting
from eglb.agents.forecasting import (
    Corrected,
    Forecaster,
    NoForecast,
    NoisyOutlook,
    Outlook,
    Past,
    Persistence,
    autoregressive,
)
from eglb.agents.learned_forecast import Learned
from eglb.foundation.arrays import Array
from eglb.foundation.random_numbers import keyed_random

START = np.datetime64("2024-01-01T00:00:00", "s")


def past_of(values: Array, outlook: Array | None = None, quantity: str = "price") -> Past:
    names = tuple(f"r{i}" for i in range(len(values)))
    return Past(
        quantity, names, values, START, 1.0, np.empty((len(values), 0)) if outlook is None else outlook
    )


def weekly(weeks: int, regions: int = 2, seed: int = 0) -> Array:
    """Hours with a daily and a weekly shape, and noise."""
    random, t = np.random.default_rng(seed), np.arange(168 * weeks)
    shape = 50 + 20 * np.sin(2 * np.pi * t / 24) + 8 * (t % 168 < 48)
    return shape * (1 + 0.05 * random.standard_normal((regions, len(t))))


def test_persistence_repeats_the_last_period() -> None:
    values = np.arange(200.0)[None]
    assert Persistence(24).predict(past_of(values), 3).tolist() == [[176.0, 177.0, 178.0]]
    assert Persistence(168).predict(past_of(values), 2).tolist() == [[32.0, 33.0]]
    assert Persistence(24).predict(past_of(values), 26)[0, -2:].tolist() == [176.0, 177.0]
    # Less than a week: the last day; less than a day: the present value.
    assert Persistence(168).predict(past_of(values[:, :100]), 1).tolist() == [[76.0]]
    assert Persistence(24).predict(past_of(values[:, :5]), 2).tolist() == [[4.0, 4.0]]


def test_the_present_goes_on_as_days_usually_do() -> None:
    day = 5.0 + np.sin(2.0 * np.pi * np.arange(24.0) / 24.0)
    values = np.tile(np.stack([day, np.zeros(24), np.arange(24.0) // 12 + 1.0]), 3)
    values[0, 69:] *= 1.2
    asked = past_of(values[:, :70])
    whole = Corrected(trust=1.0).predict(asked, 23)
    np.testing.assert_allclose(whole[0], 1.2 * np.tile(day, 2)[22:45])
    assert not whole[1].any()
    np.testing.assert_allclose(Corrected(trust=0.0).predict(asked, 3), values[:, [69] * 3])
    half = Corrected().predict(asked, 23)
    np.testing.assert_allclose(half**2, whole * values[:, 69:70], err_msg="half way, in logarithms")
    # Never more than twice; and without a day of past the present value.
    steep = np.concatenate([np.ones(23), [9.0], np.ones(23)])[None]
    assert Corrected(trust=1.0).predict(past_of(steep), 1).tolist() == [[2.0]]
    np.testing.assert_array_equal(Corrected().predict(past_of(values[:, :24]), 2), values[:, [23, 23]])


def test_outlook_is_believed_and_nothing_is_foretold_by_none() -> None:
    told = np.array([[7.0, 8.0, 9.0]])
    assert Outlook().predict(past_of(np.ones((1, 4)), told), 2).tolist() == [[7.0, 8.0]]
    assert Outlook().hours == math.inf
    assert NoForecast().hours == 0.0


def test_noise_has_its_spread_and_memory_and_depends_on_its_key_alone() -> None:
    noisy = NoisyOutlook(hours=48, sd=0.2, seed=3)
    told = np.full((400, 48), 10.0)
    errors = np.log(noisy.predict(past_of(np.ones((400, 10)), told), 48) / 10.0)
    assert errors.std() == pytest.approx(0.2, rel=0.05)
    assert errors[:, 0].std() == pytest.approx(0.2, rel=0.15)
    assert np.corrcoef(errors[:, 20], errors[:, 21])[0, 1] == pytest.approx(0.9, abs=0.03)
    alone = Past("price", ("r7",), np.ones((1, 10)), START, 1.0, told[:1])
    np.testing.assert_allclose(np.log(noisy.predict(alone, 48) / 10.0)[0], errors[7])
    later = past_of(np.ones((400, 11)), told)
    assert not np.allclose(noisy.predict(later, 48), 10 * np.exp(errors))


def test_keyed_random_numbers_are_the_same_everywhere() -> None:
    assert keyed_random(1, "a", "b").integers(10**6) == keyed_random(1, "a", "b").integers(10**6)
    assert keyed_random(1, "a", "b").integers(10**6) != keyed_random(1, "ab", "").integers(10**6)
    series = autoregressive(keyed_random(0), 200_000, 0.99)
    assert series.std() == pytest.approx(1.0, rel=0.1)


def test_the_example_in_the_docstring_works() -> None:
    text = Forecaster.__doc__ or ""
    code = text[text.index("from dataclasses") :]
    space: dict[str, object] = {}
    exec(re.sub(r"^ {8}", "", code, flags=re.MULTILINE), space)
    own = space["HalfWay"]()  # type: ignore[operator]
    assert own.predict(past_of(np.array([[1.0, 3.0]])), 2).tolist() == [[2.5, 2.5]]
    assert len(code.strip().splitlines()) <= 12


def test_learned_beats_yesterday_and_last_week_where_there_is_a_shape() -> None:
    values = weekly(10)
    errors = dict.fromkeys(("learned", "yesterday", "last week"), 0.0)
    ways = {"learned": Learned(), "yesterday": Persistence(24), "last week": Persistence(168)}
    for now in range(8 * 168, 10 * 168 - 25, 31):
        for name, way in ways.items():
            told = way.predict(past_of(values[:, : now + 1]), 24)
            errors[name] += np.abs(told - values[:, now + 1 : now + 25]).mean()
    assert errors["learned"] < 0.9 * min(errors["yesterday"], errors["last week"])


def test_learned_on_measured_hours(data_directory: Path) -> None:
    from eglb.scenarios.catalog import load

    fleet = load("world16@2023-01-01/63d,regions=3", data=data_directory)
    series = {"price": fleet.price, "footprint 0": fleet.footprints[0].intensity, "demand": fleet.demand}
    for quantity, values in series.items():
        errors = dict.fromkeys(("learned", "yesterday", "last week"), 0.0)
        ways = {"learned": Learned(), "yesterday": Persistence(24), "last week": Persistence(168)}
        for now in range(6 * 168, 9 * 168 - 25, 23):
            for name, way in ways.items():
                told = way.predict(past_of(values[:, : now + 1], quantity=quantity), 24)
                errors[name] += np.abs(told - values[:, now + 1 : now + 25]).mean()
        assert errors["learned"] < min(errors["yesterday"], errors["last week"]), quantity


def test_learned_says_the_same_alone_again_and_after_a_journey() -> None:
    values = weekly(4, regions=3)
    told = Learned().predict(past_of(values), 24)
    alone = Past("price", ("r2",), values[2:], START, 1.0, np.empty((1, 0)))
    np.testing.assert_array_equal(Learned().predict(alone, 24)[0], told[2])
    travelled = pickle.loads(pickle.dumps(Learned()))
    np.testing.assert_array_equal(travelled.predict(past_of(values), 24), told)
    short = past_of(values[:, :300])
    np.testing.assert_array_equal(Learned().predict(short, 5), Persistence(24).predict(short, 5))


def test_forecasting_does_not_load_scikit_learn() -> None:
    import subprocess
    import sys

    code = f"import {forecasting.__name__}, sys; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

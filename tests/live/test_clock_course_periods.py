"""Time of a service: its clock, its periods, and which table was in force when."""

from __future__ import annotations

import math
import threading
import time

import numpy as np
import pytest

from eglb.live.clock import Clock
from eglb.live.course import Course
from eglb.live.periods import Periods
from eglb.sims.problems import InputError

START = np.datetime64("2024-01-31T22:00:00", "s")
HOUR = np.timedelta64(1, "h")


def test_a_fast_clock_runs_from_where_another_process_left_it() -> None:
    clock = Clock(START, 3600.0, origin=time.time() - 2.0)
    passed = (clock.now() - START.astype("datetime64[ms]")) / HOUR
    assert 2.0 <= passed < 2.5
    again = Clock(START, 3600.0, clock.origin)
    assert abs(again.now() - clock.now()) < np.timedelta64(10, "m")
    assert clock.real_seconds(1800.0) == 0.5


def test_a_wait_ends_in_time_or_when_woken() -> None:
    clock, wake = Clock(START, 3600.0), threading.Event()
    began = time.monotonic()
    assert clock.wait_until(START + np.timedelta64(6, "m"), wake)
    assert 0.09 <= time.monotonic() - began < 1.0
    threading.Timer(0.05, wake.set).start()
    assert not clock.wait_until(START + 1000 * HOUR, wake)


def test_a_clock_without_speed_stands_still_between_waits() -> None:
    clock, wake = Clock(START, math.inf), threading.Event()
    assert clock.now() == START
    assert clock.wait_until(START + HOUR, wake)
    assert clock.now() == START + HOUR
    wake.set()
    assert not clock.wait_until(START + 2 * HOUR, wake)
    assert clock.now() == START + HOUR
    assert math.isinf(clock.real_seconds(1.0))


def test_months_are_those_of_the_calendar() -> None:
    periods = Periods(START, 3600.0, "month", None)
    assert periods.of(0) == periods.of(1) == (0, 1)
    assert periods.of(2) == (2, 2 + 29 * 24 - 1)
    assert periods.of(2 + 29 * 24)[0] == 2 + 29 * 24
    assert Periods(START, 3600.0, "month", 10).of(5) == (2, 9)


@pytest.mark.parametrize("seconds", [300.0, 3600.0])
def test_every_slot_is_in_the_period_that_says_so(seconds: float) -> None:
    for length in ("whole", "month", "7"):
        periods = Periods(START, seconds, length, 40)
        slot = 0
        while slot < 40:
            first, last = periods.of(slot)
            assert first == slot <= last < 40
            assert {periods.of(s) for s in range(first, last + 1)} == {(first, last)}
            slot = last + 1
    assert [periods.slot_at(periods.time(s)) for s in (-1, 0, 39)] == [-1, 0, 39]


@pytest.mark.parametrize(("length", "slots"), [("whole", None), ("day", 3), ("0", 3), ("-1", 3)])
def test_periods_that_are_none(length: str, slots: int | None) -> None:
    with pytest.raises(InputError, match="period"):
        Periods(START, 3600.0, length, slots)


def test_shares_of_a_slot_are_weighted_by_how_long_they_were_in_force() -> None:
    course, one, two = Course(), np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    course.turn(START + np.timedelta64(6, "m"), one)
    course.turn(START + np.timedelta64(75, "m"), two)
    np.testing.assert_array_equal(course.mean(START, START + HOUR), one)
    np.testing.assert_allclose(course.mean(START + HOUR, START + 2 * HOUR), [[0.25, 0.75]])
    np.testing.assert_array_equal(course.mean(START + 2 * HOUR, START + 3 * HOUR), two)
    course.forget(START + HOUR)
    np.testing.assert_allclose(course.mean(START + HOUR, START + 2 * HOUR), [[0.25, 0.75]])
    course.forget(START + 2 * HOUR)
    np.testing.assert_array_equal(course.mean(START + 2 * HOUR, START + 3 * HOUR), two)

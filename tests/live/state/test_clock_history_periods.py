"""Time of a service: its clock, its periods, and which table was in force when."""

from __future__ import annotations

import math
import threading
import time

import numpy as np
import pytest
from support.service_states import table

from eglb.foundation.errors import InputError
from eglb.live.accounting.periods import Periods
from eglb.live.routing.table_history import TableHistory
from eglb.live.state.clock import Clock

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


def test_a_slot_is_weighted_by_how_long_tables_were_in_force() -> None:
    table_history = TableHistory()
    one = table([[1.0, 0.0]], start=START, jobs=("a",), work=np.array([[2.0, 0.0]]))
    two = table([[0.0, 1.0]], start=START + HOUR, jobs=("a", "b"), work=np.array([[0.0, 4.0], [8.0, 0.0]]))
    table_history.turn(START + np.timedelta64(6, "m"), one)
    table_history.turn(START + np.timedelta64(75, "m"), two)
    hours = [(START + q * HOUR, START + (q + 1) * HOUR) for q in range(3)]
    np.testing.assert_array_equal(table_history.share(*hours[0]), one.share)
    np.testing.assert_array_equal(table_history.work(*hours[0])["a"], [2.0, 0.0])
    for _ in range(2):
        np.testing.assert_allclose(table_history.share(*hours[1]), [[0.25, 0.75]])
        # Of what comes after its own slot a table says nothing here.
        np.testing.assert_allclose(table_history.work(*hours[1])["a"], [0.0, 3.0])
        np.testing.assert_allclose(table_history.work(*hours[1])["b"], [6.0, 0.0])
        table_history.forget(START + HOUR)
    table_history.forget(START + 2 * HOUR)
    np.testing.assert_array_equal(table_history.share(*hours[2]), two.share)


def test_jobs_go_on_as_committed_until_there_is_a_new_table() -> None:
    ahead = np.array([[1, 0, 1, 5.0], [2, 0, 0, 4.0], [2, 1, 0, 4.0], [3, 1, 1, 1.0]])
    found = table(
        [[0.5, 0.5]], start=START, demand=np.array([4.0]), capacity=np.array([8.0, 8.0]),
        jobs=("a", "b"), work=np.array([[2.0, 0.0], [0.0, 0.0]]), ahead=ahead,
    )  # fmt: skip
    for hours, expected in ((0, [[2, 0], [0, 0]]), (1, [[0, 5], [0, 0]]), (3, [[0, 0], [0, 1]]), (4, 0)):
        np.testing.assert_array_equal(found.work_in(START + hours * HOUR), np.zeros((2, 2)) + expected)
    np.testing.assert_array_equal(found.work_in(START + np.timedelta64(119, "m")), [[0, 5], [0, 0]])
    # Two slots on nobody knows what is asked for: as much is left for requests as they had.
    np.testing.assert_allclose(found.work_in(START + 2 * HOUR), [[3, 0], [3, 0]])

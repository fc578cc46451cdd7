"""Ctrl-C at several moments of a real command: its exit code, and nothing left of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from eglb.coordinator.fleet.interrupts import interrupts_held

# The yardstick runs for minutes where the gap is tiny: there is always something to interrupt.
_LONG = ("solve", "synthetic:3x48", "--algorithm", "subgradient", "--gap", "1e-12")

_CLOSING = """
import os, sys
from ray._private.node import Node
from eglb.cli import main
end = Node.kill_all_processes
def interrupted(*arguments, **options):
    os.kill(os.getpid(), {number:d})
    end(*arguments, **options)
Node.kill_all_processes = interrupted
main(["solve", "synthetic:3x24", "--algorithm", "newton"])
"""


def wait_for(condition: Callable[[], bool], patience_s: float = 60.0) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


@pytest.mark.cluster
@pytest.mark.parametrize("stage", ["gcs_server", "raylet/raylet", "ray::RegionHost"])
def test_interrupted_while_the_cluster_starts(watch: Callable[..., Any], stage: str) -> None:
    command = watch(*_LONG)
    wait_for(lambda: command.runs(stage))
    command.interrupt()
    code, out, err = command.finish()
    assert (code, out) == (130, "")
    assert "interrupted" in err


@pytest.mark.cluster
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_between_rounds(watch: Callable[..., Any], number: int, expected: int) -> None:
    command = watch(*_LONG)
    line = ""
    while "round" not in line:
        line = command.process.stderr.readline()
        assert line, "it ended before its first round"
    assert len(command.agents()) == 3
    command.interrupt(number)
    time.sleep(0.2)
    command.interrupt(number)  # impatience must not cut the end short
    code, out, _ = command.finish()
    assert (code, out) == (expected, "")


@pytest.mark.cluster
def test_interrupted_while_it_waits_for_a_frozen_agent(watch: Callable[..., Any]) -> None:
    command = watch(*_LONG)
    while "round" not in command.process.stderr.readline():
        pass
    frozen = command.agents()[0]
    os.kill(frozen, signal.SIGSTOP)
    time.sleep(1.0)
    began = time.monotonic()
    command.interrupt(signal.SIGTERM)
    assert command.finish()[0] == 143
    assert time.monotonic() - began < 15  # well before the deadlines have passed


@pytest.mark.cluster
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_while_the_cluster_ends(watch: Callable[..., Any], number: int, expected: int) -> None:
    command = watch(code=_CLOSING.format(number=number))
    wait_for(lambda: len(command.agents()) == 3)
    code, out, _ = command.finish()
    assert (code, out) == (expected, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_held_signal_is_delivered_after_the_block(number: int) -> None:
    heard: list[int] = []
    before = signal.signal(number, lambda signum, frame: heard.append(signum))
    try:
        with interrupts_held() as arrived:
            signal.raise_signal(number)
            signal.raise_signal(number)
            assert (len(arrived), heard) == (2, [])
        assert heard == [number]
        signal.raise_signal(number)
        assert heard == [number, number]
    finally:
        signal.signal(number, before)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_block_that_fails_keeps_its_own_exception() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(ZeroDivisionError), interrupts_held():
            signal.raise_signal(signal.SIGINT)
            raise ZeroDivisionError
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)

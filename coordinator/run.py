"""The loop: exchange, step, until the algorithm is done or a limit is reached."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum

from eglb.coordinator.algorithm import Algorithm, Finished
from eglb.coordinator.fleet import Fleet


class Outcome(Enum):
    """How a run ended."""

    CONVERGED = "converged"
    STALLED = "stalled"
    ROUND_LIMIT = "round_limit"
    TIME_LIMIT = "time_limit"


_PATIENCE = 500


def run(
    algorithm: Algorithm,
    fleet: Fleet,
    *,
    max_rounds: int | None = None,
    time_limit_s: float | None = None,
    on_round: Callable[[float], None] | None = None,
) -> Outcome:
    """Drive `algorithm` over `fleet`; `on_round` hears the seconds since the first message after every
    exchange.

    A run has stalled when its gap has not fallen by a tenth in `_PATIENCE` rounds and half of all rounds so
    far. Limits stop a run only once it holds a feasible plan and a bound, which takes a few rounds, so that
    there is always something to return.

    Raises
    ------
    FleetError : agents were lost for good.
    """
    start = time.perf_counter()
    action = algorithm.start()
    best_gap, best_round = float("inf"), 0
    while True:
        step = algorithm.step(fleet.exchange(action))
        elapsed = time.perf_counter() - start
        if on_round is not None:
            on_round(elapsed)
        if isinstance(step, Finished):
            return Outcome.STALLED if step.stalled else Outcome.CONVERGED
        action = step
        rounds = fleet.traffic.rounds
        if algorithm.incumbent.gap < 0.9 * best_gap:
            best_gap, best_round = algorithm.incumbent.gap, rounds
        if best_gap < float("inf"):
            if rounds - best_round >= max(_PATIENCE, rounds // 2):
                return Outcome.STALLED
            if max_rounds is not None and rounds >= max_rounds:
                return Outcome.ROUND_LIMIT
            if time_limit_s is not None and elapsed >= time_limit_s:
                return Outcome.TIME_LIMIT

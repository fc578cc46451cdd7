"""Driver of an algorithm: exchange, step, until it is done, a limit is reached or the membership changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum

import numpy as np

from eglb.coordinator.algorithms.algorithm import Algorithm, Finished, Incumbent
from eglb.coordinator.algorithms.reroute import Method, Reroute
from eglb.coordinator.exchange import Broadcast
from eglb.coordinator.fleet.fleet import Fleet, FleetError
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array


class Outcome(Enum):
    """How a run ended."""

    CONVERGED = "converged"
    STALLED = "stalled"
    ROUND_LIMIT = "round_limit"
    TIME_LIMIT = "time_limit"


_PATIENCE = 500


class Run:
    """One solve by a fleet whose members come and go.

    The problem is always that of the members there are: a region that takes no part has no capacity, and
    demand that the others cannot meet is left out, as little of it as possible (`unmet`). When the membership
    changes, `Reroute` has a feasible plan for the new members within two exchanges and the algorithm starts
    again from there. What is kept: the plan, as far as it does not use who is gone; the bound, if the fleet
    only became smaller, as a smaller fleet cannot be cheaper.

    Parameters
    ----------
    market : with all demand. algorithm : the one to start with. method : makes the one to go on with after a
    change; None if the membership must not change.
    """

    def __init__(self, market: Market, fleet: Fleet, algorithm: Algorithm, method: Method | None) -> None:
        self.market = market
        self.fleet = fleet
        self.algorithm = algorithm
        self.method = method
        self.action: Broadcast | None = None
        """What to ask next; None before the start."""
        self.closed = np.zeros(market.regions, bool)
        """(N,) regions without part in the present problem."""
        self.seconds = 0.0
        self._best, self._best_closed, self._best_meets_all = Incumbent(), self.closed, True

    @property
    def incumbent(self) -> Incumbent:
        """Best plan and bound of the present problem; without a plan while one is being made."""
        return self.algorithm.incumbent

    @property
    def unmet(self) -> Array:
        """(T, J) MW of demand that the present members cannot meet."""
        if isinstance(self.algorithm, Reroute):
            return self.algorithm.unmet
        return np.zeros_like(self.market.demand)

    @property
    def best(self) -> tuple[Incumbent, Array, bool]:
        """Best plan and bound, of the problem before while there is no plan of the present one; regions
        without part in that problem; whether all demand is met.
        """
        if self.incumbent.route is not None:
            return self.incumbent, self.closed, not self.unmet.any()
        return self._best, self._best_closed, self._best_meets_all

    def run(
        self,
        *,
        max_rounds: int | None = None,
        time_limit_s: float | None = None,
        on_round: Callable[[float], None] | None = None,
    ) -> Outcome:
        """Run to the end; `on_round` hears the seconds since the first message after every exchange.

        A run has stalled when its gap has not fallen by a tenth in `_PATIENCE` rounds and half of all rounds
        so far. Limits stop a run only once it holds a feasible plan and a bound, which takes a few rounds, so
        that there is always something to return.

        Raises
        ------
        FleetError : no agent is left, or one is lost and the membership must not change.
        """
        start = time.perf_counter() - self.seconds
        best_gap, best_round = float("inf"), 0
        action = self.action or self.algorithm.start()
        while True:
            self.action = action
            heard = self.fleet.exchange(action)
            if heard.changed:
                best_gap = float("inf")
            step = self._reroute() if heard.changed else self.algorithm.step(heard)
            self.action = step if isinstance(step, Broadcast) else None
            self.seconds = time.perf_counter() - start
            if on_round is not None:
                on_round(self.seconds)
            if isinstance(step, Finished):
                return Outcome.STALLED if step.stalled else Outcome.CONVERGED
            action = step
            rounds = self.fleet.traffic.rounds
            if self.incumbent.gap < 0.9 * best_gap:
                best_gap, best_round = self.incumbent.gap, rounds
            if best_gap < float("inf"):
                if rounds - best_round >= max(_PATIENCE, rounds // 2):
                    return Outcome.STALLED
                if max_rounds is not None and rounds >= max_rounds:
                    return Outcome.ROUND_LIMIT
                if time_limit_s is not None and self.seconds >= time_limit_s:
                    return Outcome.TIME_LIMIT

    def _reroute(self) -> Broadcast:
        """Turn to the problem of the present members."""
        if self.method is None:
            raise FleetError(self.fleet.who_is_missing())
        return self.start_from(*self.best, self.algorithm.remembered_equity_prices())

    def start_from(self, best: Incumbent, closed: Array, meets_all: bool, equity_prices: Array) -> Broadcast:
        """Turn to the problem of the present members from what is known, see `best`, of another one."""
        assert self.method is not None
        self._best, self._best_closed, self._best_meets_all = best, closed, meets_all
        self.fleet.settle()
        self.closed = self.fleet.membership.closed
        keep_bound = self._best_meets_all and bool((self.closed >= self._best_closed).all())
        self.algorithm = Reroute(
            self.market,
            self.algorithm.gap,
            self._best,
            equity_prices,
            self.method,
            keep_bound,
        )
        return self.algorithm.start()


def run(
    algorithm: Algorithm,
    fleet: Fleet,
    *,
    max_rounds: int | None = None,
    time_limit_s: float | None = None,
    on_round: Callable[[float], None] | None = None,
) -> Outcome:
    """Drive `algorithm` over a `fleet` whose members must stay; see `Run.run`."""
    return Run(algorithm.market, fleet, algorithm, None).run(
        max_rounds=max_rounds, time_limit_s=time_limit_s, on_round=on_round
    )

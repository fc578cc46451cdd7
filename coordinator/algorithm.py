"""What an algorithm is: a state machine that never does input or output, and what it has found so far."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from eglb.agents.region import Request
from eglb.agents.valuation import Bound, BoundTerm, Evaluate, Introduce, Value
from eglb.agents.wire import Message
from eglb.coordinator.market import Market
from eglb.coordinator.mixture import PricedPlan

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Broadcast:
    """Requests to send to every agent in one exchange; an agent answers all of them, in order.

    An `opening` is kept by the fleet and sent again to an agent that lost its memory.
    """

    requests: tuple[Request, ...]
    opening: bool = False


@dataclass(frozen=True)
class Finished:
    """The algorithm has nothing more to ask: it reached the gap, or (`stalled`) it can improve no further."""

    stalled: bool = False


@dataclass(eq=False)
class Incumbent:
    """Best feasible plan and best lower bound seen so far; they need not come from the same iterate.

    `objective` and `bound` in USD; `route` (T, E) MW; `demand_price` (T, J) USD per MW-slot; `equity_price`
    (N, K).
    """

    objective: float = np.inf
    route: Array | None = None
    bound: float = -np.inf
    demand_price: Array | None = None
    equity_price: Array | None = None

    @property
    def gap(self) -> float:
        """(objective - bound) / |objective|, infinite before both exist."""
        if not np.isfinite(self.objective) or not np.isfinite(self.bound):
            return np.inf
        return max(self.objective - self.bound, 0.0) / max(abs(self.objective), 1e-300)

    def offer_plan(self, objective: float, route: Array) -> bool:
        """Keep a feasible plan if it is cheaper."""
        if better := objective < self.objective:
            self.objective, self.route = objective, route
        return better

    def offer_bound(self, bound: float, demand_price: Array, equity_price: Array) -> bool:
        """Keep a valid bound, with the prices that prove it, if it is higher."""
        if better := bound > self.bound:
            self.bound, self.demand_price, self.equity_price = bound, demand_price, equity_price
        return better


@dataclass(frozen=True, eq=False)
class WarmStart:
    """Where a solve of much the same problem ended, told on the slots, pairs and regions of this one.

    None of it need be feasible or valid here: plans are repaired and priced anew, bounds evaluated anew.

    Parameters
    ----------
    route : (T, E) MW. demand_price : (T, J) USD per MW-slot. equity_price : (N, K) USD per unit.
    known : (T,) whether the earlier solve covered the slot; other slots hold its nearest guess.
    equity_prices : (R, N, K) further equity prices that the earlier solve remembered; R may be zero.
    """

    route: Array
    demand_price: Array
    equity_price: Array
    known: Array
    equity_prices: Array


class Algorithm(ABC):
    """A sans-IO state machine: `start` gives the first exchange, `step` takes its replies and gives the next.

    Replies come one for one to the requests, each with one row per region. The best plan and bound so far are
    in `incumbent` at any time, so a run can be stopped between any two exchanges.
    """

    def __init__(self, market: Market, gap: float, warm: WarmStart | None = None) -> None:
        self.market = market
        self.gap = gap
        self.warm = warm
        self.incumbent = Incumbent()
        self.part = np.zeros(1, np.int64)
        """First slots of the parts of the horizon by which agents price plans: one, unless a method says."""
        self._bounds_asked: deque[tuple[Array, Array]] = deque()
        self._plans_asked: deque[Array] = deque()

    @abstractmethod
    def start(self) -> Broadcast:
        """The opening exchange."""

    @abstractmethod
    def step(self, replies: Sequence[Message]) -> Broadcast | Finished:
        """Digest the replies to the last exchange and say what to ask next."""

    def remembered_equity_prices(self) -> Array:
        """(R, N, K) equity prices that a later solve of much the same problem may start from; none by
        default.
        """
        return np.zeros((0, self.market.regions, self.market.kinds))

    def introduce(self, load: Array) -> Introduce:
        """The opening request, with a first load (T, N)."""
        m = self.market
        reach = m.edge_gateway[m.by_region]
        gateway = np.arange(m.gateways)
        return Introduce(
            degree=m.degree,
            reach=reach,
            gateway=gateway,
            demand=m.demand.T,
            load=load.T,
            large=m.large,
        )

    def ask_bound(self, demand_price: Array, equity_price: Array) -> Bound:
        """Ask for the Lagrangian bound at these prices, (T, J) and (N, K), or rather at valid ones next to
        them.

        The demand price travels in single precision; the bound is exact for what the agents received.
        """
        demand_price = demand_price.astype(np.float32)
        equity_price = self.market.equity.normalise(equity_price)
        self._bounds_asked.append((demand_price.astype(float), equity_price))
        return Bound(demand_price=demand_price.T, equity_price=equity_price)

    def ask_plan(self, route: Array) -> Evaluate:
        """Ask what a feasible plan (T, E) costs; it is kept as it is, so give away the array."""
        self._plans_asked.append(route)
        return Evaluate(part=self.part, load=self.market.load(route).T)

    def digest(self, replies: Sequence[Message]) -> list[PricedPlan]:
        """Credit the answers to `ask_bound` and `ask_plan` to the incumbent; the plans that were priced."""
        priced = []
        for reply in replies:
            if isinstance(reply, BoundTerm):
                demand_price, equity_price = self._bounds_asked.popleft()
                bound = float((demand_price * self.market.demand).sum() + reply.value.sum())
                self.incumbent.offer_bound(bound, demand_price, equity_price)
            elif isinstance(reply, Value):
                footprint = np.moveaxis(reply.footprint, 1, 0)
                plan = PricedPlan(self._plans_asked.popleft(), reply.cost.sum(0), footprint)
                self.incumbent.offer_plan(plan.objective(self.market.equity), plan.route)
                priced.append(plan)
        return priced


@dataclass(eq=False)
class Traffic:
    """What went over the wire: exchanges, and encoded bytes of all agents together in each direction."""

    rounds: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    bytes_up_by_host: list[int] = field(default_factory=list)

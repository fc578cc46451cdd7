"""Algorithm interface: a state machine without input or output, and what it has found so far."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np

from eglb.agents.codec import Message, in_single_precision
from eglb.agents.region import Request
from eglb.agents.valuation import Bound, Evaluate, Introduce
from eglb.coordinator.algorithms.primal_recovery import PricedPlan
from eglb.coordinator.exchange import Broadcast, Round
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array

_QUESTIONS_OPEN = 200
"""At most; older ones are given up. A warm start asks for as many plans as it was told equity prices."""


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

    def start_at(self, route: Array | None, equity_prices: Array) -> WarmStart | None:
        """Where another algorithm can start: at these prices, at `route` (T, E) and with what else was
        remembered; None as long as there are no prices or no route.
        """
        if route is None or self.demand_price is None or self.equity_price is None:
            return None
        return WarmStart(
            route, self.demand_price, self.equity_price, np.ones(len(route), bool), equity_prices
        )


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


@dataclass(eq=False)
class _Question:
    """A bound or the price of a plan, asked of every region; its answers may come in over several rounds."""

    request: Bound | Evaluate
    owing: Array
    route: Array | None = None
    demand_price: Array | None = None
    equity_price: Array | None = None
    answer: dict[str, Array] = field(default_factory=dict)

    def take(self, regions: slice, reply: Message) -> None:
        """Note the answer of some regions."""
        for name in type(reply).axes():
            value = np.asarray(getattr(reply, name))
            if name not in self.answer:
                self.answer[name] = np.zeros((len(self.owing), *value.shape[1:]))
            self.answer[name][regions] = value
        self.owing[regions] = False


class Algorithm(ABC):
    """A sans-IO state machine: `start` gives the first exchange, `step` takes what came back and gives the
    next.

    The best plan and bound so far are in `incumbent` at any time, so a run can be stopped between any two
    exchanges. Bounds and prices of plans count once all regions have answered to the same question. While a
    region is silent the last bound stands: what its last known term proves at later prices was tried, and
    never came near it.
    """

    def __init__(self, market: Market, gap: float, warm: WarmStart | None = None) -> None:
        self.market = market
        self.gap = gap
        self.warm = warm
        self.incumbent = Incumbent()
        self.part = np.zeros(1, np.int64)
        """First slots of the parts of the horizon by which agents price plans: one, unless a method says."""
        self._questions: list[_Question] = []

    @abstractmethod
    def start(self) -> Broadcast:
        """The opening exchange."""

    @abstractmethod
    def step(self, heard: Round) -> Broadcast | Finished:
        """Digest what the last exchange brought and say what to ask next."""

    @property
    def resumable(self) -> bool:
        """Whether agents keep nothing that matters to later rounds: the state here is enough to go on with
        fresh ones.
        """
        return True

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
        demand_price = in_single_precision(demand_price)
        equity_price = self.market.equity.normalise(equity_price)
        request = Bound(demand_price=demand_price.T, equity_price=equity_price)
        self._ask(
            _Question(
                request,
                self._everyone(),
                demand_price=demand_price.astype(float),
                equity_price=equity_price,
            )
        )
        return request

    def ask_plan(self, route: Array) -> Evaluate:
        """Ask what a feasible plan (T, E) costs; it is kept as it is, so give away the array."""
        request = Evaluate(part=self.part, load=self.market.load(route).T)
        self._ask(_Question(request, self._everyone(), route=route))
        return request

    def unanswered(self) -> tuple[tuple[Request, Array], ...]:
        """Questions that some regions still owe an answer to, and which; to be asked again."""
        return tuple((question.request, question.owing.copy()) for question in self._questions)

    def digest(self, heard: Round) -> list[PricedPlan]:
        """Credit the answers to `ask_bound` and `ask_plan` to the incumbent; the plans that were priced, in
        the order in which they were asked about.
        """
        asked = {id(question.request): question for question in self._questions}
        for host_reply in heard.host_replies:
            for request, reply in zip(host_reply.requests, host_reply.replies, strict=True):
                if question := asked.get(id(request)):
                    question.take(host_reply.regions, reply)
        priced, left = [], []
        for question in self._questions:
            if question.owing.any():
                left.append(question)
            elif (plan := self._credit_answer(question)) is not None:
                priced.append(plan)
        self._questions = left
        return priced

    def _ask(self, question: _Question) -> None:
        self._questions = [*self._questions[-(_QUESTIONS_OPEN - 1) :], question]

    def _everyone(self) -> Array:
        return np.ones(self.market.regions, bool)

    def _credit_answer(self, question: _Question) -> PricedPlan | None:
        answer = question.answer
        if question.route is None:
            assert question.demand_price is not None and question.equity_price is not None
            bound = float(self.market.worth(question.demand_price) + answer["value"].sum())
            self.incumbent.offer_bound(bound, question.demand_price, question.equity_price)
            return None
        plan = PricedPlan(question.route, answer["cost"].sum(0), np.moveaxis(answer["footprint"], 1, 0))
        self.incumbent.offer_plan(plan.objective(self.market.equity), plan.route)
        return plan

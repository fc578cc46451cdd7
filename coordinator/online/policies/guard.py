"""Robust advice: follow any policy, but never cost more than (1 + eps) times a robust one.

The robust policy B runs in shadow: it decides as if it had decided all along, on footprints of its own.
With E and F what was spent, and a prime for the shadow after its move, the advice A is followed as far as

    V(alpha) = E + p.y - E_B' + sum_k lambda_k max_i (F + a*y - F_B')_ik <= eps J_B'
    with y = alpha y_A + (1 - alpha) y_B

allows. V is convex; at alpha = 0 it is what it was before. So the limit can always be kept while J_B does not
fall, that is with prices of at least zero, and then J <= J_B + V <= (1 + eps) J_B holds after every slot,
whatever the advice. With negative prices J_B may fall, and what holds is J <= J_B + eps max(J_B so far).

It holds for the footprints by which both are accounted: estimates, until the meters of both are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from eglb.agents.valuation import Evaluate
from eglb.coordinator.exchange import Broadcast
from eglb.coordinator.online.policy import Exchange, Policy
from eglb.coordinator.online.settlement import Settlement
from eglb.coordinator.online.slot import Slot

_HALVINGS = 50


@dataclass(eq=False)
class Guard(Policy):
    """A mixture of `advice` and `robust`, slot by slot, within the budget `eps` (see the module).

    Where it starts in the middle of a period, the limit holds from there on.
    """

    plans_work = False

    advice: Policy
    robust: Policy
    eps: float = 0.05
    _accounts: tuple[Settlement, Settlement] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.needs_distance = self.advice.needs_distance or self.robust.needs_distance

    def decide(self, slot: Slot) -> Exchange:
        if self._accounts is None or slot.elapsed == 0:
            self._accounts = Settlement(slot.footprint), Settlement(slot.footprint)
        (mixed, shadow), weight = self._accounts, slot.market.equity_weight
        yield from mixed.read(slot.now, slot.meter_delay)
        metered = yield from shadow.read(slot.now, slot.meter_delay)
        advised = yield from self.advice.decide(slot)
        robust = yield from self.robust.decide(replace(slot, footprint=shadow.footprint, metered=metered))
        loads = slot.market.load(advised[None]), slot.market.load(robust[None])
        whole = np.zeros(1, np.int64)
        _, a, b = yield Broadcast(
            (slot.look(slot.present), *(Evaluate(part=whole, load=load.T) for load in loads)), opening=True
        )
        shadow_cost = shadow.cost + b.cost.sum()
        shadow_footprint = shadow.footprint + b.footprint[:, 0]
        budget = self.eps * max(shadow_cost + weight @ shadow_footprint.max(0, initial=0.0), 0.0)

        def excess(part: float) -> float:
            """V, if the advice gets this part of the slot."""
            cost = mixed.cost + part * a.cost.sum() + (1.0 - part) * b.cost.sum()
            footprint = mixed.footprint + part * a.footprint[:, 0] + (1.0 - part) * b.footprint[:, 0]
            return float(cost - shadow_cost + weight @ (footprint - shadow_footprint).max(0, initial=-np.inf))

        part = 1.0 if excess(1.0) <= budget else _largest(excess, budget)
        mixed.serve(slot.now, part * loads[0][0] + (1.0 - part) * loads[1][0])
        shadow.serve(slot.now, loads[1][0])
        return part * advised + (1.0 - part) * robust


def _largest(excess: Callable[[float], float], budget: float) -> float:
    """The largest part of a convex `excess` within the budget, by bisection from below; 0 if there is
    none.
    """
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if excess(middle) <= budget else (low, middle)
    return low

"""An online policy of your own: decide every slot when the next one is not known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import eglb
from eglb.coordinator.online.policy import follow


# 1. A policy has one method. It never sees the regions' prices; it asks their agents.
@dataclass(eq=False)
class WorstPays(eglb.Policy):
    """The region with the largest footprint so far carries most of the equity price.

    A region's share of the price is its share of all footprints so far, to the power of `sharpness`.
    """

    sharpness: float = 4.0

    def decide(self, slot):
        # `slot.footprint` is (regions, kinds) of the period so far, by meters where they were read.
        largest = np.maximum(slot.footprint.max(0), 1e-12)
        share = (slot.footprint / largest) ** self.sharpness + 1e-6
        price = slot.market.equity_weight * share / share.sum(0)
        # `follow` asks the agents for bids at this price and clears demand at least cost.
        # It is a generator, as messages go out and come back: so `yield from`.
        return (yield from follow(slot, price))


def main() -> None:
    # 2. A generated fleet of four regions and two days.
    fleet = eglb.load("synthetic:4x48,seed=3")

    # 3. Pass the object where a name would do, and set it beside those that there are.
    runs = {}
    for policy in ("cost", WorstPays(), "eg", "soft"):
        run = eglb.simulate(fleet, policy)
        runs[run.policy] = run
        print(f"{run.policy:10} {run.objective:14,.0f} USD, {run.gap_to_offline:.2%} above the bound")

    # 4. Whatever a policy does, demand is met within capacity, and the audit says so.
    own = runs["WorstPays"]
    assert max(own.violations.values()) < 1e-6
    # 5. No policy beats the plan that knows all hours.
    assert own.gap_to_offline >= -1e-6
    # 6. Paying for equity hour by hour is better than cheapest first.
    assert own.objective < runs["cost"].objective
    print("it beats cheapest first")


if __name__ == "__main__":
    main()

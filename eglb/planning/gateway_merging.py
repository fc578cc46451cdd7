"""Who may serve whom, with gateways of the same reach merged: the same plan with fewer unknowns."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.scenario import Scenario


@dataclass(frozen=True, eq=False)
class Pairs:
    """The allowed pairs after merging G groups of gateways with the same reach.

    `group` (J,) is the group of each gateway; `gateway` and `region` (E',) are the merged pairs, sorted by
    region, then group; `of_pair` (E,) is the merged pair of each of the scenario's. `demand` (G, T),
    `capacity` (N, T): MW.
    """

    group: Array
    gateway: Array
    region: Array
    of_pair: Array
    demand: Array
    capacity: Array

    def expand_flow(self, scenario: Scenario, flow: Array) -> Array:
        """(E, T) route from (E', T) on merged pairs: each gateway gets its share of the group's demand."""
        return flow[self.of_pair] * self.share(scenario)[scenario.reach_gateway]

    def share(self, scenario: Scenario) -> Array:
        """(J, T): each gateway's part of its group's demand."""
        total = self.demand[self.group]
        return np.divide(scenario.demand, total, out=np.zeros_like(total), where=total > 0.0)


def merge_gateways(scenario: Scenario) -> Pairs:
    """Merge the gateways of `scenario` that reach the same regions."""
    order = np.lexsort((scenario.reach_region, scenario.reach_gateway))
    region = scenario.reach_region[order]
    first = np.searchsorted(scenario.reach_gateway[order], np.arange(len(scenario.gateways) + 1))
    seen: dict[bytes, int] = {}
    group = np.array(
        [seen.setdefault(region[a:b].tobytes(), len(seen)) for a, b in pairwise(first)],
        dtype=np.int64,
    )
    return _pairs(scenario, group)


def separate_gateways(scenario: Scenario) -> Pairs:
    """Every gateway of `scenario` a group of its own."""
    return _pairs(scenario, np.arange(len(scenario.gateways)))


def _pairs(scenario: Scenario, group: Array) -> Pairs:
    groups = int(group.max(initial=-1)) + 1
    demand = np.zeros((groups, scenario.slots))
    np.add.at(demand, group, scenario.demand)
    key = scenario.reach_region * groups + group[scenario.reach_gateway]
    merged, of_pair = np.unique(key, return_inverse=True)
    return Pairs(
        group=group,
        gateway=merged % groups,
        region=merged // groups,
        of_pair=of_pair,
        demand=demand,
        capacity=scenario.capacity,
    )

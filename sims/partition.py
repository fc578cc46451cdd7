"""Who may know what: a scenario cut into the private data of the regions and the coordinator's market, and
back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.agents.region import Region
from eglb.coordinator.market import Market
from eglb.sims.scenario import Scenario

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Partition:
    """Both sides of a scenario, with gateways of the same reach merged and kinds of no weight left out.

    `group` (J,) is the merged gateway of each of the scenario's; `kinds` the indices of the priced
    footprints.
    """

    scenario: Scenario
    region: Region
    market: Market
    group: Array
    kinds: Array

    def expand_route(self, route: Array) -> Array:
        """(E, T) on the scenario's pairs from (T, E') on the merged ones: each gateway in proportion to its
        demand.
        """
        s, m = self.scenario, self.market
        group = self.group[s.reach_gateway]
        merged = np.lexsort((m.edge_region, m.edge_gateway))
        key = m.edge_gateway[merged] * m.regions + m.edge_region[merged]
        edge = merged[np.searchsorted(key, group * m.regions + s.reach_region)]
        total = m.demand.T
        share = np.divide(
            s.demand, total[self.group], out=np.zeros_like(s.demand), where=total[self.group] > 0.0
        )
        return np.ascontiguousarray(route.T[edge] * share[s.reach_gateway])

    def expand_demand_price(self, price: Array) -> Array:
        """(J, T) from the merged (T, J')."""
        return np.ascontiguousarray(price.T[self.group])

    def expand_equity_price(self, price: Array) -> Array:
        """(K, N) over all kinds of the scenario from (N, K') over the priced ones."""
        out = np.zeros((len(self.scenario.footprints), self.market.regions))
        out[self.kinds] = price.T
        return out


def merge_gateways(scenario: Scenario) -> tuple[Array, Array]:
    """Gateways that reach the same regions, as one: `group` (J,) and the first gateway of each group
    (J',).
    """
    order = np.lexsort((scenario.reach_region, scenario.reach_gateway))
    gateway, region = scenario.reach_gateway[order], scenario.reach_region[order]
    start = np.searchsorted(gateway, np.arange(len(scenario.gateways) + 1))
    seen: dict[bytes, int] = {}
    first: list[int] = []
    group = np.empty(len(scenario.gateways), int)
    for j in range(len(group)):
        key = region[start[j] : start[j + 1]].tobytes()
        if key not in seen:
            seen[key] = len(first)
            first.append(j)
        group[j] = seen[key]
    return group, np.array(first, int)


def partition(scenario: Scenario) -> Partition:
    """Cut `scenario` into what the regions know and what the coordinator knows."""
    group, first = merge_gateways(scenario)
    demand = np.zeros((len(first), scenario.slots))
    np.add.at(demand, group, scenario.demand)
    keep = np.isin(scenario.reach_gateway, first)
    gateway, region = group[scenario.reach_gateway[keep]], scenario.reach_region[keep]
    order = np.lexsort((region, gateway))
    kinds = np.array([k for k, kind in enumerate(scenario.footprints) if kind.weight > 0.0], int)
    priced = [scenario.footprints[k] for k in kinds]
    intensity = np.empty((len(scenario.regions), len(priced), scenario.slots))
    for k, kind in enumerate(priced):
        intensity[:, k] = scenario.intensity_per_mw_slot(kind) * kind.region_weight[:, None]
    market = Market(
        demand=demand.T,
        regions=len(scenario.regions),
        edge_gateway=gateway[order],
        edge_region=region[order],
        equity_weight=np.array([kind.weight for kind in priced], float),
    )
    private = Region(scenario.regions, scenario.price_per_mw_slot(), scenario.capacity.copy(), intensity)
    return Partition(scenario, private, market, group, kinds)

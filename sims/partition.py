"""Who may know what: a scenario cut into the private data of the regions and the coordinator's market, and
back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.agents.region import Region
from eglb.coordinator.market import Market
from eglb.sims.pairs import Pairs, merge_gateways, separate_gateways
from eglb.sims.scenario import Scenario

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Partition:
    """Both sides of a scenario, with gateways of the same reach merged and kinds of no weight left out.

    `pairs` knows how gateways were merged; `by_gateway` (E',) puts its pairs into the market's order;
    `kinds` are the indices of the priced footprints.
    """

    scenario: Scenario
    region: Region
    market: Market
    pairs: Pairs
    by_gateway: Array
    kinds: Array
    merged: bool = True

    def pair_values(self, values: Array) -> Array:
        """(E',) one of the `values` (E,) of the scenario's pairs for each of the market's."""
        out = np.empty(len(self.by_gateway))
        out[self.pairs.of_pair] = values
        return out[self.by_gateway]

    def expand_route(self, route: Array) -> Array:
        """(E, T) on the scenario's pairs from (T, E') on the market's."""
        flow = np.empty(route.T.shape)
        flow[self.by_gateway] = route.T
        return self.pairs.expand_flow(self.scenario, flow)

    def expand_demand_price(self, price: Array) -> Array:
        """(J, T) from the merged (T, J')."""
        return np.ascontiguousarray(price.T[self.pairs.group])

    def expand_demand(self, demand: Array) -> Array:
        """(J, T) MW from (T, J') of the merged gateways, shared out by what each of them asks for."""
        return np.ascontiguousarray(demand.T[self.pairs.group]) * self.pairs.share(self.scenario)

    def expand_equity_price(self, price: Array) -> Array:
        """(..., K, N) over all kinds of the scenario from (..., N, K') over the priced ones."""
        out = np.zeros((*price.shape[:-2], len(self.scenario.footprints), self.market.regions))
        out[..., self.kinds, :] = price.swapaxes(-1, -2)
        return out


def partition(scenario: Scenario, merge: bool = True) -> Partition:
    """Cut `scenario` into what the regions know and what the coordinator knows.

    `merge` gateways of the same reach: fewer unknowns, but it is forgotten which of them is nearest to whom.
    """
    pairs = merge_gateways(scenario) if merge else separate_gateways(scenario)
    by_gateway = np.lexsort((pairs.region, pairs.gateway))
    kinds = np.array([k for k, kind in enumerate(scenario.footprints) if kind.weight > 0.0], int)
    priced = [scenario.footprints[k] for k in kinds]
    intensity = np.empty((len(scenario.regions), len(priced), scenario.slots))
    for k, kind in enumerate(priced):
        intensity[:, k] = scenario.intensity_per_mw_slot(kind) * kind.region_weight[:, None]
    market = Market(
        demand=pairs.demand.T,
        regions=len(scenario.regions),
        edge_gateway=pairs.gateway[by_gateway],
        edge_region=pairs.region[by_gateway],
        equity_weight=np.array([kind.weight for kind in priced], float),
        equity_shape=tuple(kind.shape for kind in priced),
    )
    private = Region(scenario.regions, scenario.price_per_mw_slot(), scenario.capacity.copy(), intensity)
    return Partition(scenario, private, market, pairs, by_gateway, kinds, merge)

"""What the coordinator knows from the start: who asks for how much, who may serve whom, what inequity
costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from eglb.coordinator import clearing

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Market:
    """J gateways (no two with the same reach) over T slots, N regions and E allowed pairs, sorted by gateway.

    Inside the coordinator arrays are slot-major: a route is (T, E), a load (T, N), a demand price (T, J).

    Parameters
    ----------
    demand : (T, J) MW, >= 0.
    regions : N.
    edge_gateway, edge_region : (E,) indices, sorted by gateway, then region.
    equity_weight : (K,) lambda, USD per unit of the worst region's footprint, > 0.
    """

    demand: Array
    regions: int
    edge_gateway: Array
    edge_region: Array
    equity_weight: Array

    def __post_init__(self) -> None:
        for name, dtype in (("demand", float), ("edge_gateway", np.int64), ("edge_region", np.int64)):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=dtype))

    @property
    def slots(self) -> int:
        """T."""
        return self.demand.shape[0]

    @property
    def gateways(self) -> int:
        """J."""
        return self.demand.shape[1]

    @property
    def kinds(self) -> int:
        """K."""
        return len(self.equity_weight)

    @cached_property
    def gateway_start(self) -> Array:
        """(J + 1,): the edges of gateway j are ``gateway_start[j]:gateway_start[j + 1]``."""
        return np.searchsorted(self.edge_gateway, np.arange(self.gateways + 1)).astype(np.int64)

    @cached_property
    def by_region(self) -> Array:
        """(E,): the edges in the order of messages, sorted by region, then gateway."""
        return np.lexsort((self.edge_gateway, self.edge_region))

    @cached_property
    def region_start(self) -> Array:
        """(N + 1,): the edges of region i are ``by_region[region_start[i]:region_start[i + 1]]``."""
        return np.concatenate([[0], np.cumsum(self.degree)]).astype(np.int64)

    @cached_property
    def degree(self) -> Array:
        """(N,): how many gateways reach each region."""
        return np.bincount(self.edge_region, minlength=self.regions)

    def per_edge(self, by_gateway: Array) -> Array:
        """(E, T) in message order from (T, J)."""
        return np.ascontiguousarray(by_gateway[:, self.edge_gateway[self.by_region]].T)

    def spread(self) -> Array:
        """(T, E): every gateway's demand in equal parts over the regions it reaches."""
        parts = np.bincount(self.edge_gateway, minlength=self.gateways)
        return np.ascontiguousarray((self.demand / parts)[:, self.edge_gateway])

    def load(self, route: Array) -> Array:
        """(T, N): each region's load under `route` (T, E)."""
        return clearing.region_load(route, self.edge_region, self.regions)

    def repair(self, route: Array, ceiling: Array) -> tuple[Array, Array]:
        """A route (T, E) near the given one with loads at most `ceiling` (T, N), and what of demand stays
        unmet (T, J).
        """
        return clearing.repair(route, ceiling, self.demand, *self._graph)

    def clear(self, cost: Array, quantity: Array) -> tuple[Array, Array, Array]:
        """Least-cost route (T, E) for `cost` and `quantity` (T, N), its demand price (T, J) and unmet demand
        (T, J).
        """
        return clearing.clear(cost, quantity, self.demand, *self._graph)

    @property
    def _graph(self) -> tuple[Array, Array, Array, Array, Array]:
        return self.gateway_start, self.edge_region, self.edge_gateway, self.region_start, self.by_region

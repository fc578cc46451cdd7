"""Who may know what: a scenario cut into the private data of the regions and the coordinator's market, and
back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.agents.region import Region
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array
from eglb.planning.gateway_merging import Pairs, merge_gateways, separate_gateways
from eglb.planning.job_columns import JobColumns, seat_jobs
from eglb.scenarios.scenario import Scenario


@dataclass(frozen=True, eq=False)
class Partition:
    """Both sides of a scenario, with gateways of the same reach merged and kinds of no weight left out.

    `pairs` knows how gateways were merged; `by_gateway` (E',) puts its pairs into the market's order;
    `kinds` are the indices of the priced footprints. With jobs, `job_columns` knows whose are the
    market's columns and edges after those of the gateways.
    """

    scenario: Scenario
    region: Region
    market: Market
    pairs: Pairs
    by_gateway: Array
    kinds: Array
    merged: bool = True
    job_columns: JobColumns | None = None

    def pair_values(self, values: Array) -> Array:
        """(E',) one of the `values` (E,) of the scenario's pairs for each of the market's."""
        out = np.empty(len(self.by_gateway))
        out[self.pairs.of_pair] = values
        return out[self.by_gateway]

    def expand_route(self, route: Array) -> Array:
        """(E, T) on the scenario's pairs from (T, E') on the market's."""
        pairs = len(self.by_gateway)
        flow = np.empty((pairs, len(route)))
        flow[self.by_gateway] = route.T[:pairs]
        return self.pairs.expand_flow(self.scenario, flow)

    def expand_work(self, route: Array) -> Array | None:
        """(P, T) MW on the jobs' pairs from (T, E') on the market's; None without jobs."""
        return None if self.job_columns is None else self.job_columns.expand_work(route)

    def expand_work_price(self, price: Array) -> Array | None:
        """(M, T) USD per MW-slot of work from the market's (T, J'); None without jobs."""
        return None if self.job_columns is None else self.job_columns.expand_price(price)

    def expand_unmet_work(self, unmet: Array) -> Array | None:
        """(M,) MWh that cannot be done from the market's (T, J'); None without jobs."""
        if self.job_columns is None:
            return None
        return self.job_columns.expand_unmet(unmet) * self.scenario.slot_hours

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


def partition(scenario: Scenario, merge: bool = True, merge_jobs: bool = True) -> Partition:
    """Cut `scenario` into what the regions know and what the coordinator knows.

    `merge` gateways of the same reach: fewer unknowns, but it is forgotten which of them is nearest to whom.
    `merge_jobs` that are alike: they are done in equal proportion, or not at all.
    """
    pairs = merge_gateways(scenario) if merge else separate_gateways(scenario)
    by_gateway = np.lexsort((pairs.region, pairs.gateway))
    kinds = np.array([k for k, kind in enumerate(scenario.footprints) if kind.weight > 0.0], int)
    priced = [scenario.footprints[k] for k in kinds]
    intensity = np.empty((len(scenario.regions), len(priced), scenario.slots))
    for k, kind in enumerate(priced):
        intensity[:, k] = scenario.intensity_per_mw_slot(kind) * kind.region_weight[:, None]
    demand, edge_gateway, edge_region = pairs.demand.T, pairs.gateway[by_gateway], pairs.region[by_gateway]
    job_columns = None
    if scenario.jobs is not None:
        job_columns = seat_jobs(scenario, scenario.jobs, len(pairs.demand), len(by_gateway), merge_jobs)
        columns = len(pairs.demand) + job_columns.columns
        demand = job_columns.work.load_at(job_columns.work.most, scenario.slots, columns)
        demand[:, : len(pairs.demand)] = pairs.demand.T
        edge_gateway = np.concatenate([edge_gateway, job_columns.edge_column])
        edge_region = np.concatenate([edge_region, job_columns.edge_region])
    market = Market(
        demand=demand,
        regions=len(scenario.regions),
        edge_gateway=edge_gateway,
        edge_region=edge_region,
        equity_weight=np.array([kind.weight for kind in priced], float),
        equity_shape=tuple(kind.shape for kind in priced),
        work=None if job_columns is None else job_columns.work,
    )
    private = Region(scenario.regions, scenario.price_per_mw_slot(), scenario.capacity.copy(), intensity)
    return Partition(scenario, private, market, pairs, by_gateway, kinds, merge, job_columns)


def declared_demand(parts: Partition) -> Array:
    """(D, J) MW that the market's gateways declare to ask for at most, in the D slots of a day: the most that
    they ask for at that hour on any day.
    """
    demand = parts.market.fixed_demand
    hour = np.arange(len(demand)) % max(1, round(24.0 / parts.scenario.slot_hours))
    return np.array([demand[hour == each].max(0) for each in np.unique(hour)])

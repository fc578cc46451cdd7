"""Market: who asks for how much, who may serve whom, what inequity costs. Known from the start."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from eglb.coordinator.market import job_allocation, merit_order, min_cost_flow, nearest
from eglb.coordinator.market import repair as work_repair
from eglb.coordinator.market.aggregation import Aggregation, aggregate_columns
from eglb.coordinator.market.equity import Equity
from eglb.coordinator.market.jobs import JobSet
from eglb.foundation import transport_repair
from eglb.foundation.arrays import Array
from eglb.foundation.compilation import in_shards
from eglb.foundation.equity_shape import EquityShape

_LARGE = 10_000


@dataclass(frozen=True, eq=False)
class Market:
    """J gateways (no two with the same reach) over T slots, N regions and E allowed pairs, sorted by gateway.

    Inside the coordinator arrays are slot-major: a route is (T, E), a load (T, N), a demand price (T, J).
    With deferrable jobs the last of the gateways are columns of theirs, see `JobSet`; what is said of a
    gateway's demand then means, for them, powers that do the work.

    Parameters
    ----------
    demand : (T, J) MW, >= 0; of a job's column, the most it may ask for.
    regions : N.
    edge_gateway, edge_region : (E,) indices, sorted by gateway, then region.
    equity_weight : (K,) lambda, USD per unit of the worst region's footprint, > 0.
    equity_shape : one for each kind; none given, all are the worst region's footprint.
    work : deferrable jobs, None if there are none.
    """

    demand: Array
    regions: int
    edge_gateway: Array
    edge_region: Array
    equity_weight: Array
    equity_shape: tuple[EquityShape, ...] = ()
    work: JobSet | None = None

    def __post_init__(self) -> None:
        for name, dtype in (("demand", float), ("edge_gateway", np.int64), ("edge_region", np.int64)):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=dtype))

    @property
    def large(self) -> bool:
        """Whether compiled code at the agents is worth 0.5 s and 130 MB of loading it in every process."""
        return self.regions * self.slots >= _LARGE

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
    def equity(self) -> Equity:
        """What footprints cost, and the sets of their prices."""
        return Equity.of(self.equity_weight, self.equity_shape or (EquityShape(),) * self.kinds)

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

    @property
    def fixed_demand(self) -> Array:
        """(T, J'): the demand of the gateways that are no jobs."""
        if self.work is None:
            return self.demand
        return np.ascontiguousarray(self.demand[:, : self.work.way_column.min(initial=self.gateways)])

    def asked(self, route: Array | None = None) -> Array:
        """(T, J): what each gateway is to be served: its demand, or powers that do its work, next to those of
        `route` (T, E) or, without one, even ones.
        """
        if self.work is None:
            return self.demand
        served = np.zeros_like(self.demand) if route is None else self._served(route)
        asked = self.work.nearest_load(served)
        asked[:, : self.fixed_demand.shape[1]] = self.fixed_demand
        return asked

    def worth(self, demand_price: Array) -> float:
        """USD: what all that is asked for costs at least at `demand_price` (T, J), the coordinator's term of
        the Lagrangian bound.
        """
        if self.work is None:
            return float((demand_price * self.demand).sum())
        fixed = self.fixed_demand
        of_demand = float((demand_price[:, : fixed.shape[1]] * fixed).sum())
        return of_demand + self.work.least_cost(demand_price)

    def parts(self, most: int, shortest: int) -> Array:
        """(P,): first slots of at most `most` parts of the horizon, about `shortest` slots long at least,
        such that plans may be mixed part by part: no job is under way from one to the next.
        """
        count = max(1, min(most, self.slots // shortest))
        part = np.linspace(0, self.slots, count, endpoint=False).astype(np.int64)
        if self.work is None:
            return part
        cuts = self.work.cuts(self.slots)
        return np.unique(cuts[np.searchsorted(cuts, part, side="right") - 1])

    def spread(self) -> Array:
        """(T, E): every gateway's demand in equal parts over the regions it reaches."""
        parts = np.bincount(self.edge_gateway, minlength=self.gateways)
        return np.ascontiguousarray((self.asked() / parts)[:, self.edge_gateway])

    def load(self, route: Array) -> Array:
        """(T, N): each region's load under `route` (T, E)."""
        load = np.empty((self.slots, self.regions))
        self._in_shards(nearest.region_load, (route, load), self.edge_region)
        return load

    def meet(self, route: Array) -> Array:
        """(T, E): `route` scaled so that every gateway's demand is met, in equal parts where it carries
        nothing.
        """
        served = self._served(route)
        asked = self.asked(route)
        factor = np.divide(asked, served, out=np.zeros_like(served), where=served > 0.0)
        scaled = np.maximum(route, 0.0) * factor[:, self.edge_gateway]
        parts = np.bincount(self.edge_gateway, minlength=self.gateways)
        even = np.ascontiguousarray((asked / parts)[:, self.edge_gateway])
        return np.where((served > 0.0)[:, self.edge_gateway], scaled, even)

    def best_price(self, demand_price: Array) -> Array:
        """(T, N): the highest of the demand prices (T, J) of the gateways that reach a region; 0 if none
        does.
        """
        best = np.zeros((self.slots, self.regions))
        reached = self.degree > 0
        offered = demand_price[:, self.edge_gateway[self.by_region]]
        best[:, reached] = np.maximum.reduceat(offered, self.region_start[:-1][reached], axis=1)
        return best

    def repair(self, route: Array, ceiling: Array) -> tuple[Array, Array]:
        """A route (T, E) near the given one with loads at most `ceiling` (T, N), and what of demand stays
        unmet (T, J).
        """
        route = np.array(route, order="C")
        unmet = np.empty_like(self.demand)
        self._in_shards(transport_repair.repair, (route, ceiling, self.asked(route), unmet), *self._graph)
        if self.work is not None and unmet.any():
            unmet = self.complete(route, ceiling)
        return route, unmet

    def complete(self, route: Array, ceiling: Array) -> Array:
        """Serve what `route` (T, E) lacks of demand and work, in place, as far as loads of at most `ceiling`
        (T, N) allow, which it keeps already; what stays unmet (T, J). Moves no more than that takes.
        """
        assert self.work is not None
        unmet = np.empty_like(self.demand)
        ceiling = np.ascontiguousarray(ceiling, dtype=float)
        state = (route, ceiling, self.fixed_demand, unmet)
        known = (*self.work.kernel_arguments, self._owner, self.work.way_job, *self._graph)
        work_repair.repair(*state, *known)
        return unmet

    @property
    def clears_exactly(self) -> bool:
        """Whether `clear` finds the least cost: not where jobs take more energy in some regions."""
        return self.work is None or bool((self.work.way_gain == 1.0).all())

    def clear(self, cost: Array, quantity: Array) -> tuple[Array, Array, Array]:
        """Least-cost route (T, E) for `cost` and `quantity` (T, N), its demand price (T, J) and unmet demand
        (T, J).
        """
        if self.work is None:
            return self._clear(cost, quantity)
        work, aggregation, aggregated = self.work, self.aggregation, self.aggregated
        demand = work.load_at(work.least, *self.demand.shape)
        demand[:, : self.fixed_demand.shape[1]] = self.fixed_demand
        route, price, _ = aggregated.over(aggregation.aggregate(demand))._clear(cost, quantity)
        lacks, power = np.zeros(len(work.first)), np.zeros((self.slots, len(work.first)))
        state = (cost, quantity, route, price, power, lacks)
        known = (*work.kernel_arguments[:5], *self._under_way, *aggregated._graph)
        min_cost_flow.add_jobs(*state, *known)
        column = work.way_column[work.way_start[:-1]]
        served = demand
        served[:, self.fixed_demand.shape[1] :] = 0.0
        for m in range(len(column)):
            served[:, column[m]] += power[:, m]
        unmet = work.spread(lacks, *self.demand.shape)
        return (
            aggregation.disaggregate_route(route, served),
            np.take(price, aggregation.column, axis=1),
            unmet,
        )

    def _clear(self, cost: Array, quantity: Array) -> tuple[Array, Array, Array]:
        route = np.empty((self.slots, len(self.edge_region)))
        price, unmet = np.empty_like(self.demand), np.empty_like(self.demand)
        self._in_shards(merit_order.clear, (cost, quantity, self.demand, route, price, unmet), *self._graph)
        return route, price, unmet

    def redispatch(
        self, cost: Array, quantity: Array, order: Array, route: Array, load: Array, fresh: Array
    ) -> None:
        """Bring the least-cost loads `load` (T, N) up to date after a change of `cost` (T, N), in place.

        `order` (T, N) and `route` (T, E) are theirs from call to call; slots where `fresh` (T,) is nonzero
        start anew.
        """
        state = (order, route, load, fresh)
        self._in_shards(merit_order.redispatch, (cost, quantity, self.demand, *state), *self._graph)

    def over(self, demand: Array, work: JobSet | None = None) -> Market:
        """The same gateways and regions over other slots, with `demand` (T', J) MW and `work` there.

        Where `demand` leaves out the last columns they ask for what `work` may take at most.
        """
        missing = self.gateways - demand.shape[1]
        if missing:
            whole = np.zeros((len(demand), self.gateways))
            if work is not None:
                whole = work.load_at(work.most, *whole.shape)
            whole[:, :-missing] = demand
            demand = whole
        other = copy(self)
        object.__setattr__(other, "demand", np.ascontiguousarray(demand, dtype=float))
        object.__setattr__(other, "work", work)
        for known in ("_owner", "aggregation", "aggregated", "_under_way"):
            other.__dict__.pop(known, None)
        return other

    def less(self, unmet: Array) -> Market:
        """The same market without the `unmet` (T, J) part of demand and work, see `repair`."""
        if self.work is None:
            return self.over(self.demand - unmet)
        fixed = self.fixed_demand.shape[1]
        demand = self.demand.copy()
        demand[:, :fixed] -= unmet[:, :fixed]
        return replace(self, demand=demand, work=self.work.less(unmet))

    def project(self, target: Array, route: Array, price: Array, step: Array, sweeps: int) -> Array:
        """Load (T, N) next to `target` that meets demand; `route` (T, E) and `price` (T, J) move along in
        place.
        """
        load = np.empty_like(target)
        alone = self.work is None
        for _ in range(1 if alone else sweeps):
            self._in_shards(
                nearest.water_fill,
                (target, load, route, price, self.fixed_demand),
                step,
                self.gateway_start,
                self.edge_region,
                sweeps if alone else 1,
            )
            if self.work is not None:
                missing = target - load
                known = (*self.work.kernel_arguments, self.gateway_start, self.edge_region)
                job_allocation.water_fill_jobs(missing, route, price, step, *known)
                load = target - missing
        return load

    def blend(self, mean: Array, route: Array, part: float) -> None:
        """Move `mean` a `part` of the way to `route`, both (T, E), in place."""
        self._in_shards(nearest.blend, (mean, route), part)

    def _in_shards(self, kernel: Callable[..., None], by_slot: tuple[Array, ...], *shared: Any) -> None:
        in_shards(kernel, self.slots * len(self.edge_region), by_slot, *shared)

    def _served(self, route: Array) -> Array:
        """(T, J): what `route` (T, E) carries for each gateway."""
        return np.add.reduceat(np.maximum(route, 0.0), self.gateway_start[:-1], axis=1)

    @cached_property
    def _owner(self) -> Array:
        assert self.work is not None
        return self.work.owner(self.slots, self.gateways)

    @cached_property
    def aggregation(self) -> Aggregation:
        """Columns with the same reach as one; those of jobs that have several ways stay apart."""
        apart = np.zeros(self.gateways, bool)
        if self.work is not None:
            single = np.diff(self.work.way_start) == 1
            apart[self.work.way_column[~single[self.work.way_job] | (self.work.way_gain != 1.0)]] = True
        return aggregate_columns(self.edge_gateway, self.edge_region, apart)

    @cached_property
    def aggregated(self) -> Market:
        """The market of aggregated columns, and no jobs."""
        f = self.aggregation
        demand = f.aggregate(self.demand)
        return replace(
            self, demand=demand, edge_gateway=f.aggregated_column, edge_region=f.aggregated_region, work=None
        )

    @cached_property
    def _under_way(self) -> tuple[Array, Array, Array]:
        """What `min_cost_flow.add_jobs` knows of columns: the jobs of each, slot by slot, and that of each
        job.
        """
        assert self.work is not None
        work, columns = self.work, self.aggregation.columns
        column = self.aggregation.column[work.way_column[work.way_start[:-1]]]
        length = work.last - work.first
        job = np.repeat(np.arange(len(column)), length)
        slot = np.arange(len(job)) - np.repeat(np.cumsum(length) - length - work.first, length)
        place = slot * columns + column[job]
        order = np.argsort(place, kind="stable")
        start = np.searchsorted(place[order], np.arange(self.slots * columns + 1))
        return start.astype(np.int64), job[order], column

    @property
    def _graph(self) -> tuple[Array, Array, Array, Array, Array]:
        return self.gateway_start, self.edge_region, self.edge_gateway, self.region_start, self.by_region

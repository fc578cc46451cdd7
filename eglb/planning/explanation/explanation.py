"""Why load went where it did, from the prices that certify a plan.

With the plan's equity prices mu_ik, a MW of load in region i and slot t has the full price

    v_i = p_i + sum_k mu_ik s_ik a_ik + pi_i      energy, surcharges for footprints, price of capacity

in USD per MW-slot. A gateway pays the lowest full price within its reach, its demand price nu_j; the reduced
cost ``v_i - nu_j >= 0`` is what a MW of gateway j would cost more in region i than where it is served now.

pi_i is the multiplier of the capacity in the knapsack of the bound (`eglb.planning.audit`): what one MW more
would save, at these prices. Stored demand prices are only near the lowest full prices; capacity and demand
prices are set from each other until they agree, which can only raise the bound (block coordinate ascent on
``sum nu_j d_j - sum pi_i cap_i``, its linear-programming dual). Then, exactly,

    objective - bound = sum_k (lambda_k max_i s_ik f_ik - sum_i mu_ik s_ik f_ik)      equity
                        + sum_ijt (v_i - nu_j) x_ij                                   routing
                        + sum_it pi_i (cap_i - y_i)                                   capacity

(another equity shape in the place of the maximum changes nothing else). A job pays per MW of work, of which
load of gain g does 1/g, the lowest full price q_m(t) = min_i g v_i in a slot; the dearest slot that it needs
sets the price of its energy, pi_m. With jobs, their load is part of y, and

                        + sum_pt (v_i - q_m / g) z_p + sum_m (sum_t q_m s_m - W_m(q))   place and time

more, W_m being the least that its work costs at these prices, over all ways to spread it in time,

and every term is at least zero: the certified gap, taken apart (complementary slackness).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from eglb.foundation.arrays import Array
from eglb.planning.audit import Audit, audit, region_load, shaped_total, valid_equity_price, worth_of_work
from eglb.planning.explanation.prices import sharpen
from eglb.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

# A region counts as full from this share of its capacity on: plans that stop at a gap hardly ever touch it.
FULL = 0.999


@dataclass(frozen=True)
class Slackness:
    """The certified gap in USD and the parts it is made of, each at least zero up to rounding.

    `sharpened` is what the prices shown add to the bound of the stored ones; `equity` the weight of each kind
    on regions that are not the worst; `routing` load served at more than the lowest price; `capacity` the
    price of capacity that is left idle; `work` the jobs' work done in dearer a ``place``, or at a dearer
    ``time``, than there is.
    """

    gap: float
    sharpened: float
    equity: dict[str, float]
    routing: float
    capacity: float
    work: dict[str, float] = field(default_factory=dict)

    @property
    def residual(self) -> float:
        """What the parts leave unexplained: rounding."""
        parts = [self.sharpened, self.routing, self.capacity, *self.equity.values(), *self.work.values()]
        return self.gap - math.fsum(parts)


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """A plan and the prices behind it; all prices are USD per MW-slot.

    Parameters
    ----------
    audit : objective and bound as stored, recomputed. route : (E, T) MW. load : (N, T) MW.
    energy, capacity_price : (N, T). surcharge : (K, N, T), mu_ik s_ik a_ik. demand_price : (J, T).
    equity_price : (K, N) USD per region-weighted unit.
    slackness : the gap, taken apart. missing : who had no part in the plan, in sentences.
    work, work_price : with jobs, (P, T) MW of load on their pairs and (M, T) USD per MW-slot of work.
    """

    scenario: Scenario
    algorithm: str
    audit: Audit
    route: Array
    load: Array
    energy: Array
    surcharge: Array
    capacity_price: Array
    demand_price: Array
    equity_price: Array
    slackness: Slackness
    missing: tuple[str, ...] = ()
    work: Array | None = None
    work_price: Array | None = None

    @cached_property
    def full_price(self) -> Array:
        """(N, T): energy, surcharges and capacity price together."""
        return self.energy + self.surcharge.sum(axis=0) + self.capacity_price

    @cached_property
    def reduced_cost(self) -> Array:
        """(E, T): full price of the region less demand price of the gateway, on the scenario's pairs."""
        s = self.scenario
        return self.full_price[s.reach_region] - self.demand_price[s.reach_gateway]

    @cached_property
    def full(self) -> Array:
        """(N, T): where a region has no room left, or none at all."""
        capacity = self.scenario.capacity
        return (self.load >= FULL * capacity) & ((self.load > 0.0) | (capacity == 0.0))

    def pairs_of(self, gateway: int) -> Array:
        """Positions of the pairs of a gateway."""
        return np.flatnonzero(self.scenario.reach_gateway == gateway)

    def equity_share(self) -> Array:
        """(K, N): each region's part of the price of a kind's inequity; zeros where a kind has none."""
        total = self.equity_price.sum(axis=1, keepdims=True)
        return np.divide(self.equity_price, total, out=np.zeros_like(self.equity_price), where=total > 0.0)

    def capacity_worth(self) -> Array:
        """(N,) USD: what one more MW of capacity, all the time, would save at these prices."""
        return self.capacity_price.sum(axis=1)

    def reach_worth(self, gateway: int) -> Array:
        """(N, T): what a MW of `gateway` would save in a region; zero where it is in reach, or no cheaper.

        Demand times this, summed over slots, is the most that reaching the region can save, but for the gap.
        """
        saving = np.maximum(self.demand_price[gateway] - self.full_price, 0.0)
        saving[self.scenario.reach_region[self.pairs_of(gateway)]] = 0.0
        return saving

    def next_best(self, gateway: int, but: Array) -> tuple[Array, Array]:
        """(T,) region and its full price: the cheapest in reach of `gateway` but for the pairs of `but`.

        `but` is (degree, T) in the order of `pairs_of`; -1 and NaN where no region is left.
        """
        region = self.scenario.reach_region[self.pairs_of(gateway)]
        price = np.where(but, np.inf, self.full_price[region])
        best = price.argmin(axis=0)
        lowest = price[best, np.arange(price.shape[1])]
        left = np.isfinite(lowest)
        return np.where(left, region[best], -1), np.where(left, lowest, np.nan)

    def to_dict(
        self, region: str | None = None, hour: str | int | None = None, gateway: str | None = None
    ) -> dict[str, Any]:
        """The object that ``eglb explain --json`` prints."""
        from eglb.planning.explanation.rows import as_dict, select

        return as_dict(self, select(self, region, hour, gateway))

    def __repr__(self) -> str:
        return f"<Explanation of {self.scenario.name} by {self.algorithm}: gap {self.audit.gap:.1e}>"

    def __str__(self) -> str:
        from eglb.foundation.console import as_text

        return as_text(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from eglb.planning.explanation.rows import select
        from eglb.planning.explanation.tables import ExplanationView

        yield ExplanationView(self, select(self))


def explain_plan(
    scenario: Scenario,
    algorithm: str,
    route: Array,
    demand_price: Array,
    equity_price: Array,
    work: Array | None = None,
    work_price: Array | None = None,
) -> Explanation:
    """The explanation of a plan and its prices, in the shapes and units of `eglb.planning.audit.audit`."""
    found = audit(scenario, route, demand_price, equity_price, work, work_price)
    load = region_load(scenario, route, work)
    equity_price = valid_equity_price(scenario, equity_price)
    energy = scenario.price_per_mw_slot()
    surcharge = np.zeros((len(scenario.footprints), *load.shape))
    for k, kind in enumerate(scenario.footprints):
        if kind.weight > 0.0:
            price = (equity_price[k] * kind.region_weight)[:, None]
            surcharge[k] = price * scenario.intensity_per_mw_slot(kind)
    cost = energy + surcharge.sum(axis=0)
    capacity_price, demand_price, work_price = sharpen(scenario, cost, demand_price, work_price)
    full_price = cost + capacity_price
    of_work = {}
    terms = [_dot(demand_price, scenario.demand), -_dot(capacity_price, scenario.capacity)]
    if (jobs := scenario.jobs) is not None and work is not None and work_price is not None:
        least, _ = worth_of_work(scenario, jobs, work_price)
        gain = jobs.pair_gain[:, None]
        paid = _dot(work_price[jobs.pair_job], work / gain)
        of_work = {"place": _dot(full_price[jobs.pair_region], work) - paid, "time": paid - least}
        terms.append(least)
    bound = math.fsum(terms)
    reduced_cost = full_price[scenario.reach_region] - demand_price[scenario.reach_gateway]
    slackness = Slackness(
        gap=found.objective - found.lower_bound,
        sharpened=bound - found.lower_bound,
        equity={
            kind.name: kind.weight * shaped_total(scenario, kind, load) - _dot(surcharge[k], load)
            for k, kind in enumerate(scenario.footprints)
        },
        routing=_dot(reduced_cost, route),
        capacity=_dot(capacity_price, scenario.capacity - load),
        work=of_work,
    )
    return Explanation(
        scenario=scenario,
        algorithm=algorithm,
        audit=found,
        route=route,
        load=load,
        energy=energy,
        surcharge=surcharge,
        capacity_price=capacity_price,
        demand_price=demand_price,
        equity_price=equity_price,
        slackness=slackness,
        work=work,
        work_price=work_price,
    )


def _dot(a: Array, b: Array) -> float:
    return float(np.einsum("it,it->", a, b))

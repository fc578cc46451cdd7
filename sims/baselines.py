"""The usual policies of geographical load balancing, to set the equitable optimum beside.

Each but the last is separable by slot and minimises one linear cost of where the load goes; capacity and
reach bind them as they bind everyone. Source: "Towards Environmentally Equitable AI via Geographical Load
Balancing" (ACM e-Energy 2024); there, prices on total carbon and water are given as figures for ten regions,
here as multiples of the scenario's equity weights per region, which are the same figures on the published
case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from eglb.foundation.arrays import Array
from eglb.planning.audit import FootprintTotals, energy_cost, footprint_totals, plan_objective, region_load
from eglb.planning.central.central import solve_central, solve_cheapest, solve_cheapest_pairs
from eglb.planning.solution import Solution
from eglb.scenarios.scenario import FootprintKind, Scenario

Route = tuple[Array, Array | None]
"""(E, T) MW on the pairs, and with jobs (P, T) MW on theirs."""

WATER, CARBON = "water", "carbon"
# Price on one unit of the fleet's total, as a multiple of the kind's equity weight per region: 300 USD per m3
# and 3,000 or 6,000 USD per t, tenths of them for ten regions, against weights of 60 and 1,500 as published.
C2_CARBON = 4.0
ALL_WATER, ALL_CARBON = 5.0, 2.0
EXACT = 1e-9
"""Certified gap of a policy's plan with jobs, of its own cost."""


@dataclass(frozen=True)
class PolicyRow:
    """What a policy costs: energy in USD, footprints unweighted, `objective` in USD with the equity terms."""

    name: str
    energy_cost_usd: float
    footprints: dict[str, FootprintTotals]
    objective: float


def policy_names(scenario: Scenario) -> tuple[str, ...]:
    """The policies that `scenario` has the footprint kinds for, in the order of `POLICIES`."""
    kinds = {kind.name for kind in scenario.footprints}
    return tuple(
        name
        for name, policy in POLICIES.items()
        if set(policy.kinds) <= kinds and (scenario.jobs is None or policy.knows_jobs)
    )


def run_baseline(name: str, scenario: Scenario) -> tuple[Array, Array]:
    """The plan of a policy: its route (E, T) MW on the scenario's pairs and its load (N, T) MW, jobs
    included.

    Jobs run where and when the policy's cost is least, slots then no longer being separable.

    Where several plans are best, which of them is returned is the solver's choice; it is the same on every
    run.

    Parameters
    ----------
    name : one of `POLICIES`.

    Raises
    ------
    InfeasibleError : no feasible plan exists.
    KeyError : the scenario lacks a footprint kind of the policy, or there is no such policy.
    """
    route, work = POLICIES[name].route(scenario)
    return route, region_load(scenario, route, work)


def policy_row(name: str, scenario: Scenario) -> PolicyRow:
    """Run a policy and recompute what it costs; arguments and errors of :func:`run_baseline`."""
    _, load = run_baseline(name, scenario)
    return PolicyRow(
        name=name,
        energy_cost_usd=energy_cost(scenario, load),
        footprints=footprint_totals(scenario, load),
        objective=plan_objective(scenario, load),
    )


def _nearest(scenario: Scenario) -> Route:
    """Least total distance travelled: round-trip time where known, else the one that the distance implies."""
    return solve_cheapest_pairs(scenario, scenario.rtt_ms()), None


def at_cost(scenario: Scenario, cost: Array) -> Scenario:
    """The same fleet where nothing counts but `cost`, (N, T) per MW of IT load and slot, as if in USD."""
    return replace(scenario, price=cost / (scenario.pue[:, None] * scenario.slot_hours), footprints=())


def _at_least(scenario: Scenario, cost: Array) -> Route:
    if scenario.jobs is None:
        return solve_cheapest(scenario, cost), None
    found = cheapest_with_jobs(at_cost(scenario, cost))
    return found.route, found.work


def cheapest_with_jobs(scenario: Scenario) -> Solution:
    """The plan of least energy cost of a scenario with jobs and without footprints, exactly.

    Clearing by successive shortest paths is much faster than a linear program; where moving takes energy it
    is not exact.

    Raises
    ------
    InfeasibleError : no feasible plan exists.
    """
    from eglb.planning.solve import solve

    assert scenario.jobs is not None
    algorithm = "central" if scenario.jobs.moving_takes_energy else "dual"
    return solve(scenario, algorithm, gap=EXACT, address="inprocess")


def _cheapest(scenario: Scenario) -> Route:
    return _at_least(scenario, scenario.price_per_mw_slot())


def _least(kind: str) -> Callable[[Scenario], Route]:
    return lambda scenario: _at_least(scenario, scenario.intensity_per_mw_slot(_kind_named(scenario, kind)))


def _taxed(multiples: dict[str, float]) -> Callable[[Scenario], Route]:
    """Cheapest with each kind's total priced at a multiple of its equity weight per region."""

    def route(scenario: Scenario) -> Route:
        cost = scenario.price_per_mw_slot()
        for name, multiple in multiples.items():
            kind = _kind_named(scenario, name)
            tax = multiple * kind.weight / len(scenario.regions)
            cost = cost + tax * scenario.intensity_per_mw_slot(kind)
        return _at_least(scenario, cost)

    return route


def _equitable(scenario: Scenario) -> Route:
    found = solve_central(scenario)
    return found.route, found.work


def _kind_named(scenario: Scenario, name: str) -> FootprintKind:
    return {kind.name: kind for kind in scenario.footprints}[name]


@dataclass(frozen=True)
class Policy:
    """`route` makes the plan; `kinds` are the footprints it needs; `meaning` is one line for people.

    One that does not `knows_jobs` has nothing to say about work that comes from nowhere in particular.
    """

    meaning: str
    kinds: tuple[str, ...]
    route: Callable[[Scenario], Route]
    knows_jobs: bool = True


POLICIES: dict[str, Policy] = {
    "GLB-Nearest": Policy("least total distance", (), _nearest, knows_jobs=False),
    "GLB-Cost": Policy("least energy cost", (), _cheapest),
    "GLB-Carbon": Policy("least total carbon", (CARBON,), _least(CARBON)),
    "GLB-Water": Policy("least total water", (WATER,), _least(WATER)),
    "GLB-C2": Policy("energy cost and a price on total carbon", (CARBON,), _taxed({CARBON: C2_CARBON})),
    "GLB-All": Policy(
        "energy cost and prices on total water and carbon",
        (WATER, CARBON),
        _taxed({WATER: ALL_WATER, CARBON: ALL_CARBON}),
    ),
    "eGLB-Off": Policy("the equitable optimum, all hours known", (), _equitable),
}

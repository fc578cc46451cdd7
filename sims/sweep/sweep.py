"""What equity costs: the same fleet solved again and again, its equity weights scaled from zero upward.

Weight zero is the cheapest plan, factor one the scenario's own weights. Upward, the factor doubles until no
kind's worst region gains anything by it; then the widest gaps of the curve are halved. Every point is a plan
with its own certificate.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from eglb.foundation.errors import InputError
from eglb.foundation.numbers import plain
from eglb.planning.audit import plan_objective
from eglb.planning.progress import RoundRecord
from eglb.planning.solution import Solution
from eglb.planning.solve import solve
from eglb.scenarios.scenario import Scenario
from eglb.sims.sweep.tables import IMPROVEMENT

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

GAP = 1e-5
"""Tighter than a single solve's: near the optimum energy and equity trade one for one, so a gap of 1e-4 still
leaves the energy cost alone uncertain by 1e-3; newton's plan at 1e-5 has it to 1e-4."""
POINTS = 20
SMALL_FLEET = 50
"""Regions up to which `newton` takes the least time; above, `crossover`."""
# Others gain nothing: on paper10-partial and world10, newton warm takes as many rounds as afresh.
_GAIN_FROM_A_START = ("dual", "admm", "crossover", "subgradient")
_WIDE = 0.06
"""Between neighbours on the curve, both axes scaled to one: less is not halved."""
_NEAR_FACTORS = 1.1
"""Ratio of neighbouring factors below which a gap is a jump from one plan to another, and stays."""
_LEAST_FACTOR, _MOST_DOUBLINGS = 1e-4, 40


@dataclass(frozen=True, eq=False)
class SweepPoint:
    """The plan at `factor` times the weights.

    `equity_usd` is, by swept kind, what its inequity would cost at the scenario's own weights: the worst
    region's weighted total, in USD, comparable along the curve. `started_from` is the factor of the plan that
    the solve started from, None if it started afresh.
    """

    factor: float
    solution: Solution
    equity_usd: dict[str, float]
    started_from: float | None

    @property
    def energy_usd(self) -> float:
        """USD, the energy cost of the plan."""
        return self.solution.audit.energy_cost_usd

    @property
    def all_equity_usd(self) -> float:
        """USD at the scenario's own weights, all swept kinds together."""
        return math.fsum(self.equity_usd.values())


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """The curve of energy cost against equity, `points` in order of their factors.

    `scenario` has its own weights, `swept` the names of the kinds that were scaled; all others cost nothing.
    `saturated` says whether the last doubling improved no worst region any more; None for factors set by
    hand. Prints as a table.
    """

    scenario: Scenario
    swept: tuple[str, ...]
    points: tuple[SweepPoint, ...]
    saturated: bool | None
    algorithm: str
    gap: float
    address: str
    seconds: float

    @property
    def converged(self) -> bool:
        """Whether every point has the gap asked for."""
        return all(point.solution.converged for point in self.points)

    @property
    def own(self) -> SweepPoint | None:
        """The point at the scenario's own weights, if it is among them."""
        return next((point for point in self.points if point.factor == 1.0), None)

    @property
    def knee(self) -> SweepPoint | None:
        """Where more equity starts to cost more than it did on average.

        Both axes, energy cost and equity at the scenario's own weights, are scaled to run from 0 at the first
        point to 1 at the last; the knee is the point where the share of equity gained exceeds the share of
        cost spent by most, the one farthest from the chord (Satopaa et al. 2011, "Kneedle"). None if nothing
        lies off the chord.
        """
        first, last = self.points[0], self.points[-1]
        gain = first.all_equity_usd - last.all_equity_usd
        spent = last.energy_usd - first.energy_usd
        if len(self.points) < 3 or gain <= 0.0 or spent <= 0.0:
            return None

        def above_chord(point: SweepPoint) -> float:
            gained = (first.all_equity_usd - point.all_equity_usd) / gain
            return gained - (point.energy_usd - first.energy_usd) / spent

        best = max(self.points, key=above_chord)
        return best if above_chord(best) > 1e-9 else None

    @property
    def kept(self) -> SweepPoint:
        """The point whose plan a results folder holds: at the own weights, else the knee, else the last."""
        return self.own or self.knee or self.points[-1]

    def cost_of_equity(self, point: SweepPoint) -> float | None:
        """How much more energy costs than at weight zero, relative; None without a point there."""
        cheapest = self.points[0]
        if cheapest.factor > 0.0:
            return None
        return (point.energy_usd - cheapest.energy_usd) / max(abs(cheapest.energy_usd), 1e-300)

    def to_dict(self) -> dict[str, Any]:
        """The object that ``eglb sweep --json`` prints; None stands for what does not exist."""
        knee, late = self.knee, [p.solution.status for p in self.points if not p.solution.converged]
        return plain(
            {
                "status": late[0] if late else "converged",
                "scenario": self.scenario.name,
                "regions": len(self.scenario.regions),
                "gateways": len(self.scenario.gateways),
                "slots": self.scenario.slots,
                "kinds": list(self.swept),
                "algorithm": self.algorithm,
                "address": self.address,
                "gap": self.gap,
                "saturated": self.saturated,
                "knee_factor": None if knee is None else knee.factor,
                "plan_factor": self.kept.factor,
                "seconds": self.seconds,
                "points": [
                    {
                        "weight_factor": point.factor,
                        "weights": {kind.name: kind.weight for kind in point.solution.scenario.footprints},
                        "status": point.solution.status,
                        "energy_cost_usd": point.energy_usd,
                        "cost_of_equity": self.cost_of_equity(point),
                        "equity_at_own_weights_usd": point.all_equity_usd,
                        "objective": point.solution.audit.objective,
                        "lower_bound": point.solution.audit.lower_bound,
                        "gap": point.solution.audit.gap,
                        "rounds": point.solution.rounds,
                        "seconds": point.solution.seconds_solve,
                        "started_from": point.started_from,
                        "footprints": {k: asdict(f) for k, f in point.solution.audit.footprints.items()},
                        "knee": point is knee,
                    }
                    for point in self.points
                ],
            }
        )

    def __repr__(self) -> str:
        return f"<Sweep of {self.scenario.name}: {len(self.points)} points>"

    def __str__(self) -> str:
        from eglb.foundation.console import as_text

        return as_text(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from eglb.sims.sweep.tables import sweep_table

        yield from sweep_table(self, options.max_width)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def sweep(
    scenario: Scenario,
    *,
    kind: str | None = None,
    factors: Sequence[float] | None = None,
    points: int = POINTS,
    algorithm: str | None = None,
    gap: float = GAP,
    time_limit: float | None = None,
    address: str = "inprocess",
    regions_per_actor: int | None = None,
    on_start: Callable[[str], None] | None = None,
    on_round: Callable[[RoundRecord], None] | None = None,
) -> Sweep:
    """Solve `scenario` along a curve of equity weights, from zero to where the worst region gains no more.

    Parameters
    ----------
    kind : the one footprint to sweep, all others then cost nothing; default all that have a weight, by one
        factor.
    factors : of the scenario's own weights, >= 0; default chosen along the curve, 0 and 1 always among them.
    points : how many to choose, at most, where the doublings alone do not take more.
    algorithm : one of `eglb.planning.solve.ALGORITHMS`; default `newton` up to `SMALL_FLEET` regions, above
        `crossover`. At weight zero it is `dual`: agents' bids alone give the optimum, in two rounds.
    gap : certified at every point. time_limit : seconds that one point may take.
    address, regions_per_actor : as for `eglb.solve`.
    on_start : told the name of each point as it starts. on_round : told every round of every point.

    Raises
    ------
    InputError : an argument is wrong, or there is no weight to scale. InfeasibleError, FleetError : as
    `solve`.
    """
    began = time.perf_counter()
    swept = _swept_kinds(scenario, kind)
    problems = [
        f"factor {f!r} is not a finite number of at least 0" for f in factors or () if not 0 <= f < math.inf
    ]
    if factors is not None and not factors:
        problems.append("factors: give at least one")
    if points < 3:
        problems.append(f"points must be at least 3, not {points!r}")
    if problems:
        raise InputError(problems)
    own = scenario.with_weights({k.name: 0.0 for k in scenario.footprints if k.name not in swept})
    chosen = algorithm or ("newton" if len(scenario.regions) <= SMALL_FLEET else "crossover")
    found: dict[float, SweepPoint] = {}

    def reach(factor: float) -> SweepPoint:
        """The point at `factor`, solved from its nearest neighbour if it is new."""
        if factor in found:
            return found[factor]
        if on_start is not None:
            on_start(f"factor {factor:.4g}")
        method = "dual" if factor == 0.0 and chosen != "central" else chosen
        near = min(found, key=lambda f: abs(math.log((f or 1e-9) / factor)), default=None) if factor else None
        start = near if method in _GAIN_FROM_A_START else None
        solution = solve(
            own.with_weights({k.name: factor * k.weight for k in own.footprints}),
            method,
            gap=gap,
            time_limit=time_limit,
            address=address,
            regions_per_actor=regions_per_actor,
            warm_start=None if start is None else found[start].solution,
            on_round=on_round,
        )
        found[factor] = SweepPoint(factor, solution, _equity_usd(own, swept, solution), start)
        return found[factor]

    saturated = None
    if factors is not None:
        for factor in sorted({float(f) for f in factors}):
            reach(factor)
    else:
        saturated = _double(reach)
        while len(found) < points:
            between = _widest(sorted(found.values(), key=_factor))
            if between is None:
                break
            reach(between)
    return Sweep(
        scenario=own,
        swept=swept,
        points=tuple(sorted(found.values(), key=_factor)),
        saturated=saturated,
        algorithm=chosen,
        gap=gap,
        address="inprocess" if chosen == "central" else address,
        seconds=time.perf_counter() - began,
    )


def _factor(point: SweepPoint) -> float:
    return point.factor


def _swept_kinds(scenario: Scenario, kind: str | None) -> tuple[str, ...]:
    """The kinds to scale; a kind without a weight cannot be scaled and is only followed."""
    weights = {k.name: k.weight for k in scenario.footprints}
    if kind is not None and kind not in weights:
        has = ", ".join(weights) or "none"
        raise InputError([f"kind {kind!r}: {scenario.name} has no such footprint; it has {has}"])
    swept = tuple(k for k, weight in weights.items() if weight > 0.0 and kind in (None, k))
    if not swept:
        which = kind or next(iter(weights), "KIND")
        raise InputError(
            [
                f"{scenario.name}: the equity weight of {kind or 'every footprint'} is 0, which no factor "
                f"can scale; give one, such as --weight {which}=1"
            ]
        )
    return swept


def _equity_usd(own: Scenario, swept: tuple[str, ...], solution: Solution) -> dict[str, float]:
    """By swept kind: the equity term of the plan's loads at the scenario's own weights, USD."""
    weights = {k.name: k.weight for k in own.footprints}
    nothing = dict.fromkeys(weights, 0.0)
    energy = plan_objective(own.with_weights(nothing), solution.load)
    return {
        name: plan_objective(own.with_weights({**nothing, name: weights[name]}), solution.load) - energy
        for name in swept
    }


def _double(reach: Callable[[float], SweepPoint]) -> bool:
    """Solve at 0, 1 and doubled factors until one improves no kind's equity by more than `IMPROVEMENT`.

    Weights so small that equity hardly counts beside energy improve nothing either: the end is believed only
    where the equity term outweighs the energy cost of the cheapest plan. Returns whether the end was reached.
    """
    cheapest, point = reach(0.0), reach(1.0)
    balance = abs(cheapest.energy_usd) / max(cheapest.all_equity_usd, 1e-300)
    for _ in range(_MOST_DOUBLINGS):
        if cheapest.all_equity_usd == 0.0:
            return True
        following = reach(max(2.0 * point.factor, min(balance, 1e12)))
        improved = any(
            following.equity_usd[kind] < (1.0 - IMPROVEMENT) * before
            for kind, before in point.equity_usd.items()
        )
        if not improved and point.factor >= balance:
            return True
        point = following
    return False


def _widest(points: Sequence[SweepPoint]) -> float | None:
    """A factor between the neighbours farthest apart, both axes scaled to one; None if all are near."""
    energy, equity = [p.energy_usd for p in points], [p.all_equity_usd for p in points]
    across, along = max(energy) - min(energy), max(equity) - min(equity)
    widest, between = _WIDE, None
    for low, high in pairwise(points):
        if low.factor == 0.0:
            middle, splits = high.factor / 4.0, high.factor > _LEAST_FACTOR
        else:
            middle = math.sqrt(low.factor * high.factor)
            splits = high.factor > _NEAR_FACTORS * low.factor
        apart = math.hypot(
            (high.energy_usd - low.energy_usd) / (across or 1.0),
            (high.all_equity_usd - low.all_equity_usd) / (along or 1.0),
        )
        if splits and apart > widest:
            widest, between = apart, middle
    return between

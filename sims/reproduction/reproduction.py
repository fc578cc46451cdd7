"""What the eGLB paper reports, rerun as far as public data allow: baselines, equitable plan, online policies.

The published case of ten regions and 457 hours, with full reach and with the published mask. Printed figures
are set beside what comes out, cell by cell; three experiments follow that a reader would do first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eglb.foundation.numbers import plain
from eglb.planning.audit import FootprintTotals, energy_cost, footprint_totals, plan_objective
from eglb.planning.solution import Solution
from eglb.planning.solve import solve
from eglb.scenarios.catalog import load
from eglb.scenarios.scenario import Scenario
from eglb.sims.baselines import POLICIES, run_baseline
from eglb.sims.replay.simulation import simulate
from eglb.sims.reproduction.published import (
    FIGURES,
    FULL,
    NOT_REPRODUCIBLE,
    OPTIMUM_WEIGHTS,
    PARTIAL,
    SOURCES,
    PublishedFigure,
)
from eglb.sims.sweep.sweep import Sweep, sweep

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console, ConsoleOptions, RenderResult

AGENTS_GAP = 1e-8
"""Certified gap of the agents' equitable plan: near enough to compare all printed digits."""
SWEEP_GAP = 1e-7
FACTORS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
CENTRAL, BY_AGENTS, PUBLISHED_ONLINE = "eGLB-Off", "eGLB-Off, agents", "eGLB"
ONLINE = {PUBLISHED_ONLINE: "dmd", "soft": "soft"}
"""Hour by hour with nothing foretold: the published method, and this project's."""
CONDITIONS = (
    ("eg", "none", "exact"),
    ("dmd", "none", "iid:sd=0.2"),
    ("eg", "none", "iid:sd=0.2"),
    ("soft", "noisy:hours=24,sd=0.2", "exact"),
    ("soft", "noisy:hours=24,sd=0.2", "iid:sd=0.2"),
)
"""(policy, forecast, footprint estimates) of the experiment with a partial and noisy future, full reach."""
_SAME, _CLOSE = 1e-7, 1e-2


@dataclass(frozen=True)
class ReproducedRow:
    """What a plan costs, recomputed; `energy_max_usd` is of the region that pays most.

    `gap` is certified, None for plans that come without a certificate; `rounds` with the agents likewise.
    """

    name: str
    energy_cost_usd: float
    energy_max_usd: float
    footprints: dict[str, FootprintTotals]
    objective: float
    gap: float | None = None
    rounds: int | None = None


@dataclass(frozen=True)
class Cell:
    """One printed figure beside what came out; `obtained_by` is the row it was read from.

    `verdict` is "same" (to the printed digits), "close" (within 1 %), "differs", or "not public" where the
    data behind the figure are not.
    """

    figure: PublishedFigure
    obtained_by: str
    obtained: float
    verdict: str

    @property
    def difference(self) -> float:
        """Relative, (obtained - published) / published."""
        return (self.obtained - self.figure.value) / abs(self.figure.value)


@dataclass(frozen=True)
class OnlineRow:
    """A run hour by hour; `above_best` is how far above the certified bound of the best plan, relative."""

    policy: str
    forecast: str
    estimates: str
    objective: float
    above_best: float
    energy_cost_usd: float
    footprints: dict[str, FootprintTotals]


@dataclass(frozen=True, eq=False, repr=False)
class Reproduction:
    """Rows by case, printed figures beside obtained ones, and the three experiments. Prints as tables.

    `sensitivity` is a sweep of all weights together on the case with partial reach, `alone` the same case
    with the weight of one kind only; `plan` is the agents' equitable plan there.
    """

    rows: dict[str, tuple[ReproducedRow, ...]]
    cells: tuple[Cell, ...]
    partial_future: tuple[OnlineRow, ...]
    sensitivity: Sweep
    alone: dict[str, Sweep]
    plan: Solution
    seconds: float

    def row(self, case: str, name: str) -> ReproducedRow:
        """One of the rows."""
        return next(row for row in self.rows[case] if row.name == name)

    def count(self, verdict: str) -> int:
        """How many cells have this verdict."""
        return sum(cell.verdict == verdict for cell in self.cells)

    def to_dict(self) -> dict[str, Any]:
        """The object that ``eglb reproduce --json`` prints; None stands for what does not exist."""
        return plain(
            {
                "status": "done",
                "seconds": self.seconds,
                "verdicts": {name: self.count(name) for name in ("same", "close", "differs", "not public")},
                "cells": [
                    {
                        "case": cell.figure.case,
                        "policy": cell.figure.policy,
                        "quantity": cell.figure.quantity,
                        "published": cell.figure.value,
                        "published_text": cell.figure.text,
                        "obtained": cell.obtained,
                        "obtained_by": cell.obtained_by,
                        "difference": cell.difference,
                        "verdict": cell.verdict,
                        "source": cell.figure.source,
                        "why": cell.figure.why or None,
                    }
                    for cell in self.cells
                ],
                "sources": SOURCES,
                "not_reproducible": [{"what": what, "why": why} for what, why in NOT_REPRODUCIBLE],
                "cases": {
                    case: {
                        "cost_of_equity": self.row(case, CENTRAL).energy_cost_usd
                        / self.row(case, "GLB-Cost").energy_cost_usd
                        - 1.0,
                        "policies": [asdict(row) for row in rows],
                    }
                    for case, rows in self.rows.items()
                },
                "experiments": {
                    "partial_future": [asdict(row) for row in self.partial_future],
                    "weights": self.sensitivity.to_dict(),
                    "weights_alone": {kind: found.to_dict() for kind, found in self.alone.items()},
                },
            }
        )

    def __repr__(self) -> str:
        return f"<Reproduction: {self.count('same')} of {len(self.cells)} cells the same>"

    def __str__(self) -> str:
        from eglb.foundation.console import as_text

        return as_text(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from eglb.sims.reproduction.tables import reproduction_tables

        yield from reproduction_tables(self, options.max_width)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def runs() -> int:
    """How many runs `reproduce` announces."""
    return 2 * (len(POLICIES) + 1 + len(ONLINE)) + len(CONDITIONS) + len(FACTORS) + 2


def reproduce(
    *, data: Path | None = None, seed: int = 0, on_start: Callable[[str], None] | None = None
) -> Reproduction:
    """Rerun the published case, in process: rows, printed figures, experiments.

    Parameters
    ----------
    data : the data directory, as for `eglb.load`. seed : of the noise in forecasts and estimates.
    on_start : told the name of each run as it starts.

    Raises
    ------
    InputError : the published series are not in the data directory.
    """
    began = time.perf_counter()
    start = on_start or (lambda name: None)
    full, partial = load(FULL, data=data), load(PARTIAL, data=data)
    rows: dict[str, tuple[ReproducedRow, ...]] = {}
    plans = {}
    for case in (full, partial):
        found = []
        for name in POLICIES:
            start(f"{case.name}: {name}")
            found.append(_reproduced(name, case, run_baseline(name, case)[1]))
        start(f"{case.name}: {BY_AGENTS}")
        plan = plans[case.name] = solve(case, "newton", gap=AGENTS_GAP, address="inprocess")
        found.append(_reproduced(BY_AGENTS, case, plan.load, plan.audit.gap, plan.rounds))
        for name, policy in ONLINE.items():
            start(f"{case.name}: {name}, hour by hour")
            run = simulate(case, policy, certify=False, offline=False)
            found.append(_reproduced(name, case, run.load))
        rows[case.name] = tuple(found)
    return Reproduction(
        rows=rows,
        cells=tuple(_cells(rows)),
        partial_future=tuple(_partial_future(plans[FULL], rows[FULL], seed, start)),
        sensitivity=sweep(
            partial,
            factors=FACTORS,
            gap=SWEEP_GAP,
            on_start=lambda name: start(f"{partial.name}: {name}"),
        ),
        alone=dict(_alone(partial, start)),
        plan=plans[PARTIAL],
        seconds=time.perf_counter() - began,
    )


def _alone(case: Scenario, start: Callable[[str], None]) -> Iterator[tuple[str, Sweep]]:
    """Each kind at its own weight, while the others cost nothing."""
    for kind in case.footprints:
        start(f"{case.name}: weight of {kind.name} alone")
        yield kind.name, sweep(case, kind=kind.name, factors=(1.0,), gap=SWEEP_GAP)


def _reproduced(
    name: str, case: Scenario, load: np.ndarray, gap: float | None = None, rounds: int | None = None
) -> ReproducedRow:
    return ReproducedRow(
        name=name,
        energy_cost_usd=energy_cost(case, load),
        energy_max_usd=float((case.price_per_mw_slot() * load).sum(axis=1).max()),
        footprints=footprint_totals(case, load),
        objective=plan_objective(case, load),
        gap=gap,
        rounds=rounds,
    )


def _cells(rows: dict[str, tuple[ReproducedRow, ...]]) -> Iterator[Cell]:
    """Every printed figure beside each row that is to give it, by source, case and row."""
    for source in SOURCES:
        for case, found in rows.items():
            cheapest = next(row for row in found if row.name == "GLB-Cost")
            for row in found:
                policy = CENTRAL if row.name == BY_AGENTS else row.name
                for figure in FIGURES:
                    if (figure.source, figure.case, figure.policy) == (source, case, policy):
                        obtained = quantity(figure.quantity, row, cheapest)
                        yield Cell(figure, row.name, obtained, _verdict(figure, obtained))


def quantity(name: str, row: ReproducedRow, cheapest: ReproducedRow) -> float:
    """A quantity of `PublishedFigure`, of `row`; averages are over the regions, also of the energy cost."""
    if name == "cost of equity, %":
        return 100.0 * (row.energy_cost_usd / cheapest.energy_cost_usd - 1.0)
    if name == "optimum":
        if row.name not in OPTIMUM_WEIGHTS:
            return row.objective
        energy, water, carbon = OPTIMUM_WEIGHTS[row.name]
        averages = water * row.footprints["water"].avg + carbon * row.footprints["carbon"].avg
        return energy * row.energy_cost_usd + averages
    kind, _, measure = name.partition(" ")
    if kind == "energy":
        regions = len(row.footprints["water"].by_region)
        return row.energy_max_usd if measure == "max" else row.energy_cost_usd / regions
    totals = row.footprints[kind]
    return {"avg": totals.avg, "max": totals.max, "max/avg": totals.par}[measure]


def _verdict(figure: PublishedFigure, obtained: float) -> str:
    off = abs(obtained - figure.value)
    if off <= max(figure.half_digit, _SAME * abs(figure.value)):
        return "same"
    if figure.why:
        return "not public"
    return "close" if off <= _CLOSE * abs(figure.value) else "differs"


def _partial_future(
    best: Solution,
    known: tuple[ReproducedRow, ...],
    seed: int,
    start: Callable[[str], None],
) -> Iterator[OnlineRow]:
    """Policies that see a little of the future, or see it wrongly, beside those that see nothing."""
    case, bound = best.scenario, best.audit.lower_bound
    for row in known:
        if row.name in ONLINE:
            above = row.objective / bound - 1.0
            yield OnlineRow(
                ONLINE[row.name], "none", "exact", row.objective, above, row.energy_cost_usd, row.footprints
            )
    for policy, forecast, estimates in CONDITIONS:
        start(f"{case.name}: {policy}, forecast {forecast}, estimates {estimates}")
        seeded = [
            text if text in ("none", "exact") else f"{text},seed={seed}" for text in (forecast, estimates)
        ]
        run = simulate(case, policy, forecast=seeded[0], estimates=seeded[1], certify=False, offline=False)
        above = run.objective / bound - 1.0
        yield OnlineRow(
            policy, forecast, estimates, run.objective, above, run.energy_cost_usd, run.footprints
        )

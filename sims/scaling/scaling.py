"""More regions: rounds, seconds, memory and bytes of every algorithm on growing fleets, beside the central
solver.

Fleets are generated (`eglb.scenarios.synthetic`). Each run is a process of its own and one row; a run that
fails or stops at a limit is a row too. Once the central solver has reached its time limit, larger fleets of
the same class are not given to it, and a row says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from eglb.foundation.errors import InputError
from eglb.planning.progress import RoundRecord
from eglb.planning.solve import ALGORITHMS
from eglb.scenarios.synthetic import SyntheticSpec, parse_name
from eglb.sims.scaling.run import Case, Row, blank_row, run_apart

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

REGIONS = (10, 20, 50, 100)
COMPARED = ("admm", "newton", "central")
TIME_LIMIT_S = 60.0
CLASS = ("slots", "reach", "utilisation", "weight_scale")
"""Columns that, beside the number of regions, the algorithm and the seed, say what kind of fleet it is."""
_FEWEST_SIZES = 3
_MEASURES = ("rounds", "seconds", "peak_rss_mb")


@dataclass(frozen=True)
class Growth:
    """How one quantity of one algorithm grows with the number of regions: quantity ~ regions^exponent.

    Least squares on logarithms of medians over the seeds, from sizes at which every run reached the gap
    asked for; `error` is the exponent's standard error, and `sizes` the numbers of regions it rests on.
    """

    family: tuple[Any, ...]
    algorithm: str
    quantity: str
    exponent: float
    error: float
    sizes: tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Scaling:
    """Rows as they are documented in `eglb.sims.scaling.run.measure`, in the order of the runs.

    Prints as a table: medians over the seeds.
    """

    rows: tuple[Row, ...]

    @property
    def converged(self) -> bool:
        """Whether every run reached the gap asked for."""
        return all(row["status"] == "converged" for row in self.rows)

    def families(self) -> list[tuple[Any, ...]]:
        """The classes of fleets among the rows: their values of `CLASS`, in order of appearance."""
        return list(dict.fromkeys(family(row) for row in self.rows))

    def algorithms(self) -> list[str]:
        """The algorithms among the rows, in order of appearance, the central solver last."""
        names = dict.fromkeys(row["algorithm"] for row in self.rows)
        return sorted(names, key=lambda name: name == "central")

    def select(self, **columns: Any) -> list[Row]:
        """The rows whose columns have these values; ``family`` stands for all of `CLASS`."""
        wanted = columns.pop("family", None)
        return [
            row
            for row in self.rows
            if all(row[name] == value for name, value in columns.items()) and wanted in (None, family(row))
        ]

    def growth(self) -> list[Growth]:
        """Every fit for which there are three sizes or more."""
        fits = []
        for kind, name, quantity in product(self.families(), self.algorithms(), _MEASURES):
            rows = self.select(family=kind, algorithm=name)
            short = {row["regions"] for row in rows if row["status"] != "converged" or not row[quantity]}
            sizes = sorted({row["regions"] for row in rows} - short)
            if len(sizes) >= _FEWEST_SIZES:
                values = [median(r[quantity] for r in rows if r["regions"] == n) for n in sizes]
                fits.append(Growth(kind, name, quantity, *fit_exponent(sizes, values), tuple(sizes)))
        return fits

    def to_dict(self) -> dict[str, Any]:
        """The object that ``eglb scale --json`` prints."""
        fits = [
            {
                **dict(zip(CLASS, fit.family, strict=True)),
                "algorithm": fit.algorithm,
                "quantity": fit.quantity,
                "exponent": fit.exponent,
                "error": fit.error if math.isfinite(fit.error) else None,
                "regions": list(fit.sizes),
            }
            for fit in self.growth()
        ]
        return {"rows": list(self.rows), "growth": fits}

    def __repr__(self) -> str:
        return f"<Scaling of {', '.join(self.algorithms())}: {len(self.rows)} rows>"

    def __str__(self) -> str:
        from eglb.foundation.console import as_text

        return as_text(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from eglb.sims.scaling.tables import scaling_table

        yield from scaling_table(self, options.max_width)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def family(row: Row) -> tuple[Any, ...]:
    """The values of `CLASS` in a row."""
    return tuple(row[name] for name in CLASS)


def fit_exponent(sizes: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """The slope of log(values) over log(sizes), at least three of them, and its standard error."""
    x, y = np.log(sizes), np.log(values)
    x = x - x.mean()
    slope = float(x @ y / (x @ x))
    residual = y - y.mean() - slope * x
    return slope, float(np.sqrt(residual @ residual / (len(x) - 2) / (x @ x)))


def scale(
    regions: Iterable[int] = REGIONS,
    *,
    hours: Iterable[int] = (168,),
    algorithms: Iterable[str] = COMPARED,
    seeds: Iterable[int] = (0,),
    reach: Iterable[int | None] = (None,),
    utilisation: Iterable[float] = (0.7,),
    weight_scale: Iterable[float] = (1.0,),
    gap: float = 1e-4,
    max_rounds: int | None = None,
    time_limit: float | None = TIME_LIMIT_S,
    address: str = "inprocess",
    regions_per_actor: int | None = None,
    earlier: Iterable[Row] = (),
    on_start: Callable[[Case], None] | None = None,
    on_round: Callable[[RoundRecord], None] | None = None,
    on_row: Callable[[Row], None] | None = None,
) -> Scaling:
    """Run every algorithm on every fleet of a grid, small fleets first.

    Parameters
    ----------
    regions, hours, seeds, reach, utilisation : of the generated fleets; a `reach` of None is 8, or all of
        fewer regions.
    algorithms : names out of `eglb.planning.solve.ALGORITHMS`.
    weight_scale : multiplies all equity weights.
    gap, max_rounds, address, regions_per_actor : of every run, as in `eglb.solve`.
    time_limit : seconds one run may take; None is no limit.
    earlier : rows of an earlier experiment; what they answer is not run again.
    on_start, on_round, on_row : told each run that starts, some of its rounds, and its row.

    Raises
    ------
    InputError : every option that is out of range.
    """
    chosen = list(dict.fromkeys(algorithms))
    problems = [f"unknown algorithm {n!r}; there are {', '.join(ALGORITHMS)}" for n in chosen]
    problems = [text for name, text in zip(chosen, problems, strict=True) if name not in ALGORITHMS]
    for name, value in (("gap", gap), ("max_rounds", max_rounds), ("time_limit", time_limit)):
        if value is not None and not 0 < value < math.inf:
            problems.append(f"{name} must be above zero and finite, not {value!r}")
    weight_scale = list(weight_scale)
    problems += [f"weight_scale must be above zero, not {w!r}" for w in weight_scale if not 0 < w < math.inf]
    fleets: list[SyntheticSpec] = []
    grid = product(dict.fromkeys(hours), dict.fromkeys(reach), dict.fromkeys(utilisation))
    for slots, near, share in grid:
        for count, seed in product(sorted(set(regions)), dict.fromkeys(seeds)):
            try:
                fleets.append(_fleet(count, slots, seed, near, share))
            except InputError as error:
                problems += error.problems
    if problems:
        raise InputError(dict.fromkeys(problems))
    cases = [
        Case(fleet, name, weight, gap, max_rounds, time_limit, address, regions_per_actor)
        for weight in dict.fromkeys(weight_scale)
        for fleet in fleets
        for name in chosen
    ]
    return run_cases(cases, earlier=earlier, on_start=on_start, on_round=on_round, on_row=on_row)


def _fleet(count: int, slots: int, seed: int, reach: int | None, utilisation: float) -> SyntheticSpec:
    near = "" if reach is None else f",reach={reach}"
    return parse_name(f"synthetic:{count}x{slots},seed={seed},util={utilisation:f}{near}")


def run_cases(
    cases: Iterable[Case],
    *,
    earlier: Iterable[Row] = (),
    on_start: Callable[[Case], None] | None = None,
    on_round: Callable[[RoundRecord], None] | None = None,
    on_row: Callable[[Row], None] | None = None,
) -> Scaling:
    """The rows of `cases`, one run after the other; parameters as in `scale`."""
    known = {_key(row): row for row in earlier}
    beaten: dict[tuple[Any, ...], int] = {}
    rows = []
    for case in cases:
        head = case.head()
        row = known.get(_key(head))
        if row is None:
            most = beaten.get(family(head), math.inf)
            if case.algorithm == "central" and head["regions"] > most:
                row = blank_row(case, f"skipped: central reached its time limit at {most} regions")
            else:
                if on_start is not None:
                    on_start(case)
                row = run_apart(case, on_round)
            if on_row is not None:
                on_row(row)
        if case.algorithm == "central" and row["status"].startswith(("time_limit", "killed")):
            beaten[family(head)] = min(head["regions"], beaten.get(family(head), head["regions"]))
        rows.append(row)
    return Scaling(tuple(rows))


_KEY = tuple(Case(SyntheticSpec(1), "central").head())


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in _KEY)

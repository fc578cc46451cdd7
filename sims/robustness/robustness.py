"""How much online policies lose when forecasts are poor, estimates wrong or the period is not as declared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.numbers import plain
from eglb.scenarios.scenario import Scenario
from eglb.sims.replay.simulation import Simulation, offline_bound, simulate
from eglb.sims.robustness.conditions import Condition, conditions

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult


@dataclass(frozen=True)
class RobustnessRow:
    """What a run under `condition` came to.

    `gap_to_offline` is against the certified bound of the best plan that knows all hours. `above_robust`, of
    guarded runs, is the most that any slot's objective so far was above the robust policy's, as a share of
    it.
    """

    condition: Condition
    objective: float
    gap_to_offline: float
    above_robust: float | None
    seconds_per_slot: float


@dataclass(frozen=True, eq=False, repr=False)
class Robustness:
    """The study of one scenario. Prints as a table."""

    scenario: Scenario
    history_slots: int
    offline_lower_bound: float
    rows: tuple[RobustnessRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """The object that ``eglb compare --online --json`` prints."""
        return plain(
            {
                "scenario": self.scenario.name,
                "regions": len(self.scenario.regions),
                "slots": self.scenario.slots,
                "history_slots": self.history_slots,
                "offline_lower_bound": self.offline_lower_bound,
                "rows": [row_dict(row) for row in self.rows],
            }
        )

    def __repr__(self) -> str:
        return f"<Robustness on {self.scenario.name}: {len(self.rows)} runs>"

    def __str__(self) -> str:
        from eglb.foundation.console import as_text

        return as_text(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from eglb.sims.robustness.tables import robustness_table

        gaps = {row.condition: row.gap_to_offline for row in self.rows}
        yield from robustness_table(self.scenario.name, gaps)


def row_dict(row: RobustnessRow) -> dict[str, Any]:
    """One row as JSON can hold it."""
    return {**asdict(row.condition), **{k: v for k, v in asdict(row).items() if k != "condition"}}


def study(
    scenario: Scenario,
    *,
    history: Scenario | None = None,
    chosen: Sequence[Condition] | None = None,
    on_start: Callable[[str], None] | None = None,
    on_row: Callable[[RobustnessRow], None] | None = None,
) -> Robustness:
    """Run every condition of the study, in process and one after the other.

    Parameters
    ----------
    history : the hours right before, of the same fleet. chosen : some `conditions`, default all.
    on_start : told what runs next. on_row : told every row.

    Raises
    ------
    InfeasibleError : no plan can meet demand.
    """
    start = on_start or (lambda name: None)
    start("the best plan that knows all hours")
    bound = offline_bound(scenario)
    robust: Array | None = None
    rows, runs = [], dict[Condition, Simulation]()
    for condition in conditions() if chosen is None else chosen:
        start(f"{condition.policy}: {condition.group}, {condition.label}")
        # The same run may stand in several groups.
        key = Condition("", "", *[getattr(condition, name) for name in _CIRCUMSTANCES])
        if key not in runs:
            runs[key] = _run(scenario, history, condition)
        run = runs[key]
        above = None
        if condition.policy.startswith("guard"):
            if robust is None:
                robust = so_far(scenario, _run(scenario, history, Condition("", "", "eg")).load)
            above = float(np.max(so_far(scenario, run.load) / robust - 1.0))
        rows.append(
            RobustnessRow(
                condition=condition,
                objective=run.objective,
                gap_to_offline=(run.objective - bound) / max(abs(bound), 1e-300),
                above_robust=above,
                seconds_per_slot=run.seconds_per_hour[0],
            )
        )
        if on_row is not None:
            on_row(rows[-1])
    return Robustness(scenario, history.slots if history else 0, bound, tuple(rows))


_CIRCUMSTANCES = ("policy", "forecast", "estimates", "feedback", "meter_delay", "declared")


def so_far(scenario: Scenario, load: Array) -> Array:
    """(T,) USD: energy cost and equity terms of the slots up to each."""
    total = np.cumsum((scenario.price_per_mw_slot() * load).sum(0))
    for kind in scenario.footprints:
        footprint = kind.region_weight[:, None] * scenario.intensity_per_mw_slot(kind) * load
        total = total + kind.weight * np.cumsum(footprint, axis=1).max(0)
    return total


def _run(scenario: Scenario, history: Scenario | None, condition: Condition) -> Simulation:
    return simulate(
        scenario,
        condition.policy,
        forecast=condition.forecast,
        history=history,
        estimates=condition.estimates,
        feedback=condition.feedback,
        meter_delay=condition.meter_delay,
        declared_slots=None
        if condition.declared == 1.0
        else max(1, round(condition.declared * scenario.slots)),
        certify=False,
        offline=False,
    )

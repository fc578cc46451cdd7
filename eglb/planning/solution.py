"""What a solve returns: the plan, its certificate and how it was reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from eglb.coordinator.fleet.membership import MembershipEvent
from eglb.foundation.arrays import Array
from eglb.foundation.numbers import plain
from eglb.planning.audit import Audit
from eglb.planning.progress import RoundRecord
from eglb.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from eglb.coordinator.fleet.network import Network
    from eglb.planning.job_totals import JobMeasures


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """One plan for the whole horizon with its certificate.

    `route` is (E, T) MW on the scenario's reach pairs, `load` (N, T) MW its sum by region,
    `demand_price` (J, T) USD per MW-slot and `equity_price` (K, N) USD per unit the duals behind
    `audit.lower_bound`; `equity_prices` (R, K, N) are further ones that a later
    solve may start from. `status` is one of `STATUS_MEANING`. On `network`, where one was given, the messages
    would take `seconds_network` beside the measured seconds.

    Regions that are `out`, by name with the reason, had no part in the plan; `unmet` (J, T) MW of demand
    cannot be met without them, None if all is. `audit` is of the `problem` that is left. `events` are what
    happened to whom on the way, and `rejected` counts answers that were not used, by region and by what was
    wrong with them.
    With jobs, `work` is (P, T) MW of load on their pairs, `work_price` (M, T) USD per MW-slot of work and
    `unmet_mwh` (M,) the work that is left out, None if all is done.
    Prints as a table, in a terminal and in a notebook.
    """

    status: str
    scenario: Scenario
    algorithm: str
    address: str
    actors: int
    route: Array
    load: Array
    demand_price: Array
    equity_price: Array
    audit: Audit
    rounds: int
    bytes_up: int
    bytes_down: int
    seconds_start: float
    seconds_solve: float
    seconds_total: float
    peak_rss_mb: float
    trace: tuple[RoundRecord, ...]
    equity_prices: Array = field(default_factory=lambda: np.zeros((0, 0, 0)))
    network: Network | None = None
    out: Mapping[str, str] = field(default_factory=dict)
    unmet: Array | None = None
    events: tuple[MembershipEvent, ...] = ()
    rejected: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    work: Array | None = None
    work_price: Array | None = None
    unmet_mwh: Array | None = None

    @property
    def problem(self) -> Scenario:
        """What the plan and its bound are for: the scenario without the regions that are out and without the
        demand that they would be needed for.
        """
        return self.scenario.without(self.out, self.unmet, self.unmet_mwh) if self.out else self.scenario

    @property
    def shortfall_mwh(self) -> float:
        """IT energy asked for that cannot be served."""
        return 0.0 if self.unmet is None else float(self.unmet.sum()) * self.scenario.slot_hours

    @property
    def converged(self) -> bool:
        """Whether the certified gap is at most the gap asked for."""
        return self.status == "converged"

    @property
    def seconds_network(self) -> float:
        """What all exchanges together would take on `network`; 0 without one."""
        return self.trace[-1].seconds_network

    def to_dict(self) -> dict[str, Any]:
        """The object that ``eglb solve --json`` prints; None stands for a number that is not finite."""
        on_network = {} if self.network is None else {"network": self.seconds_network}
        return plain(
            {
                "status": self.status,
                "scenario": self.scenario.name,
                "algorithm": self.algorithm,
                "address": self.address,
                "regions": len(self.scenario.regions),
                "gateways": len(self.scenario.gateways),
                "slots": self.scenario.slots,
                "actors": self.actors,
                "objective": self.audit.objective,
                "lower_bound": self.audit.lower_bound,
                "gap": self.audit.gap,
                "energy_cost_usd": self.audit.energy_cost_usd,
                "equity": {
                    kind.name: {"weight": kind.weight, "shape": str(kind.shape)}
                    for kind in self.scenario.footprints
                },
                "footprints": {kind: asdict(totals) for kind, totals in self.audit.footprints.items()},
                "signals": {kind.name: kind.signal for kind in self.scenario.footprints if kind.signal},
                "rounds": self.rounds,
                "bytes_up": self.bytes_up,
                "bytes_down": self.bytes_down,
                "seconds": {
                    "start": self.seconds_start,
                    "solve": self.seconds_solve,
                    "total": self.seconds_total,
                    **on_network,
                },
                "peak_rss_mb": self.peak_rss_mb,
                "violations": self.audit.violations,
                **({} if (jobs := self.job_measures()) is None else {"jobs": jobs.to_dict()}),
                **self.membership(),
            }
        )

    def job_measures(self) -> JobMeasures | None:
        """What became of the jobs, None if there are none."""
        from eglb.planning.job_totals import measure_jobs

        if self.work is None:
            return None
        return measure_jobs(self.scenario, self.work, self.unmet_mwh)

    def membership(self) -> dict[str, dict[str, Any]]:
        """Who had no part in the plan and what demand it leaves out for that, as `to_dict` tells them."""
        return {
            "members": {
                "out": dict(self.out),
                "events": [asdict(event) for event in self.events],
                "rejected": dict(self.rejected),
            },
            "shortfall": {
                "mwh": self.shortfall_mwh,
                "slots": 0 if self.unmet is None else int(self.unmet.any(axis=0).sum()),
                "worst": self._worst_shortfall(),
                **self._work_left_out(),
            },
        }

    def _work_left_out(self) -> dict[str, Any]:
        """MWh of work that is not done, and of how many jobs; nothing without jobs."""
        if self.scenario.jobs is None:
            return {}
        unmet = np.zeros(0) if self.unmet_mwh is None else self.unmet_mwh
        return {"work_mwh": float(unmet.sum()), "jobs": int(np.count_nonzero(unmet))}

    def _worst_shortfall(self) -> dict[str, Any] | None:
        """The slot in which the most MW are missing, and the gateway that misses most there."""
        if self.unmet is None:
            return None
        slot = int(self.unmet.sum(axis=0).argmax())
        return {
            "slot": slot,
            "time_utc": f"{self.scenario.times[slot]}Z",
            "mw": self.unmet[:, slot].sum(),
            "gateway": self.scenario.gateways[int(self.unmet[:, slot].argmax())],
        }

    def __repr__(self) -> str:
        return (
            f"<Solution of {self.scenario.name} by {self.algorithm}: {self.status}, "
            f"objective {self.audit.objective:,.2f} USD, gap {self.audit.gap:.1e}>"
        )

    def __str__(self) -> str:
        from eglb.foundation.console import as_text

        return as_text(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from eglb.planning.solution_table import solution_table

        yield from solution_table(self, width=options.max_width, ascii_only=options.ascii_only)

    def _repr_html_(self) -> str:
        from eglb.planning.solution_table import solution_html

        return solution_html(self)

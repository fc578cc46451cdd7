"""What a solve returns: the plan, its certificate and how it was reached, for terminal, notebook, JSON and disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eglb.sims.scenario import Scenario

Array = np.ndarray


@dataclass(frozen=True)
class FootprintTotals:
    """Unweighted totals of one footprint kind over the horizon, in `unit`; `par` = max / avg."""

    unit: str
    total: float
    avg: float
    max: float
    par: float
    by_region: dict[str, float]


@dataclass(frozen=True)
class Audit:
    """Every reported number of a plan, recomputed from the raw scenario.

    `objective` (USD) is the plan's; `lower_bound` (USD) the Lagrangian bound of the duals it came with;
    `violations` are the largest absolute ones in MW under ``demand``, ``capacity`` and ``reach``.
    """

    objective: float
    lower_bound: float
    gap: float
    energy_cost_usd: float
    footprints: dict[str, FootprintTotals]
    violations: dict[str, float]


@dataclass(frozen=True)
class RoundRecord:
    """Progress after one exchange: best certified objective and bound so far (inf / -inf before the first)."""

    round: int
    seconds: float
    objective: float
    lower_bound: float
    gap: float
    bytes_up: int
    bytes_down: int


@dataclass(frozen=True, eq=False)
class Solution:
    """One plan for the whole horizon with its certificate.

    `route` is (E, T) MW on the scenario's reach pairs, `load` (N, T) MW its sum by region,
    `demand_price` (J, T) USD per MW-slot and `equity_price` (K, N) USD per unit the duals behind
    `audit.lower_bound`. `status` is ``converged``, ``round_limit``, ``time_limit`` or ``stalled``.
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

    def to_dict(self) -> dict[str, Any]:
        """The object that ``eglb solve --json`` prints."""
        raise NotImplementedError

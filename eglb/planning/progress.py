"""Progress records: one for every exchange with the agents."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RoundRecord:
    """Progress after one exchange: best certified objective and bound so far, inf / -inf before the first.

    `seconds` are measured; `seconds_network` is what the exchanges so far would take on the solve's network.
    `regions_out` take no part; when they become more or fewer, plan and bound are those of another problem.
    """

    round: int
    seconds: float
    objective: float
    lower_bound: float
    gap: float
    bytes_up: int
    bytes_down: int
    seconds_network: float = 0.0
    regions_out: int = 0

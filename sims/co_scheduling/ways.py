"""Ways to schedule training beside inference, and what each came to."""

from __future__ import annotations

from dataclasses import dataclass

from eglb.planning.audit import FootprintTotals

TOGETHER, IN_TURN = "together", "eGLB in turn"
WITHOUT_EQUITY = ("cheapest-first", "carbon-first")


WAYS: dict[str, str] = {
    "cheapest-first": "inference by eGLB, then training where and when energy is cheapest",
    "carbon-first": "inference by eGLB, then training where and when there is least carbon",
    IN_TURN: "inference by eGLB, then training by eGLB, inference staying where it is",
    TOGETHER: "training and inference by eGLB in one plan",
}
"""Name and one line on each way to schedule; all but the last are apart."""


@dataclass(frozen=True)
class Scheduling:
    """What one way to schedule costs, both loads together: USD, footprints unweighted, shares of the jobs'
    work.

    `problem` says why there is no such plan; everything else is then None.
    """

    name: str
    energy_cost_usd: float | None = None
    objective: float | None = None
    footprints: dict[str, FootprintTotals] | None = None
    moved_in_time: float | None = None
    moved_in_space: float | None = None
    problem: str = ""

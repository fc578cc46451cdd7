"""Online policies: what to do with this slot when the next ones are not known. One file each.

A policy asks the agents for bids and valuations and returns the route of the slot; it never sees their
series.
"""

from __future__ import annotations

from eglb.coordinator.online.policies.adahedge import AdaHedge
from eglb.coordinator.online.policies.cost import Cost
from eglb.coordinator.online.policies.dmd import DualMirrorDescent
from eglb.coordinator.online.policies.eg import ExponentiatedGradient
from eglb.coordinator.online.policies.guard import Guard
from eglb.coordinator.online.policies.mpc import PredictiveControl
from eglb.coordinator.online.policies.nearest import Nearest
from eglb.coordinator.online.policies.soft import Soft
from eglb.coordinator.online.policies.weighted_sum import WeightedSum
from eglb.coordinator.online.policy import Policy

__all__ = [
    "POLICIES",
    "AdaHedge",
    "Cost",
    "DualMirrorDescent",
    "ExponentiatedGradient",
    "Guard",
    "Nearest",
    "Policy",
    "PredictiveControl",
    "Soft",
    "WeightedSum",
]

POLICIES: dict[str, tuple[type[Policy], str]] = {
    "soft": (Soft, "entropic re-solving every slot, with or without forecasts (default)"),
    "mpc": (PredictiveControl, "the best plan for the rest of the period, every slot; for good forecasts"),
    "guard": (Guard, "follows the policy named as advice; costs at most 1 + eps times a robust policy"),
    "eg": (ExponentiatedGradient, "exponentiated gradient: no forecast, no parameter, proved regret"),
    "adahedge": (AdaHedge, "as eg, without knowing how long the period is"),
    "dmd": (DualMirrorDescent, "dual mirror descent, the published method; its step must be tuned"),
    "cost": (Cost, "cheapest first"),
    "sum": (WeightedSum, "the weighted sum of cost and total footprints"),
    "nearest": (Nearest, "nearest first"),
}
"""Name, class and one line on each; the parameters of a policy are the fields of its class."""

"""Online policies: what to do with this slot when the next ones are not known. One file each.

A policy asks the agents for bids and valuations and returns the route of the slot; it never sees their
series.
"""

from __future__ import annotations

from eglb.coordinator.hourly import Policy
from eglb.coordinator.policies.adahedge import AdaHedge
from eglb.coordinator.policies.cost import Cost
from eglb.coordinator.policies.dmd import DualMirrorDescent
from eglb.coordinator.policies.eg import ExponentiatedGradient
from eglb.coordinator.policies.guard import Guard
from eglb.coordinator.policies.mpc import PredictiveControl
from eglb.coordinator.policies.nearest import Nearest
from eglb.coordinator.policies.soft import Soft
from eglb.coordinator.policies.sum import WeightedSum

POLICIES: dict[str, tuple[type[Policy], str]] = {
    "soft": (Soft, "entropic re-solving every slot, with or without forecasts (default)"),
    "mpc": (PredictiveControl, "the best plan for the rest of the period, every slot; for good forecasts"),
    "guard": (Guard, "any advice, never more than 1 + eps times what a robust policy costs"),
    "eg": (ExponentiatedGradient, "exponentiated gradient: no forecast, no parameter, proved regret"),
    "adahedge": (AdaHedge, "exponential weights that need no horizon either"),
    "dmd": (DualMirrorDescent, "dual mirror descent, the published method; its step must be tuned"),
    "cost": (Cost, "cheapest first"),
    "sum": (WeightedSum, "the weighted sum of cost and total footprints"),
    "nearest": (Nearest, "nearest first"),
}
"""Name, class and one line on each; the parameters of a policy are the fields of its class."""

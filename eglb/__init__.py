"""Environmentally equitable geographical load balancing: a fleet in, a certified plan out.

    import eglb

    fleet = eglb.load("world10")          # a folder or a built-in name -> Scenario
    plan = eglb.solve(fleet)              # agents and a coordinator -> Solution with a certificate
    table = eglb.compare(fleet)           # every policy and algorithm, beside the central solver
    run = eglb.simulate(fleet, "soft")    # hour by hour, with only what was known
    both = eglb.coordinate(fleet)         # jobs and demand, apart and in one plan
    growth = eglb.scale((10, 50, 200))    # fleets of growing size
    why = eglb.explain(plan)              # from the dual prices; a results folder will do too
    curve = eglb.sweep(fleet)             # what equity costs, from weight zero upward

The verbs are those of the ``eglb`` command. What is wrong with an input is raised as `InputError` (wrong)
or `InfeasibleError` (no feasible plan exists), each with every message in ``.problems``.
Names are resolved when first used, so that ``import eglb`` costs milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from eglb.foundation.version import __version__

if TYPE_CHECKING:
    from eglb.agents.forecasting import Forecaster
    from eglb.coordinator.online.policy import Policy
    from eglb.foundation.errors import InfeasibleError, InputError
    from eglb.planning.audit import audit
    from eglb.planning.explanation.explain import explain
    from eglb.planning.explanation.explanation import Explanation
    from eglb.planning.running.membership_orders import Orders
    from eglb.planning.solution import Solution
    from eglb.planning.solve import resume, solve
    from eglb.scenarios.catalog import load
    from eglb.scenarios.scenario import Scenario
    from eglb.sims.co_scheduling.co_scheduling import Coordination, coordinate
    from eglb.sims.comparison.comparison import Comparison, compare
    from eglb.sims.replay.simulation import Simulation, simulate
    from eglb.sims.reproduction.reproduction import Reproduction, reproduce
    from eglb.sims.scaling.scaling import Scaling, scale
    from eglb.sims.sweep.sweep import Sweep, sweep


__all__ = [
    "Comparison",
    "Coordination",
    "Explanation",
    "Forecaster",
    "InfeasibleError",
    "InputError",
    "Orders",
    "Policy",
    "Reproduction",
    "Scaling",
    "Scenario",
    "Simulation",
    "Solution",
    "Sweep",
    "__version__",
    "audit",
    "compare",
    "coordinate",
    "explain",
    "load",
    "reproduce",
    "resume",
    "scale",
    "simulate",
    "solve",
    "sweep",
]

_HOMES = {
    "Comparison": "eglb.sims.comparison.comparison",
    "Coordination": "eglb.sims.co_scheduling.co_scheduling",
    "Explanation": "eglb.planning.explanation.explanation",
    "Forecaster": "eglb.agents.forecasting",
    "InfeasibleError": "eglb.foundation.errors",
    "InputError": "eglb.foundation.errors",
    "Orders": "eglb.planning.running.membership_orders",
    "Policy": "eglb.coordinator.online.policy",
    "Reproduction": "eglb.sims.reproduction.reproduction",
    "Scaling": "eglb.sims.scaling.scaling",
    "Scenario": "eglb.scenarios.scenario",
    "Simulation": "eglb.sims.replay.simulation",
    "Solution": "eglb.planning.solution",
    "Sweep": "eglb.sims.sweep.sweep",
    "audit": "eglb.planning.audit",
    "compare": "eglb.sims.comparison.comparison",
    "coordinate": "eglb.sims.co_scheduling.co_scheduling",
    "explain": "eglb.planning.explanation.explain",
    "load": "eglb.scenarios.catalog",
    "reproduce": "eglb.sims.reproduction.reproduction",
    "resume": "eglb.planning.solve",
    "scale": "eglb.sims.scaling.scaling",
    "simulate": "eglb.sims.replay.simulation",
    "solve": "eglb.planning.solve",
    "sweep": "eglb.sims.sweep.sweep",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'eglb' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

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

if TYPE_CHECKING:
    from eglb.agents.forecasting import Forecaster
    from eglb.coordinator.hourly import Policy
    from eglb.sims.audit import audit
    from eglb.sims.catalog import load
    from eglb.sims.comparison import Comparison, compare
    from eglb.sims.coordination import Coordination, coordinate
    from eglb.sims.explanation import Explanation, explain
    from eglb.sims.members import Orders
    from eglb.sims.problems import InfeasibleError, InputError
    from eglb.sims.reproduction import Reproduction, reproduce
    from eglb.sims.scaling import Scaling, scale
    from eglb.sims.scenario import Scenario
    from eglb.sims.simulation import Simulation, simulate
    from eglb.sims.solution import Solution
    from eglb.sims.solving import resume, solve
    from eglb.sims.sweep import Sweep, sweep

__version__ = "0.1.0"

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
    "Comparison": "eglb.sims.comparison",
    "Coordination": "eglb.sims.coordination",
    "Explanation": "eglb.sims.explanation",
    "Forecaster": "eglb.agents.forecasting",
    "InfeasibleError": "eglb.sims.problems",
    "InputError": "eglb.sims.problems",
    "Orders": "eglb.sims.members",
    "Policy": "eglb.coordinator.hourly",
    "Reproduction": "eglb.sims.reproduction",
    "Scaling": "eglb.sims.scaling",
    "Scenario": "eglb.sims.scenario",
    "Simulation": "eglb.sims.simulation",
    "Solution": "eglb.sims.solution",
    "Sweep": "eglb.sims.sweep",
    "audit": "eglb.sims.audit",
    "compare": "eglb.sims.comparison",
    "coordinate": "eglb.sims.coordination",
    "explain": "eglb.sims.explanation",
    "load": "eglb.sims.catalog",
    "reproduce": "eglb.sims.reproduction",
    "resume": "eglb.sims.solving",
    "scale": "eglb.sims.scaling",
    "simulate": "eglb.sims.simulation",
    "solve": "eglb.sims.solving",
    "sweep": "eglb.sims.sweep",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'eglb' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

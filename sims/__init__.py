"""Worlds to run the balancer on: scenarios, the central solver, baselines, experiments, results.

Nothing here is needed by a running fleet: `agents` and `coordinator` never import `sims`.
Every number a user reads is recomputed here from the raw scenario (`audit`).
"""

__all__ = [
    "baselines",
    "cluster_model",
    "co_scheduling",
    "comparison",
    "footprint_range",
    "replay",
    "reproduction",
    "robustness",
    "scaling",
    "sweep",
    "wide_area_plots",
]

"""Simulations: replay, comparison, sweeps, robustness, scaling, reproduction and co-scheduling.

Nothing here is needed by a running fleet: neither planning nor the live service imports it.
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

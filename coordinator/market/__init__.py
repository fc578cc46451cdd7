"""Who may be served where: demand, reach and jobs, and the combinatorial steps that clear them.

Feasible plans, merit orders, network flows and the sets of equity prices. Nothing here knows a region's
private figures.
"""

__all__ = [
    "aggregation",
    "equity",
    "job_allocation",
    "jobs",
    "market",
    "merit_order",
    "min_cost_flow",
    "nearest",
    "repair",
]

"""A scenario in, a certified plan out: the only room that knows scenarios and the coordinator.

Every number a user reads is recomputed here from the raw scenario (`audit`).
"""

__all__ = [
    "audit",
    "central",
    "explanation",
    "feasibility",
    "gateway_merging",
    "job_columns",
    "job_totals",
    "launch",
    "lost_regions",
    "online",
    "partition",
    "progress",
    "running",
    "solution",
    "solution_table",
    "solve",
    "storage",
    "warm_start",
    "wide_area",
]

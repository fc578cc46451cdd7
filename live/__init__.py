"""Live service: signals in, plans by the clock, weights out, meters back.

It plans as `eglb.planning` does and imports nothing of `eglb.sims`: production stands on no experiment.
"""

__all__ = [
    "accounting",
    "data_plane",
    "http",
    "jobs",
    "loop",
    "processes",
    "routing",
    "service",
    "signals",
    "state",
    "storage",
]

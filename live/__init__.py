"""Live service: signals in, plans by the clock, weights out, meters back.

Above `eglb.sims`, whose scenarios it serves, and below the command.
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

"""What every room may use: errors, numbers in print, folders written whole or not, compiled kernels, plots.

Nothing here knows a fleet, an agent or a plan.
"""

__all__ = [
    "arrays",
    "compilation",
    "console",
    "equity_shape",
    "errors",
    "numbers",
    "plots",
    "random_numbers",
    "row_log",
    "specs",
    "staging",
    "transport_repair",
    "version",
    "world_map",
]

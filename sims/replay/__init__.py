"""A recorded fleet replayed hour by hour, with only what was known."""

__all__ = [
    "admission",
    "estimate_errors",
    "plots",
    "series",
    "simulation",
    "storage",
    "tables",
]

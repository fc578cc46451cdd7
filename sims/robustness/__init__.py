"""Policies against forecasts, wrong estimates and misdeclared periods."""

__all__ = [
    "conditions",
    "plots",
    "robustness",
    "storage",
    "tables",
]

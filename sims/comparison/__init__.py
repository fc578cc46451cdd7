"""Policies and algorithms side by side, beside the central solver."""

__all__ = [
    "comparison",
    "plots",
    "storage",
    "tables",
]

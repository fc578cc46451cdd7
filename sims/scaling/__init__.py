"""Fleets of growing size: rounds, time, memory and bytes."""

__all__ = [
    "folder",
    "plots",
    "run",
    "scaling",
    "tables",
]

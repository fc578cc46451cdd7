"""Footprint tables of a scenario folder, estimated from an operator's facts."""

__all__ = [
    "estimating",
    "facts",
]

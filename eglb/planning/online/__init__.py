"""Forecasts and policies by name, for replay and live alike."""

__all__ = [
    "forecasts",
    "policies",
]

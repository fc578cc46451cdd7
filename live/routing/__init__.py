"""Weights of a slot, and requests routed by them."""

__all__ = [
    "balancing",
    "fallback",
    "router",
    "table_history",
    "weights",
]

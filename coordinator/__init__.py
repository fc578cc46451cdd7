"""Coordinator: the equity dual, clearing of demand, the algorithms, the fleet of agents.

The coordinator knows demand and reach. What it learns of a region is what the region's agent answers.
Algorithms are sans-IO state machines (`algorithms`); `fleet` carries their messages, in process or over Ray.
It imports `agents` and `foundation` only.
"""

__all__ = [
    "algorithms",
    "durability",
    "exchange",
    "fleet",
    "interior",
    "market",
    "online",
    "run",
]

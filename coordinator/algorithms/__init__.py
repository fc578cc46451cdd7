"""Decentralised algorithms, one a file: sans-IO state machines that ask agents and announce prices.

`algorithm` is the interface. An algorithm sends nothing itself: `eglb.coordinator.run` carries its requests.
"""

__all__ = [
    "admm",
    "algorithm",
    "crossover",
    "dual_decomposition",
    "level_bundle",
    "newton",
    "primal_recovery",
    "reroute",
    "subgradient",
]

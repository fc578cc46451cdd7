"""The agents as seen by the coordinator: transport of messages, membership, faults, Ray.

`ray_cluster` is the only module that imports Ray.
"""

__all__ = [
    "faults",
    "fleet",
    "interrupts",
    "membership",
    "network",
    "ray_cluster",
    "ray_transport",
    "transport",
]

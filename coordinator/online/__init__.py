"""Hour by hour: one slot decided before the next is known, policies, settlement, the running certificate."""

__all__ = [
    "backlog",
    "loop",
    "policies",
    "redispatch",
    "running_certificate",
    "slot",
]

"""Online control: one slot decided before the next is known. Policies, settlement, certificate."""

__all__ = [
    "backlog",
    "loop",
    "outlook",
    "policies",
    "policy",
    "redispatch",
    "running_certificate",
    "settlement",
    "slot",
]

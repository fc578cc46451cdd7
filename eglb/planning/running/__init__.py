"""A solve while it runs: its checkpoint, its status, and orders about members."""

__all__ = [
    "checkpoint",
    "membership_orders",
    "status",
]

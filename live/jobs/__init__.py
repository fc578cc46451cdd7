"""Jobs in the service: intake, what is left of each, where each runs."""

__all__ = [
    "board",
    "intake",
    "packing",
    "slot_backlog",
    "workload",
]

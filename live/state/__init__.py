"""What is true of a service now: its clock, its state, its metrics."""

__all__ = [
    "clock",
    "job_requests",
    "metrics",
    "service_state",
]

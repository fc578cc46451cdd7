"""What is true of a service now: its clock, its state, its metrics."""

__all__ = [
    "clock",
    "job_desk",
    "metrics",
    "service_state",
]

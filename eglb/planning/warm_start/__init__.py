"""An earlier plan laid on another scenario, to start from."""

__all__ = [
    "align",
    "align_jobs",
]

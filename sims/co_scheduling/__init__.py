"""Training and inference planned apart and in one plan."""

__all__ = [
    "co_scheduling",
    "tables",
    "ways",
]

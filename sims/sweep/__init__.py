"""What equity costs: weights from zero upward."""

__all__ = [
    "plots",
    "storage",
    "sweep",
    "tables",
]

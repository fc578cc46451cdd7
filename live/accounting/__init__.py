"""What was served and what it cost, by the meters: settlement, statements, alerts."""

__all__ = [
    "alerts",
    "ledger",
    "periods",
    "series",
    "settlement",
    "statement",
]

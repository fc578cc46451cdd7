"""Why load went where it did, from the dual prices: the numbers, the tables and the words."""

__all__ = [
    "explain",
    "explanation",
    "jobs",
    "prices",
    "rows",
    "tables",
    "words",
]

"""The database of a service: SQLite or PostgreSQL."""

__all__ = [
    "job_store",
    "results",
    "schema",
    "store",
]

"""Results folders: tables, prices, rounds and numbers of a plan, written and read."""

__all__ = [
    "folder",
    "job_tables",
    "parquet_columns",
]

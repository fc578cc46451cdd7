"""A scenario folder: settings and tables, read with every problem said at once, and written."""

__all__ = [
    "demand_units",
    "jobs",
    "reading",
    "settings",
    "spreadsheets",
    "tables",
    "writing",
]

"""Printed figures of the eGLB papers, beside what public data give."""

__all__ = [
    "published",
    "reproduction",
    "storage",
    "tables",
]

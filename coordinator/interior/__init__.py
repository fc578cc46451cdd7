"""Newton systems of the interior point method, and what they are solved with."""

__all__ = [
    "border_preconditioner",
    "clearing",
    "dense",
    "dense_jobs",
    "epigraph",
    "sparse",
    "sparse_ldl",
]

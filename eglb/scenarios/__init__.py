"""What a fleet is, and where fleets come from: folders, built-in worlds, generated fleets; no algorithm."""

__all__ = [
    "catalog",
    "data_sets",
    "description",
    "estimation",
    "feasibility",
    "folder",
    "geography",
    "highs",
    "job_mix",
    "jobs",
    "lookup",
    "physics",
    "region_weights",
    "scenario",
    "synthetic",
    "worlds",
]

"""Worlds that ship with the project or are read from the data directory, each as a scenario.

A measured world (`world16`, `gcp33`, `zones123`, `usba8`) says where its regions are, with their series and
facts: a `world.World` and its `world.Ground`. What all share lives beside them once: names, demand, people,
footprints, reach and the making of the scenario. Nothing here solves anything, and no data are kept here.
"""

__all__ = [
    "cloud_regions",
    "demand",
    "files",
    "fleet",
    "footprints",
    "gcp33",
    "naming",
    "paper10",
    "population",
    "reach",
    "usba8",
    "world",
    "world10",
    "world16",
    "year2022",
    "zones123",
]

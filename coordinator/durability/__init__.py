"""State that outlives a process: snapshots of an algorithm, the journal of a run, going on from both."""

__all__ = [
    "journal",
    "resumption",
    "snapshot",
]

"""A scenario in, a certified plan out: the only room that knows scenarios and the coordinator.

Every number a user reads is recomputed here from the raw scenario (`audit`).
"""

"""The central solver: one linear program in HiGHS, to check the decentralised algorithms against."""

__all__ = [
    "central",
    "flow_repair",
    "linear_model",
]

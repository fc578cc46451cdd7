"""Agent of a region: its private data, its local updates, its answers to the coordinator.

An agent knows its own prices, capacities and footprint intensities and nobody else's. It answers requests
(`codec`) and never starts a conversation. Code here is plain numpy, knows no Ray and never imports
`coordinator` or what stands above it.
"""

__all__ = [
    "barrier",
    "bidding",
    "calibration",
    "codec",
    "forecasting",
    "host",
    "kernels",
    "learned_forecast",
    "proximal",
    "region",
    "timeline",
    "validation",
    "valuation",
]

"""Interior points to test the Newton system at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array


@dataclass(frozen=True)
class Point:
    """An interior point of the coordinator and the agents' models at it; K-major as in the method."""

    market: Market
    x: Array
    z: Array
    nu: Array
    slope: Array
    curvature: Array
    intensity: Array
    demand: Array
    tau: float
    compliance: Array
    level_residual: Array
    mass: Array
    direction: Array


def draw_point(market: Market, kinds: int, seed: int, spread: float) -> Point:
    """`spread`: powers of ten over which barriers and routes differ; late in a run they differ a lot."""
    random = np.random.default_rng(seed)
    t, e, n, j = market.slots, len(market.edge_region), market.regions, market.gateways

    def wide(*shape: int) -> Array:
        return 10.0 ** random.uniform(-spread, spread, shape)

    return Point(
        market,
        wide(t, e),
        wide(t, e),
        random.normal(size=(t, j)),
        random.normal(size=(t, n)),
        wide(t, n) * (random.random((t, n)) < 0.9),
        random.uniform(0.0, 1.0, (t, kinds, n)),
        random.uniform(0.1, 2.0, (t, j)),
        0.1,
        wide(kinds, n),
        random.normal(size=(kinds, n)),
        random.normal(size=kinds) * 0.1,
        random.uniform(0.3, 2.0, (kinds, n)),
    )

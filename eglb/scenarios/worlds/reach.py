"""Which gateway may use which region, and the round trips between them."""

from __future__ import annotations

import numpy as np

from eglb.foundation.arrays import Array

REACHES = ("all", "near")
NEAR_RTT_MS, NEAR_REGIONS = 150.0, 4
# Least squares over the 1,122 measured pairs of latency/gcp_rtt_ms.csv against great-circle distance: it
# explains 76 % of the variance, and half of the pairs are within 19 ms of it.
FIT_MS, FIT_MS_PER_KM = 16.8, 0.01513
FIT = (
    f"round trips by distance, {FIT_MS:g} ms + {1000 * FIT_MS_PER_KM:.2f} ms per 1,000 km: fitted to those "
    "measured between 34 cloud regions, half of them within 19 ms of it"
)


def fitted_rtt_ms(distance_km: Array) -> Array:
    """Round-trip time in ms between two sites by their great-circle distance in km, by the fit."""
    return FIT_MS + FIT_MS_PER_KM * np.asarray(distance_km)


def allowed_pairs(reach: str, rtt_ms: Array) -> Array:
    """(N, J) whether region i may serve gateway j, from the round trips (N, J).

    ``"near"``: those within 150 ms, and of each gateway at least the four nearest. A round trip that nobody
    measured, NaN, is that to a gateway's own region.
    """
    if reach == "all":
        return np.ones(rtt_ms.shape, bool)
    rtt_ms = np.nan_to_num(rtt_ms)
    return (rtt_ms <= NEAR_RTT_MS) | (np.argsort(np.argsort(rtt_ms, axis=0), axis=0) < NEAR_REGIONS)

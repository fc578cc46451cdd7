"""Distances on the globe and the round-trip times they imply."""

from __future__ import annotations

import numpy as np

from eglb.foundation.arrays import Array

EARTH_RADIUS_KM = 6371.0


def unit_vectors(lat: Array, lon: Array) -> Array:
    """Points on the unit sphere, (n, 3), from latitude and longitude in degrees, (n,) each."""
    phi, theta = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)], axis=-1)


def great_circle_km(lat_a: Array, lon_a: Array, lat_b: Array, lon_b: Array) -> Array:
    """Great-circle distance in km, elementwise (broadcasting), by the haversine formula; degrees in."""
    phi_a, phi_b = np.radians(lat_a), np.radians(lat_b)
    half_chord = (
        np.sin((phi_b - phi_a) / 2) ** 2
        + np.cos(phi_a) * np.cos(phi_b) * np.sin(np.radians(np.subtract(lon_b, lon_a)) / 2) ** 2
    )
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(half_chord, 0.0, 1.0))))


def distances_km(lat: Array, lon: Array) -> Array:
    """(n, n) great-circle distances in km between n places in degrees."""
    return great_circle_km(lat[:, None], lon[:, None], lat[None], lon[None])


def modelled_rtt_ms(distance_km: Array) -> Array:
    """Round-trip time in ms between two sites: 5 ms of access plus 1.5 times light in fibre.

    Light in fibre covers 100 km of distance per ms of round trip (refractive index 1.5); cables run about
    1.5 times longer than the great circle. A model, not a measurement.
    """
    return 5.0 + np.asarray(distance_km) * 0.015

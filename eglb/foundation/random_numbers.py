"""Keyed random numbers: the same for the same seed and key, on every machine and in any order."""

from __future__ import annotations

import hashlib

import numpy as np


def keyed_random(seed: int, *key: str) -> np.random.Generator:
    """Random numbers that depend on the seed and the key alone, on every machine."""
    digest = hashlib.blake2b("\0".join((str(seed), *key)).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))

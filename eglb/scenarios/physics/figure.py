"""A published number with its range and source, and hourly estimates that carry such a range along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.foundation.arrays import Array


@dataclass(frozen=True)
class Figure:
    """One number as published: ``low <= central <= high`` in `unit`, and where that stands."""

    low: float
    central: float
    high: float
    unit: str
    source: str

    def __post_init__(self) -> None:
        if not self.low <= self.central <= self.high:
            raise ValueError(f"{self.low} <= {self.central} <= {self.high} does not hold")


@dataclass(frozen=True, eq=False)
class Estimate:
    """Arrays of one shape, ``low <= central <= high`` everywhere (rounding apart)."""

    low: Array
    central: Array
    high: Array

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(self.low + other.low, self.central + other.central, self.high + other.high)

    def times(self, factor: Array | float) -> Estimate:
        """All three multiplied by `factor` >= 0, which broadcasts."""
        return Estimate(self.low * factor, self.central * factor, self.high * factor)

    def around(self, central: Array) -> Estimate:
        """The same relative range around another central estimate, which broadcasts; none where ours is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            low = np.where(self.central > 0.0, self.low / self.central, 1.0)
            high = np.where(self.central > 0.0, self.high / self.central, 1.0)
        return Estimate(central * low, central * np.ones_like(low), central * high)

"""What makes a measured world, and what one name asks of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.physics.figure import Estimate


@dataclass(frozen=True, eq=False)
class Ground:
    """N places and their series over all T hours of a world.

    Parameters
    ----------
    regions : (N,) names; each is a gateway too.
    lat, lon : (N,) degrees. utc_offset_h : (N,) hours ahead of UTC in January, kept all year.
    pue : (N,). price : (N, T) USD per MWh at the meter, NaN where unknown.
    water : (N, T) m3 per MWh of IT energy (= L/kWh), on site and off site.
    carbon : (N, T) t per MWh at the meter (= kg/kWh).
    water_signal, carbon_signal : what kind of signal they are.
    rtt_ms : (N, N) round trip from gateway to region; NaN to a gateway's own region where nobody measured it.
    order : (N,) a fleet of n has the first n of these, so that small fleets span the world too.
    water_stress : (N,) Aqueduct category 0 to 4, NaN where unknown.
    notes : what is no measurement of that place and hour. sources : with attributions.
    """

    regions: tuple[str, ...]
    lat: Array
    lon: Array
    utc_offset_h: Array
    pue: Array
    price: Array
    water: Estimate
    carbon: Estimate
    water_signal: str
    carbon_signal: str
    rtt_ms: Array
    order: Array
    water_stress: Array
    notes: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """A world that is read from the data directory, named ``NAME@START/DAYS``.

    Parameters
    ----------
    first, end : hours, UTC; the world's series cover ``[first, end)``. example : a START/DAYS within.
    regions : N. files : what it reads, within the data directory. read : does so; with True, evaporation of
        hydropower's reservoirs counts as water.
    split, reach : what a name without these options means. capacity_mw : IT power of every region.
    """

    name: str
    first: np.datetime64
    end: np.datetime64
    example: str
    regions: int
    files: tuple[str, ...]
    read: Callable[[Path, bool], Ground]
    split: str = "population"
    reach: str = "near"
    capacity_mw: float = 50.0

    @property
    def hours(self) -> int:
        """T, from `first` to `end`."""
        return int((self.end - self.first).astype(int))


@dataclass(frozen=True)
class Choice:
    """What a name asks for, see `naming.OPTIONS`; `first` is an hour, UTC."""

    name: str
    first: np.datetime64
    slots: int
    regions: int
    split: str
    reach: str
    demand: str = "m-mid"
    seed: int = 0
    util: float = 0.6
    hydro: str = "no"

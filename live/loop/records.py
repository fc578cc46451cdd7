"""Records of the control loop: what it plans with, and what it reports of every slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from eglb.agents.forecasting import Forecaster
from eglb.foundation.arrays import Array
from eglb.live.signals.reading import Reading


class SignalReader(Protocol):
    """Who tells prices and footprints; see `eglb.live.signals.Signals`."""

    silenced: dict[tuple[str, str], str]

    def read_all(self, now: np.datetime64, deadline_s: float) -> dict[tuple[str, str], Reading]: ...


@dataclass(frozen=True, eq=False)
class Outlooks:
    """What an outside source says of all slots, history included, for forecasters that read one: `regions`
    (N, 1 + K, T), `gateways` (T, G) merged and `each_gateway` (J, T).
    """

    regions: Array | None = None
    gateways: Array | None = None
    each_gateway: Array | None = None


@dataclass(frozen=True)
class Forecasts:
    """`signals` foretells price, footprints and demand of the slots to come; `demand` that of the present
    one.
    """

    signals: Forecaster
    demand: Forecaster
    outlooks: Outlooks


@dataclass(frozen=True)
class Served:
    """How a slot was served.

    `source` and `note` are its table's. `seconds` from the start of the slot to its first table and
    `seconds_plan` of the decision are real ones. `objective`, `lower_bound` and `gap` are of the period so
    far, as metered, and None while nothing is.
    """

    slot: int
    time_utc: str
    source: str
    note: str
    seconds: float
    seconds_plan: float
    up: int
    objective: float | None
    lower_bound: float | None
    gap: float | None

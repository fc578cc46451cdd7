"""Time-series forecasts: of its own signals by an agent, of demand by the coordinator."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.random_numbers import keyed_random


@dataclass(frozen=True, eq=False)
class Past:
    """m series of one quantity, as known in one slot.

    Parameters
    ----------
    quantity : ``"price"``, ``"footprint 0"``, ``"footprint 1"``, ... or ``"demand"``.
    names : (m,) whose series they are, regions or gateways.
    values : (m, P), oldest first; the last column is the present slot.
    first : start of the oldest slot, UTC. slot_hours : length of a slot.
    outlook : (m, H) what an outside source says of the slots to come; (m, 0) unless the forecaster
        `reads_outlook`.
    """

    quantity: str
    names: tuple[str, ...]
    values: Array
    first: np.datetime64
    slot_hours: float
    outlook: Array


class Forecaster(ABC):
    """Foretells series. What it says of one must not depend on which others are asked about with it.

    One of your own, for ``--forecast my_module.HalfWay``:

        from dataclasses import dataclass

        import numpy as np
        from eglb.agents.forecasting import Forecaster, Past

        @dataclass(frozen=True)
        class HalfWay(Forecaster):
            hours: float = 12.0  # how far ahead it looks

            def predict(self, past: Past, slots: int) -> np.ndarray:
                middle = (past.values[:, -1:] + past.values.mean(1, keepdims=True)) / 2
                return np.repeat(middle, slots, axis=1)
    """

    hours: float
    """How far ahead it looks; 0 not at all, infinite as far as it is asked."""
    reads_outlook: bool = False
    """Whether it is told what an outside source says of the future."""

    @abstractmethod
    def predict(self, past: Past, slots: int) -> Array:
        """(m, slots): the next values."""


@dataclass(frozen=True)
class NoForecast(Forecaster):
    """Foretells nothing."""

    hours: float = 0.0

    def predict(self, past: Past, slots: int) -> Array:
        return np.repeat(past.values[:, -1:], slots, axis=1)


@dataclass(frozen=True)
class Persistence(Forecaster):
    """The last period over again: the same hour yesterday (24 hours), or last week (168).

    With less past than a period, the last whole day; with less than a day, the present value.
    """

    period_hours: float = 24.0
    hours: float = 24.0

    def predict(self, past: Past, slots: int) -> Array:
        known = past.values.shape[1]
        periods = (round(hours / past.slot_hours) for hours in (self.period_hours, 24.0))
        period = next((p for p in periods if 0 < p <= known), 1)
        last = past.values[:, known - period :]
        return np.tile(last, (1, -(-slots // period)))[:, :slots]


@dataclass(frozen=True)
class Corrected(Forecaster):
    """The present value, times what the hours to come usually are of the present one, by the last `days`, to
    the power of `trust`: 0 is the present value, 1 the usual course of a day from there.

    The factor is at most two. With fewer days of past, as many as there are; with none, the present value.
    """

    hours: float = 24.0
    days: int = 14
    trust: float = 0.5

    def predict(self, past: Past, slots: int) -> Array:
        values, known = past.values, past.values.shape[1]
        day = round(24.0 / past.slot_hours)
        whole = min(self.days, (known - 1) // day)
        if whole < 1:
            return np.repeat(values[:, -1:], slots, axis=1)
        ago = day * np.arange(1, whole + 1)[:, None]
        usual = values[:, known + np.arange(slots) % day - ago].mean(1)
        then = values[:, known - 1 - ago].mean(1)
        growth = np.divide(usual, then, out=np.ones_like(usual), where=then > 0.0)
        return np.asarray(values[:, -1:] * np.clip(growth, 0.5, 2.0) ** self.trust)


@dataclass(frozen=True)
class Outlook(Forecaster):
    """Believes the outside source: the truth in an experiment, a file, or a liar."""

    hours: float = math.inf
    reads_outlook = True

    def predict(self, past: Past, slots: int) -> Array:
        return past.outlook[:, :slots].copy()


@dataclass(frozen=True)
class NoisyOutlook(Forecaster):
    """The outside source with log-normal errors exp(e), e correlated along lead time (AR(1), 0.9).

    `sd` is the standard deviation of e at every lead; the median is the source's value. Errors depend on the
    seed, the series and the present slot alone.
    """

    hours: float = 24.0
    sd: float = 0.2
    seed: int = 0
    reads_outlook = True

    def predict(self, past: Past, slots: int) -> Array:
        told = past.outlook[:, :slots].copy()
        now = past.values.shape[1] - 1
        start = past.first + np.timedelta64(round(now * past.slot_hours * 3600), "s")
        for row, name in enumerate(past.names):
            random = keyed_random(self.seed, past.quantity, name, str(start))
            told[row] *= np.exp(self.sd * autoregressive(random, told.shape[1], 0.9))
        return told


def autoregressive(random: np.random.Generator, length: int, memory: float) -> Array:
    """(length,): a stationary AR(1) series with standard deviation one."""
    from scipy.signal import lfilter

    shocks = random.standard_normal(length)
    shocks[1:] *= math.sqrt(1.0 - memory**2)
    return np.asarray(lfilter([1.0], [1.0, -memory], shocks))

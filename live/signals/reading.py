"""Reading: what a signal says of one region, where it comes from and how old it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Fallback = Literal["last value", "same hour yesterday", "annual mean"]
FALLBACKS: tuple[Fallback, ...] = ("last value", "same hour yesterday", "annual mean")


@dataclass(frozen=True)
class Reading:
    """One number for one region and slot.

    Parameters
    ----------
    value : in `unit`; NaN if there is neither an answer nor a fallback.
    unit : USD/MWh for a price, units of the footprint per MWh, as the scenario counts them.
    at_utc : datetime64[s] that the value is of; None for an annual mean, or if there is no value.
    source : who says so, and what was made of it: a conversion, an estimate.
    age_s : from `at_utc` to the time of reading, by the service's clock; 0 for what holds from just ahead.
    fallback : what stands in for the answer. ok : it is the answer itself.
    problem : why it is not; empty if it is.
    """

    value: float
    unit: str
    at_utc: np.datetime64 | None
    source: str
    age_s: float | None
    fallback: Fallback | None
    ok: bool
    problem: str = ""


@dataclass(frozen=True)
class Point:
    """A value at a time, datetime64[s] UTC, as a source gives it; `note` adds to its provenance."""

    at: np.datetime64
    value: float
    note: str = ""


class RefusedError(Exception):
    """There is an answer, but it is not believed; the message says why and never has a key in it."""


class UnreachableError(Exception):
    """There is no answer; the message says why and never has a key in it."""

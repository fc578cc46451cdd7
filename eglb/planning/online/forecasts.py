"""Forecasts by name, and what an outside source is made to say: the truth, a file, or the wrong regions."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module

import numpy as np

from eglb.agents.forecasting import Corrected, Forecaster, NoForecast, NoisyOutlook, Outlook, Persistence
from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.foundation.specs import build
from eglb.scenarios.scenario import Scenario


@dataclass(frozen=True)
class Forecast:
    """A forecaster, and the scenario of the same slots that it reads as its outlook, out of the true one."""

    forecaster: Forecaster
    outlook: Callable[[Scenario], Scenario] = lambda scenario: scenario


def parse_forecast(text: str) -> Forecast:
    """The forecast that `text` names: one of `FORECASTS`, or a class of the user's own, ``module.Class``.

    Raises
    ------
    InputError : no such forecast or parameter, or a module that cannot be imported.
    """
    name = text.partition(":")[0]
    if "." not in name:
        return build(text, "forecast", FORECASTS)
    module, _, attribute = name.rpartition(".")
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)  # where a user's own module lies
    try:
        own = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError([f"forecast {name!r}: {error}"]) from None
    if not (isinstance(own, type) and issubclass(own, Forecaster)):
        raise InputError([f"forecast {name!r} is no eglb.agents.forecasting.Forecaster"])
    return Forecast(build(text, "forecast", {name: own}))


def as_forecast(given: str | Forecast | Forecaster) -> Forecast:
    """The forecast that is meant: by name, as it is, or a forecaster that is told the true scenario if it
    reads an outlook.

    Raises
    ------
    InputError : as `parse_forecast`, or it is none of the three.
    """
    if isinstance(given, str):
        return parse_forecast(given)
    if isinstance(given, Forecaster):
        return Forecast(given)
    if not isinstance(given, Forecast):
        raise InputError([f"forecast {given!r} is neither a name nor an eglb.Forecaster object"])
    return given


def _none() -> Forecast:
    return Forecast(NoForecast())


def _yesterday(hours: float = 24.0) -> Forecast:
    return Forecast(Persistence(24, hours))


def _last_week(hours: float = 168.0) -> Forecast:
    return Forecast(Persistence(168, hours))


def _corrected(hours: float = 24.0, days: int = 14, trust: float = 0.5) -> Forecast:
    return Forecast(Corrected(hours, days, trust))


def _perfect(hours: float = math.inf) -> Forecast:
    return Forecast(Outlook(hours))


def _noisy(hours: float = 24.0, sd: float = 0.2, seed: int = 0) -> Forecast:
    return Forecast(NoisyOutlook(hours, sd, seed))


def _learned(hours: float = 24.0) -> Forecast:
    from eglb.agents.learned_forecast import Learned

    return Forecast(Learned(hours))


def _file(path: str, hours: float = math.inf) -> Forecast:
    return Forecast(Outlook(hours), lambda scenario: _from_folder(path, scenario))


def _reversed(hours: float = math.inf) -> Forecast:
    return Forecast(Outlook(hours), lambda scenario: _shuffled(scenario, range(len(scenario.regions))[::-1]))


def _permuted(hours: float = math.inf, seed: int = 0) -> Forecast:
    random = np.random.default_rng(seed)
    return Forecast(
        Outlook(hours), lambda scenario: _shuffled(scenario, random.permutation(len(scenario.regions)))
    )


FORECASTS: dict[str, Callable[..., Forecast]] = {
    "none": _none,
    "yesterday": _yesterday,
    "last-week": _last_week,
    "corrected": _corrected,
    "perfect": _perfect,
    "noisy": _noisy,
    "learned": _learned,
    "file": _file,
    "reversed": _reversed,
    "permuted": _permuted,
}
FORECAST_MEANING = {
    "none": "nothing is foretold (default)",
    "yesterday": "the same hour yesterday; hours=24",
    "last-week": "the same hour last week; hours=168",
    "corrected": "the present and the usual course of a day from it; hours=24, days=14, trust=0.5",
    "perfect": "the truth, so many hours ahead; hours=inf",
    "noisy": "the truth with log-normal errors, correlated along lead time; sd=0.2, hours=24, seed=0",
    "learned": "gradient boosting trained on past weeks only; hours=24",
    "file": "the series of another scenario folder of this fleet; path=DIR, hours=inf",
    "reversed": "the truth of the wrong regions, in reverse order; hours=inf",
    "permuted": "the truth of regions drawn at random; seed=0, hours=inf",
}


def _shuffled(scenario: Scenario, order: Sequence[int] | Array) -> Scenario:
    """Prices and footprints of other regions; demand stays."""
    rows = np.asarray(order)
    kinds = tuple(replace(k, intensity=k.intensity[rows]) for k in scenario.footprints)
    return replace(scenario, price=scenario.price[rows], footprints=kinds)


def _from_folder(path: str, scenario: Scenario) -> Scenario:
    """The last slots of `scenario` as the folder tells them; those before its first slot stay as they are.

    Raises
    ------
    InputError : not a scenario folder, or of another fleet or other hours.
    """
    from eglb.scenarios.catalog import load

    told = load(path)
    problems = [
        f"forecast {path}: its {what.replace('_', ' ')} are not those of {scenario.name}"
        for what in ("regions", "gateways", "slot_hours")
        if getattr(told, what) != getattr(scenario, what)
    ]
    if [k.name for k in told.footprints] != [k.name for k in scenario.footprints]:
        problems.append(f"forecast {path}: its footprint kinds are not those of {scenario.name}")
    lead = scenario.slots - told.slots
    if lead < 0 or not np.array_equal(scenario.times[lead:], told.times):
        problems.append(f"forecast {path}: its hours do not end with those of {scenario.name}")
    if problems:
        raise InputError(problems)

    def after(own: Array, other: Array) -> Array:
        return np.concatenate([own[:, :lead], other], axis=1)

    kinds = tuple(
        replace(k, intensity=after(k.intensity, other.intensity))
        for k, other in zip(scenario.footprints, told.footprints, strict=True)
    )
    return replace(
        scenario,
        price=after(scenario.price, told.price),
        demand=after(scenario.demand, told.demand),
        footprints=kinds,
    )

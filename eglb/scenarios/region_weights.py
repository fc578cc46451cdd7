"""Whose footprint counts how much inside the maximum: ready region weights from facts of the places.

A region's weight s_i multiplies its total inside the max only, ``max_i s_i f_i``: reported totals stay
unweighted. With c_i the category of baseline water stress (0 low to 4 extremely high, Aqueduct 4.0) and p_i
the number of people living nearby,

    stress      s_i = (1 + c_i) / mean(1 + c)     a m3 hurts more where water is scarce; mean weight 1
    per-capita  s_i = mean(p) / p_i               footprint per person living nearby, times mean(p)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.scenarios.scenario import Scenario


@dataclass(frozen=True)
class ReadyWeight:
    """Region weights by name: the fact of `Scenario`, and column of ``regions``, that they are made of."""

    fact: str
    meaning: str


READY = {
    "stress": ReadyWeight("water_stress", "1 + water stress category 0 to 4, scaled to a mean of 1"),
    "per-capita": ReadyWeight("people_m", "mean of the people nearby / people nearby"),
}


def with_region_weights(scenario: Scenario, named: dict[str, str]) -> Scenario:
    """The same scenario with the region weights of some kinds, named as in `READY`.

    Raises
    ------
    InputError : a kind is unknown, or regions lack the fact; every problem is named.
    """
    kinds = [kind.name for kind in scenario.footprints]
    problems: list[str] = []
    weights: dict[str, Array] = {}
    for kind, name in named.items():
        asked = f"region weight {kind}={name}: {scenario.name}"
        fact = getattr(scenario, READY[name].fact)
        if kind not in kinds:
            problems.append(f"{asked} has no footprint {kind!r}; it has {', '.join(kinds) or 'none'}")
        elif lacking := what_is_lacking(name, fact, scenario.regions):
            problems += [f"{asked}: {what}" for what in lacking]
        else:
            weights[kind] = ready_weight(name, fact)
    if problems:
        raise InputError(problems)
    footprints = tuple(
        replace(kind, region_weight=weights[kind.name]) if kind.name in weights else kind
        for kind in scenario.footprints
    )
    return replace(scenario, footprints=footprints)


def what_is_lacking(name: str, fact: Array | None, regions: tuple[str, ...]) -> list[str]:
    """What keeps the weights called `name` from being made of `fact`, (N,) or None, one line each."""
    label = READY[name].fact
    if fact is None:
        return [f"{label} of the regions is not known"]
    lacking = [f"{label} of {regions[i]} is not known" for i in np.flatnonzero(np.isnan(fact))]
    if name == "per-capita":
        empty = np.flatnonzero(fact == 0.0)
        lacking += [f"{label} of {regions[i]} is 0, and a footprint per person needs people" for i in empty]
    return lacking


def ready_weight(name: str, fact: Array) -> Array:
    """(N,) the weights called `name`; nothing is lacking, see `what_is_lacking`."""
    if name == "stress":
        return np.asarray((1.0 + fact) / (1.0 + fact).mean())
    return np.asarray(fact.mean() / fact)

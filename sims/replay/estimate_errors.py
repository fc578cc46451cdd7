"""Footprint estimates that are wrong until meters are read, for experiments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eglb.agents.forecasting import autoregressive
from eglb.foundation.arrays import Array
from eglb.foundation.random_numbers import keyed_random
from eglb.foundation.specs import build

ESTIMATES = {
    "exact": "estimates are what will be metered (default)",
    "iid": "log-normal errors, new in every slot; sd=0.2, seed=0",
    "drift": "log-normal errors that drift (AR(1), 0.99 a slot); sd=0.2, seed=0",
    "bias": "a log-normal factor for every region and kind; sd=0.2, seed=0",
}
_DRIFT = 0.99


@dataclass(frozen=True)
class EstimateError:
    """Estimates are metered values times exp(e), e of standard deviation `sd`, as `ESTIMATES` says of
    `kind`.
    """

    kind: str
    sd: float = 0.0
    seed: int = 0


def parse_estimate_error(text: str) -> EstimateError:
    """The error that `text` names, such as ``bias:sd=0.2,seed=1``.

    Raises
    ------
    InputError : no such error or parameter.
    """

    def wrong(kind: str) -> Callable[..., EstimateError]:
        def make(sd: float = 0.2, seed: int = 0) -> EstimateError:
            return EstimateError(kind, sd, seed)

        return make

    known = {kind: wrong(kind) for kind in ESTIMATES if kind != "exact"}
    return build(text, "estimates", {"exact": lambda: EstimateError("exact"), **known})


def distort(intensity: Array, names: tuple[str, ...], error: EstimateError) -> Array:
    """(n, K, T): what the agents take their `intensity` (n, K, T) for.

    A region's errors depend on its name, the kind's position and the seed alone, and run from the first slot.
    """
    wrong = intensity.copy()
    slots = intensity.shape[2]
    for row, name in enumerate(names):
        for kind in range(intensity.shape[1]):
            random = keyed_random(error.seed, error.kind, f"footprint {kind}", name)
            if error.kind == "iid":
                wrong[row, kind] *= np.exp(error.sd * random.standard_normal(slots))
            elif error.kind == "drift":
                wrong[row, kind] *= np.exp(error.sd * autoregressive(random, slots, _DRIFT))
            elif error.kind == "bias":
                wrong[row, kind] *= np.exp(error.sd * random.standard_normal())
    return wrong

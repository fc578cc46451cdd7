"""Job mixes for fleets without jobs of their own, from marginals of published cluster traces.

Every slot releases one bundle of jobs that may wait `hours`, with a given share of the energy that is asked
for in it. How long jobs run when nothing holds them up is lognormal, with the median of 23 minutes and the
90th percentile of 4.5 hours that Weng et al. report for instances on Alibaba's PAI ("MLaaS in the Wild", NSDI
2022). A bundle stands for energy rather than for jobs, so the draw is weighted by run time: that of a
lognormal of parameters m, s has parameters m + s^2, s. It is cut to what fits between release and deadline.
A bundle's most power is its energy over its run time, so one that runs long has little to choose. All regions
may run it: training has no latency to keep.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from scipy.special import ndtr, ndtri

from eglb.foundation.errors import InputError
from eglb.scenarios.jobs import build_jobs
from eglb.scenarios.scenario import Scenario

MEDIAN_H, NINTH_DECILE_H = 23.0 / 60.0, 4.5
HOURS = 24.0
"""How long jobs may wait if nothing is said."""
NOTE = (
    "{share:g} of the energy is made jobs that may wait up to {hours:g} h, drawn with seed {seed}; only how "
    "long they run follows a trace"
)
SOURCE = "Run times of jobs: Weng et al., MLaaS in the Wild, NSDI 2022 (Alibaba PAI)"


def with_jobs(scenario: Scenario, share: float, hours: float, seed: int = 0) -> Scenario:
    """`scenario` with a `share` of its energy as jobs that may wait up to `hours` after their release.

    What the jobs take, demand no longer asks for: both together ask for what demand did. Near the end of the
    horizon jobs may wait until there. The same arguments give the same jobs.

    Raises
    ------
    InputError : an argument is out of range, or there are jobs already.
    """
    problems = []
    if not 0.0 < share < 1.0:
        problems.append(f"the share of energy that may wait must lie between 0 and 1, not {share:g}")
    if not hours >= scenario.slot_hours:
        problems.append(f"jobs must have at least a slot of {scenario.slot_hours:g} h, not {hours:g} h")
    if scenario.jobs is not None:
        problems.append(f"{scenario.name} has jobs of its own")
    if problems:
        raise InputError(problems)
    random = np.random.default_rng(seed)
    slots, length = scenario.slots, scenario.slot_hours
    step = np.timedelta64(round(length * 3600), "s")
    asked_mwh = share * scenario.demand.sum(0) * length
    released = np.flatnonzero(asked_mwh > 0.0)
    wait = np.minimum(round(hours / length), slots - released)
    deviation = np.log(NINTH_DECILE_H / MEDIAN_H) / ndtri(0.9)
    level = np.log(MEDIAN_H) + deviation**2
    low, high = (ndtr((np.log(limit) - level) / deviation) for limit in (length, wait * length))
    run_h = np.exp(level + deviation * ndtri(low + (high - low) * random.random(len(released))))
    run_h = np.clip(run_h, length, wait * length)
    digits = len(str(slots))
    jobs = build_jobs(
        [f"job{t:0{digits}d}" for t in released],
        asked_mwh[released],
        scenario.times[released],
        scenario.times[released] + wait * step,
        asked_mwh[released] / run_h,
        np.ones((len(released), len(scenario.regions)), bool),
    )
    return replace(
        scenario,
        name=f"{scenario.name},jobs={share:g}:{hours:g}",
        demand=scenario.demand * (1.0 - share),
        jobs=jobs,
        note="; ".join(filter(None, [scenario.note, NOTE.format(share=share, hours=hours, seed=seed)])),
        sources=(*scenario.sources, SOURCE),
    )


def split_name(name: str) -> tuple[str, tuple[float, float] | None]:
    """A scenario's name without its part ``jobs=SHARE[:HOURS]``, and share and hours if it has one.

    Raises
    ------
    InputError : the part is not of that form, or there twice.
    """
    parts = name.split(",")
    said = [part for part in parts[1:] if part.startswith("jobs=")]
    if not said:
        return name, None
    given = re.fullmatch(r"jobs=([0-9]*\.?[0-9]+)(?::([0-9]*\.?[0-9]+))?", said[0])
    if given is None or len(said) > 1:
        raise InputError(
            f"{name}: {','.join(said)} is not jobs=SHARE[:HOURS], such as jobs=0.2:24: the share of the "
            "energy that may wait, and for how many hours"
        )
    rest = ",".join([parts[0], *(part for part in parts[1:] if part not in said)])
    return rest, (float(given[1]), float(given[2] or HOURS))

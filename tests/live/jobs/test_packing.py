"""Jobs gathered in few regions, with what runs where and how much each has unchanged."""

from __future__ import annotations

import numpy as np
import pytest

from eglb.foundation.arrays import Array
from eglb.live.jobs.packing import pack


def spread(random: np.random.Generator, jobs: int, regions: int) -> list[Array]:
    """As clearing leaves it: every job over all regions, in the same parts."""
    part = random.dirichlet(np.ones(regions)) * (random.random(regions) < 0.7)
    return [part * power for power in random.lognormal(0.0, 1.5, jobs)]


@pytest.mark.parametrize("seed", range(60))
def test_sums_stay_and_regions_become_few(seed: int) -> None:
    random = np.random.default_rng(seed)
    jobs, regions = int(random.integers(1, 30)), int(random.integers(1, 16))
    loads = spread(random, jobs, regions)
    had = spread(random, jobs, regions)
    for before in ([None] * jobs, had):
        gathered = np.array(pack(loads, before))
        assert (gathered >= 0.0).all()
        np.testing.assert_allclose(gathered.sum(1), np.sum(loads, axis=1), rtol=1e-10, atol=1e-15)
        np.testing.assert_allclose(gathered.sum(0), np.sum(loads, axis=0), rtol=1e-10, atol=1e-10)
    # No more than one part for each job and each region, as in any basic solution.
    alone = np.array(pack(loads, [None] * jobs))
    assert (alone > 0.0).sum() <= max(jobs, 1) + regions


def test_who_ran_somewhere_goes_on_there() -> None:
    rng = np.random.default_rng(1)
    loads = spread(rng, 8, 5)
    first = pack(loads, [None] * 8)
    again = pack(loads, list(first))
    np.testing.assert_allclose(again, first, atol=1e-9)
    # One region has less room than before: only what was there moves.
    region = int(np.argmax(np.sum(loads, axis=0)))
    other = (region + 1) % 5
    moved = [load.copy() for load in first]
    for load in moved:
        load[other] += 0.25 * load[region]
        load[region] *= 0.75
    then = np.array(pack(moved, list(first)))
    stayed = np.minimum(then, np.array(first)).sum()
    assert stayed >= np.sum(first) - 0.25 * np.sum(first, axis=0)[region] - 1e-9

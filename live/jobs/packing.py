"""Bin packing of jobs into regions: the total of each region is given; few regions a job, and few moves.

A plan says what jobs do in every region. Of those that may run in the same regions it does not matter to cost
or footprints which of them does it, and clearing spreads each over all of these regions. Here each is
gathered in few: where it ran before, as far as there is room, then where all that is left of it fits, best
fit first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eglb.foundation.arrays import Array

_TINY = 1e-12
"""Of a job's power, that is not worth a region."""


def pack(loads: Sequence[Array], before: Sequence[Array | None]) -> list[Array]:
    """What jobs with (N,) MW each of `loads` have instead, with the same sums by job and by region, when they
    had so much `before`, if they ran.
    """
    if len(loads) == 1:
        return [np.array(loads[0])]
    room = np.sum(loads, axis=0).tolist()
    left = [float(load.sum()) for load in loads]
    tiny = [_TINY * each for each in left]
    gathered = [np.zeros(len(room)) for _ in loads]

    def give(job: int, region: int) -> None:
        amount = min(left[job], room[region])
        gathered[job][region] += amount
        left[job] -= amount
        room[region] -= amount

    order = sorted(range(len(loads)), key=lambda job: -left[job])
    for job in order:
        had = before[job]
        if had is not None:
            for region in sorted(np.flatnonzero(had).tolist(), key=lambda region: -had[region]):
                give(job, region)
    for job in order:
        while left[job] > tiny[job] and any(each > 0.0 for each in room):
            fits = [region for region, each in enumerate(room) if each >= left[job]]
            if fits:
                give(job, min(fits, key=room.__getitem__))
            else:
                give(job, max(range(len(room)), key=room.__getitem__))
    return gathered

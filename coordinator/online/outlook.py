"""Scenario weights for the rest of a period: which slots stand for those to come, for how many each."""

from __future__ import annotations

import numpy as np

from eglb.coordinator.online.slot import Hour
from eglb.foundation.arrays import Array

_SAMPLED = 5
"""Of slots older than a week, one in so many stands for all of them; coprime to the hours of a day."""


def rest_of_period(hour: Hour, window: float, half_life: float) -> tuple[Array, Array]:
    """The slots (S,) that stand for the rest of the period, the present one first, and for how many each.

    As far as is foretold or work can wait, those to come. For the rest, the last `window` hours: every hour
    of the day as often as it is left, and a slot that is `half_life` hours old half as much as the present
    one.
    """
    explicit, ahead = hour.explicit, hour.ahead()
    unknown = hour.remaining + 1 - explicit
    if unknown <= 0:
        return ahead, np.ones(len(ahead))
    past = np.arange(hour.now, max(-1, hour.now - round(window / hour.slot_hours)), -1)
    day = hour.day
    old = hour.now - past >= 7 * day
    recent = 0.5 ** ((hour.now - past) * hour.slot_hours / half_life) * np.where(old, _SAMPLED, 1)
    past, recent = (each[~old | (past % _SAMPLED == 0)] for each in (past, recent))
    # The hours of the day that are left, as often as they are left, where they have been seen.
    to_come = np.arange(hour.now + explicit, hour.now + hour.remaining + 1)
    left, seen = np.bincount(to_come % day, minlength=day), np.bincount(past % day, recent, minlength=day)
    share = recent * (left / np.where(seen > 0.0, seen, np.inf))[past % day]
    share = share if share.any() else recent
    share *= unknown / share.sum()
    own, share, past = share[0], share[1:], past[1:]
    weight = np.concatenate([np.ones(len(ahead)), share[share > 0.0]])
    weight[0] += own
    return np.concatenate([ahead, past[share > 0.0]]), weight

"""Scenario weights for the rest of a period: which slots stand for those to come, for how many each."""

from __future__ import annotations

import numpy as np

from eglb.coordinator.online.slot import Slot
from eglb.foundation.arrays import Array

_SAMPLED = 5
"""Of slots older than a week, one in so many stands for all of them; coprime to the hours of a day."""


def rest_of_period(slot: Slot, window: float, half_life: float) -> tuple[Array, Array]:
    """The slots (S,) that stand for the rest of the period, the present one first, and for how many each.

    As far as is foretold or work can wait, those to come. For the rest, the last `window` hours: every hour
    of the day as often as it is left, and a slot that is `half_life` hours old half as much as the present
    one.
    """
    explicit, ahead = slot.explicit, slot.ahead()
    unknown = slot.remaining + 1 - explicit
    if unknown <= 0:
        return ahead, np.ones(len(ahead))
    past = np.arange(slot.now, max(-1, slot.now - round(window / slot.slot_hours)), -1)
    day = slot.day
    old = slot.now - past >= 7 * day
    recent = 0.5 ** ((slot.now - past) * slot.slot_hours / half_life) * np.where(old, _SAMPLED, 1)
    past, recent = (each[~old | (past % _SAMPLED == 0)] for each in (past, recent))
    # The hours of the day that are left, as often as they are left, where they have been seen.
    to_come = np.arange(slot.now + explicit, slot.now + slot.remaining + 1)
    left, seen = np.bincount(to_come % day, minlength=day), np.bincount(past % day, recent, minlength=day)
    share = recent * (left / np.where(seen > 0.0, seen, np.inf))[past % day]
    share = share if share.any() else recent
    share *= unknown / share.sum()
    own, share, past = share[0], share[1:], past[1:]
    weight = np.concatenate([np.ones(len(ahead)), share[share > 0.0]])
    weight[0] += own
    return np.concatenate([ahead, past[share > 0.0]]), weight

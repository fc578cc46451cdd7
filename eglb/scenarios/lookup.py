"""What a user names in a scenario, found: a region, a gateway, an hour."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from eglb.foundation.errors import InputError
from eglb.scenarios.folder.tables import suggest
from eglb.scenarios.scenario import Scenario

NAMES_SHOWN = 12


def find_name(noun: str, name: str, among: Sequence[str]) -> int:
    """Position of `name` in `among`; `noun` is what they are.

    Raises
    ------
    InputError : it is not there; the message names what is near, or what there is.
    """
    if name in among:
        return among.index(name)
    more = f" and {len(among) - NAMES_SHOWN} more" if len(among) > NAMES_SHOWN else ""
    hint = suggest(name, among) or f"; there are {', '.join(among[:NAMES_SHOWN])}{more}"
    raise InputError(f"{name!r} is no {noun} of this fleet{hint}")


def find_slot(scenario: Scenario, text: str) -> int:
    """The slot that `text` names: a number from 0, or a time within it, UTC, such as ``2022-09-22T05``.

    Raises
    ------
    InputError : it is neither, or outside the horizon.
    """
    first, step = scenario.times[0], np.timedelta64(round(scenario.slot_hours * 3600), "s")
    horizon = f"slots 0 to {scenario.slots - 1}, {first}Z to {scenario.times[-1] + step}Z"
    if text.isascii() and text.isdigit() and len(text) < 8:
        slot = int(text)
    else:
        try:
            stamp = datetime.fromisoformat(text)
        except ValueError:
            message = f"{text!r} is no hour: write a slot number or a UTC time such as {first}Z"
            raise InputError(message) from None
        aware = stamp.astimezone(UTC) if stamp.tzinfo else stamp.replace(tzinfo=UTC)
        slot = int((np.datetime64(int(aware.timestamp()), "s") - first) // step)
    if not 0 <= slot < scenario.slots:
        raise InputError(f"hour {text} is not in {scenario.name}, which has {horizon}")
    return slot

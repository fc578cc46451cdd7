"""Names of measured worlds: ``NAME@START/DAYS`` with options, the same for all."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from eglb.foundation.errors import InputError
from eglb.scenarios.worlds.demand import FULLEST, SPLITS, TRACES
from eglb.scenarios.worlds.reach import REACHES
from eglb.scenarios.worlds.world import Choice, World

OPTIONS = "regions=N, demand=TRACE, split=population|dirichlet, reach=all|near, util=U, hydro=no|yes, seed=S"
_WORDS = {"demand": TRACES, "split": SPLITS, "reach": REACHES, "hydro": ("no", "yes")}
_START_DAYS = re.compile(r"(\d{4}-\d{2}-\d{2})/(\d+)d?")


def parse_name(name: str, world: World, seed: int | None = None) -> Choice:
    """Read a name of `world`; `seed` counts where the name has none.

    Raises
    ------
    InputError : everything that is wrong with it.
    """
    head, *rest = name.split(",")
    problems = []
    first, slots = world.first, 24
    try:
        match = _START_DAYS.fullmatch(head.removeprefix(f"{world.name}@"))
        if match is None:
            raise ValueError
        first, slots = np.datetime64(match[1], "h"), 24 * int(match[2])
        if first < world.first or slots < 1 or first + slots > world.end:
            problems.append(f"{name}: the hours are those from {world.first}:00 to {world.end}:00 UTC")
    except (ValueError, OverflowError):
        problems.append(f"{name}: not {world.name}@YYYY-MM-DD/DAYSd, such as {world.name}@{world.example}")
    given: dict[str, Any] = {} if seed is None else {"seed": seed}
    seen: set[str] = set()
    for part in rest:
        key, equals, value = part.partition("=")
        if key in seen:
            problems.append(f"{name}: {key} is given twice")
        seen.add(key)
        if key in ("regions", "seed") and re.fullmatch(r"[0-9]{1,9}", value):
            given[key] = int(value)
        elif key == "util" and re.fullmatch(r"[0-9]?\.[0-9]+|[0-9]+", value):
            given[key] = float(value)
        elif key in _WORDS and equals:
            given[key] = value
        else:
            problems.append(f"{name}: {part!r} is none of {OPTIONS}")
    defaults: dict[str, Any] = {"regions": world.regions, "split": world.split, "reach": world.reach}
    choice = Choice(name, first, slots, **(defaults | given))
    if not 2 <= choice.regions <= world.regions:
        problems.append(f"{name}: regions={choice.regions} is not from 2 to {world.regions}")
    for key, words in _WORDS.items():
        if (value := getattr(choice, key)) not in words:
            known = f"none of {', '.join(words)}" if len(words) > 2 else f"neither {' nor '.join(words)}"
            problems.append(f"{name}: {key}={value} is {known}")
    if not 0 < choice.util <= FULLEST:
        problems.append(f"{name}: util={choice.util} is not above 0 and at most {FULLEST}")
    if problems:
        raise InputError(problems)
    return choice

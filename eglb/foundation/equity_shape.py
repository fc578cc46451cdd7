"""Equity shapes: how regional footprints make the one number that is paid for."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class EquityShape:
    """How one kind's regional footprints make one number that is paid for: a maximum or something near it.

    ``max`` is the worst region's footprint. ``lq:Q`` is the L_Q norm over the regions, Q in 2, 4, 8: the
    larger Q, the nearer to the maximum. ``worst:M`` is the mean of the M worst regions. `parameter` is Q or
    M.
    """

    family: str = "max"
    parameter: int = 1

    @staticmethod
    def parse(text: str) -> EquityShape:
        """The shape that ``max``, ``lq:4`` or ``worst:3`` names.

        Raises
        ------
        ValueError : it names none; the message says what does.
        """
        if text == "max":
            return EquityShape()
        match = re.fullmatch(r"(lq|worst):([0-9]{1,6})", text)
        if match and match[1] == "lq" and int(match[2]) in (2, 4, 8):
            return EquityShape("lq", int(match[2]))
        if match and match[1] == "worst" and int(match[2]) >= 1:
            return EquityShape("worst", int(match[2]))
        raise ValueError(f"{text!r} is none of max, lq:2, lq:4, lq:8 and worst:M with M of at least 1")

    def __str__(self) -> str:
        return self.family if self.family == "max" else f"{self.family}:{self.parameter}"

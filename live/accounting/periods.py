"""Accounting periods of a service, whose slots are counted from its first one on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.foundation.errors import InputError


@dataclass(frozen=True)
class Periods:
    """Which slots are accounted together.

    Parameters
    ----------
    first : start of slot 0, UTC. slot_seconds : length of a slot.
    length : ``"whole"``, ``"month"`` (of the calendar, UTC) or a number of slots, as text.
    slots : how many are served; None without end.

    Raises
    ------
    InputError : `length` is none of these, or a whole that has no end.
    """

    first: np.datetime64
    slot_seconds: float
    length: str
    slots: int | None

    def __post_init__(self) -> None:
        counted = self.length.isascii() and self.length.isdigit() and int(self.length) > 0
        if self.length not in ("whole", "month") and not counted:
            raise InputError(f"period {self.length!r} is none of whole, month and a number of slots")
        if self.length == "whole" and self.slots is None:
            raise InputError("a service without end needs a period: month, or a number of slots")

    def of(self, slot: int) -> tuple[int, int]:
        """First and last slot of the period that `slot` belongs to."""
        if self.length == "whole":
            first, after = 0, self.slots
        elif self.length == "month":
            month = self.time(slot).astype("datetime64[M]")
            first = max(self._at(month), 0)
            after = self._at(month + np.timedelta64(1, "M"))
        else:
            first = slot // int(self.length) * int(self.length)
            after = first + int(self.length)
        assert after is not None
        return first, (after if self.slots is None else min(after, self.slots)) - 1

    def time(self, slot: int) -> np.datetime64:
        """Start of a slot, UTC."""
        return np.datetime64(self.first + np.timedelta64(round(slot * self.slot_seconds), "s"))

    def slot_at(self, time: np.datetime64) -> int:
        """The slot that `time` is in."""
        passed_s = (time.astype("datetime64[ms]") - self.first.astype("datetime64[ms]")) / np.timedelta64(
            1, "s"
        )
        return int(passed_s // self.slot_seconds)

    def _at(self, time: np.datetime64) -> int:
        """The first slot that starts at `time` or later."""
        passed_s = (time.astype("datetime64[s]") - self.first.astype("datetime64[s]")) / np.timedelta64(
            1, "s"
        )
        return int(-(-passed_s // self.slot_seconds))

"""Numbers as people and JSON read them: quantities, dollars, bytes, durations, bars."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: numpy scalars as Python's, tuples as lists, inf and nan as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.datetime64):
        return f"{value.astype('datetime64[s]')}Z"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def bar(share: float, width: int, ascii_only: bool = False) -> str:
    """A bar of `width` characters at `share` = 1, in eighths of a character where the terminal can."""
    share = min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0
    if ascii_only:
        return "#" * round(share * width)
    full, eighths = divmod(round(share * width * 8), 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[eighths] if eighths else "")


def amount(value: float, unit: str = "", like: float | None = None) -> str:
    """A quantity for reading: thousands grouped, about five digits, ``-`` where there is none.

    `like` gives it the digits of another number, so that a column lines up under its largest.
    """
    if not math.isfinite(value):
        return "-"
    size = abs(value if like is None else like)
    digits = 0 if size >= 1e5 else 1 if size >= 1e3 else 2 if size >= 1 or size == 0 else 4
    return f"{value:,.{digits}f} {unit}".rstrip()


def dollars(value: float) -> str:
    """US dollars to the cent, ``-`` where there are none."""
    return f"{value:,.2f} USD" if math.isfinite(value) else "-"


def small(value: float) -> str:
    """A gap, such as ``8.7e-05``."""
    return f"{value:.1e}" if math.isfinite(value) else "-"


def byte_count(count: int) -> str:
    """Bytes in the largest decimal unit that leaves at least one digit before the point."""
    for power, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if count >= 10**power:
            return f"{count / 10**power:.2f} {unit}"
    return f"{count} B"


def duration(seconds: float) -> str:
    """Seconds with as many digits as mean something."""
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:,.0f} s"

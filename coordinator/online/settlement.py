"""Settlement of a period: its cost and footprints by meters as far as they are read, else by estimates."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from eglb.agents.timeline import Look
from eglb.agents.valuation import Evaluate
from eglb.coordinator.exchange import Broadcast
from eglb.foundation.arrays import Array


def settled(now: int, meter_delay: int | None) -> int:
    """Slots before this one have been metered at the start of slot `now`; none ever if meters are not
    read.
    """
    return 0 if meter_delay is None else now + 1 - meter_delay


class Settlement:
    """What a period has cost so far, by meters as far as they have been read, else by estimates.

    `footprint` (N, K) is from before the first slot that is served.
    """

    def __init__(self, footprint: Array) -> None:
        self._cost = 0.0
        self._footprint = footprint
        self._open: list[tuple[int, Array]] = []
        self._open_cost, self._open_footprint = 0.0, np.zeros_like(self._footprint)

    @property
    def cost(self) -> float:
        """Energy cost of the slots up to the last `read`, USD."""
        return self._cost + self._open_cost

    @property
    def footprint(self) -> Array:
        """(N, K) of the slots up to the last `read`."""
        return self._footprint + self._open_footprint

    def serve(self, slot: int, load: Array) -> None:
        """A slot is served with `load` (N,)."""
        self._open.append((slot, load))

    def read(
        self, now: int, meter_delay: int | None
    ) -> Generator[Broadcast, Sequence[Any], list[tuple[int, Array]]]:
        """Read meters at the start of slot `now`: the slots read, with their footprints (N, K).

        A slot is read once; until then, and for good if meters are never read, its estimate counts.
        """
        if not self._open:
            return []
        slots = np.array([slot for slot, _ in self._open])
        look = Look(
            now - 1,
            settled(now, meter_delay),
            slots,
            np.ones(len(slots)),
            np.zeros_like(self._footprint),
        )
        load = np.stack([load for _, load in self._open], axis=1)
        _, value = yield Broadcast((look, Evaluate(part=np.arange(len(slots)), load=load)), opening=True)
        final = slots < (now if meter_delay is None else settled(now, meter_delay))
        self._cost += float(value.cost[:, final].sum())
        self._footprint = self._footprint + value.footprint[:, final].sum(1)
        self._open_cost = float(value.cost[:, ~final].sum())
        self._open_footprint = value.footprint[:, ~final].sum(1)
        self._open = [entry for entry, closed in zip(self._open, final, strict=True) if not closed]
        return [(int(slots[q]), value.footprint[:, q]) for q in np.flatnonzero(final)]

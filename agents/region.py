"""The private data of the data centers that one agent holds, and the two abstract ideas of an agent's
work.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eglb.agents.wire import Message

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Region:
    """n data centers (usually one) over T slots with K footprint kinds.

    Nothing here is ever sent as such; what an answer discloses is said where the request is defined.

    Parameters
    ----------
    price : (n, T) USD per MW-slot of IT load.
    capacity : (n, T) MW of IT load.
    intensity : (n, K, T) region-weighted footprint units per MW-slot of IT load.
    """

    names: tuple[str, ...]
    price: Array
    capacity: Array
    intensity: Array

    def footprint(self, load: Array) -> Array:
        """(n, K): region-weighted footprints of `load` (n, T)."""
        return (self.intensity * load[:, None, :]).sum(-1)

    def marginal_cost(self, equity_price: Array) -> Array:
        """(n, T): USD per MW-slot with footprints priced at `equity_price` (n, K) USD per unit."""
        return self.price + (equity_price[:, :, None] * self.intensity).sum(1)


@dataclass(eq=False)
class Memory:
    """What an agent remembers between messages of one solve; empty again after a restart."""

    notes: dict[str, Any] = field(default_factory=dict)
    large: bool = False
    """The fleet is so large that compiled code is worth the time and memory of loading it."""


class MemoryLost(Exception):
    """The agent was restarted and needs the opening message again."""


@dataclass(frozen=True, eq=False)
class Request(Message, ABC):
    """A message that an agent can answer."""

    @abstractmethod
    def answer(self, region: Region, memory: Memory) -> Message:
        """The reply, a function of private data, this message and `memory` only; rows follow `region`."""

"""Private data of an agent: of the data centers that it holds. And what a request to it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np

from eglb.agents.codec import Message
from eglb.foundation.arrays import Array


@dataclass(frozen=True, eq=False)
class PrivateData(ABC):
    """What an agent holds of one or more data centers; every array has one row for each."""

    names: tuple[str, ...]

    def rows(self, rows: slice) -> Self:
        """The private data of some of the data centers."""
        taken: dict[str, Any] = {"names": self.names[rows]}
        for name, value in self._parts():
            if isinstance(value, np.ndarray):
                taken[name] = np.ascontiguousarray(value[rows])
            elif isinstance(value, PrivateData):
                taken[name] = value.rows(rows)
        return replace(self, **taken)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(v.nbytes for _, v in self._parts() if isinstance(v, (np.ndarray, PrivateData)))

    def _parts(self) -> list[tuple[str, Any]]:
        return [(f.name, getattr(self, f.name)) for f in fields(self)]


@dataclass(frozen=True, eq=False)
class Region(PrivateData):
    """n data centers (usually one) over T slots with K footprint kinds.

    Nothing here is ever sent as such; what an answer discloses is said where the request is defined.

    Parameters
    ----------
    price : (n, T) USD per MW-slot of IT load.
    capacity : (n, T) MW of IT load.
    intensity : (n, K, T) region-weighted footprint units per MW-slot of IT load.
    carried : (n, K) footprints from before the first slot, which count into the totals; None if there are
    none. Only `Evaluate` counts them, so only dual decomposition does.
    """

    price: Array
    capacity: Array
    intensity: Array
    carried: Array | None = None

    @classmethod
    def closed(cls, names: tuple[str, ...], slots: int, kinds: int) -> Region:
        """Data centers that can take nothing."""
        nothing = np.zeros((len(names), slots))
        return cls(names, nothing, nothing, np.zeros((len(names), kinds, slots)))

    def footprint(self, load: Array) -> Array:
        """(n, K): region-weighted footprints of `load` (n, T)."""
        return (self.intensity * load[:, None, :]).sum(-1)

    def marginal_cost(self, equity_price: Array) -> Array:
        """(n, T): USD per MW-slot with footprints priced at `equity_price` (n, K) USD per unit."""
        # Kind by kind: adding up along an inner axis takes several times as long.
        footprints = np.zeros_like(self.price)
        for kind in range(self.intensity.shape[1]):
            footprints += equity_price[:, kind, None] * self.intensity[:, kind]
        return self.price + footprints


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

    def show(self, private: PrivateData) -> Region | None:
        """The data that this and later requests are about, out of what the agent holds; None to go on with
        the same.
        """
        return None

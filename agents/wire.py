"""Messages between the coordinator and the agents, and their one encoding.

A message is a frozen dataclass whose array fields say which axis they run along: `per_region` fields have one
row for each region, `per_edge` fields one row for each (region, gateway) pair sorted by region, all others
are shared by everyone. So one broadcast for the whole fleet can be cut into what each host needs, and the
replies of the hosts be joined again, without knowing what the message means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self

import msgpack
import numpy as np

_ARRAY = 1
_KINDS: dict[str, type[Message]] = {}


def per_region() -> Any:
    """An array field whose leading axis runs over regions."""
    return field(metadata={"axis": "region"})


def per_edge() -> Any:
    """An array field whose leading axis runs over (region, gateway) pairs, sorted by region."""
    return field(metadata={"axis": "edge"})


def in_single_precision(values: np.ndarray) -> np.ndarray:
    """`values` as float32, half the bytes; what is too large for that becomes the largest there is.

    Interior-point models have such numbers: the curvature of a barrier whose slack is 1e-40 MW.
    """
    largest = float(np.finfo(np.float32).max)
    return np.clip(values, -largest, largest).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Message:
    """What travels: a request of the coordinator or the answer of an agent. Subclasses add fields only."""

    _axes: ClassVar[Mapping[str, str]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _KINDS[cls.__name__] = cls

    @classmethod
    def axes(cls) -> dict[str, str | None]:
        """Field name -> ``"region"``, ``"edge"`` or None."""
        return {f.name: f.metadata.get("axis") for f in fields(cls)}

    def cut(self, regions: slice, edges: slice) -> Self:
        """The part of this message that concerns some regions and their edges (views, no copies)."""
        rows = {"region": regions, "edge": edges}
        return type(self)(
            **{
                n: getattr(self, n) if a is None else getattr(self, n)[rows[a]]
                for n, a in self.axes().items()
            }
        )

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The message whose rows are those of `parts`, in order; shared fields are taken from the first."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            **{
                n: getattr(parts[0], n) if a is None else np.concatenate([getattr(p, n) for p in parts])
                for n, a in cls.axes().items()
            }
        )


@dataclass(frozen=True, eq=False)
class Fault(Message):
    """An agent's only answer when it cannot answer: why."""

    reason: str


def _pack(value: Any) -> msgpack.ExtType:
    if isinstance(value, np.ndarray):
        value = np.asarray(value, order="C")
        little = value.astype(value.dtype.newbyteorder("<"), copy=False)
        return msgpack.ExtType(_ARRAY, msgpack.packb([little.dtype.str, list(value.shape), little.tobytes()]))
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"cannot send a {type(value).__name__}")


def _unpack(code: int, data: bytes) -> Any:
    if code != _ARRAY:
        raise ValueError(f"unknown extension type {code}")
    dtype, shape, raw = msgpack.unpackb(data)
    return np.frombuffer(raw, dtype).reshape(shape)


def encode(messages: Sequence[Message]) -> bytes:
    """Messages as bytes: msgpack, arrays as dtype, shape and raw little-endian values."""
    return msgpack.packb(
        [[type(m).__name__, {f.name: getattr(m, f.name) for f in fields(m)}] for m in messages], default=_pack
    )


def decode(data: bytes) -> list[Message]:
    """The messages that `encode` was given; their arrays are read-only.

    Raises
    ------
    ValueError : `data` is not such an encoding, or names an unknown message.
    """
    try:
        rows = msgpack.unpackb(data, ext_hook=_unpack)
        return [_KINDS[kind](**values) for kind, values in rows]
    except (KeyError, TypeError, ValueError, msgpack.UnpackException) as error:
        raise ValueError(f"not a message of this protocol: {error!r}") from error

"""Message codec: the messages between the coordinator and the agents, and their one encoding, msgpack.

A message is a frozen dataclass whose array fields say which axes they run along: `per_region` fields have one
row for each region, `per_edge` fields one row for each (region, gateway) pair sorted by region, `per_gateway`
fields one for each gateway, of which a host gets those that reach its regions; all others are `shared` by
everyone. So one broadcast for the whole fleet can be cut into what each host needs, and the
replies of the hosts be joined again, without knowing what the message means.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from types import MappingProxyType
from typing import Any, Self, get_type_hints

import msgpack
import numpy as np

_KINDS: dict[str, type[Message]] = {}
_SCALAR_TYPES: dict[type, tuple[type, ...]] = {bool: (bool,), int: (int,), float: (float, int), str: (str,)}
_NUMBER_TYPE = re.compile(r"[<|][fiub][1248]")
_WIDEST = 200
"""Messages in one encoding, fields of a message, axes of an array."""
_MOST_ENTRIES = 8192
_LONGEST_TEXT = 4096


@dataclass(frozen=True)
class Numbers:
    """What an array field holds.

    Parameters
    ----------
    axes : the names of its axes. at_least : no number is less, and all are finite.
    single : it may arrive rounded: it travels in single precision, and is double again on arrival.
    at_most : of an answer, the field of the request that no number exceeds.
    """

    axes: tuple[str, ...]
    at_least: float
    single: bool
    at_most: str | None = None


@dataclass(frozen=True)
class Scalar:
    """What a field holds that is no array: a text, a truth, or a finite number of at least `at_least`."""

    types: tuple[type, ...]
    at_least: float


def per_region(
    *axes: str, at_least: float = -np.inf, single: bool = False, at_most: str | None = None
) -> Any:
    """An array field whose leading axis runs over regions, and the further ones over `axes`."""
    return field(metadata={"numbers": Numbers(("region", *axes), at_least, single, at_most)})


def per_edge(*axes: str, at_least: float = -np.inf) -> Any:
    """An array field whose leading axis runs over (region, gateway) pairs, sorted by region."""
    return field(metadata={"numbers": Numbers(("edge", *axes), at_least, False)})


def per_gateway(*axes: str, at_least: float = -np.inf) -> Any:
    """An array field whose leading axis runs over gateways."""
    return field(metadata={"numbers": Numbers(("gateway", *axes), at_least, False)})


def shared(*axes: str, at_least: float = -np.inf) -> Any:
    """An array field that is the same for everyone."""
    return field(metadata={"numbers": Numbers(axes, at_least, False)})


def scalar(at_least: float) -> Any:
    """A field of one number."""
    return field(metadata={"at_least": at_least})


def in_single_precision(values: np.ndarray) -> np.ndarray:
    """`values` as float32, half the bytes; what is too large for that becomes the largest there is.

    Interior-point models have such numbers: the curvature of a barrier whose slack is 1e-40 MW.
    """
    largest = float(np.finfo(np.float32).max)
    return np.clip(values, -largest, largest).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Message:
    """What travels: a request of the coordinator or the answer of an agent. Subclasses add fields only."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _KINDS[cls.__name__] = cls

    @classmethod
    @cache
    def numbers(cls) -> Mapping[str, Numbers]:
        """Array field -> what it holds, in order."""
        held = {f.name: f.metadata.get("numbers") for f in fields(cls)}
        return MappingProxyType({name: numbers for name, numbers in held.items() if numbers is not None})

    @classmethod
    @cache
    def scalars(cls) -> Mapping[str, Scalar]:
        """Every other field -> what it holds, in order."""
        types = get_type_hints(cls)
        return MappingProxyType(
            {
                f.name: Scalar(_SCALAR_TYPES[types[f.name]], f.metadata.get("at_least", -np.inf))
                for f in fields(cls)
                if "numbers" not in f.metadata
            }
        )

    @classmethod
    @cache
    def axes(cls) -> Mapping[str, str | None]:
        """Field name -> ``"region"``, ``"edge"``, ``"gateway"`` or None, in order."""
        leading = {name: numbers.axes[0] for name, numbers in cls.numbers().items()}
        cut = ("region", "edge", "gateway")
        return MappingProxyType(
            {f.name: axis if (axis := leading.get(f.name)) in cut else None for f in fields(cls)}
        )

    @classmethod
    @cache
    def singles(cls) -> frozenset[str]:
        """The fields that travel in single precision."""
        return frozenset(name for name, numbers in cls.numbers().items() if numbers.single)

    def cut(self, regions: slice, edges: slice, gateways: np.ndarray) -> Self:
        """The part of this message that concerns some regions, their edges and the gateways of these."""
        rows = {"region": regions, "edge": edges, "gateway": gateways}
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


def _plain(value: Any) -> Any:
    """An array as (dtype, shape, raw little-endian values), anything else as it is."""
    if isinstance(value, np.ndarray):
        value = value.astype(value.dtype.newbyteorder("<"), copy=False)
        return value.dtype.str, value.shape, value.tobytes()
    return value.item() if isinstance(value, np.generic) else value


def sealed(packed: bytes | memoryview) -> bytes:
    """`packed` with its CRC-32 behind it: a number damaged on the way is still a number, and looks no
    different.
    """
    return b"".join((packed, zlib.crc32(packed).to_bytes(4, "little")))


def unsealed(data: bytes) -> memoryview:
    """What was sealed.

    Raises
    ------
    ValueError : it is not what was sent.
    """
    packed = memoryview(data)[:-4]
    if len(data) < 4 or zlib.crc32(packed).to_bytes(4, "little") != data[-4:]:
        raise ValueError("damaged on the way")
    return packed


def encode(messages: Sequence[Message], narrow: bool = True) -> bytes:
    """Messages as bytes: msgpack of kind and fields, arrays as dtype, shape and raw little-endian values;
    sealed.

    Fields declared `single` are rounded to single precision, unless not `narrow`.
    """

    def value(message: Message, name: str) -> Any:
        array = getattr(message, name)
        return _plain(in_single_precision(array) if narrow and name in message.singles() else array)

    return sealed(msgpack.packb([[type(m).__name__, {n: value(m, n) for n in m.axes()}] for m in messages]))


def decode(data: bytes) -> list[Message]:
    """The messages that `encode` was given, `single` fields in double precision; arrays are read-only.

    Whatever `data` is, this takes no more memory than 6 times its size and 2 MB.

    Raises
    ------
    ValueError : `data` is not such an encoding, or names an unknown message.
    """
    try:
        return [_message(kind, values) for kind, values in _unpack(unsealed(data))]
    except (
        AttributeError,
        KeyError,
        OverflowError,
        TypeError,
        ValueError,
        msgpack.UnpackException,
    ) as error:
        # Not its `repr`: that may quote all of `data`.
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"not a message of this protocol: {reason}") from error


def _unpack(packed: memoryview) -> Any:
    """What msgpack reads, as far as it is no larger than messages are.

    A list of a million lists takes a byte for each, and 64 times that in memory; a list that only says it is
    long has room made for it at once, and 1024 of them fit into each other.
    """
    entries = 0

    def count(container: Any) -> Any:
        nonlocal entries
        entries += 1 + len(container)
        if entries > _MOST_ENTRIES:
            raise ValueError(f"more than {_MOST_ENTRIES} entries")
        return container

    # Counting takes a third of the time of a small message, which cannot have many entries anyway.
    counting = count if len(packed) > 2 * _MOST_ENTRIES else None
    return msgpack.unpackb(
        packed,
        list_hook=counting,
        object_hook=counting,
        ext_hook=_no_extension,
        max_array_len=_WIDEST,
        max_map_len=_WIDEST,
        max_str_len=_LONGEST_TEXT,
    )


def _no_extension(code: int, _data: bytes) -> Any:
    raise ValueError(f"extension type {code}")


def _message(kind: Any, values: Any) -> Message:
    # Bytes would be quoted in the reason, at four times their size and more.
    if not isinstance(kind, str):
        raise TypeError("a kind that is not text")
    singles, scalars = _KINDS[kind].singles(), _KINDS[kind].scalars()
    for name, value in values.items():
        if not isinstance(name, str):
            raise TypeError("a name that is not text")
        if isinstance(value, list) and name not in scalars:
            dtype, shape, raw = value
            # `encode` sends number types only; numpy would evaluate others as expressions.
            if not _NUMBER_TYPE.fullmatch(dtype):
                raise ValueError(f"{kind}.{name} has entries of type {dtype!r}")
            array = np.frombuffer(raw, dtype).reshape(shape)
            if list(array.shape) != shape:
                raise ValueError(f"{kind}.{name} has no shape")
            if name in singles and dtype == "<f4":
                array = array.astype(float)
                array.setflags(write=False)
            values[name] = array
        elif name not in scalars or type(value) not in scalars[name].types:
            raise TypeError(f"{kind}.{name} is a {type(value).__name__}")
    return _KINDS[kind](**values)

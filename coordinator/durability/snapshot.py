"""Serialisation of an algorithm's state: exact copies as bytes, and back; what is read can run nothing.

`freeze` walks from a value to all it refers to; `thaw` builds the same again: shared objects stay shared,
arrays keep their memory layout, views stay views of the array they look into. So an algorithm goes on to the
same iterates, bit for bit. What both sides know anyway, such as the market, is only named.

The bytes are a flat sequence of msgpack scalars, never nested: how many objects there are, for each its
kind, how many scalars describe it, and these. A reference to an earlier object is an extension value. Classes
are those of `_MODULES` and no others, their attributes those they declare or assign, and no constructor,
method or pickle is called. Memory taken is at most some 64 times the bytes read, for arrays of zeros.
"""

from __future__ import annotations

import dis
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, cached_property, partial
from inspect import getattr_static
from types import FunctionType, NoneType
from typing import Any

import msgpack
import numpy as np

from eglb.agents.host import REQUEST_MODULES
from eglb.coordinator import exchange, run
from eglb.coordinator.algorithms import (
    admm,
    algorithm,
    crossover,
    dual_decomposition,
    level_bundle,
    newton,
    primal_recovery,
    reroute,
    subgradient,
)
from eglb.coordinator.interior import epigraph
from eglb.coordinator.market import equity, jobs, market
from eglb.foundation import equity_shape
from eglb.foundation.arrays import Array

_MODULES = (
    equity_shape,
    admm,
    algorithm,
    dual_decomposition,
    level_bundle,
    exchange,
    equity,
    epigraph,
    market,
    primal_recovery,
    newton,
    crossover,
    reroute,
    run,
    subgradient,
    jobs,
    *REQUEST_MODULES,
)
"""Classes defined in these, and only these, can be part of a state."""
_ATOMS = (NoneType, bool, int, float, str, bytes)
_SEQUENCES: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
}
_REFERENCE, _LONG = 1, 1 << 16
_DENSE_PART = 0.8
"""Arrays with fewer entries that are not zero leave out the zeros."""


def freeze(value: Any, known: Mapping[str, Any]) -> bytes:
    """`value` and all it refers to as bytes; `known` objects, and the arrays they hold, are only named.

    Raises
    ------
    TypeError : it refers to something that is not state, or to itself.
    """
    return b"".join(freeze_in_pieces(value, known))


def freeze_in_pieces(value: Any, known: Mapping[str, Any]) -> list[bytes]:
    """The bytes of `freeze` in pieces, for whoever need not have them in one."""
    frozen = _Frozen(known)
    last = frozen.add(value)
    return [frozen.pack(frozen.count), *frozen.parts, frozen.pack(last)]


def thaw(data: bytes, known: Mapping[str, Any]) -> Any:
    """What `freeze` was given, with the objects of `known` in place of those that had these names.

    Raises
    ------
    ValueError : `data` is not such a copy, or names a class, an attribute or an object that is not known.
    """
    # Nested containers are refused: their headers could ask for any amount of memory.
    stream = msgpack.Unpacker(max_buffer_size=max(len(data), 1), max_array_len=0, max_map_len=0)
    try:
        stream.feed(data)
        return _Thawed(known).read(stream)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        msgpack.UnpackException,
    ) as e:
        raise ValueError(f"not a state of this program: {e!r}") from e


class _Frozen:
    """The objects met so far: `parts` are their descriptions, `add` gives the scalar that stands for one."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self.pack = msgpack.Packer().pack
        self.parts: list[bytes] = []
        self.count = 0
        self._place: dict[int, int] = {}
        self._known = {id(value): name for name, value in _named(known).items()}
        self._alive: list[Any] = []
        """Identities are those of objects that still exist."""
        self._open: set[int] = set()

    def add(self, value: Any) -> Any:
        if type(value) in _ATOMS:
            return value
        if id(value) not in self._place:
            if id(value) in self._open:
                raise TypeError(f"a {type(value).__name__} refers to itself")
            self._open.add(id(value))
            kind, scalars = self._describe(value)
            try:
                self.parts += (
                    piece for each in (kind, len(scalars), *scalars) for piece in self._pieces(each)
                )
            except (OverflowError, TypeError, ValueError) as error:
                raise TypeError(f"part of a {type(value).__name__} is too large: {error}") from error
            self._place[id(value)] = self.count
            self._alive.append(value)
            self.count += 1
        return msgpack.ExtType(_REFERENCE, self._place[id(value)].to_bytes(8, "little"))

    def _pieces(self, scalar: Any) -> tuple[bytes, ...]:
        if type(scalar) is bytes and len(scalar) >= _LONG:
            return b"\xc6" + len(scalar).to_bytes(4, "big"), scalar  # as packed, but not copied
        return (self.pack(scalar),)

    def _describe(self, value: Any) -> tuple[str, list[Any]]:
        """Kind and scalars of an object whose parts have been added."""
        kind = type(value)
        if id(value) in self._known:
            return "known", [self._known[id(value)]]
        if kind is np.ndarray:
            return self._describe_array(value)
        if isinstance(value, np.generic):
            array = np.array(value)
            return "number", [_dtype(array), array.tobytes()]
        if kind.__name__ in _SEQUENCES and kind.__module__ == "builtins":
            return kind.__name__, [self.add(each) for each in value]
        if kind is deque:
            return "deque", [value.maxlen, *map(self.add, value)]
        if kind is dict:
            return "dict", [self.add(each) for pair in value.items() for each in pair]
        if isinstance(value, type):
            return "class", [_class_name(value)]
        if kind is partial:
            keywords = [each for name, given in value.keywords.items() for each in (name, self.add(given))]
            return "partial", [self.add(value.func), len(value.args), *map(self.add, value.args), *keywords]
        held = [(name, each) for name, each in vars(value).items() if not _is_cached(kind, name)]
        return "object", [_class_name(kind), *(each for name, v in held for each in (name, self.add(v)))]

    def _describe_array(self, value: Array) -> tuple[str, list[Any]]:
        root = value
        while isinstance(root.base, np.ndarray) and id(root) not in self._known:
            root = root.base
        if root is not value and self._can_share(root, value):
            offset = _address(value) - _address(root)
            shape, strides = list(value.shape), list(value.strides)
            return "view", [self.add(root), value.flags.writeable, offset, *shape, *strides]
        order = sorted(range(value.ndim), key=lambda axis: -abs(value.strides[axis]))
        memory = np.asarray(value.transpose(order), order="C")  # ascontiguousarray adds an axis to a scalar
        head = [_dtype(value), value.flags.writeable, value.ndim, *memory.shape, *order]
        bits = memory.reshape(-1).view(f"u{memory.itemsize}")
        there = bits != 0
        if np.count_nonzero(there) < _DENSE_PART * bits.size:
            return "sparse", [*head, np.packbits(there).tobytes(), bits[there].tobytes()]
        return "array", [*head, memory.tobytes()]

    def _can_share(self, root: Array, view: Array) -> bool:
        """Whether `root` is one piece of memory, stored already or shown by `view` by half at least."""
        one_piece = root.size * root.itemsize == np.lib.array_utils.byte_bounds(root)[1] - _address(root)
        worth_it = id(root) in self._place or root.size <= 2 * view.size
        alike = type(root) is np.ndarray and root.dtype == view.dtype
        return one_piece and worth_it and alike and view.size <= root.size


class _Thawed:
    """The objects read so far."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known = _named(known)
        self._objects: list[Any] = []

    def read(self, stream: Any) -> Any:
        """All objects, and the value that the last scalar stands for."""
        for _ in range(stream.unpack()):
            kind, count = stream.unpack(), stream.unpack()
            self._objects.append(self._build(kind, [self._value(stream.unpack()) for _ in range(count)]))
        value = self._value(stream.unpack())
        for more in stream:
            raise ValueError(f"{more!r} after its end")
        return value

    def _value(self, scalar: Any) -> Any:
        if type(scalar) is msgpack.ExtType and scalar.code == _REFERENCE:
            return self._objects[int.from_bytes(scalar.data, "little")]
        if type(scalar) not in _ATOMS:
            raise TypeError(f"{type(scalar).__name__} is no scalar")
        return scalar

    def _build(self, kind: str, scalars: list[Any]) -> Any:
        if kind in _SEQUENCES:
            return _SEQUENCES[kind](scalars)
        if kind == "known":
            return self._known[scalars[0]]
        if kind == "view":
            return _look_into(*scalars)
        if kind in ("array", "sparse"):
            return _build_array(kind, *scalars)
        if kind == "number":
            dtype, raw = scalars
            return np.frombuffer(raw, _number_type(dtype), 1)[0]
        if kind == "deque":
            return deque(scalars[1:], scalars[0])
        if kind == "dict":
            return dict(_pairs(scalars))
        if kind == "class":
            return _classes()[scalars[0]]
        if kind == "partial":
            function, count, *rest = scalars
            if not isinstance(function, type) or not 0 <= count <= len(rest):
                raise TypeError("only classes are called later")
            return partial(function, *rest[:count], **dict(_pairs(rest[count:])))
        if kind == "object":
            return _build_object(scalars[0], dict(_pairs(scalars[1:])))
        raise ValueError(f"{kind!r} is no kind of object")


def _named(known: Mapping[str, Any]) -> dict[str, Any]:
    """The known objects and the arrays in their fields, by name."""
    held = {
        f"{name}.{each.name}": getattr(value, each.name)
        for name, value in known.items()
        if is_dataclass(value)
        for each in fields(value)
    }
    return {**known, **{name: value for name, value in held.items() if isinstance(value, np.ndarray)}}


def _pairs(scalars: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(scalars[::2], scalars[1::2], strict=True)


def _build_object(name: str, held: dict[str, Any]) -> Any:
    kind = _classes()[name]
    declared = {each.name for each in fields(kind)} if is_dataclass(kind) else set()
    if unknown := set(held) - declared - _assigned(kind):
        raise ValueError(f"{name} has no attribute {', '.join(map(str, unknown))}")
    if missing := declared - set(held):
        raise ValueError(f"{name} lacks {', '.join(missing)}")
    made: Any = object.__new__(kind)
    vars(made).update(held)
    return made


def _build_array(kind: str, dtype: str, writeable: bool, dimensions: int, *rest: Any) -> Array:
    shape, order, raw = rest[:dimensions], rest[dimensions : 2 * dimensions], rest[2 * dimensions :]
    type_ = _number_type(dtype)
    if sorted(order) != list(range(dimensions)) or min(shape, default=0) < 0:
        raise ValueError(f"{shape} along axes {order} is no shape")
    if kind == "array":
        (data,) = raw
        memory = np.frombuffer(data, type_).copy()
    else:
        packed, values = raw
        size = math.prod(shape)
        if len(packed) != -(-size // 8):
            raise ValueError(f"{len(packed)} bytes do not tell which of {size} entries are there")
        there = np.unpackbits(np.frombuffer(packed, np.uint8), count=size).astype(bool)
        memory = np.zeros(size, type_)
        memory[there] = np.frombuffer(values, type_)
    array = memory.reshape(shape).transpose(np.argsort(order))
    array.setflags(write=bool(writeable))
    return array


def _look_into(root: Any, writeable: bool, offset: int, *rest: int) -> Array:
    shape, strides = rest[: len(rest) // 2], rest[len(rest) // 2 :]
    if type(root) is not np.ndarray or math.prod(shape) > root.size:
        raise ValueError("a view of more than there is")
    # numpy checks that offset, shape and strides stay within the memory.
    memory = root.transpose(np.argsort([-abs(stride) for stride in root.strides], kind="stable")).reshape(-1)
    if _address(memory) != _address(root):
        raise ValueError("a view of what is not one piece of memory")
    view = np.ndarray(shape, root.dtype, memory, offset, strides)
    if view.flags.writeable:
        view.setflags(write=bool(writeable))
    return view


@cache
def _classes() -> dict[str, type]:
    """By full name."""
    return {
        f"{each.__module__}.{each.__qualname__}": each
        for module in _MODULES
        for each in vars(module).values()
        if isinstance(each, type) and each.__module__ == module.__name__
    }


def _class_name(kind: type) -> str:
    name = f"{kind.__module__}.{kind.__qualname__}"
    if _classes().get(name) is not kind:
        raise TypeError(f"{name} is not part of a state")
    return name


@cache
def _assigned(kind: type) -> frozenset[str]:
    """The attributes that the methods of a class assign."""
    methods = [each for cls in kind.__mro__ for each in vars(cls).values() if isinstance(each, FunctionType)]
    return frozenset(
        step.argval for each in methods for step in dis.get_instructions(each) if step.opname == "STORE_ATTR"
    )


def _is_cached(kind: type, name: str) -> bool:
    return isinstance(getattr_static(kind, name, None), cached_property)


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _dtype(array: Array) -> str:
    text = array.dtype.newbyteorder("<").str
    if array.dtype.newbyteorder("<") != array.dtype:
        raise TypeError(f"entries of type {array.dtype} are not stored")
    _number_type(text)
    return text


def _number_type(text: str) -> np.dtype[Any]:
    """As in messages: number types only, since numpy would evaluate others as expressions."""
    if text not in ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"):
        raise TypeError(f"entries of type {text!r} are not stored")
    return np.dtype(text)

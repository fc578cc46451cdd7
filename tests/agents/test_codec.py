"""The codec: every message comes back as it was sent, and nothing else comes back at all."""

from __future__ import annotations

import tracemalloc
from dataclasses import fields
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eglb.agents import codec, host
from eglb.agents.codec import Fault, Message, decode, encode, sealed, unsealed
from eglb.agents.proximal import ProximalStep
from eglb.agents.region import Memory, Region, Request
from eglb.agents.valuation import Bound, Evaluate, Introduce, Value

assert host.REQUEST_MODULES  # imported for its effect: the codec knows the messages
KINDS = sorted(
    (
        kind
        for kind in codec._KINDS.values()
        if kind is not Request and kind.__module__.startswith("eglb.agents.")
    ),
    key=lambda kind: kind.__name__,
)
DTYPES = ("<f8", "<f4", ">f8", ">f4", "<i8", ">i8", "<i4", "u1", "?")


def fill(kind: type[Message], dtype: str, rows: int) -> Message:
    """A message whose array fields have `rows` rows of `dtype`, and whose scalars differ from each other."""
    values: dict[str, Any] = {}
    for at, f in enumerate(fields(kind)):
        if f.type == "Array":
            values[f.name] = (np.arange(rows * 3).reshape(rows, 3) + at).astype(dtype)
        else:
            values[f.name] = {"int": 7 + at, "float": 0.1 + at, "str": f"why {at}", "bool": at % 2 == 0}[
                str(f.type)
            ]
    return kind(**values)


def assert_same(got: Message, sent: Message) -> None:
    assert type(got) is type(sent)
    for f in fields(sent):
        a, b = getattr(got, f.name), getattr(sent, f.name)
        if isinstance(b, np.ndarray):
            assert a.shape == b.shape
            assert a.dtype == ("<f8" if f.name in type(sent).singles() else b.dtype.newbyteorder("<"))
            np.testing.assert_array_equal(a, b)
        else:
            assert (type(a), a) == (type(b), b)


def test_the_codec_knows_every_message_of_the_agents() -> None:
    assert {"Introduce", "ProximalStep", "BarrierStep", "PriceFootprints", "Bound", "Fault"} <= {
        kind.__name__ for kind in KINDS
    }
    assert len(KINDS) >= 19


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("rows", [0, 2])
def test_round_trip_of_every_message(kind: type[Message], dtype: str, rows: int) -> None:
    sent = fill(kind, dtype, rows)
    (got,) = decode(encode([sent]))
    assert_same(got, sent)


def test_a_single_field_is_rounded_on_the_way_and_nothing_else_is() -> None:
    fine = np.array([[1.0 + 1e-12, -1e300, 0.1]])
    sent = ProximalStep(load_center=fine, footprint_center=fine, load_step=fine[0], footprint_step=fine)
    (got,) = decode(encode([sent]))
    assert isinstance(got, ProximalStep)
    assert got.load_center.tolist() == [[1.0, -float(np.finfo(np.float32).max), float(np.float32(0.1))]]
    assert got.load_center.dtype == float and not got.load_center.flags.writeable
    np.testing.assert_array_equal(got.footprint_center, fine)
    (exact,) = decode(encode([sent], narrow=False))
    assert isinstance(exact, ProximalStep)
    np.testing.assert_array_equal(exact.load_center, fine)
    assert len(encode([sent], narrow=False)) - len(encode([sent])) == 4 * fine.size


def test_what_a_certificate_rests_on_is_not_rounded() -> None:
    rounded = {(kind.__name__, name) for kind in KINDS for name in kind.singles()}
    assert rounded == {
        ("ProximalStep", "load_center"),
        ("BarrierStep", "capacity_price_move"),
        ("Offer", "load"),
    }


def test_several_messages_keep_their_order() -> None:
    sent = [Fault("a"), Evaluate(part=WHOLE, load=np.ones((2, 3))), Fault("b")]
    got = decode(encode(sent))
    assert len(got) == 3
    for a, b in zip(got, sent, strict=True):
        assert_same(a, b)
    assert decode(encode([])) == []


@pytest.mark.parametrize(
    "view",
    [
        np.arange(24.0).reshape(4, 6).T,
        np.arange(24.0)[::2],
        np.arange(24.0).reshape(2, 3, 4)[:, ::-1, 1:],
        np.broadcast_to(np.float32(2.5), (3, 2)),
        np.array(4.0),
        np.zeros((0, 5, 2)),
        np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324]),
    ],
    ids=["transposed", "strided", "reversed", "broadcast", "0-d", "empty", "special"],
)
def test_arrays_of_any_layout(view: np.ndarray) -> None:
    (got,) = decode(encode([Evaluate(part=WHOLE, load=view)]))
    assert isinstance(got, Evaluate)
    assert got.load.shape == view.shape and got.load.dtype == view.dtype
    assert got.load.tobytes() == view.tobytes()


def test_scalars_of_numpy_arrive_as_python_numbers_and_others_are_refused() -> None:
    (got,) = decode(encode([host.RoundNumber(np.int64(7))]))  # type: ignore[arg-type]
    assert isinstance(got, host.RoundNumber) and (type(got.number), got.number) == (int, 7)
    with pytest.raises(TypeError, match="object"):
        encode([Fault(object())])  # type: ignore[arg-type]


def test_what_arrives_is_read_only() -> None:
    (got,) = decode(encode([Evaluate(part=WHOLE, load=np.ones((1, 2)))]))
    assert isinstance(got, Evaluate)
    with pytest.raises(ValueError, match="read-only"):
        got.load[0, 0] = 2.0


WHOLE = np.zeros(1, int)
ONE = encode([Evaluate(part=WHOLE, load=np.ones((2, 3)))])


def sealed_pack(value: object) -> bytes:
    return sealed(msgpack.packb(value))


@given(st.integers(0, len(ONE) - 1), st.integers(1, 255))
def test_no_byte_can_change_on_the_way(at: int, by: int) -> None:
    damaged = bytearray(ONE)
    damaged[at] ^= by
    with pytest.raises(ValueError, match="damaged on the way"):
        decode(bytes(damaged))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        ONE[:-1],
        ONE + b"\x00",
        sealed(unsealed(ONE)[:-1]),
        sealed(bytes(unsealed(ONE)) + b"\x00"),
        sealed_pack(5),
        sealed_pack([5]),
        sealed_pack([["Evaluate"]]),
        sealed_pack([["Evaluate", {"load": 1.0, "colour": 2}]]),
        sealed_pack([["Evaluate", {}]]),
        sealed_pack([["Evaluate", 3]]),
        sealed_pack([[["Evaluate"], {}]]),
        sealed_pack([["NoSuchMessage", {}]]),
        sealed_pack([["Evaluate", {"load": msgpack.ExtType(9, b"abc")}]]),
        sealed_pack([["Evaluate", {"load": None}]]),
        sealed_pack([["Evaluate", {"load": []}]]),
        sealed_pack([["Evaluate", {"load": ["<f8", [3], b"1234"]}]]),
        sealed_pack([["Evaluate", {"load": ["<f8", [3], bytes(16)]}]]),
        sealed_pack([["Evaluate", {"load": ["O", [1], bytes(8)]}]]),
        sealed_pack([["Evaluate", {"load": ["x?", [1], bytes(8)]}]]),
    ],
)
def test_what_is_not_a_message_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a message of this protocol"):
        decode(data)


def test_an_abstract_message_is_not_one() -> None:
    with pytest.raises(ValueError, match="not a message of this protocol"):
        decode(sealed_pack([["Request", {}]]))


@pytest.mark.parametrize(
    "dtype", [",", "8", "f8,f8", "(1000000000,)f8", "O", "<U4", "<M8", ">f8", "", 8, None]
)
def test_entries_of_no_number_type_are_refused(dtype: object) -> None:
    message = [["Quantity", {"quantity": [dtype, [1, 1], bytes(8)]}]]
    with pytest.raises(ValueError, match="not a message of this protocol"):
        decode(sealed_pack(message))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_garbled_message_does_anything_but_raise_value_error(data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        raw = data.draw(st.binary(max_size=200))
    else:
        broken = bytearray(unsealed(ONE))
        for _ in range(data.draw(st.integers(1, 3))):
            broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
        raw = bytes(broken)
    try:
        messages = decode(sealed(raw))
    except ValueError:
        return
    assert all(isinstance(message, Message) for message in messages)


LARGE = 400_000


def said(count: int) -> bytes:
    """The head of a msgpack list of `count` entries."""
    return b"\xdd" + count.to_bytes(4, "big")


def numbers_of(dtype: object, shape: object, raw: object, kind: str = "Offer", name: str = "load") -> bytes:
    return bytes(msgpack.packb([[kind, {name: [dtype, shape, raw]}]]))


HOSTILE = {
    "lists of nothing": said(LARGE) + b"\x90" * LARGE,
    "maps of nothing": said(LARGE) + b"\x80" * LARGE,
    "lists in lists": b"\x92" * 800 + b"\x90" * LARGE,
    "trees of lists": (b"\xdc\x00\x40" + (b"\xdc\x00\x40" + b"\x90" * 64) * 64) * 90,
    "a small tree": b"\xdc\x00\x40" + (b"\xdc\x00\x40" + (b"\xdc\x00\x40" + b"\x80" * 64) * 64) * 3,
    "a long tree": b"\xdc\x00\x40" + (b"\xdc\x00\x40" + (b"\xdc\x00\x40" + b"\x90" * 64) * 64) * 64,
    "lists that say they are long": said(LARGE) * (LARGE // 5),
    "lists that say they are fairly long": b"\xdc\x00\xc8" * (LARGE // 3),
    "a list that says it is endless": said(2**32 - 1) + bytes(LARGE),
    "a map that says it is endless": b"\xdf\xff\xff\xff\xff" + b"\xa1a\x00" * LARGE,
    "maps in maps": b"\x81\xa1a" * (LARGE // 3),
    "short texts": said(LARGE // 3) + b"\xa2ab" * (LARGE // 3),
    "extensions": b"\xdc\x00\x40" + b"\xd4\x05a" * (LARGE // 3),
    "something behind": bytes(unsealed(ONE)) + bytes(LARGE),
    "a text of wide letters": msgpack.packb([["Fault", {"reason": "a" * LARGE + "\U0001f600"}]]),
    "texts that are none": msgpack.packb([["Fault", {"reason": b"\xff" * LARGE}]], use_bin_type=False),
    "a kind of bytes": msgpack.packb([[bytes(LARGE), {}]]),
    "a name of bytes": msgpack.packb([["Fault", {bytes(LARGE): 1}]]),
    "a type of bytes": numbers_of(bytes(LARGE), [1], bytes(8)),
    "a shape of bytes": numbers_of("<f8", bytes(LARGE), bytes(8)),
    "a shape of many axes": numbers_of("<f8", [1] * LARGE, bytes(8)),
    "a shape that overflows": numbers_of("<f8", [2**62, 4], b""),
    "a shape beyond all": numbers_of("<f8", [2**64 - 1], bytes(8)),
    "no rows of endless length": numbers_of("<f8", [0, 2**62], b""),
    "a shape to be guessed": numbers_of("<f8", [-1], bytes(8)),
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_are_a_value_error_that_takes_no_memory(raw: bytes) -> None:
    data = sealed(raw)
    with pytest.raises(ValueError, match="not a message of this protocol"):
        decode(data)
    assert peak_of_decoding(data) <= 6 * len(data) + 2_000_000


@pytest.mark.parametrize("dtype", ["|u1", "<f2", "<f4", "<f8"])
def test_numbers_take_no_more_than_a_few_times_their_bytes(dtype: str) -> None:
    size = np.dtype(dtype).itemsize
    data = sealed(numbers_of(dtype, [LARGE, 2], bytes(2 * LARGE * size)))
    assert peak_of_decoding(data) <= 3.1 * len(data)


def peak_of_decoding(data: bytes) -> int:
    """Bytes."""
    tracemalloc.start()
    try:
        decode(data)
    except ValueError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
        lambda part: st.lists(part, max_size=5) | st.dictionaries(st.text(max_size=3), part, max_size=4),
    )
)
def test_nothing_that_msgpack_can_say_does_anything_but_raise_value_error(value: Any) -> None:
    for packed in (
        value,
        [["Offer", value]],
        [["Offer", {"load": value}]],
        [["Offer", {"load": ["<f8", value, b""]}]],
    ):
        data = sealed_pack(packed)
        assert peak_of_decoding(data) <= 6 * len(data) + 2_000_000


def edges_of(degree: list[int]) -> list[slice]:
    end = np.cumsum(degree)
    return [slice(int(b - d), int(b)) for b, d in zip(end, degree, strict=True)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_joining_undoes_cutting(kind: type[Message]) -> None:
    degree = [2, 0, 3, 1]
    random = np.random.default_rng(0)
    values: dict[str, Any] = {}
    for f in fields(kind):
        rows = {"region": 4, "edge": 6, "gateway": 5, None: 2}[kind.axes()[f.name]]
        values[f.name] = random.random((rows, 3)) if f.type == "Array" else 5
    whole = kind(**values)
    everyone = np.arange(5)
    parts = [
        whole.cut(slice(i, i + 1), at, everyone) for i, at in zip(range(4), edges_of(degree), strict=True)
    ]
    by_region = [name for name, axis in kind.axes().items() if axis in ("region", "edge")]
    joined, again = kind.join(parts), kind.join([whole])
    for name in by_region:
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))
        assert np.shares_memory(getattr(parts[0], name), getattr(whole, name))
    assert again is whole


def test_every_agent_answers_to_read_only_arrays_and_keeps_its_own_data() -> None:
    random = np.random.default_rng(1)
    regions, kinds, slots = 3, 2, 4
    region = Region(
        ("a", "b", "c"),
        random.random((regions, slots)),
        random.random((regions, slots)),
        random.random((regions, kinds, slots)),
    )
    before = [a.copy() for a in (region.price, region.capacity, region.intensity)]
    for array in (region.price, region.capacity, region.intensity):
        array.setflags(write=False)
    degree = np.array([1, 2, 1])
    shapes = {
        "equity_price": (regions, kinds),
        "equity_price_move": (regions, kinds),
        "footprint_center": (regions, kinds),
        "footprint_step": (regions, kinds),
        "load_step": (regions,),
        "demand": (3, slots),
        "demand_price": (3, slots),
        "footprint_unit": (kinds,),
        "level": (kinds,),
        "level_move": (kinds,),
    }
    memory = Memory()
    requests = [kind for kind in KINDS if issubclass(kind, Request)]
    requests.sort(key=lambda kind: kind is not Introduce)
    assert len(requests) >= 8
    given = {"degree": degree, "reach": np.array([0, 1, 3, 1]), "gateway": np.array([0, 1, 3]), "part": WHOLE}
    for kind in requests:
        values: dict[str, Any] = {}
        for f in fields(kind):
            if f.name in given:
                values[f.name] = given[f.name]
            elif f.type == "Array":
                values[f.name] = random.uniform(0.5, 1.0, shapes.get(f.name, (regions, slots)))
            else:
                values[f.name] = kind.scalars()[f.name].types[0](1)
        (request,) = decode(encode([kind(**values)]))
        assert isinstance(request, Request)
        for _ in range(2):  # the second time with whatever the first left in memory
            reply = request.answer(region, memory)
            (back,) = decode(encode([reply]))
            assert_same(back, reply)
            for name, axis in type(reply).axes().items():
                if axis == "region":
                    assert getattr(reply, name).shape[0] == regions
    for now, then in zip((region.price, region.capacity, region.intensity), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_value_and_bound_are_cut_by_their_own_axis() -> None:
    bound = Bound(demand_price=np.arange(6.0)[:, None], equity_price=np.arange(2.0)[:, None])
    part = bound.cut(slice(1, 2), slice(4, 6), np.array([2, 5]))
    assert part.demand_price.ravel().tolist() == [2.0, 5.0]
    assert part.equity_price.ravel().tolist() == [1.0]
    assert Value.axes() == {"cost": "region", "footprint": "region"}

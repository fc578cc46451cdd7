"""Exact copies of state: every layout and sharing comes back, nothing foreign does, no bytes do harm."""

from __future__ import annotations

import tracemalloc
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eglb.agents.region import Region
from eglb.coordinator.algorithms.admm import Admm
from eglb.coordinator.algorithms.algorithm import Incumbent
from eglb.coordinator.algorithms.crossover import Crossover
from eglb.coordinator.algorithms.newton import Newton
from eglb.coordinator.algorithms.primal_recovery import PricedPlan
from eglb.coordinator.durability.snapshot import freeze, thaw
from eglb.coordinator.market.market import Market
from eglb.foundation.arrays import Array
from eglb.foundation.equity_shape import EquityShape

Draw = Callable[..., tuple[Region, Market]]


def again(value: Any, **known: Any) -> Any:
    return thaw(freeze(value, known), known)


def same_array(found: Array, wanted: Array) -> bool:
    """Down to the bits, with the same layout."""
    alike = (found.dtype, found.shape, found.flags.writeable) == (
        wanted.dtype,
        wanted.shape,
        wanted.flags.writeable,
    )
    return alike and found.tobytes() == wanted.tobytes()


atoms = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8)
)
hashable = st.recursive(
    atoms, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=4
)
plain = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(hashable, inner, max_size=4)
        | st.tuples(inner)
        | st.builds(deque, st.lists(inner, max_size=3), st.none() | st.integers(3, 9))
    ),
    max_leaves=12,
)


def told(value: Any) -> str:
    """A text that tells types and NaN apart from each other, as equality does not, and knows no order of
    sets.
    """
    if isinstance(value, (set, frozenset)):
        return f"{type(value).__name__}{sorted(map(told, value))}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}{[told(each) for each in value]}"
    if isinstance(value, deque):
        return f"{value.maxlen}{[told(each) for each in value]}"
    if isinstance(value, dict):
        return f"{[(told(key), told(each)) for key, each in value.items()]}"
    return repr(value)


@settings(max_examples=200, deadline=None)
@given(plain)
def test_plain_values_come_back(value: Any) -> None:
    assert told(again(value)) == told(value)


@settings(max_examples=200, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from(["f8", "f4", "i8", "i4", "u1", "?"]),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
        fill=st.just(0),
    ),
    st.randoms(use_true_random=False),
    st.booleans(),
)
def test_arrays_come_back_to_the_bit_with_the_order_of_their_axes(
    array: Array, random: Any, writeable: bool
) -> None:
    axes = list(range(array.ndim))
    random.shuffle(axes)
    array = array.copy().transpose(axes)
    array.setflags(write=writeable)
    found = again(array)
    assert same_array(found, array)
    if array.size > 1:
        assert found.strides == array.strides


def test_zeros_are_left_out_and_minus_zero_is_none() -> None:
    array = np.zeros((50, 40))
    array[3, 4], array[20, 20], array[7, 7] = -0.0, np.nan, 1e-300
    data = freeze(array, {})
    assert len(data) < 400 and same_array(thaw(data, {}), array)


def test_scalars_of_numpy_keep_their_type() -> None:
    value = [np.float64(0.1), np.int64(3), np.float32(0.1), np.bool_(True)]
    assert [type(each) for each in again(value)] == [type(each) for each in value]
    assert again(value) == value


def test_what_is_shared_stays_shared() -> None:
    plan = PricedPlan(np.ones((2, 3)), np.zeros(1), np.zeros((1, 2, 2)))
    inner: list[Any] = [1]
    found = again({"used": [plan], "all": deque([plan], 4), "a": inner, "b": (inner, inner)})
    assert found["used"][0] is found["all"][0]
    assert found["a"] is found["b"][0] is found["b"][1]


def test_views_look_into_the_same_memory() -> None:
    whole = np.arange(24.0).reshape(4, 6)
    found, flipped, part = again([whole, whole.T, whole[1:, ::2]])
    assert np.shares_memory(found, flipped) and np.shares_memory(found, part)
    found[1, 2] = -1.0
    assert flipped[2, 1] == part[0, 1] == -1.0
    assert part.strides == whole[1:, ::2].strides
    view = again(whole.T)
    assert view.strides == whole.T.strides and same_array(view, whole.T)
    assert same_array(again(view), whole.T)  # and once more, of what was read
    single = again(np.arange(2400.0).reshape(400, 6)[3])
    assert same_array(single, np.arange(18.0, 24.0)) and single.base.nbytes == 48  # not the whole with it


def test_more_than_there_is_and_backwards_views_are_copied() -> None:
    line = np.arange(6.0)
    for view in (np.broadcast_to(line, (4, 6)), line[::-1], line.view(np.int64), line[::-1][1:]):
        found = again([line, view])[1]
        assert found.shape == view.shape and found.tobytes() == view.tobytes()


def test_known_objects_are_only_named_and_so_are_their_arrays(draw_market: Draw) -> None:
    _, market = draw_market(3)
    data = freeze([market, market.demand, market.demand.T], {"market": market})
    assert len(data) < 200
    other = draw_market(3)[1]
    found = thaw(data, {"market": other})
    assert found[0] is other and found[1] is other.demand
    assert np.shares_memory(found[2], other.demand) and found[2].shape == market.demand.T.shape
    with pytest.raises(ValueError, match="market"):
        thaw(data, {})


def test_caches_are_not_stored_and_are_made_again(draw_market: Draw) -> None:
    _, market = draw_market(4)
    plan = PricedPlan(np.ones((2, 2)), np.array([1.0, 2.0]), np.ones((2, 1, 1)))
    assert plan.cost == 3.0
    found = again(plan)
    assert "cost" not in vars(found) and found.cost == 3.0
    assert again(market).equity_weight.tobytes() == market.equity_weight.tobytes()


def test_objects_classes_and_partials_come_back() -> None:
    made = partial(Crossover, first=Admm, second=Newton, hand_over_gap=1e-3)
    found = again([made, Newton, EquityShape("lq", 4), Incumbent(objective=3.0)])
    assert found[0].func is Crossover and found[0].keywords == made.keywords
    assert found[1] is Newton and found[2] == EquityShape("lq", 4)
    assert vars(found[3]) == vars(Incumbent(objective=3.0))


@dataclass
class Foreign:
    """Not a class of the program's state."""

    value: int = 0


@pytest.mark.parametrize(
    "value",
    [
        Foreign(),
        Foreign,
        len,
        lambda: None,
        object(),
        2**64,
        np.array(["text"]),
        np.array([object()]),
        np.array([1 + 2j]),
        np.datetime64("2024-01-01"),
        np.arange(3, dtype=">i4"),
        partial(len, [1]),
        type("list", (list,), {})(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_state_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        freeze([value], {})


def test_what_refers_to_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(TypeError, match="itself"):
        freeze(loop, {})


def written(*objects: tuple[Any, ...], last: Any = 0) -> bytes:
    """Bytes as `freeze` writes them, of any objects: kind, then scalars; references by `refer`."""
    scalars = [len(objects), *(s for kind, *rest in objects for s in (kind, len(rest), *rest)), last]
    return b"".join(map(msgpack.packb, scalars))


def refer(place: int) -> msgpack.ExtType:
    return msgpack.ExtType(1, place.to_bytes(8, "little"))


INCUMBENT = "eglb.coordinator.algorithms.algorithm.Incumbent"
WHOLE = [x for name in ("objective", "bound") for x in (name, 1.0)]
WHOLE += [x for name in ("route", "demand_price", "equity_price") for x in (name, None)]


def test_the_bytes_of_these_tests_are_those_of_the_format() -> None:
    assert written(("list", 1, "x"), last=refer(0)) == freeze([1, "x"], {})
    assert thaw(written(("object", INCUMBENT, *WHOLE), last=refer(0)), {}).bound == 1.0


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", ""),
        (b"\xc1", ""),
        (written(("object", "os.system", "command", "true"), last=refer(0)), "os.system"),
        (written(("object", "builtins.list")), "builtins"),
        (written(("class", "eglb.coordinator.fleet.ray_transport.RayActors")), "RayActors"),
        (written(("object", "eglb.coordinator.algorithms.algorithm.Algorithm")), "abstract"),
        (written(("object", INCUMBENT, *WHOLE, "gap", 3.0)), "no attribute gap"),
        (written(("object", INCUMBENT, *WHOLE, "__class__", 3.0)), "no attribute __class__"),
        (written(("object", INCUMBENT, *WHOLE[2:])), "lacks objective"),
        (written(("object", "eglb.coordinator.algorithms.admm.Admm", "step", None)), "no attribute step"),
        (written(("partial", refer(0), 0)), ""),
        (written(("list",), ("partial", refer(0), 0)), "only classes"),
        (written(("list", refer(0)), last=refer(0)), ""),
        (written(last=refer(5)), ""),
        (written(("array", "|O", True, 1, 1, 0, b"12345678")), "type"),
        (written(("array", "(10000,10000)f8", True, 1, 1, 0, b"12345678")), "type"),
        (written(("array", "<f8", True, 1, 2, 0, b"12345678")), ""),
        (written(("array", "<f8", True, 2, 1, 1, 0, 0, b"12345678")), "no shape"),
        (written(("array", "<f8", True, 1, -1, 0, b"12345678")), "no shape"),
        (written(("sparse", "<f8", True, 1, 2**40, 0, b"", b"")), "do not tell"),
        (written(("sparse", "<f8", True, 1, 8, 0, b"\xff", b"")), ""),
        (written(("array", "<f8", True, 1, 1, 0, b"12345678"), ("view", refer(0), True, 8, 1, 8)), ""),
        (
            written(("array", "<f8", True, 1, 1, 0, b"12345678"), ("view", refer(0), True, 0, 2**40, 0)),
            "more",
        ),
        (written(("known", "market")), "market"),
        (written(("dict", refer(0), 1)), ""),
        (written(("list",), ("dict", refer(0), 1)), "unhashable"),
        (written(("dict", 1)), ""),
        (written(("no such kind", 1)), "no kind"),
        (written(last=1) + b"\x01", "after its end"),
        (msgpack.packb([0] * 9), ""),
        (msgpack.packb(2**62), ""),
    ],
)
def test_what_freeze_never_writes_is_refused(data: bytes, match: str) -> None:
    with pytest.raises(ValueError, match=f"not a state of this program.*{match}"):
        thaw(data, {})


def some_state() -> bytes:
    array = np.zeros((40, 30))
    array[::7] = 1.5
    plan = PricedPlan(array, np.ones(3), np.ones((3, 4, 2)))
    return freeze([plan, array.T, {"a": (1, 2.0, "x", None)}, deque([plan], 3), np.arange(50)], {})


STATE = some_state()


def take(data: bytes) -> None:
    """Read it; it must be refused in an orderly way or be a state, with little memory."""
    tracemalloc.start()
    try:
        thaw(data, {})
    except ValueError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 200 * len(data) + 200_000


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_changed_state_does_no_harm(data: st.DataObject) -> None:
    changed = bytearray(STATE)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    take(bytes(changed))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
@example(b"\xdd\xff\xff\xff\xff" * 200)
@example(b"\x01\xdd\x00\x00\x03\xe8" * 150)
@example(b"\x01\xc6\xff\xff\xff\xff")
@example(b"\xdf\xff\xff\xff\xff" * 100)
def test_any_bytes_do_no_harm(data: bytes) -> None:
    take(data)


def test_every_truncation_is_refused() -> None:
    for length in range(len(STATE)):
        with pytest.raises(ValueError, match="not a state"):
            thaw(STATE[:length], {})

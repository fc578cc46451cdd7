"""What a valid message is: honest agents never send another, and what is broken is told from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.genuine_messages import KINDS, SLOTS, ask, draw_exchange

from eglb.agents import codec
from eglb.agents.codec import Fault, Message, decode, encode
from eglb.agents.host import RegionHost, RoundNumber
from eglb.agents.region import Memory, Region, Request
from eglb.agents.timeline import Look
from eglb.agents.validation import check_replies
from eglb.agents.valuation import Accepted, Bound, Introduce, Offer

SEEDS = range(40)
REFUSED = r"^(sent |not a message of this protocol)"


def check(requests: list[Request], replies: list[Message], rows: int, kinds: int = KINDS) -> None:
    """As a coordinator does, with replies as they arrive."""
    check_replies(requests, decode(encode(replies)), slice(0, rows), {"kind": kinds, "slot": SLOTS})


@pytest.mark.parametrize("kinds", [0, 1, KINDS])
@pytest.mark.parametrize("seed", SEEDS)
def test_an_honest_agent_is_never_refused(seed: int, kinds: int) -> None:
    timeline, requests = draw_exchange(seed, kinds=kinds)
    look = requests.pop(1)
    region = look.show(timeline)
    assert region is not None
    for private, asked in ((timeline, [requests[0], look, *requests[1:]]), (region, requests)):
        replies = ask(private, asked)
        check(asked, replies, len(region.names), kinds)
        assert len(replies) == len(asked)


def test_every_request_of_a_solve_is_drawn() -> None:
    known = {
        kind
        for kind in codec._KINDS.values()
        if issubclass(kind, Request) and kind is not Request and kind.__module__.startswith("eglb.agents.")
    }
    assert {type(request) for request in draw_exchange(0)[1]} == known


def spoilt(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def spoil(array: np.ndarray) -> np.ndarray:
        array = array.astype(float)
        array.flat[-1] = value
        return array

    return spoil


BROKEN: dict[str, Callable[[np.ndarray], Any]] = {
    "NaN": spoilt(np.nan),
    "infinite": spoilt(np.inf),
    "infinite below": spoilt(-np.inf),
    "a row more": lambda array: np.concatenate([array, array[-1:]]),
    "a row less": lambda array: array[:-1],
    "an axis more": lambda array: array[..., None],
    "an axis less": lambda array: array.reshape(-1) if array.ndim > 1 else array.sum(),
    "a longer last axis": lambda array: np.concatenate([array, array[..., -1:]], axis=-1),
    "truths": lambda array: array > 0.0,
    "complex": lambda array: array.astype(complex),
    "a number": lambda array: 1.0,
    "a text": lambda array: "many",
}
BROKEN_SCALARS: dict[type, tuple[Any, ...]] = {
    int: (1.0, np.nan, True, "1", np.ones(1)),
    float: (np.nan, np.inf, -np.inf, False, "1", np.ones(1)),
    bool: (1, 0.0, np.nan, "", np.ones(1)),
    str: (1, np.inf, False, np.ones(1)),
}


def break_one_field(message: Message) -> Iterator[tuple[str, Message]]:
    """Every field of a message in every way, and in words which and how."""
    for name, numbers in message.numbers().items():
        value = getattr(message, name)
        ways = {how: wrong(value) for how, wrong in BROKEN.items()}
        if numbers.at_least >= 0.0:
            ways["below zero"] = spoilt(-1e-9)(value)
        if isinstance(message, Request) and numbers.axes == ("part",):
            for how in ("a row more", "a row less", "a longer last axis"):
                del ways[how]  # one may ask about as many parts as one likes
        for how, wrong in ways.items():
            yield f"{type(message).__name__}.{name}: {how}", replace(message, **{name: wrong})
    for name, scalar in message.scalars().items():
        below = (0.0, -1.0) if scalar.at_least >= 0.0 else ()
        for wrong in (*BROKEN_SCALARS[scalar.types[0]], *below[scalar.at_least == 0.0 :]):
            yield f"{type(message).__name__}.{name}: {wrong!r}", replace(message, **{name: wrong})


@pytest.mark.parametrize("seed", range(3))
def test_what_is_broken_is_refused_by_the_coordinator(seed: int) -> None:
    timeline, requests = draw_exchange(seed)
    replies = ask(timeline, requests)
    tried = 0
    for at, reply in enumerate(replies):
        for what, wrong in break_one_field(reply):
            tried += 1
            with pytest.raises(ValueError, match=REFUSED):
                check(requests, [*replies[:at], wrong, *replies[at + 1 :]], len(timeline.names))
                pytest.fail(f"taken: {what}")
    assert tried >= 200


@pytest.mark.parametrize("seed", range(3))
def test_what_is_broken_is_refused_by_an_agent_and_leaves_it_as_it_was(seed: int) -> None:
    timeline, requests = draw_exchange(seed)
    _head, look, introduce, *_ = requests
    host, expected = RegionHost(timeline), ask(timeline, requests)
    host.answer(encode([look, introduce]))
    tried = 0
    for request in requests:
        for what, wrong in break_one_field(request):
            tried += 1
            answer = host.answer(encode([wrong], narrow=False))
            assert isinstance(decode(answer or b"")[-1], Fault), f"taken: {what}"
    assert tried >= 300
    after = host.answer(encode(requests[:-1]))
    assert after == encode(expected[:-1])


@pytest.mark.parametrize("at", range(len(draw_exchange(0)[1])))
def test_an_answer_of_another_kind_is_refused(at: int) -> None:
    timeline, requests = draw_exchange(0)
    replies = ask(timeline, requests)
    with pytest.raises(ValueError, match=r"^sent .*Fault.* is due$"):
        check(requests, [*replies[:at], Fault("no"), *replies[at + 1 :]], len(timeline.names))


def test_an_answer_too_few_or_too_many_is_refused() -> None:
    timeline, requests = draw_exchange(0)
    replies = ask(timeline, requests)
    for wrong in (replies[:-1], [*replies, replies[-1]], [], replies[::-1]):
        with pytest.raises(ValueError, match=r"^sent .* is due$"):
            check(requests, wrong, len(timeline.names))


@pytest.mark.parametrize("seed", SEEDS[:5])
def test_the_same_message_again_gets_the_same_bytes_and_an_older_one_none(seed: int) -> None:
    timeline, requests = draw_exchange(seed)
    host = RegionHost(timeline)
    message, later = encode(requests), encode([RoundNumber(number=seed + 1), *requests[1:]])
    first = host.answer(message)
    assert host.answer(message) == first
    assert host.answer(later) is not None
    refusal = host.answer(message)
    assert refusal is not None
    head, fault = decode(refusal)
    assert isinstance(head, RoundNumber) and head.number == seed
    assert isinstance(fault, Fault) and fault.reason == f"round {seed} is over"


def test_more_than_was_offered_is_refused_but_for_rounding() -> None:
    offered = np.array([[1.0, 0.0], [0.1, 2.0]])
    everyone = Offer(load=np.concatenate([np.zeros((1, 2)), offered]))
    region = Region(("a", "b"), np.ones((2, 2)), np.full((2, 2), 1e3), np.zeros((2, 0, 2)))
    (received,) = decode(encode([Offer(load=offered)]))
    assert isinstance(received, Offer) and (received.load > offered).any()
    accepted = received.answer(region, Memory())
    sizes = {"slot": 2, "kind": 0}
    check_replies([everyone], [accepted], slice(1, 3), sizes)
    for at in np.ndindex(2, 2):
        load = accepted.load.copy()
        load[at] = np.nextafter(load[at], np.inf)
        with pytest.raises(ValueError, match=r"^sent Accepted.load with numbers above those asked about$"):
            check_replies([everyone], [Accepted(load=load)], slice(1, 3), sizes)


@pytest.mark.parametrize("large", [False, True])
def test_indices_that_lead_astray_do_not_get_into_an_agent(large: bool) -> None:
    region = Region(("a", "b"), np.ones((2, 2)), np.ones((2, 2)), np.zeros((2, 0, 2)))
    pairs = {"degree": np.array([2, 1]), "reach": np.array([3, 7, 7]), "gateway": np.array([3, 7])}
    demand = load = np.ones((2, 2))
    good = Introduce(**pairs, demand=demand, load=load, large=large)
    astray: dict[str, Any] = {
        "degree": ([2, 2], [1, 1], [2**62, 2**62]),
        "reach": ([3, 7, 8], [2, 7, 7], [3, 7, 5]),
        "gateway": ([7, 3], [3, 8]),
    }
    bound = Bound(demand_price=np.ones((2, 2)), equity_price=np.zeros((2, 0)))
    host = RegionHost(region)
    first = host.answer(encode([good, bound]))
    for name, wrong in astray.items():
        for value in wrong:
            (reply,) = decode(host.answer(encode([replace(good, **{name: np.array(value)})])) or b"")
            assert isinstance(reply, Fault) and "reach" in reply.reason
    for rows in (1, 3):
        (reply,) = decode(host.answer(encode([replace(bound, demand_price=np.ones((rows, 2)))])) or b"")
        assert isinstance(reply, Fault) and f"({rows}, 2)" in reply.reason
    assert host.answer(encode([bound])) == encode(decode(first or b"")[1:])


def test_slots_that_there_are_none_of_are_not_looked_at() -> None:
    timeline, requests = draw_exchange(0)
    look = requests[1]
    assert isinstance(look, Look)
    for wrong in (
        replace(look, now=10**9),
        replace(look, now=-1),
        replace(look, slot=np.full(SLOTS, 10**12)),
        replace(look, slot=look.slot.astype(float)),
    ):
        (reply,) = ask(timeline, [wrong])
        assert isinstance(reply, Fault)


@pytest.mark.parametrize("seed", range(8))
def test_compiled_code_answers_the_same_about_slots_looked_at(seed: int) -> None:
    timeline, requests = draw_exchange(seed)
    (at,) = (at for at, request in enumerate(requests) if isinstance(request, Introduce))
    plain, fast = (
        ask(timeline, [*requests[:at], replace(requests[at], large=large), *requests[at + 1 :]])
        for large in (False, True)
    )
    for one, other in zip(plain, fast, strict=True):
        for name in one.numbers():
            value = getattr(one, name)
            close = 1e-6 * float(np.abs(value).max(initial=0.0))
            np.testing.assert_allclose(getattr(other, name), value, rtol=1e-6, atol=close)

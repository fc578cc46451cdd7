"""What a valid message is: honest agents never send another, and what is broken is told from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from eglb.agents import wire
from eglb.agents.barrier import BarrierStep, Disclose
from eglb.agents.bidding import OfferQuantity, PriceFootprints
from eglb.agents.host import RegionHost, RoundNumber
from eglb.agents.proximal import ProximalStep
from eglb.agents.region import Region, Request
from eglb.agents.validity import check_replies
from eglb.agents.valuation import Bound, Evaluate, Introduce, Offer
from eglb.agents.wire import Fault, Message, decode, encode

KINDS, SLOTS = 2, 3
SIZES = {"kind": KINDS, "slot": SLOTS}
SEEDS = range(40)


def draw(seed: int) -> tuple[Region, list[Request]]:
    """Regions of any scale, some closed, some without footprints, some paid to run; and one of every request
    that they can be sent, in an order that a solve could have.
    """
    random = np.random.default_rng(seed)
    rows, gateways = int(random.integers(1, 4)), int(random.integers(1, 4))
    power, money, footprint = 10.0 ** random.uniform(-6, 9, 3)
    open_ = random.random((rows, 1)) < 0.8
    region = Region(
        tuple(f"r{i}" for i in range(rows)),
        money * random.normal(size=(rows, SLOTS)),
        power * random.random((rows, SLOTS)) * open_ * (random.random((rows, SLOTS)) < 0.9),
        footprint * random.random((rows, KINDS, SLOTS)) * (random.random((rows, KINDS, 1)) < 0.8),
    )
    reach = np.tile(np.arange(gateways), rows)

    def load() -> np.ndarray:
        return power * random.normal(0.3, 0.5, (rows, SLOTS))

    def price() -> np.ndarray:
        return money / footprint * random.random((rows, KINDS)) * (random.random(KINDS) < 0.7)

    step = power / money
    requests: list[Request] = [
        RoundNumber(number=seed),
        Introduce(
            degree=np.full(rows, gateways),
            reach=reach,
            gateway=np.arange(gateways),
            demand=power * random.random((gateways, SLOTS)),
            load=np.maximum(load(), 0.0),
            **{f.name: 1 for f in fields(Introduce) if f.name not in Introduce.numbers()},
        ),
        Offer(load=np.maximum(load(), 0.0)),
        Evaluate(part=np.array([0, 2]), load=np.maximum(load(), 0.0)),
        Bound(demand_price=money * random.normal(size=(gateways, SLOTS)), equity_price=price()),
        OfferQuantity(),
        PriceFootprints(equity_price=price()),
        ProximalStep(
            load_center=load(),
            footprint_center=footprint * power * random.normal(size=(rows, KINDS)),
            load_step=np.full(rows, step),
            footprint_step=np.full((rows, KINDS), step * footprint**2),
        ),
        Disclose(),
    ]
    return region, requests


def ask(region: Region, requests: list[Request]) -> list[Message]:
    answer = RegionHost(region).answer(encode(requests))
    assert answer is not None
    return decode(answer)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_honest_agent_is_never_refused(seed: int) -> None:
    region, requests = draw(seed)
    replies = ask(region, requests)
    check_replies(requests, replies, len(region.names), SIZES)
    assert len(replies) == len(requests)


def test_every_request_of_a_solve_is_drawn() -> None:
    drawn = {type(request) for request in draw(0)[1]}
    known = {
        kind
        for kind in wire._KINDS.values()
        if issubclass(kind, Request) and kind is not Request and kind.__module__.startswith("eglb.agents.")
    }
    # The others need what goes before: BarrierStep a method's state, Look a time line.
    assert {kind.__name__ for kind in known - drawn} == {BarrierStep.__name__, "Look"}


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
    "a number": lambda array: 1.0,
    "a text": lambda array: "many",
}
REPLIES = [(at, name) for at, reply in enumerate(ask(*draw(0))) for name in type(reply).numbers()]


def refused(seed: int, at: int, reply: Callable[[Message], Message]) -> None:
    region, requests = draw(seed)
    replies = ask(region, requests)
    replies[at] = reply(replies[at])
    with pytest.raises(ValueError, match=r"^sent "):
        check_replies(requests, replies, len(region.names), SIZES)


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize(("at", "name"), REPLIES)
def test_what_is_broken_is_refused(at: int, name: str, how: str) -> None:
    for seed in range(3):
        refused(seed, at, lambda reply: replace(reply, **{name: BROKEN[how](getattr(reply, name))}))


SIGNED = [
    (at, name)
    for at, reply in enumerate(ask(*draw(0)))
    for name, numbers in type(reply).numbers().items()
    if numbers.at_least == 0.0
]


@pytest.mark.parametrize(("at", "name"), SIGNED)
def test_a_load_or_footprint_below_zero_is_refused(at: int, name: str) -> None:
    assert len(SIGNED) >= 8
    refused(0, at, lambda reply: replace(reply, **{name: spoilt(-1e-9)(getattr(reply, name))}))


@pytest.mark.parametrize("at", range(len(draw(0)[1])))
def test_an_answer_of_another_kind_is_refused(at: int) -> None:
    refused(0, at, lambda reply: Fault("no"))


def test_an_answer_too_few_or_too_many_is_refused() -> None:
    region, requests = draw(0)
    replies = ask(region, requests)
    for wrong in (replies[:-1], [*replies, replies[-1]], [], replies[::-1]):
        with pytest.raises(ValueError, match=r"^sent .* is due$"):
            check_replies(requests, wrong, len(region.names), SIZES)


@pytest.mark.parametrize("seed", SEEDS[:5])
def test_the_same_message_again_gets_the_same_bytes_and_an_older_one_none(seed: int) -> None:
    region, requests = draw(seed)
    host = RegionHost(region)
    message, later = encode(requests), encode([RoundNumber(number=seed + 1), *requests[1:]])
    first = host.answer(message)
    assert host.answer(message) == first
    assert host.answer(later) is not None
    refusal = host.answer(message)
    assert refusal is not None
    head, fault = decode(refusal)
    assert isinstance(head, RoundNumber) and head.number == seed
    assert isinstance(fault, Fault) and fault.reason == f"round {seed} is over"

"""What an agent tells about given plans and prices, against loops and a general linear solver."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import linprog

from eglb.agents import kernels, valuation
from eglb.agents.bidding import Bid, OfferQuantity, PriceFootprints, Quantity
from eglb.agents.codec import Fault, Message, decode, encode
from eglb.agents.host import RegionHost
from eglb.agents.region import Memory, MemoryLost, Region
from eglb.agents.valuation import (
    Accepted,
    Bound,
    BoundTerm,
    Evaluate,
    Introduce,
    Offer,
    Profile,
    Value,
)
from eglb.foundation.arrays import Array

SCALES = [1e-6, 1.0, 1e9]


def draw(seed: int, regions: int = 3, kinds: int = 2, slots: int = 4, scale: float = 1.0) -> Region:
    random = np.random.default_rng(seed)
    return Region(
        tuple(f"r{i}" for i in range(regions)),
        scale * random.normal(0.5, 1.0, (regions, slots)),
        random.uniform(0.0, 2.0, (regions, slots)),
        random.uniform(0.0, 1.0, (regions, kinds, slots)),
    )


def introduction(load: Array | None = None) -> Introduce:
    """Three regions with one gateway each, three in all."""
    return Introduce(
        degree=np.ones(3, int),
        reach=np.array([5, 9, 7]),
        gateway=np.array([5, 7, 9]),
        demand=np.ones((3, 4)),
        load=np.zeros((3, 4)) if load is None else load,
    )


def slot_minimum(reduced: Array, demand: Array, capacity: float) -> float:
    """min { reduced . x : 0 <= x <= demand, sum x <= capacity } by a general solver, at scale one."""
    unit = max(float(np.abs(reduced).max(initial=0.0)), 1e-300)
    found = linprog(
        reduced / unit,
        A_ub=np.ones((1, len(reduced))),
        b_ub=[capacity],
        bounds=list(zip(np.zeros(len(demand)), demand, strict=True)),
        method="highs",
    )
    assert found.status == 0
    return float(found.fun) * unit


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("gateways", [1, 2, 5])
def test_knapsack_is_the_linear_program_it_states(
    knapsack: Callable[..., Array], scale: float, gateways: int
) -> None:
    random = np.random.default_rng(gateways)
    for _ in range(6):
        regions, slots = 2, 3
        cost = scale * random.normal(size=(regions, slots))
        price = scale * random.normal(size=(regions, gateways, slots))
        demand = random.uniform(0.0, 1.0, (regions, gateways, slots)) * (random.random() < 0.9)
        demand[random.random(demand.shape) < 0.2] = 0.0
        capacity = random.uniform(0.0, 0.6 * gateways, (regions, slots))
        capacity[random.random(capacity.shape) < 0.2] = 0.0
        if random.random() < 0.5:  # ties
            price = np.round(price / scale) * scale
            cost = np.round(cost / scale) * scale
        expected = [
            sum(
                slot_minimum(cost[i, t] - price[i, :, t], demand[i, :, t], capacity[i, t])
                for t in range(slots)
            )
            for i in range(regions)
        ]
        np.testing.assert_allclose(
            filled(knapsack, cost, price, demand, capacity), expected, atol=1e-9 * scale
        )


@pytest.fixture(params=[valuation, kernels], ids=["numpy", "compiled"])
def knapsack(request: pytest.FixtureRequest) -> Callable[..., Array]:
    fill: Callable[..., Array] = request.param.knapsack
    return fill


def filled(
    knapsack: Callable[..., Array], cost: Array, price: Array, demand: Array, capacity: Array
) -> Array:
    """`knapsack` with every region reached by gateways of its own: price and demand (n, D, T)."""
    regions, gateways, slots = price.shape
    first, reach = gateways * np.arange(regions + 1), np.arange(regions * gateways)
    return knapsack(cost, price.reshape(-1, slots), capacity, first, reach, demand.reshape(-1, slots))


def greedy(cost: float, price: Array, demand: Array, capacity: float) -> float:
    value = 0.0
    for j in sorted(range(len(price)), key=lambda j: cost - price[j]):
        taken = min(demand[j], capacity)
        if cost - price[j] < 0.0:
            value += (cost - price[j]) * taken
            capacity -= taken
    return value


def test_knapsack_is_the_greedy_loop(knapsack: Callable[..., Array]) -> None:
    random = np.random.default_rng(1)
    cost, capacity = random.normal(size=(4, 9)), random.uniform(0.0, 3.0, (4, 9))
    price, demand = random.normal(size=(4, 7, 9)), random.uniform(0.0, 1.0, (4, 7, 9))
    expected = [
        sum(greedy(cost[i, t], price[i, :, t], demand[i, :, t], capacity[i, t]) for t in range(9))
        for i in range(4)
    ]
    np.testing.assert_allclose(filled(knapsack, cost, price, demand, capacity), expected, rtol=1e-12)


def test_knapsack_of_nobody(knapsack: Callable[..., Array]) -> None:
    nothing = np.zeros((2, 0, 3))
    np.testing.assert_array_equal(
        filled(knapsack, np.ones((2, 3)), nothing, nothing, np.ones((2, 3))), [0.0, 0.0]
    )


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("degree", [[2, 0, 3], [0, 0, 1], [1, 1, 1]])
def test_bound_term_of_a_block_is_that_of_each_region_alone(degree: list[int], large: bool) -> None:
    region, random = draw(4), np.random.default_rng(5)
    edges = sum(degree)
    demand, price = random.uniform(0, 1, (edges, 4)), random.normal(1.0, 1.0, (edges, 4))
    equity = random.uniform(0.0, 1.0, (3, 2))
    memory = Memory()
    own_gateways = np.arange(edges)
    Introduce(
        degree=np.array(degree),
        reach=own_gateways,
        gateway=own_gateways,
        demand=demand,
        load=np.zeros((3, 4)),
        large=large,
    ).answer(region, memory)
    assert memory.large is large
    reply = Bound(demand_price=price, equity_price=equity).answer(region, memory)
    assert isinstance(reply, BoundTerm)
    first = 0
    for i, count in enumerate(degree):
        own = slice(first, first + count)
        cost = region.price[i] + equity[i] @ region.intensity[i]
        expected = sum(
            greedy(cost[t], price[own, t], demand[own, t], region.capacity[i, t]) for t in range(4)
        )
        assert reply.value[i] == pytest.approx(expected, rel=1e-12, abs=1e-14)
        first += count


def test_a_bound_without_an_introduction_is_a_fault_that_says_so() -> None:
    region = draw(0)
    bound = Bound(demand_price=np.zeros((3, 4)), equity_price=np.zeros((3, 2)))
    with pytest.raises(MemoryLost):
        bound.answer(region, Memory())
    host = RegionHost(region)
    introduce = introduction()

    def ask(*requests: Message) -> list[Message]:
        answer = host.answer(encode(requests))
        assert answer is not None
        return decode(answer)

    (fault,) = ask(Offer(load=np.zeros((3, 4))), bound)
    assert isinstance(fault, Fault) and "memory" in fault.reason
    profile, term = ask(introduce, bound)
    assert isinstance(profile, Profile) and isinstance(term, BoundTerm)
    assert isinstance(ask(bound)[0], BoundTerm)


def test_an_introduction_forgets_what_was_before() -> None:
    memory = Memory({"multiplier": 1, "barrier": 2})
    introduction().answer(draw(0), memory)
    assert set(memory.notes) == {"gateways"}


def test_what_is_not_a_request_is_refused() -> None:
    host = RegionHost(draw(0))
    for sent, reason in ((encode([Fault("no")]), "Fault is not a request"), (b"noise", "not a message")):
        (fault,) = decode(host.answer(sent) or b"")
        assert isinstance(fault, Fault) and reason in fault.reason
    assert host.peak_rss_mb() > 1.0


def test_a_host_answers_nothing_before_it_holds_data() -> None:
    host, offer = RegionHost(), Offer(load=np.ones((3, 4)))
    assert host.answer(encode([offer])) is None
    host.renew(draw(0))
    answer = host.answer(encode([offer]))
    assert answer is not None and isinstance(decode(answer)[0], Accepted)


@pytest.mark.parametrize("scale", SCALES)
def test_evaluate_adds_up(scale: float) -> None:
    region = draw(8, scale=scale)
    load = np.random.default_rng(9).uniform(0.0, 3.0, (3, 4))
    value = Evaluate(part=np.array([0, 3]), load=load).answer(region, Memory())
    assert isinstance(value, Value)
    assert value.cost.shape == (3, 2) and value.footprint.shape == (3, 2, 2)
    for i in range(3):
        for p, slots in enumerate((range(3), range(3, 4))):
            assert value.cost[i, p] == pytest.approx(
                sum(region.price[i, t] * load[i, t] for t in slots), rel=1e-12
            )
            for k in range(2):
                expected = sum(region.intensity[i, k, t] * load[i, t] for t in slots)
                assert value.footprint[i, p, k] == pytest.approx(expected, rel=1e-12)


def test_an_offer_is_accepted_up_to_capacity_and_not_beyond() -> None:
    region = draw(2)
    load = np.linspace(0.0, 3.0, 12).reshape(3, 4)
    reply = Offer(load=load).answer(region, Memory())
    assert isinstance(reply, Accepted)
    for i, t in np.ndindex(3, 4):
        assert reply.load[i, t] == min(load[i, t], region.capacity[i, t])


def test_a_profile_tells_scales_of_price_and_the_footprint_of_the_first_load() -> None:
    region = draw(3)
    load = np.random.default_rng(0).random((3, 4))
    reply = introduction(load).answer(region, Memory())
    assert isinstance(reply, Profile)
    for i in range(3):
        mean = sum(region.price[i]) / 4
        assert reply.price_scale[i] == pytest.approx(sum(abs(region.price[i])) / 4)
        assert reply.price_spread[i] == pytest.approx((sum((region.price[i] - mean) ** 2) / 4) ** 0.5)
        np.testing.assert_allclose(reply.footprint[i], region.intensity[i] @ load[i])


@pytest.mark.parametrize("kinds", [0, 1, 3])
def test_bids_are_marginal_costs_and_quantities_capacity(kinds: int) -> None:
    region = draw(6, kinds=kinds)
    equity = np.random.default_rng(1).random((3, kinds))
    bid = PriceFootprints(equity_price=equity).answer(region, Memory())
    assert isinstance(bid, Bid)
    for i in range(3):
        np.testing.assert_allclose(bid.price[i], region.price[i] + equity[i] @ region.intensity[i])
    quantity = OfferQuantity().answer(region, Memory())
    assert isinstance(quantity, Quantity)
    np.testing.assert_array_equal(quantity.quantity, region.capacity)

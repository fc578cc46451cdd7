"""The agent's half of an ADMM round, against its optimality conditions and a general solver."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

from eglb.agents import kernels, proximal
from eglb.agents.proximal import Proposal, ProximalStep, round_down
from eglb.agents.region import Memory, Region
from eglb.foundation.arrays import Array

SCALES = [1e-6, 1.0, 1e9]

Solve = Callable[..., tuple[Array, Array]]


@pytest.fixture(params=[proximal, kernels], ids=["numpy", "compiled"])
def proximal_load(request: pytest.FixtureRequest) -> Solve:
    solve: Solve = request.param.proximal_load
    return solve


def draw(seed: int, regions: int, kinds: int, slots: int, price: float, power: float) -> tuple[Region, ...]:
    """A block of regions and the other arguments of `proximal_load`, in units of `price` and `power`."""
    random = np.random.default_rng(seed)
    region = Region(
        tuple(f"r{i}" for i in range(regions)),
        price * random.normal(0.5, 1.0, (regions, slots)),
        power * random.uniform(0.0, 2.0, (regions, slots)),
        random.uniform(0.0, 1.0, (regions, kinds, slots)),
    )
    region.capacity[random.random((regions, slots)) < 0.2] = 0.0
    if kinds:
        region.intensity[random.random((regions, kinds)) < 0.2] = 0.0
    center = power * random.normal(0.5, 1.0, (regions, slots))
    target = power * random.normal(0.3 * slots, 1.0, (regions, kinds))
    step = power / price * random.uniform(0.2, 3.0, regions)
    slack = power / price * random.uniform(0.2, 3.0, (regions, kinds))
    return region, center, target, step, slack  # type: ignore[return-value]


def objective(
    y: Array, region: Region, i: int, center: Array, target: Array, step: Array, slack: Array
) -> float:
    """The local problem as its docstring states it, for region `i`."""
    footprint = region.intensity[i] @ y
    return float(
        region.price[i] @ y
        + ((y - center[i]) ** 2).sum() / (2 * step[i])
        + ((footprint - target[i]) ** 2 / (2 * slack[i])).sum()
    )


def slope(y: Array, region: Region, i: int, center: Array, target: Array, step: Array, slack: Array) -> Array:
    footprint = region.intensity[i] @ y
    return (
        region.price[i]
        + (y - center[i]) / step[i]
        + region.intensity[i].T @ ((footprint - target[i]) / slack[i])
    )


@pytest.mark.parametrize("kinds", [0, 1, 2, 3])
@pytest.mark.parametrize("price", SCALES)
@pytest.mark.parametrize("power", SCALES)
def test_optimality_conditions_at_any_scale(
    proximal_load: Solve, kinds: int, price: float, power: float
) -> None:
    for seed in range(8):
        arguments = draw(seed, 4, kinds, 7, price, power)
        region = arguments[0]
        load, multiplier = proximal_load(*arguments, np.zeros((4, kinds)))
        assert (load >= 0.0).all() and (load <= region.capacity).all()
        for i in range(4):
            gradient = slope(load[i], region, i, *arguments[1:]) / price
            at_floor, at_ceiling = load[i] <= 0.0, load[i] >= region.capacity[i]
            inside = ~at_floor & ~at_ceiling
            np.testing.assert_allclose(gradient[inside], 0.0, atol=1e-9)
            assert (gradient[at_floor & ~at_ceiling] >= -1e-9).all()
            assert (gradient[at_ceiling & ~at_floor] <= 1e-9).all()
            pull = (region.intensity[i] @ load[i] - arguments[2][i]) / arguments[4][i]
            np.testing.assert_allclose(multiplier[i], pull, rtol=1e-9, atol=1e-9 * price)


@pytest.mark.parametrize("kinds", [0, 1, 2, 3])
def test_same_as_a_general_solver(proximal_load: Solve, kinds: int) -> None:
    for seed in range(4):
        arguments = draw(100 + seed, 3, kinds, 5, 1.0, 1.0)
        region = arguments[0]
        load, _ = proximal_load(*arguments, np.zeros((3, kinds)))
        for i in range(3):
            found = minimize(
                objective,
                np.zeros(5),
                args=(region, i, *arguments[1:]),
                jac=slope,
                bounds=list(zip(np.zeros(5), region.capacity[i], strict=True)),
                method="L-BFGS-B",
                options={"ftol": 1e-15, "gtol": 1e-12, "maxiter": 5000},
            )
            ours = objective(load[i], region, i, *arguments[1:])
            assert ours <= found.fun + 1e-10
            np.testing.assert_allclose(load[i], found.x, atol=1e-5)


@pytest.mark.parametrize("kinds", [1, 3])
def test_the_guess_does_not_change_the_answer(proximal_load: Solve, kinds: int) -> None:
    random = np.random.default_rng(5)
    for seed in range(5):
        arguments = draw(seed, 4, kinds, 6, 1.0, 1.0)
        cold, price = proximal_load(*arguments, np.zeros((4, kinds)))
        for guess in (price, 1e6 * random.normal(size=price.shape), 1e-6 * random.normal(size=price.shape)):
            warm, again = proximal_load(*arguments, guess)
            np.testing.assert_allclose(warm, cold, atol=1e-9)
            np.testing.assert_allclose(again, price, atol=1e-9)


def test_a_far_target_of_a_closed_or_clean_region(proximal_load: Solve) -> None:
    region = Region(
        ("closed", "clean"), np.ones((2, 3)), np.array([[0.0] * 3, [5.0] * 3]), np.zeros((2, 1, 3))
    )
    region.intensity[0] = 1.0
    center, target = np.full((2, 3), 4.0), np.full((2, 1), 1e6)
    load, multiplier = proximal_load(
        region, center, target, np.ones(2), np.full((2, 1), 2.0), np.zeros((2, 1))
    )
    np.testing.assert_array_equal(load, [[0.0] * 3, [3.0] * 3])  # the clean one: center - step * price
    np.testing.assert_allclose(multiplier, -5e5)  # footprint 0 = target + slack * multiplier


def ask(region: Region, arguments: tuple[Array, ...], memory: Memory) -> Proposal:
    center, target, step, slack = arguments
    request = ProximalStep(load_center=center, footprint_center=target, load_step=step, footprint_step=slack)
    reply = request.answer(region, memory)
    assert isinstance(reply, Proposal)
    return reply


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("kinds", [0, 1, 2, 3])
def test_alone_or_in_a_block_the_answer_is_the_same_to_the_bit(kinds: int, large: bool) -> None:
    region, *arguments = draw(7, 5, kinds, 9, 1.0, 1.0)
    together = Memory(large=large)
    alone = [Memory(large=large) for _ in range(5)]
    for turn in range(3):  # also with the guess that memory holds
        moved = (arguments[0] + 0.1 * turn, arguments[1], arguments[2], arguments[3])
        block = ask(region, moved, together)
        for i in range(5):
            at = slice(i, i + 1)
            own = Region(region.names[at], region.price[at], region.capacity[at], region.intensity[at])
            single = ask(own, tuple(a[at] for a in moved), alone[i])
            np.testing.assert_array_equal(single.load[0], block.load[i])
            np.testing.assert_array_equal(single.footprint[0], block.footprint[i])


def test_a_restart_costs_only_the_guess() -> None:
    region, *arguments = draw(3, 3, 2, 6, 1.0, 1.0)
    memory = Memory()
    first = ask(region, tuple(arguments), memory)
    again = ask(region, tuple(arguments), memory)
    fresh = ask(region, tuple(arguments), Memory())
    np.testing.assert_array_equal(first.load, fresh.load)
    np.testing.assert_allclose(again.footprint, fresh.footprint, rtol=1e-9)
    memory.notes["multiplier"] = np.zeros((1, 1))  # another solve's, of another shape
    np.testing.assert_array_equal(ask(region, tuple(arguments), memory).load, fresh.load)


def test_the_footprint_that_is_told_is_that_of_the_load() -> None:
    region, *arguments = draw(11, 4, 2, 6, 1.0, 1e3)
    reply = ask(region, tuple(arguments), Memory())
    assert reply.load.dtype == np.float32
    np.testing.assert_allclose(
        reply.footprint, region.footprint(reply.load.astype(float)), rtol=1e-6, atol=1e-3
    )


@settings(max_examples=300, deadline=None)
@given(arrays(float, 6, elements=st.floats(0.0, 1e30)))
def test_rounding_to_float32_never_exceeds_the_load(load: Array) -> None:
    narrow = round_down(load)
    assert narrow.dtype == np.float32
    assert (narrow.astype(float) <= load).all()
    assert (np.nextafter(narrow, np.float32(np.inf)).astype(float) > load).all()
    np.testing.assert_array_equal(kernels.round_down(load[None])[0], narrow)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(SCALES), st.integers(0, 3))
def test_proposals_respect_capacity_whatever_the_request(seed: int, power: float, kinds: int) -> None:
    region, *arguments = draw(seed, 3, kinds, 4, 1.0, power)
    load = ask(region, tuple(arguments), Memory()).load.astype(float)
    assert (load >= 0.0).all() and (load <= region.capacity).all()


@pytest.mark.parametrize("kinds", [0, 1, 2, 3])
@pytest.mark.parametrize("scale", SCALES)
def test_the_compiled_twin_gives_the_same_loads(kinds: int, scale: float) -> None:
    for seed in range(5):
        arguments = draw(seed, 6, kinds, 30, 1.0, scale)
        guess = np.zeros((6, kinds))
        plain, price = proximal.proximal_load(*arguments, guess)
        fast, same_price = kernels.proximal_load(*arguments, guess)
        np.testing.assert_allclose(fast, plain, atol=1e-10 * scale)
        np.testing.assert_allclose(same_price, price, atol=1e-10)
    assert not guess.any()

"""The interior-point method at the agent: its model, its step, and what lost or repeated messages do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eglb.agents.barrier import (
    Barrier,
    BarrierModel,
    BarrierStep,
    Disclose,
    Disclosure,
    fraction_to_boundary,
)
from eglb.agents.region import Memory, Region
from eglb.foundation.arrays import Array

N, K, T = 3, 2, 4


def draw_region(seed: int) -> Region:
    random = np.random.default_rng(seed)
    return Region(
        tuple(f"r{i}" for i in range(N)),
        random.uniform(0.2, 2.0, (N, T)),
        random.uniform(0.5, 2.0, (N, T)),
        random.uniform(0.0, 1.0, (N, K, T)),
    )


def draw_barrier(seed: int) -> Barrier:
    """An interior point with slacks and prices between 1e-3 and 1e3 of each other, off every constraint."""
    random = np.random.default_rng(seed)
    region = draw_region(seed)
    return Barrier(
        price=region.price,
        capacity=region.capacity,
        intensity=region.intensity,
        load=random.uniform(0.1, 1.0, (N, T)),
        level=random.uniform(1.0, 2.0, (N, K)),
        slack=10.0 ** random.uniform(-1.5, 1.5, (N, T)),
        slack_price=10.0 ** random.uniform(-1.5, 1.5, (N, T)),
        room=10.0 ** random.uniform(-1.5, 1.5, (N, K)),
        room_price=10.0 ** random.uniform(-1.5, 1.5, (N, K)),
        centring=float(10.0 ** random.uniform(-4, 0)),
    )


def draw_step(seed: int, number: int = 1) -> BarrierStep:
    random = np.random.default_rng(1000 + seed)
    return BarrierStep(
        number=number,
        centring=0.1,
        price_unit=2.0,
        load_unit=3.0,
        footprint_unit=np.array([0.5, 4.0]),
        level=random.uniform(1.0, 2.0, (N, K)),
        level_move=random.normal(0.0, 0.1, (N, K)),
        load=3.0 * random.uniform(0.1, 1.0, (N, T)),
        capacity_price_move=random.normal(0.0, 0.1, (N, T)),
        equity_price=random.uniform(0.1, 1.0, (N, K)),
        equity_price_move=random.normal(0.0, 0.1, (N, K)),
    )


def test_on_the_central_path_the_model_is_the_taylor_expansion_of_the_barrier() -> None:
    tau = 0.3
    for seed in range(5):
        off = draw_barrier(seed)
        slack = 0.1 + np.random.default_rng(seed).random((N, T))
        at = replace(off, load=off.capacity - slack, slack=slack, slack_price=tau / slack)

        def barrier(y: Array, at: Barrier = at) -> Array:
            cost = at.price + (at.room_price[:, :, None] * at.intensity).sum(1)
            return cost * y - tau * np.log(at.capacity - y)

        model = at.describe(tau)
        e = 1e-4
        first = (barrier(at.load + e) - barrier(at.load - e)) / (2 * e)
        second = (barrier(at.load + e) - 2 * barrier(at.load) + barrier(at.load - e)) / e**2
        np.testing.assert_allclose(model.slope, first, rtol=1e-4)
        np.testing.assert_allclose(model.curvature, second, rtol=1e-4)


def test_off_the_path_the_model_is_the_newton_system_with_the_agents_unknowns_eliminated() -> None:
    """For any move of load and level: solve the agent's own linearised equations, compare with the model."""
    for seed in range(8):
        b = draw_barrier(seed)
        random = np.random.default_rng(seed)
        tau, dy, ds = 0.2, random.normal(size=(N, T)), random.normal(size=(N, K))
        model = b.describe(tau)
        for i in range(N):
            for t in range(T):
                u, z = b.slack[i, t], b.slack_price[i, t]
                rows = np.array([[1.0, 0.0], [z, u]])  # unknowns du, dz
                sides = [b.capacity[i, t] - b.load[i, t] - u - dy[i, t], tau - u * z]
                _, dz = np.linalg.solve(rows, sides)
                cost = b.price[i, t] + b.room_price[i] @ b.intensity[i, :, t] + z + dz
                assert model.slope[i, t] + model.curvature[i, t] * dy[i, t] == pytest.approx(cost, rel=1e-5)
            for k in range(K):
                w, mu = b.room[i, k], b.room_price[i, k]
                gap = b.level[i, k] - b.intensity[i, k] @ b.load[i] - w
                move = ds[i, k] - b.intensity[i, k] @ dy[i]
                _, dmu = np.linalg.solve(np.array([[1.0, 0.0], [mu, w]]), [gap + move, tau - w * mu])
                # W dmu + (ds - a dy) = b
                left = model.level_compliance[i, k] * dmu + move
                assert left == pytest.approx(model.level_residual[i, k], rel=1e-9, abs=1e-9)


def test_the_agents_step_solves_its_linearised_equations_whatever_the_stiffness() -> None:
    for seed in range(8):
        b, step = draw_barrier(seed), draw_step(seed)
        tau = b.centring
        load = step.load / step.load_unit
        u, z, w, mu = b.slack, b.slack_price, b.room, b.room_price
        du = b.capacity - b.load - u - (load - b.load)
        dz = tau / u - z - z / u * du
        dw = b.level + step.level_move - (b.intensity * load[:, None, :]).sum(-1) - w
        dmu = tau / w - mu - mu / w * dw
        # What a coordinator that solved the same equations would send.
        step = replace(step, capacity_price_move=z / u * (load - b.load), equity_price_move=dmu)
        after = b.follow(step, load)
        np.testing.assert_array_equal(after.load, load)
        np.testing.assert_array_equal(after.level, step.level)
        for start, move, end, by_region in (
            (u, du, after.slack, False),
            (z, dz, after.slack_price, False),
            (w, dw, after.room, True),
            (mu, dmu, after.room_price, True),
        ):
            room = np.where(move < 0.0, -0.99 * start / np.minimum(move, -1e-300), 1.0)
            fraction = np.minimum(room, 1.0)
            if by_region:
                fraction = fraction.min(1, keepdims=True)
            np.testing.assert_allclose(end, start + fraction * move, rtol=1e-8, atol=1e-10)
            assert (end > 0.0).all()


def open_and_step(region: Region, memory: Memory, numbers: int) -> list[BarrierModel]:
    Disclose().answer(region, memory)
    return [draw_step(n, n).answer(region, memory) for n in range(1, numbers + 1)]


def assert_equal_models(a: BarrierModel, b: BarrierModel) -> None:
    for name in BarrierModel.axes():
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("repeated", [1, 2, 3])
def test_a_step_received_twice_is_answered_alike_and_leaves_the_same_state(repeated: int) -> None:
    region = draw_region(0)
    clean = open_and_step(region, Memory(), 4)
    memory = Memory()
    Disclose().answer(region, memory)
    for n in range(1, 5):
        for _ in range(3 if n == repeated else 1):
            assert_equal_models(draw_step(n, n).answer(region, memory), clean[n - 1])


def test_a_reopening_forgets_the_interior_point() -> None:
    region, memory = draw_region(0), Memory()
    first = open_and_step(region, memory, 3)
    again = open_and_step(region, memory, 3)
    for a, b in zip(first, again, strict=True):
        assert_equal_models(a, b)


def test_after_a_restart_the_model_is_usable() -> None:
    """An agent that lost its memory in the middle of a run starts a roomy point at the load it is told."""
    region = draw_region(0)
    step = draw_step(5, 17)
    model = step.answer(region, Memory())
    for name in BarrierModel.axes():
        assert np.isfinite(getattr(model, name)).all()
    assert (model.curvature > 0.0).all()
    assert (model.level_compliance > 0.0).all()
    np.testing.assert_array_equal(model.equity_price, step.equity_price)


def test_closed_and_full_slots_have_an_interior() -> None:
    region = draw_region(1)
    region.capacity[0] = 0.0
    step = draw_step(2)
    step.load[0] = 0.0
    step.load[1] = region.capacity[1]
    model = step.answer(region, Memory())
    for name in BarrierModel.axes():
        assert np.isfinite(getattr(model, name)).all()
    assert (model.curvature > 0.0).all()


def test_models_stay_finite_where_a_slack_vanishes() -> None:
    tight = replace(draw_barrier(0), slack=np.full((N, T), 1e-200))
    model = tight.describe(0.1)
    assert np.isfinite(model.slope).all() and np.isfinite(model.curvature).all()


@pytest.mark.parametrize("cause", ["load", "centring"])
def test_a_barrier_out_of_the_range_of_numbers_says_so_in_finite_ones(cause: str) -> None:
    """From then on; its neighbours in the block are as they would be."""
    region, memory, undisturbed = draw_region(5), Memory(), Memory()
    usual = replace(draw_step(5), load=0.5 * region.capacity, equity_price_move=np.zeros((N, K)))
    sound = []
    for n in range(1, 31):
        usual = replace(usual, number=n)
        step = replace(usual, load=usual.load.copy())
        if cause == "load":  # more than there is room for, round after round
            step.load[1] = 2.0 * region.capacity[1]
        elif n == 20:
            step = replace(step, centring=1.7e308)
        model, other = step.answer(region, memory), usual.answer(region, undisturbed)
        sound.append(model.sound)
        assert other.sound.all()
        for name in BarrierModel.axes():
            assert np.isfinite(getattr(model, name)).all()
            if cause != "centring":
                np.testing.assert_array_equal(getattr(model, name)[[0, 2]], getattr(other, name)[[0, 2]])
    gone = [not each[1] for each in sound]
    assert gone[-1] and gone == sorted(gone)


def test_an_agent_alone_answers_as_in_a_block() -> None:
    region, together = draw_region(4), Memory()
    block = open_and_step(region, together, 3)
    for i in range(N):
        at = slice(i, i + 1)
        own = Region(region.names[at], region.price[at], region.capacity[at], region.intensity[at])
        memory = Memory()
        for n in range(1, 4):
            single = draw_step(n, n).cut(at, slice(0, 0), np.arange(0)).answer(own, memory)
            for name in BarrierModel.axes():
                np.testing.assert_array_equal(getattr(single, name)[0], getattr(block[n - 1], name)[i])


def test_opening_discloses_what_it_says() -> None:
    region = draw_region(2)
    told = Disclose().answer(region, Memory())
    assert isinstance(told, Disclosure)
    np.testing.assert_array_equal(told.price, region.price)
    np.testing.assert_array_equal(told.capacity, region.capacity)
    np.testing.assert_allclose(told.intensity, region.intensity, rtol=1e-7)


positive = arrays(float, 5, elements=st.floats(1e-12, 1e12))
moves = arrays(float, 5, elements=st.floats(-1e15, 1e15))


@settings(max_examples=300, deadline=None)
@given(positive, moves)
def test_fraction_to_boundary_keeps_positivity_and_is_the_largest(value: Array, move: Array) -> None:
    fraction = fraction_to_boundary(value, move)
    assert ((fraction > 0.0) & (fraction <= 1.0)).all()
    assert (value + fraction * move > 0.0).all()
    cut = fraction < 1.0
    np.testing.assert_allclose((value + fraction * move)[cut], 0.01 * value[cut], rtol=1e-9)

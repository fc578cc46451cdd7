"""Footprint levels of the interior point: the linearised conditions against the conditions themselves."""

from __future__ import annotations

import numpy as np
import pytest

from eglb.coordinator.interior.epigraph import (
    Epigraph,
    MaxEpigraph,
    MeanOfWorstEpigraph,
    NormEpigraph,
    near_epigraph,
    start_epigraph,
)
from eglb.coordinator.market.equity import price_set
from eglb.foundation.arrays import Array
from eglb.foundation.equity_shape import EquityShape

N, TAU = 5, 0.01
SHAPES = ["max", "worst:2", "worst:4", "lq:2", "lq:4", "lq:8"]


def conditions(levels: Epigraph, price: Array) -> Array:
    """What is zero where `levels` are optimal at `price` on the central path, written as stated."""
    if isinstance(levels, NormEpigraph):
        size = float((levels.own**levels.power).sum() ** (1.0 / levels.power))
        return np.asarray(price - levels.mass * (levels.own / size) ** (levels.power - 1))
    mass = np.array([levels.mass - price.sum()])
    if isinstance(levels, MeanOfWorstEpigraph):
        return np.concatenate([mass, levels.excess * levels.spare - TAU, price + levels.spare - levels.cap])
    return mass


def solved(shape: str, random: np.random.Generator) -> tuple[Epigraph, Array]:
    """Epigraph and prices that meet the conditions, chosen backwards from the levels."""
    own = random.uniform(0.3, 1.0, N)
    if shape.startswith("lq"):
        levels: Epigraph = NormEpigraph(3.0, int(shape[3:]), own)
        return levels, -conditions(levels, np.zeros(N))
    if shape == "max":
        return MaxEpigraph(3.0, 0.8, N), 3.0 * random.dirichlet(np.ones(N))
    spare = TAU / own
    return MeanOfWorstEpigraph(float((1.0 - spare).sum()), 1.0, 0.8, own, spare), 1.0 - spare


@pytest.mark.parametrize("shape", SHAPES)
def test_half_a_newton_step_leaves_half_of_what_is_wrong(shape: str) -> None:
    for seed in range(5):
        random = np.random.default_rng(seed)
        levels, price = solved(shape, random)
        np.testing.assert_allclose(conditions(levels, price), 0.0, atol=1e-12)
        for size in (1e-3, 1e-5):
            wrong = price * (1.0 + size * random.normal(size=N))
            answer = levels.respond(wrong, TAU)
            along = answer.direction / float(answer.direction @ answer.direction)
            dmu = size * random.normal(size=N) * price
            dmu += along * (answer.rest - float(answer.direction @ dmu))
            move = answer.compliance * dmu + answer.offset + answer.direction * size
            before = conditions(levels, wrong)
            half = conditions(levels.moved(move, wrong, dmu, TAU, 0.5, 0.5), wrong + 0.5 * dmu)
            assert np.abs(before).max() > 1e-3 * size
            np.testing.assert_allclose(half, 0.5 * before, atol=300.0 * size**2)


@pytest.mark.parametrize("shape", SHAPES)
def test_starts_are_inside_and_moves_stay_there(shape: str) -> None:
    random = np.random.default_rng(1)
    kind = price_set(EquityShape.parse(shape), 3.0)
    price = kind.normalise(random.uniform(0.2, 1.0, N))
    near = near_epigraph(kind, random.uniform(0.3, 1.0, N), price, TAU, 1e-3)
    for levels in (start_epigraph(kind, 1.1, N), near):
        assert levels.level.shape == (N,) and (levels.level > 0.0).all()
        dmu = random.normal(size=N)
        answer = levels.respond(price, TAU)
        move = answer.compliance * dmu + answer.offset - 3.0 * answer.direction
        primal, dual = levels.rooms(move, price, dmu, TAU)
        part, share = 0.99 * min(1.0, primal), 0.99 * min(1.0, dual)
        there = levels.moved(move, price, dmu, TAU, part, share)
        np.testing.assert_allclose(there.level, levels.level + part * move, rtol=1e-9, atol=1e-12)
        if isinstance(there, MeanOfWorstEpigraph):
            assert (there.excess > 0.0).all() and (there.spare > 0.0).all()
        if isinstance(there, NormEpigraph):
            assert (there.own > 0.0).all()

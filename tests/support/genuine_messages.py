"""An agent of any scale, and every request that it can be sent, in an order that a solve could have."""

from __future__ import annotations

import numpy as np

from eglb.agents.barrier import BarrierStep, Disclose
from eglb.agents.bidding import OfferQuantity, PriceFootprints
from eglb.agents.codec import Message, decode, encode
from eglb.agents.forecasting import Persistence
from eglb.agents.host import RegionHost, RoundNumber
from eglb.agents.proximal import ProximalStep
from eglb.agents.region import PrivateData, Region, Request
from eglb.agents.timeline import Look, Timeline
from eglb.agents.valuation import Bound, Evaluate, Introduce, Offer

KINDS, SLOTS = 2, 3
_HOURS = 5


def draw_exchange(seed: int, slots: int = SLOTS, kinds: int = KINDS) -> tuple[Timeline, list[Request]]:
    """Some regions are closed, some without footprints, some paid to run; all is about `slots` slots."""
    random = np.random.default_rng(seed)
    rows, gateways = int(random.integers(1, 4)), int(random.integers(1, 4))
    power, money, footprint = 10.0 ** random.uniform(-6, 9, 3)
    open_ = random.random((rows, 1)) < 0.8
    metered = Region(
        tuple(f"r{i}" for i in range(rows)),
        money * random.normal(size=(rows, _HOURS)),
        power * random.random((rows, _HOURS)) * open_ * (random.random((rows, _HOURS)) < 0.9),
        footprint * random.random((rows, kinds, _HOURS)) * (random.random((rows, kinds, 1)) < 0.8),
    )
    estimate = metered.intensity * random.uniform(0.5, 2.0, metered.intensity.shape)
    first = np.datetime64("2024-01-01T00:00:00", "s")
    timeline = Timeline(metered.names, metered, estimate, True, Persistence(), None, first, 1.0)

    def load() -> np.ndarray:
        return power * random.normal(0.3, 0.5, (rows, slots))

    def price() -> np.ndarray:
        return money / footprint * random.random((rows, kinds)) * (random.random(kinds) < 0.7)

    def barrier_step(number: int) -> BarrierStep:
        return BarrierStep(
            number=number,
            centring=float(random.uniform(0.01, 1.0)),
            price_unit=money,
            load_unit=power,
            footprint_unit=np.full(kinds, footprint),
            level=random.uniform(0.5, 5.0, (rows, kinds)),
            level_move=random.normal(0.0, 0.1, (rows, kinds)),
            load=np.maximum(load(), 0.0),
            capacity_price_move=random.normal(0.0, 0.1, (rows, slots)),
            equity_price=random.uniform(0.1, 1.0, (rows, kinds)),
            equity_price_move=random.normal(0.0, 0.1, (rows, kinds)),
            near=bool(random.random() < 0.5),
        )

    step = power / money
    return timeline, [
        RoundNumber(number=seed),
        Look(
            now=int(random.integers(_HOURS)),
            settled=int(random.integers(-1, _HOURS + 1)),
            slot=random.integers(_HOURS, size=slots),
            weight=random.uniform(0.5, 2.0, slots),
            carried=power * footprint * random.random((rows, kinds)),
        ),
        Introduce(
            degree=np.full(rows, gateways),
            reach=np.tile(np.arange(gateways), rows),
            gateway=np.arange(gateways),
            demand=power * random.random((gateways, slots)),
            load=np.maximum(load(), 0.0),
            large=bool(seed % 2),
        ),
        Offer(load=np.maximum(load(), 0.0)),
        Evaluate(part=np.array([0, 2]), load=np.maximum(load(), 0.0)),
        Bound(demand_price=money * random.normal(size=(gateways, slots)), equity_price=price()),
        OfferQuantity(),
        PriceFootprints(equity_price=price()),
        ProximalStep(
            load_center=load(),
            footprint_center=footprint * power * random.normal(size=(rows, kinds)),
            load_step=np.full(rows, step),
            footprint_step=np.full((rows, kinds), step * footprint**2),
        ),
        Disclose(),
        barrier_step(1),
        barrier_step(2),
    ]


def ask(private: PrivateData, requests: list[Request]) -> list[Message]:
    """What a fresh agent answers."""
    answer = RegionHost(private).answer(encode(requests))
    assert answer is not None
    return decode(answer)

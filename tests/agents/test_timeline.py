"""An agent with a timeline tells, for any moment, what was known then and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from eglb.agents.bidding import PriceFootprints
from eglb.agents.codec import Fault, decode, encode
from eglb.agents.forecasting import Forecaster, NoForecast, Outlook, Past, Persistence
from eglb.agents.host import RegionHost
from eglb.agents.region import Region
from eglb.agents.timeline import Look, Timeline
from eglb.agents.valuation import Evaluate
from eglb.foundation.arrays import Array

N, K, T = 3, 2, 60


def timeline(seed: int = 0, forecaster: Forecaster | None = None, calibrated: bool = True) -> Timeline:
    random = np.random.default_rng(seed)
    price, intensity = random.uniform(10, 90, (N, T)), random.uniform(0.1, 1.0, (N, K, T))
    region = Region(("a", "b", "c"), price, random.uniform(1, 2, (N, T)), intensity)
    return Timeline(
        names=region.names,
        metered=region,
        estimate=intensity * random.lognormal(0.2, 0.3, intensity.shape),
        calibrated=calibrated,
        forecaster=forecaster or Persistence(24, 24),
        outlook=random.uniform(1, 2, (N, 1 + K, T)),
        first=np.datetime64("2024-01-01T00:00:00", "s"),
        slot_hours=1.0,
    )


def later(series: Array, slot: int) -> Array:
    changed = series.copy()
    changed[..., slot:] = changed[..., slot:] * 3.0 + 1.0
    return changed


def everything(private: Timeline, now: int, settled: int) -> list[Array]:
    slot = np.arange(0, now + 13)
    region = private.at(now, settled, slot, np.ones(len(slot)), np.zeros((N, K)))
    return [region.price, region.intensity, region.capacity[:, : now + 1]]


@pytest.mark.parametrize("calibrated", [True, False])
def test_what_comes_later_changes_nothing(calibrated: bool) -> None:
    known = timeline(calibrated=calibrated)
    now, settled = 40, 35
    m = known.metered
    other = replace(
        known,
        metered=replace(m, price=later(m.price, now + 1), intensity=later(m.intensity, settled)),
        estimate=later(known.estimate, now + 1),  # type: ignore[arg-type]
        outlook=later(known.outlook, now + 1),  # type: ignore[arg-type]
    )
    for a, b in zip(everything(known, now, settled), everything(other, now, settled), strict=True):
        np.testing.assert_array_equal(a, b)


def test_metered_slots_are_the_truth_and_others_are_estimates() -> None:
    raw = timeline(calibrated=False)
    assert raw.estimate is not None
    slot = np.array([5, 39, 40, 12])
    region = raw.at(40, 39, slot, np.array([1.0, 2.0, 3.0, 0.5]), np.zeros((N, K)))
    weight = [1.0, 2.0, 3.0, 0.5]
    expected = [raw.metered.intensity[:, :, 5], raw.estimate[:, :, 39], raw.estimate[:, :, 40]]
    for place, values in enumerate([*expected, raw.metered.intensity[:, :, 12]]):
        np.testing.assert_allclose(region.intensity[:, :, place], weight[place] * values)
    np.testing.assert_allclose(region.price, raw.metered.price[:, slot] * weight)
    np.testing.assert_allclose(region.capacity, raw.metered.capacity[:, slot])


def test_a_slot_to_come_is_foretold() -> None:
    yesterday = timeline(calibrated=False, forecaster=Persistence(24, 24))
    region = yesterday.at(40, 41, np.array([43, 41]), np.ones(2), np.zeros((N, K)))
    np.testing.assert_allclose(region.price, yesterday.metered.price[:, [19, 17]])
    np.testing.assert_allclose(region.intensity, yesterday.metered.intensity[:, :, [19, 17]])
    told = timeline(calibrated=False, forecaster=Outlook())
    assert told.outlook is not None
    region = told.at(40, 41, np.array([43, 41]), np.ones(2), np.zeros((N, K)))
    np.testing.assert_allclose(region.price, told.outlook[:, 0, [43, 41]])


@dataclass(frozen=True)
class Counting(Forecaster):
    hours: float = 10.0
    asked: tuple[list[int], ...] = ([],)

    def predict(self, past: Past, slots: int) -> Array:
        self.asked[0].append(slots)
        assert past.outlook.shape[1] == 0
        return np.repeat(past.values[:, -1:], slots, axis=1)


def test_a_slot_is_foretold_once() -> None:
    counting = Counting()
    private = timeline(forecaster=counting)
    for now in (30, 30, 31):
        private.at(now, now, np.arange(now, now + 5), np.ones(5), np.zeros((N, K)))
    assert counting.asked[0] == [4] * 2 * (1 + K)


def test_each_region_answers_as_if_it_were_alone() -> None:
    whole = timeline()
    for row in range(N):
        alone = whole.rows(slice(row, row + 1))
        for a, b in zip(everything(whole, 40, 38), everything(alone, 40, 38), strict=True):
            np.testing.assert_array_equal(a[row : row + 1], b)


def test_a_host_turns_to_slots_and_says_when_it_forgot() -> None:
    private = timeline(calibrated=False, forecaster=NoForecast())
    look = Look(40, 41, np.array([40, 3]), np.array([1.0, 2.0]), np.ones((N, K)))
    ask = Evaluate(part=np.zeros(1, np.int64), load=np.ones((N, 2)))
    host = RegionHost(private)
    (fault,) = decode(host.answer(encode([ask])) or b"")
    assert isinstance(fault, Fault)
    quantity, value = decode(host.answer(encode([look, ask])) or b"")
    np.testing.assert_allclose(quantity.quantity, private.metered.capacity[:, [40, 3]])  # type: ignore[attr-defined]
    price = private.metered.price
    np.testing.assert_allclose(value.cost[:, 0], price[:, 40] + 2 * price[:, 3])  # type: ignore[attr-defined]
    m = private.metered.intensity
    np.testing.assert_allclose(value.footprint[:, 0], 1.0 + m[:, :, 40] + 2 * m[:, :, 3])  # type: ignore[attr-defined]
    # What was turned to stays, until the next look.
    bid = decode(host.answer(encode([PriceFootprints(equity_price=np.zeros((N, K)))])) or b"")[0]
    np.testing.assert_allclose(bid.price, price[:, [40, 3]] * [1.0, 2.0])  # type: ignore[attr-defined]


def test_only_timelines_can_look() -> None:
    host = RegionHost(timeline().metered)
    answer = host.answer(encode([Look(1, 1, np.array([0]), np.ones(1), np.zeros((N, K)))]))
    (fault,) = decode(answer or b"")
    assert isinstance(fault, Fault) and "timeline" in fault.reason

"""The hourly loop: agents that forget, meters that are late, and the books."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from support.online_instances import draw_hours, objective_so_far

from eglb.agents.forecasting import NoForecast
from eglb.coordinator.fleet.transport import Arrival, InProcess, Wait
from eglb.coordinator.market.market import Market
from eglb.coordinator.online.outlook import rest_of_period
from eglb.coordinator.online.settlement import Settlement
from eglb.coordinator.online.slot import DemandSeries, Slot
from eglb.foundation.arrays import Array
from eglb.sims.replay.simulation import simulate


@pytest.mark.parametrize("policy", ["soft", "mpc", "guard", "eg"])
def test_agents_that_start_again_in_the_middle_change_nothing(
    policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = draw_hours(17, slots=10)
    expected = simulate(scenario, policy, forecast="yesterday", regions_per_actor=1)
    random, original, forgot = np.random.default_rng(0), InProcess.call, []

    def forgetful(
        self: InProcess, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        for h in payloads:
            if random.random() < 0.1:
                self.restart(h)
                forgot.append(h)
        return original(self, payloads, wait, probes)

    monkeypatch.setattr(InProcess, "call", forgetful)
    found = simulate(scenario, policy, forecast="yesterday", regions_per_actor=1)
    assert len(forgot) > 5
    np.testing.assert_array_equal(found.route, expected.route)
    assert [r.lower_bound for r in found.trace] == [r.lower_bound for r in expected.trace]


@pytest.mark.parametrize("delay", [1, 2, 7, 40])
def test_the_account_ends_at_what_was_metered(delay: int) -> None:
    scenario = draw_hours(5, slots=12)
    run = simulate(scenario, "eg", estimates="iid:sd=0.6", meter_delay=delay, offline=False)
    spent = objective_so_far(scenario, run.load)
    np.testing.assert_allclose([record.objective for record in run.trace], spent, rtol=1e-9)


def settlement(delay: int | None) -> tuple[Settlement, dict[int, Array]]:
    """Settlement of two regions and one kind; slot s has footprint s + 1 metered, 10 (s + 1) estimated."""
    kept, seen = Settlement(np.zeros((2, 1))), {}
    for now in range(6):
        exchange = kept.read(now, delay)
        try:
            look, evaluate = next(exchange).requests
            metered = look.slot < look.settled  # type: ignore[attr-defined]
            unit = np.where(metered, 1.0, 10.0) * (look.slot + 1)  # type: ignore[attr-defined]
            footprint = (evaluate.load * unit)[:, :, None]  # type: ignore[attr-defined]
            reply = type("Value", (), {"footprint": footprint, "cost": evaluate.load})  # type: ignore[attr-defined]
            exchange.send((None, reply))
        except StopIteration as end:
            seen.update(dict(end.value))
        kept.serve(now, np.array([1.0, 2.0]))
    return kept, seen


def test_books_replace_estimates_by_meters_when_they_are_read() -> None:
    soon, seen = settlement(1)
    assert soon.footprint[:, 0].tolist() == [15.0, 30.0]
    assert sorted(seen) == [0, 1, 2, 3, 4]
    late, seen = settlement(3)  # at the start of slot 5, slots 0 to 2 have been read
    assert sorted(seen) == [0, 1, 2]
    assert late.footprint[:, 0].tolist() == [6.0 + 90.0, 12.0 + 180.0]
    never, seen = settlement(None)
    assert never.footprint[:, 0].tolist() == [150.0, 300.0]
    assert sorted(seen) == [0, 1, 2, 3, 4]
    assert never.cost == soon.cost == late.cost == 15.0


def hour(now: int, remaining: int, foreseen: int = 0, slot_hours: float = 1.0) -> Slot:
    market = Market(np.ones((1, 1)), 1, np.array([0]), np.array([0]), np.ones(1))
    first = np.datetime64("2024-01-01", "s")
    demand = DemandSeries(np.ones((1, 1)), ("g",), NoForecast(), None, first, slot_hours)
    zero = np.zeros((1, 1))
    return Slot(market, demand, np.zeros(1), now, 1, now, remaining, foreseen, zero, ())


@pytest.mark.parametrize(
    ("now", "remaining", "foreseen"), [(0, 9, 0), (30, 100, 5), (500, 30, 24), (900, 3, 0)]
)
def test_slots_that_stand_for_the_rest_are_as_many_as_are_left(
    now: int, remaining: int, foreseen: int
) -> None:
    slot, weight = rest_of_period(hour(now, remaining, foreseen), 672.0, 96.0)
    assert weight.sum() == pytest.approx(1 + remaining)
    assert slot[0] == now
    assert weight.min() > 0
    assert len(set(slot.tolist())) == len(slot)
    assert slot.max() == now + foreseen
    assert (weight[1 : 1 + foreseen] == 1).all()


def test_every_hour_of_the_day_stands_for_itself() -> None:
    """Six slots before midnight are left: only these hours of past days count, the last days most."""
    now = 24 * 10 + 17
    slot, weight = rest_of_period(hour(now, 6), 672.0, 96.0)
    assert set((slot[1:] % 24).tolist()) == {18, 19, 20, 21, 22, 23}
    by_hour = {h: weight[1:][slot[1:] % 24 == h].sum() for h in range(18, 24)}
    assert by_hour == pytest.approx(dict.fromkeys(range(18, 24), 1.0))
    yesterday, before = (weight[slot == now - 24 * d + 1][0] for d in (1, 2))
    assert yesterday / before == pytest.approx(0.5 ** (-24 / 96))


def test_nothing_is_left_after_the_last_slot() -> None:
    slot, weight = rest_of_period(hour(50, 0), 672.0, 96.0)
    assert (slot.tolist(), weight.tolist()) == ([50], [1.0])

"""Slots closed: what the baseline is charged, what meters teach about estimates, what is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from eglb.agents.forecasting import NoForecast
from eglb.live.accounting.periods import Periods
from eglb.live.accounting.series import Series, Slot
from eglb.live.accounting.settlement import Settlement
from eglb.live.routing.fallback import FallbackPlan
from eglb.live.storage.store import Entry, Store
from eglb.planning.partition import partition
from eglb.scenarios.catalog import load
from eglb.scenarios.scenario import Scenario

FLEET = load("synthetic:4x96,seed=2")
WRONG, OFF = 1, 1.5
"""The region whose footprints are estimated so many times too high."""

Keep = Callable[..., "Run"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "books.db")
    yield made
    made.close()


class Run:
    """Slots of FLEET that are planned and metered, without anybody who plans."""

    def __init__(
        self, store: Store, fleet: Scenario = FLEET, period: str = "whole", **options: object
    ) -> None:
        self.store, self.fleet = store, fleet
        parts = partition(fleet.window(0, 1), merge=False)
        self.fallback_plan = FallbackPlan(parts.market, parts.pair_values(fleet.rtt_ms()))
        series = Series.after(None, parts, fleet.capacity)
        periods = Periods(fleet.times[0], fleet.slot_hours * 3600.0, period, fleet.slots)
        self.books = Settlement(series, periods, store, self.fallback_plan, 3, **options)  # type: ignore[arg-type]
        kinds = [fleet.intensity_per_mw_slot(kind) for kind in fleet.footprints]
        self.truth = np.stack(kinds, axis=1)
        reach = self.fallback_plan.reach
        self.share = reach / reach.sum(1, keepdims=True)

    def plan(self, slot: int, capacity: np.ndarray | None = None, noise: float = 0.0) -> None:
        if slot > self.books.periods.of(max(slot - 1, 0))[1]:
            self.books.begin_period(slot)
        estimate = self.truth[:, :, slot].copy()
        estimate[WRONG] *= OFF * np.exp(noise * np.random.default_rng(slot).standard_normal())
        room = self.fleet.capacity[:, slot] if capacity is None else capacity
        known = Slot(self.fleet.price_per_mw_slot()[:, slot], estimate, room, self.fleet.demand[:, slot])
        self.books.series.enter(slot, known)

    def meter(self, slot: int) -> None:
        load = self.fleet.demand[:, slot] @ self.share
        entries = [
            Entry(self.fleet.times[slot], region, f"footprint:{kind.name}", load[i] * self.truth[i, k, slot])
            for i, region in enumerate(self.fleet.regions)
            for k, kind in enumerate(self.fleet.footprints)
        ]
        entries += [
            Entry(self.fleet.times[slot], region, "load_mw", load[i])
            for i, region in enumerate(self.fleet.regions)
        ]
        self.books.ledger.write("meter", entries)

    def close(self, now: int) -> None:
        self.books.close(now, lambda slot: (self.share, np.zeros(self.share.shape[1])))
        self.books.write_up()

    def planned_by(self, now: int) -> np.ndarray:
        """(N, K') footprints per MW that agents take for slot `now`, over what they are."""
        series, nothing = self.books.series, NoForecast()
        n, kinds = len(self.fleet.regions), series.parts.kinds
        seen = series.timeline(now, 0, nothing, None).at(
            now, series.settled, np.array([now]), np.ones(1), np.zeros((n, len(kinds)))
        )
        true = series.priced(self.truth[:, :, now])
        return np.asarray(seen.intensity[:, :, 0] / true)


def test_a_wrong_estimate_is_shown_as_drift_and_corrected_by_meters(store: Store) -> None:
    run = Run(store)
    off: list[float] = []
    for slot in range(48):
        run.plan(slot)
        off.append(float(np.abs(run.planned_by(slot)[WRONG] - 1.0).max()))
        run.meter(slot)
        run.close(slot + 1)
        if slot == 6:
            alerts = run.books.monitor.look(run.books.periods.time(slot + 1))
            drifting = {each.what for each in alerts if each.what.startswith("drift")}
            name = run.fleet.regions[WRONG]
            assert drifting == {f"drift {name} {kind.name}" for kind in run.fleet.footprints}
    assert off[0] == pytest.approx(OFF - 1.0)
    assert max(off[1:]) < 1e-9, "a factor that is always the same is known after one slot"
    right = np.delete(run.planned_by(47), WRONG, axis=0)
    np.testing.assert_allclose(right, 1.0, rtol=0.01)
    # The raw estimate stays as wrong as it is, so that it goes on to be shown.
    drift = run.books.monitor.regions()[WRONG]["drift"]
    assert all(ratio == pytest.approx(1.0 / OFF) for ratio in drift.values())
    np.testing.assert_allclose(
        run.books.ledger.footprints(),
        np.einsum("nkt,nt->nk", run.truth[:, :, :48], run.share.T @ run.fleet.demand[:, :48]),
    )


def test_an_estimate_that_is_wrong_and_noisy_is_right_on_average(store: Store) -> None:
    run, raw, planned = Run(store), [], []
    for slot in range(96):
        run.plan(slot, noise=0.1)
        raw.append(run.books.series.estimate[WRONG, 0, slot] / run.truth[WRONG, 0, slot])
        planned.append(run.planned_by(slot)[WRONG, 0])
        run.meter(slot)
        run.close(slot + 1)
    assert np.mean(raw[24:]) > 1.4
    assert np.mean(planned[24:]) == pytest.approx(1.0, abs=0.03)


def test_the_baseline_serves_as_many_mw_where_regions_have_no_room(store: Store) -> None:
    run = Run(store)
    run.plan(
        0, run.fleet.capacity[:, 0] * 0.2 * run.fleet.demand[:, 0].sum() / run.fleet.capacity[:, 0].sum()
    )
    run.meter(0)
    run.close(1)
    ledger = run.books.ledger
    assert run.fleet.demand[:, 0].sum() > 4.0 * run.books.series.capacity[:, 0].sum()
    served = ledger.total("load_mw", "baseline").sum()
    assert served == pytest.approx(run.fleet.demand[:, 0].sum())
    assert served == pytest.approx(ledger.total("load_mw").sum())


def test_the_baseline_is_of_demand_that_was_metered(store: Store) -> None:
    run = Run(store)
    run.plan(0)
    run.meter(0)
    more = 1.1 * run.fleet.demand[:, 0] @ run.share
    start = run.fleet.times[0]
    run.books.ledger.write(
        "meter", [Entry(start, name, "load_mw", more[i]) for i, name in enumerate(run.fleet.regions)]
    )
    run.close(1)
    ledger = run.books.ledger
    assert ledger.total("load_mw", "baseline").sum() == pytest.approx(1.1 * run.fleet.demand[:, 0].sum())


def test_slots_without_meters_are_not_compared_yet(store: Store) -> None:
    run = Run(store)
    for slot in range(6):
        run.plan(slot)
        if slot < 2:
            run.meter(slot)
        run.close(slot + 1)
    assert run.books.settled == 3  # patience is over for slot 2
    found = run.books.monitor.footprints()
    kind = run.fleet.footprints[0].name
    shown = np.nansum(run.books.ledger.by_kind()[:3, :, 0], axis=0)
    assert found[kind]["worst"] == pytest.approx(shown.max())
    assert len(found[kind]["history"]) == 3


def test_old_slots_are_forgotten_once_a_day_but_none_of_the_open_period(store: Store) -> None:
    run = Run(store, period="36", keep_days=1)
    left = []
    for slot in range(96):
        run.plan(slot)
        run.meter(slot)
        run.close(slot + 1)
        span = store.span()
        assert span is not None
        left.append(run.books.periods.slot_at(span[0]))
    # A day is kept, and at the end of day 3 the period that began at slot 36.
    assert left == [0] * 47 + [24] * 24 + [36] * 24 + [72]
    before = store.accounts(run.fleet.times[0], run.fleet.times[-1])
    assert {each.slots for each in before} == {23}

"""Ledger, monitor and metrics: what was estimated, what meters say, and what is said of the difference."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from eglb.foundation.errors import InputError
from eglb.live.accounting.alerts import Monitor, Solve, Thresholds
from eglb.live.accounting.ledger import Ledger
from eglb.live.routing.weights import WeightTable
from eglb.live.state.metrics import LiveMetrics
from eglb.live.storage.store import Entry, Store, StoreError

NOON = np.datetime64("2023-07-01T12:00:00")
HOUR = np.timedelta64(3600, "s")
REGIONS, KINDS, SLOTS = ("a", "b", "c"), ("carbon", "water"), 48


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store.db")
    yield made
    made.close()


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger(store, REGIONS, KINDS, NOON, 3600.0, SLOTS)


def estimates(seed: int = 0) -> np.ndarray:
    """(T, N, Q): load, energy, cost, carbon, water."""
    return np.random.default_rng(seed).uniform(1.0, 2.0, (SLOTS, 3, 5))


def meter(ledger: Ledger, slot: int, region: str, **values: float) -> None:
    start = ledger.start_of(slot)
    ledger.write("meter", [Entry(start, region, q.replace("_of_", ":"), v) for q, v in values.items()])


def test_meters_replace_estimates_where_they_have_spoken(ledger: Ledger) -> None:
    values = estimates()
    for slot in range(3):
        ledger.record("estimate", slot, values[slot])
    assert np.allclose(ledger.footprints(), values[:3, :, 3:].sum(0))
    meter(ledger, 1, "b", footprint_of_carbon=9.0)
    due = values[:3, :, 3:].sum(0)
    due[1, 0] += 9.0 - values[1, 1, 3]
    assert np.allclose(ledger.footprints(), due)
    assert np.allclose(ledger.footprints("estimate"), values[:3, :, 3:].sum(0))
    assert ledger.footprints("meter")[1, 0] == 9.0
    assert not ledger.metered().any()
    meter(ledger, 1, "b", footprint_of_water=1.0)
    assert ledger.metered().sum() == 1 and ledger.metered()[1, 1]


def test_a_meter_without_cost_is_charged_the_price_of_its_slot(ledger: Ledger) -> None:
    values = estimates()
    ledger.record("estimate", 0, values[0])
    meter(ledger, 0, "a", energy_mwh=10.0)
    assert ledger.total("cost_usd", "meter")[0] == pytest.approx(10.0 * values[0, 0, 2] / values[0, 0, 1])
    meter(ledger, 0, "a", energy_mwh=10.0, cost_usd=3.0)
    assert ledger.total("cost_usd", "meter")[0] == 3.0


def test_books_are_the_same_after_a_start_from_the_store(ledger: Ledger, store: Store) -> None:
    values = estimates()
    for slot in range(5):
        ledger.record("estimate", slot, values[slot])
        ledger.record("baseline", slot, 2.0 * values[slot])
        meter(ledger, slot, "c", footprint_of_water=0.5, latency_ms=20.0)
    again = Ledger(store, REGIONS, KINDS, NOON, 3600.0, SLOTS)
    for what in ("estimate", "meter", "baseline"):
        assert np.array_equal(again.account(what), ledger.account(what), equal_nan=True)
    assert np.array_equal(again.latency_ms, ledger.latency_ms, equal_nan=True)


def test_what_belongs_elsewhere_is_kept_but_not_entered(ledger: Ledger, store: Store) -> None:
    meter(ledger, 0, "elsewhere", footprint_of_water=1.0)
    meter(ledger, SLOTS, "a", footprint_of_water=1.0)
    meter(ledger, -1, "a", footprint_of_water=1.0)
    assert np.isnan(ledger.account("meter")).all()
    assert len(store.read("meter", NOON - HOUR, NOON + (SLOTS + 1) * HOUR)) == 3


def test_nothing_changes_where_the_store_fails(ledger: Ledger, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db")) as other:
        other.execute("DROP TABLE series")
    with pytest.raises(StoreError, match="no such table"):
        ledger.record("estimate", 0, estimates()[0])
    assert np.isnan(ledger.account("estimate")).all()


def filled(ledger: Ledger, slots: int, metered: float = 1.0, off: str = "") -> Monitor:
    """Every region alike; the meters of one region are `metered` times its estimates."""
    monitor = Monitor(ledger, np.ones((3, 2)))
    for slot in range(slots):
        ledger.record("estimate", slot, np.ones((3, 5)))
        ledger.record("baseline", slot, np.array([[3.0] * 5, [0.1] * 5, [0.1] * 5]))
        for region in REGIONS:
            factor = metered if region == off else 1.0
            meter(
                ledger,
                slot,
                region,
                energy_mwh=factor,
                footprint_of_carbon=factor,
                footprint_of_water=1.0,
            )
    return monitor


def test_drift_is_seen_by_region_and_kind_and_is_over_when_it_is_over(ledger: Ledger, store: Store) -> None:
    monitor = filled(ledger, 24, metered=1.5, off="b")
    alerts = monitor.look(NOON + 24 * HOUR)
    assert [(a.what, a.threshold) for a in alerts] == [("drift b carbon", 0.15), ("cost", 0.1)]
    assert alerts[0].value == pytest.approx(0.5) and alerts[1].value == pytest.approx(0.5 / 3.0)
    assert monitor.regions()[1]["drift"] == {"carbon": pytest.approx(1.5), "water": pytest.approx(1.0)}
    monitor.look(NOON + 24 * HOUR)
    assert len(store.events()) == 2, "an alert that goes on is one event"
    filled(ledger, 48)
    assert monitor.look(NOON + 48 * HOUR) == []
    assert [e.until for e in store.events()] == [NOON + 48 * HOUR] * 2


def test_an_alert_does_not_flicker_at_its_threshold(ledger: Ledger, store: Store) -> None:
    monitor = Monitor(ledger, np.ones((3, 2)))
    for seconds in (7.9, 8.1, 7.9, 7.3, 7.1):
        monitor.solved(Solve("-", seconds, 10.0, "plan"))
        monitor.look(NOON)
    assert len(store.events()) == 1 and store.events()[0].until == NOON


def test_solves_signals_and_regions_that_fail_raise_alerts(ledger: Ledger) -> None:
    monitor = Monitor(ledger, np.ones((3, 2)))
    monitor.solved(Solve("-", 9.0, 10.0, "last plan", "too late"))
    signals = [
        {"kind": "price", "region": "a", "age_s": 10.0, "fallback": None, "problem": None},
        {"kind": "price", "region": "b", "age_s": 5.0 * 3600, "fallback": None, "problem": None},
        {"kind": "price", "region": "c", "age_s": None, "fallback": "annual mean", "problem": "timed out"},
        {"kind": "water", "region": "c", "age_s": None, "fallback": None, "problem": "refused"},
    ]
    alerts = {a.what: a.text for a in monitor.look(NOON, signals, {"c": "no answer"})}
    assert set(alerts) == {"slow solve", "no plan", "region c"} | {
        f"signal {each}" for each in ("price b", "price c", "water c")
    }
    assert alerts["no plan"] == "served from last plan: too late"
    assert alerts["signal price c"] == "price of c: timed out, annual mean instead"
    assert alerts["signal water c"] == "water of c: refused, nothing instead"
    monitor.solved(Solve("-", 1.0, 10.0, "plan"))
    assert monitor.look(NOON, signals[:1]) == []


def test_inequity_of_the_last_day(ledger: Ledger) -> None:
    monitor = Monitor(ledger, np.ones((3, 2)))
    for slot in range(12):
        values = np.ones((3, 5))
        values[2, 4] = 100.0
        ledger.record("estimate", slot, values)
    monitor.thresholds = Thresholds.parse(["inequity=2"])
    assert [a.text for a in monitor.look(NOON + 12 * HOUR)] == [
        "c has 2.94 times the average water of the last day"
    ]


def test_footprints_are_set_beside_the_baseline(ledger: Ledger) -> None:
    monitor = filled(ledger, 10, metered=2.0, off="b")
    found = monitor.footprints()
    assert found["carbon"]["worst_region"] == "b"
    assert found["carbon"]["worst"] == 20.0 and found["carbon"]["baseline_worst"] == 30.0
    assert found["carbon"]["average"] == pytest.approx(40.0 / 3.0)
    assert [row[1] for row in found["carbon"]["history"]] == [2.0 * (t + 1) for t in range(10)]
    assert found["carbon"]["history"][-1][0] == "2023-07-01T21:00:00Z"


def test_slots_that_wait_for_their_meters_are_on_neither_side(ledger: Ledger) -> None:
    monitor = filled(ledger, 10)
    before = monitor.footprints()
    ledger.record("estimate", 10, np.full((3, 5), 50.0))
    assert monitor.footprints() == before
    ledger.record("baseline", 10, np.full((3, 5), 7.0))
    assert monitor.footprints()["carbon"]["worst"] == 60.0
    assert monitor.footprints()["carbon"]["baseline_worst"] == 37.0


def test_the_worst_region_is_the_worst_by_its_weight_on_both_sides(ledger: Ledger) -> None:
    filled(ledger, 10)
    found = Monitor(ledger, np.array([[1.0, 1.0], [4.0, 1.0], [1.0, 1.0]])).footprints()
    assert (found["carbon"]["worst_region"], found["carbon"]["worst"]) == ("b", 40.0)
    assert found["carbon"]["baseline_worst"] == pytest.approx(30.0)  # of a: b has 4 x 0.1 a slot
    assert found["water"]["worst"] == 10.0


def test_a_long_history_is_thinned_to_its_newest_point(store: Store) -> None:
    slots = 1000
    ledger = Ledger(store, REGIONS, KINDS, NOON, 3600.0, slots)
    for what in ("estimate", "baseline"):
        entries = [
            Entry(ledger.start_of(t), region, f"footprint:{kind}", 1.0 + (region == "b"))
            for t in range(slots)
            for region in REGIONS
            for kind in KINDS
        ]
        ledger.write(what, entries)
    history = Monitor(ledger, np.ones((3, 2))).footprints()["water"]["history"]
    assert 100 < len(history) <= 300
    assert history[-1] == [f"{ledger.start_of(slots - 1)}Z", 2.0 * slots, 2.0 * slots]
    hours = [1 + int((np.datetime64(time[:-1]) - NOON) / HOUR) for time, _, _ in history]
    assert [row[1] for row in history] == [2.0 * hour for hour in hours]
    assert len(set(np.diff(hours))) == 1


def test_books_are_added_up_again_only_when_they_have_changed(ledger: Ledger) -> None:
    monitor = filled(ledger, 3)
    first = monitor.regions()[0]
    assert monitor.regions()[0] is first
    meter(ledger, 0, "a", footprint_of_water=5.0)
    assert monitor.regions()[0]["metered"]["water"] == 7.0


def test_an_alert_that_held_when_a_service_was_killed_goes_on(ledger: Ledger, store: Store) -> None:
    Monitor(ledger, np.ones((3, 2))).look(NOON, unhealthy={"a": "no answer", "b": "no answer"})
    again = Monitor(ledger, np.ones((3, 2)))
    assert {each.what for each in again.alerts} == {"region a", "region b"}
    again.look(NOON + HOUR, unhealthy={"a": "no answer"})
    assert [(e.what, e.until) for e in store.events()] == [("region b", NOON + HOUR), ("region a", None)]
    assert [e.what for e in store.open_alerts().values()] == ["region a"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("inequality=2", "none of inequity, cost, drift, solve, signal_age"),
        ("drift=some", "'some' is not a number above 0"),
        ("drift=0", "'0' is not a number above 0"),
        ("drift", "'' is not a number above 0"),
        ("drift=inf", "'inf' is not a number above 0"),
    ],
)
def test_what_is_no_threshold(given: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        Thresholds.parse(["cost=0.2", given])
    assert Thresholds.parse(["cost=0.2", "drift=3"]) == Thresholds(cost=0.2, drift=3.0)


def test_metrics_are_what_prometheus_reads(ledger: Ledger) -> None:
    monitor = filled(ledger, 10, metered=2.0, off="b")
    monitor.solved(Solve("-", 0.5, 10.0, "plan"))
    reach = np.ones((1, 3), bool)
    table = WeightTable(
        7, NOON, 3600.0, ("g",), REGIONS, np.array([[0.2, 0.8, 0.0]]), np.ones(1), np.ones(3), reach
    )
    metrics = LiveMetrics(
        monitor,
        table=lambda: table,
        now=lambda: NOON + HOUR,
        routed=lambda: {("g", "b"): 12},
        signals=lambda: [
            {"kind": "price", "region": "a", "age_s": 4.0, "fallback": None},
            {"kind": "price", "region": "b", "age_s": None, "fallback": "annual mean"},
        ],
        healthy=lambda: {"a": True, "b": False},
        gap=lambda: 0.01,
    )
    text = generate_latest(metrics.registry).decode()
    samples = {
        (s.name, *sorted(s.labels.values())): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }
    assert samples["eglb_footprint", "b", "carbon", "metered"] == 20.0
    assert samples["eglb_drift_ratio", "b", "carbon"] == 2.0
    assert samples["eglb_worst_footprint", "actual", "b", "carbon"] == 20.0
    assert samples["eglb_table_age_seconds",] == 3600.0
    assert samples["eglb_weight", "b", "g"] == 0.8
    assert samples["eglb_routed_requests_total", "b", "g"] == 12.0
    assert samples["eglb_region_healthy", "b"] == 0.0
    assert samples["eglb_solves_total", "plan"] == 1.0
    assert samples["eglb_signal_age_seconds", "a", "price"] == 4.0
    assert samples["eglb_signal_fallback", "b", "price"] == 1.0
    assert ("eglb_signal_age_seconds", "b", "price") not in samples
    assert samples["eglb_certified_gap",] == 0.01

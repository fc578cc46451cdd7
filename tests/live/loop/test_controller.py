"""The slot loop: rehearsed against ``simulate``, with late decisions, lost regions and missing meters."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eglb.coordinator.online.policies.soft import Soft
from eglb.coordinator.online.policy import Exchange, Policy
from eglb.coordinator.online.slot import Slot
from eglb.foundation.errors import InputError
from eglb.live import service as live_service
from eglb.live.loop.records import Served
from eglb.live.routing.weights import WeightTable
from eglb.live.service import Service, Wanted, open_service
from eglb.live.storage.store import Store
from eglb.scenarios.catalog import load
from eglb.scenarios.scenario import Scenario
from eglb.sims.replay.simulation import simulate

SMALL = "synthetic:5x48,seed=3"
Open = Callable[..., Any]


@contextmanager
def service(
    store: Store, scenario: Scenario, events: str = "", **wanted: Any
) -> Iterator[tuple[Service, list[Served]]]:
    """As fast as planning goes unless told otherwise; with the slots it has served."""
    served: list[Served] = []
    if events:
        path = Path(store.name.removeprefix("sqlite:///")).parent / "events.toml"
        path.write_text(events)
        wanted["events"] = path
    with open_service(
        scenario, Wanted(**{"speed": math.inf, **wanted}), store, on_slot=served.append
    ) as found:
        yield found, served


def tables(store: Store) -> list[WeightTable]:
    """All that were published, the first one first; each of them feasible."""
    found = store.tables(10_000)[::-1]
    assert [table.version for table in found] == list(range(1, len(found) + 1))
    assert [table.problems() for table in found] == [[]] * len(found)
    return found


def event(what: str, at: int | str, **more: Any) -> str:
    rows = {"what": what, "at": at, **more}
    lines = [
        f"{key} = {str(value) if isinstance(value, (int, float)) else repr(value)}"
        for key, value in rows.items()
    ]
    return "\n".join(["[[event]]", *lines, ""])


def test_a_rehearsal_is_worth_what_simulate_says(store: Store) -> None:
    world10 = load("world10").window(0, 36)
    expected = simulate(world10, "soft", offline=False)
    with service(store, world10, demand_forecast="perfect") as (run, served):
        run.controller.run()
    assert run.summary()["objective"] == pytest.approx(expected.objective, rel=1e-9)
    assert run.summary()["running_gap"] == pytest.approx(expected.running_gap, rel=1e-6)
    assert [each.source for each in served] == ["plan"] * 36
    assert len(tables(store)) == 36


def test_history_is_learned_from_as_by_simulate(store: Store) -> None:
    fleet = load(SMALL)
    expected = simulate(fleet.window(36, 12), "soft", history=fleet.window(0, 36), offline=False)
    with service(store, fleet, start=fleet.times[36], demand_forecast="perfect") as (run, _):
        run.controller.run()
    assert run.summary()["objective"] == pytest.approx(expected.objective, rel=1e-6)


def test_demand_that_is_only_foretold_costs_less_than_a_percent(store: Store) -> None:
    world10 = load("world10").window(0, 72)
    expected = simulate(world10.window(24, 48), "soft", history=world10.window(0, 24), offline=False)
    with service(store, world10, start=world10.times[24]) as (run, _):
        run.controller.run()
    found = run.summary()
    assert found["slots_metered"] == 48
    assert found["objective"] == pytest.approx(expected.objective, rel=0.01)
    by_slot: dict[np.datetime64, list[WeightTable]] = {}
    for table in tables(store):
        by_slot.setdefault(table.start, []).append(table)
    foretold = np.array([first.demand for first, *_ in by_slot.values()]).T
    actual = world10.demand[:, 24:]
    assert 0.001 < np.abs(foretold / actual - 1.0).mean() < 0.05
    # Five minutes later demand is metered, and nobody gets more than there is room for.
    over = [0.0, 0.0]
    for slot, (first, *rest) in enumerate(by_slot.values()):
        last = rest[-1] if rest else first
        assert len(rest) <= 2 and all(t.source == "plan" for t in rest)
        for q, table in enumerate((first, last)):
            sent = actual[:, slot] @ table.share
            over[q] += float(np.maximum(sent - world10.capacity[:, 24 + slot], 0.0).sum())
    assert over[0] > 100.0 and over[1] < 1e-3
    metered = {
        (e.slot, e.place): e.value for e in store.read("meter", min(by_slot), max(by_slot) + 3600, "load_mw")
    }
    served = np.array([[metered[slot, name] for slot in by_slot] for name in world10.regions])
    # The load of a slot is the mean over its tables, the last of which may leave room.
    total = float(np.maximum(served - world10.capacity[:, 24:], 0.0).sum())
    assert 0.0 < total <= over[0] / 12 * (1.0 + 1e-9)


def test_headroom_leaves_room_for_demand_that_was_not_foretold(store: Store, tmp_path: Path) -> None:
    fleet = load("world10").window(72, 12)
    over = []
    for headroom in (0.0, 0.1):
        books = Store(tmp_path / f"{headroom}.db")
        with service(books, fleet, headroom=headroom) as (run, _):
            run.controller.run()
        over.append(run.summary()["largest_overload_mw"])
        books.close()
    assert over[1] < over[0]


@pytest.mark.parametrize("name", ["guard", "adahedge", "dmd", "mpc", "nearest"])
def test_every_policy_can_serve(store: Store, name: str) -> None:
    fleet = load(SMALL).window(0, 10)
    expected = simulate(fleet, name, offline=False, period="4")
    with service(store, fleet, policy=name, demand_forecast="perfect", period="4") as (run, served):
        run.controller.run()
    assert {each.source for each in served} == {"plan"}
    assert run.summary()["objective"] == pytest.approx(expected.objective, rel=1e-4)
    assert run.summary()["running_gap"] == pytest.approx(expected.running_gap, abs=1e-4)


def test_regions_that_fail_are_moved_off_at_once_and_planned_around(store: Store) -> None:
    fleet = load(SMALL).window(0, 8)
    first, lost = fleet.times[0], fleet.regions[1]
    halfway = f"{first + np.timedelta64(150, 'm')}"
    outage = event("region-down", halfway, region=lost, slots=3)
    with service(store, fleet, outage, demand_forecast="perfect") as (run, served):
        run.controller.run()
    found = tables(store)
    told = [(int((t.start - first) / np.timedelta64(1, "h")), t.source) for t in found]
    moved = [q for q, (_, source) in enumerate(told) if source == "last plan"]
    assert [told[q][0] for q in moved] == [2, 5]
    assert [told[q] for q in range(len(told)) if q not in moved] == [(s, "plan") for s in range(8)]
    out = [table for table in found if table.capacity[1] == 0.0]
    assert [table.version for table in out] == [4, 5, 6, 7]
    assert found[2].share[:, 1].any() and not any(table.share[:, 1].any() for table in out)
    assert found[3].note == f"{lost} is down"
    assert [each.up for each in served] == [5, 5, 5, 4, 4, 4, 5, 5]
    # Half of slot 2 was served by each of its tables.
    load_mw = {e.place: e.value for e in store.read("meter", found[2].start, found[4].start, "load_mw")}
    expected = fleet.demand[:, 2] @ (found[2].share + found[3].share) / 2.0
    np.testing.assert_allclose([load_mw[name] for name in fleet.regions], expected, atol=1e-9)


def test_below_half_of_the_regions_the_nearest_that_has_room_is_served(store: Store) -> None:
    fleet = load(SMALL).window(0, 6)
    events = "".join(event("region-down", 2, region=name, slots=2) for name in fleet.regions[:3])
    with service(store, fleet, events) as (run, served):
        run.controller.run()
    assert [each.source for each in served] == ["plan", "plan", "nearest", "nearest", "plan", "plan"]
    assert served[2].note.startswith("only 2 of 5 regions are up")
    table = next(table for table in tables(store) if table.source == "nearest")
    assert not table.share[:, :3].any()
    short = np.zeros(len(fleet.gateways)) if table.unmet is None else table.unmet
    assert (table.share.sum(1) > 0.0).tolist() == table.reach[:, 3:].any(1).tolist()
    assert table.load.sum() == pytest.approx(float(table.demand.sum() - short.sum()))


class Slow(Policy):
    """Decides as Soft does, but waits for `go` before slot `held`."""

    def __init__(self, held: int) -> None:
        self.held, self.go, self.inner, self.fails = held, threading.Event(), Soft(), False

    def decide(self, hour: Slot) -> Exchange:
        if hour.elapsed == self.held:
            assert self.go.wait(60.0)
            if self.fails:
                raise ZeroDivisionError("by zero")
        return (yield from self.inner.decide(hour))


def test_a_late_decision_keeps_nobody_waiting(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet, slow = load(SMALL).window(0, 8), Slow(2)
    monkeypatch.setattr(live_service, "parse_policy", lambda text: slow)
    with service(store, fleet, speed=7200.0, solve_deadline=0.6) as (run, served):

        def watch(each: Served) -> None:
            served.append(each)
            if each.slot == 3:
                slow.go.set()

        run.controller._on_slot = watch
        run.controller.run()
    by_slot = {each.slot: each for each in served}
    assert by_slot[2].source == by_slot[3].source == "last plan"
    assert "not decided within" in by_slot[2].note
    assert by_slot[3].note == "the decision of an earlier slot is not done yet"
    assert by_slot[2].seconds < 1.0
    assert by_slot[max(by_slot)].source == "plan"
    before, projected = (next(t for t in tables(store)[q:] if True) for q in (1, 2))
    np.testing.assert_allclose(projected.share, before.share, atol=0.3)


def test_a_decision_that_fails_leaves_the_last_plan(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet, slow = load(SMALL).window(0, 4), Slow(2)
    slow.fails = True
    slow.go.set()
    monkeypatch.setattr(live_service, "parse_policy", lambda text: slow)
    with service(store, fleet, demand_forecast="perfect") as (run, served):
        run.controller.run()
    assert [each.source for each in served] == ["plan", "plan", "last plan", "plan"]
    assert served[2].note == "not decided: by zero"
    assert len(tables(store)) == 4


def test_an_estimator_that_is_off_is_corrected_by_meters(store: Store) -> None:
    fleet = load(SMALL).window(0, 48)
    expected = simulate(fleet, "soft", offline=False).objective
    worst = max(fleet.regions, key=lambda name: fleet.regions.index(name) == 2)
    events = event("wrong-estimate", 0, region=worst, factor=1.5)
    with service(store, fleet, events, demand_forecast="perfect") as (run, _):
        run.controller.run()
    assert run.summary()["objective"] == pytest.approx(expected, rel=0.01)
    row = fleet.regions.index(worst)
    drift = run.service_state.monitor.ledger.drift(24, 48)  # type: ignore[union-attr]
    np.testing.assert_allclose(drift[row], 1.0 / 1.5, rtol=1e-6)
    series = run.controller.series
    known = series.correct(47)[row] / series.metered[row, :, 47]
    assert (np.abs(known - 1.0) < 0.02).all(), "what is estimated next is near what will be metered"


def test_a_dead_signal_is_told_and_stood_in_for(store: Store) -> None:
    fleet = load(SMALL).window(0, 6)
    kind = fleet.footprints[0].name
    with service(store, fleet, event("dead-signal", 2, kind=kind, region=fleet.regions[0], slots=2)) as (
        run,
        _,
    ):
        run.controller.run()
    rows = [
        row
        for row in store.signals(fleet.times[0], fleet.times[5])
        if (row["kind"], row["region"]) == (kind, fleet.regions[0])
    ]
    assert [row["fallback"] for row in rows] == [None, None, "last value", "last value", None]
    assert rows[2]["value"] == rows[3]["value"] == pytest.approx(fleet.footprints[0].intensity[0, 1])


def test_posted_meters_settle_slots_and_missing_ones_are_not_waited_for_for_ever(store: Store) -> None:
    fleet = load(SMALL)
    settled: list[int] = []
    with service(
        store, fleet, recorded=False, slots=8, patience=3, start=np.datetime64("2026-05-01T00:30")
    ) as (
        run,
        served,
    ):
        periods, service_state = run.controller.periods, run.service_state

        def post(each: Served) -> None:
            served.append(each)
            settled.append(run.controller.books.settled)
            if each.slot in (1, 2, 7):
                return  # somebody forgets
            for row in range(5):
                service_state.meter([{
                    "slot": periods.time(each.slot), "region": fleet.regions[row], "load_mw": 2.0,
                    "footprints": {kind.name: 3.0 for kind in fleet.footprints},
                }])  # fmt: skip
            slot = periods.time(each.slot)
            service_state.meter(
                [{"slot": slot, "gateway": name, "demand_mw": 1.25} for name in fleet.gateways]
            )

        run.controller._on_slot = post
        run.controller.run()
        assert periods.first == np.datetime64("2026-05-01T00:00:00")
    # Slot 1 is given up after three more, at the start of slot 5; then slot 2, and all after it.
    assert settled == [0, 1, 1, 1, 1, 2, 6, 7]
    series = run.controller.series
    np.testing.assert_allclose(series.metered[:, :, series.begun + 3], 1.5)
    np.testing.assert_allclose(series.demand[:, series.begun + 3], 1.25)
    assert len({table.start for table in tables(store)}) == 8


def test_a_service_that_starts_again_has_the_same_books(store: Store) -> None:
    fleet = load(SMALL).window(0, 20)
    expected = simulate(fleet, "soft", offline=False)
    with service(store, fleet, demand_forecast="perfect") as (run, _):
        run.controller._on_slot = lambda each: run.controller.stop() if each.slot == 11 else None
        run.controller.run()
    published = store.last_table()
    assert published is not None and published.version == 12
    fronts: list[int] = []

    @contextmanager
    def serving(service_state: Any) -> Iterator[None]:
        fronts.append(service_state.router.table.version)
        yield

    with open_service(
        fleet, Wanted(speed=math.inf, demand_forecast="perfect"), store, serving=serving
    ) as again:
        assert again.resumed and fronts == [12], "the last table is served before agents are there"
        again.controller.run()
    assert [each.slot for each in again.controller.served] == list(range(11, 20))
    found = again.summary()
    assert found["slots_metered"] == 20
    assert found["objective"] == pytest.approx(expected.objective, rel=5e-3), "only log shares are forgotten"
    standing = again.controller.latest
    assert standing is not None
    assert standing[0].objective == pytest.approx(found["objective"], rel=1e-9)
    assert 0.0 <= standing[1] < 0.1
    ledger = again.service_state.monitor.ledger  # type: ignore[union-attr]
    for kind, totals in found["footprints"].items():
        assert ledger.total(f"footprint:{kind}").max() == pytest.approx(totals["max"], rel=1e-9)
    with pytest.raises(InputError, match="books of another fleet"), service(store, load("synthetic:4x20")):
        pass


def test_a_service_that_starts_again_after_its_last_slot_closes_its_books(store: Store) -> None:
    fleet = load(SMALL).window(0, 6)
    with service(store, fleet, speed=36000.0) as (run, _):
        run.controller._on_slot = lambda each: run.controller.stop() if each.slot >= 1 else None
        run.controller.run()
    time.sleep(2.0)
    with service(store, fleet) as (again, served):
        again.controller.run()
    assert served == [] and again.summary()["slots_metered"] == 6


def test_signals_are_known_again_after_a_restart(store: Store) -> None:
    fleet = load(SMALL).window(0, 8)
    kind, region = fleet.footprints[0], fleet.regions[0]
    with service(store, fleet) as (run, _):
        run.controller._on_slot = lambda each: run.controller.stop() if each.slot == 4 else None
        run.controller.run()
    with service(store, fleet, event("dead-signal", 5, kind=kind.name, region=region)) as (again, _):
        again.controller.run()
    told = [
        (row["fallback"], row["value"])
        for row in store.signals(fleet.times[5], fleet.times[7])
        if (row["kind"], row["region"]) == (kind.name, region)
    ]
    assert told == [("last value", pytest.approx(kind.intensity[0, 4]))] * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[event]]\nwhat = 'quake'\nat = 1\n", "event 1, what"),
        ("[[event]]\nwhat = 'region-down'\nat = 1\nregion = 'r9'\n", "event 1, region: 'r9' is no region"),
        ("[[event]]\nwhat = 'region-down'\nregion = 'r1'\n", "event 1, at: field required"),
        ("[[event]]\nwhat = 'dead-signal'\nat = 999\nkind = 'ink'\n", "event 1, kind: 'ink' is no kind"),
        ("[[event]]\nwhat = 'dead-signal'\nat = 999\nkind = 'price'\n", "event 1, at: hour 999 is not in"),
        ("[[event]]\nwhat = 'wrong-estimate'\nat = 1\nregion = 'r1'\nfactor = 0\n", "event 1, factor"),
        ("[event]\n", "event is not a list of tables"),
        ("[[events]]\n", "events is not read here"),
        ("x", "is not valid TOML"),
    ],
)
def test_what_can_be_wrong_with_events(store: Store, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught, service(store, load(SMALL), text):
        pass
    assert message in str(caught.value)


def test_with_most_agents_out_of_reach_regions_are_not_given_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet, mute = load(SMALL).window(0, 8), list[int]()
    with service(store, fleet, regions_per_actor=1, deadline=0.05) as (run, served):

        def watch(each: Served) -> None:
            served.append(each)
            mute[:] = {1: [0, 1, 2], 3: [4], 5: []}.get(each.slot, mute)

        transport = run.controller._planner._agents.transport
        answer = transport._answer  # type: ignore[attr-defined]
        monkeypatch.setattr(
            transport,
            "_answer",
            lambda h, data: TimeoutError("no way there") if h in mute else answer(h, data),
        )
        run.controller._on_slot = watch
        run.controller.run()
    assert [each.source for each in served[:4]] == ["plan", "plan", "nearest", "nearest"]
    assert served[2].note == "3 of 5 agents do not answer" and served[2].up == 5
    assert (tables(store)[2].capacity > 0.0).all()
    back = [each for each in served[4:] if each.source == "plan"]
    assert back and served[-1].source == "plan" and served[-1].up == 5

"""Jobs of a service: admitted, planned beside requests, done in time, over failures and restarts.

What was done is counted again from the store, against what was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eglb.coordinator.online.policies.soft import Soft
from eglb.coordinator.online.policy import Exchange
from eglb.coordinator.online.slot import Slot
from eglb.foundation.errors import InputError
from eglb.live.loop.records import Served
from eglb.live.service import Service, Wanted, open_service
from eglb.live.storage.job_store import DONE, MISSED, REFUSED, WITHDRAWN, Job, JobStore
from eglb.live.storage.store import Entry, Store
from eglb.scenarios.catalog import load
from eglb.scenarios.scenario import Scenario
from eglb.sims.replay.simulation import simulate

HOUR = np.timedelta64(1, "h")
MIX = "synthetic:5x48,seed=3,jobs=0.2:12"


@contextmanager
def service(
    store: Store, fleet: Scenario, on_slot: Callable[[Served], None] = lambda served: None, **wanted: Any
) -> Iterator[Service]:
    """As fast as planning goes; a run that has started is still to be run."""
    given = {"speed": math.inf, "demand_forecast": "perfect", **wanted}
    with open_service(fleet, Wanted(**given), store, on_slot=on_slot) as found:
        yield found


def run(store: Store, fleet: Scenario, **wanted: Any) -> dict[str, Any]:
    """To its end; what it says of itself."""
    with service(store, fleet, **wanted) as found:
        found.controller.run()
        return found.summary()


def asked(name: str, fleet: Scenario, first: int, last: int, energy: float, most: float, **more: Any) -> Job:
    """A job of slots `first` to `last`."""
    begin = fleet.times[0]
    given = {"regions": fleet.regions, "min_mw": 0.0, **more}
    return Job(name, begin + first * HOUR, begin + last * HOUR, energy, most, **given)


def check(store: Store, fleet: Scenario) -> dict[str, float]:
    """MWh of work of each job by what is in the store; windows, powers, regions and capacities are kept."""
    jobs = {job.name: job for job in JobStore(store).jobs()}
    done = dict.fromkeys(jobs, 0.0)
    power: dict[tuple[str, np.datetime64], float] = {}
    for each in JobStore(store).work(fleet.times[0], fleet.times[-1] + HOUR):
        job = jobs[each.job]
        assert each.region in job.regions and each.mw > 0.0
        assert job.release <= each.slot and each.slot + HOUR <= job.deadline
        away = job.home is not None and each.region != job.home
        gain = 1.0 + job.checkpoint_cost_mwh / job.energy_mwh if away else 1.0
        done[each.job] += each.mw / gain
        at = each.job, each.slot
        power[at] = power.get(at, 0.0) + each.mw / gain
    for (name, _), mw in power.items():
        assert mw <= jobs[name].max_mw * (1.0 + 1e-9)
    for name, energy in done.items():
        assert energy <= jobs[name].energy_mwh * (1.0 + 1e-9)
        if jobs[name].state == DONE:
            assert energy == pytest.approx(jobs[name].energy_mwh, rel=1e-8)
    for table in store.tables(10_000):
        slot = int((table.start - fleet.times[0]) / HOUR)
        assert table.problems() == []
        assert (table.load + table.work_load <= fleet.capacity[:, slot] * (table.capacity > 0.0) + 1e-7).all()
    return done


def utc(moment: np.datetime64) -> datetime:
    return datetime.fromtimestamp(int(moment.astype("datetime64[s]").astype(int)), UTC)


def states(store: Store) -> dict[str, str]:
    return {job.name: job.state for job in JobStore(store).jobs()}


@pytest.mark.parametrize("policy", ["soft", "mpc", "cost"])
def test_a_rehearsal_with_jobs_is_worth_about_what_simulate_says(store: Store, policy: str) -> None:
    fleet = load(MIX).window(0, 30)
    expected = simulate(fleet, policy, offline=False)
    found = run(store, fleet, policy=policy)
    assert expected.admission is not None and not expected.admission.refused
    # Here jobs are heard of a slot earlier.
    assert found["objective"] == pytest.approx(expected.objective, rel=5e-3)
    assert found["jobs"] | {"forced_slots": 0} == {
        "submitted": 0, "admitted": 0, "refused": 0, "done": 30, "missed": 0, "withdrawn": 0,
        "energy_mwh": pytest.approx(expected.admission.energy_mwh), "refused_names": [],
        "missed_names": [], "forced_slots": 0,
    }  # fmt: skip
    assert found["running_gap"] is None
    done = check(store, fleet)
    assert sum(done.values()) == pytest.approx(expected.admission.energy_mwh)
    # What regions are metered for holds requests and jobs.
    metered = store.totals("meter", fleet.times[0], fleet.times[-1] + HOUR)
    load_mw = sum(value for (_, quantity), value in metered.items() if quantity == "load_mw")
    assert load_mw == pytest.approx(fleet.demand.sum() + sum(done.values()))


def test_a_job_that_cannot_be_done_is_refused_and_the_others_are_not(store: Store) -> None:
    fleet = replace(load(MIX).window(0, 12), jobs=None)
    room = float(fleet.capacity.max() * fleet.capacity.shape[0])
    given = [
        asked("fits", fleet, 2, 8, 1.0, 0.5),
        asked("too-much", fleet, 3, 6, 10.0 * room, 10.0 * room),
        asked("after-it", fleet, 4, 10, 1.0, 0.5),
    ]
    JobStore(store).submit(given)
    found = run(store, fleet)
    assert states(store) == {"fits": DONE, "too-much": REFUSED, "after-it": DONE}
    assert found["jobs"]["refused_names"] == ["too-much"]
    (refused,) = JobStore(store).jobs([REFUSED])
    assert "no room" in refused.why
    assert [event.text for event in store.events() if event.what == "job"] == [
        f"too-much is refused: {refused.why}"
    ]
    assert check(store, fleet)["too-much"] == 0.0


def test_a_job_that_is_posted_while_a_slot_runs_starts_with_the_next(store: Store) -> None:
    fleet = replace(load(MIX).window(0, 12), jobs=None)
    known = JobStore(store)

    def post(served: Served) -> None:
        if served.slot == 3:
            rows = [
                {"job": name, "energy_mwh": energy, "max_mw": 1.0, "min_mw": 0.0, "checkpoint_cost_mwh": 0.0}
                | {
                    "release_utc": None,
                    "deadline_utc": utc(fleet.times[last]),
                    "regions": None,
                    "home_region": None,
                }
                for name, energy, last in (("now", 2.0, 6), ("long", 5.0, 11))
            ]
            service_state.jobs.submit(rows)
        if served.slot == 6:
            service_state.jobs.withdraw("long")

    with service(store, fleet, post) as found:
        service_state = found.service_state
        found.controller.run()
    # Two whole slots were left for 2 MWh at 1 MW: admitted, and begun at once, in the one that followed.
    assert states(store) == {"now": DONE, "long": WITHDRAWN}
    slots = sorted({each.slot for each in known.work(fleet.times[0], fleet.times[-1]) if each.job == "now"})
    assert slots == [fleet.times[4], fleet.times[5]]
    check(store, fleet)
    late = [each.slot for each in known.work(fleet.times[7], fleet.times[-1]) if each.job == "long"]
    assert late == []


def test_moves_are_paid_and_least_powers_kept(store: Store) -> None:
    fleet = replace(load(MIX).window(0, 16), jobs=None)
    home = fleet.regions[int(np.argmax(fleet.price.mean(1)))]
    given = [
        asked("moves", fleet, 1, 14, 6.0, 1.0, home=home, checkpoint_cost_mwh=0.3),
        asked("steady", fleet, 2, 12, 4.0, 1.0, min_mw=0.3),
        asked("pinned", fleet, 1, 9, 2.0, 0.5, regions=(home,)),
    ]
    JobStore(store).submit(given)
    found = run(store, fleet)
    assert found["jobs"]["done"] == 3
    check(store, fleet)
    rows = JobStore(store).work(fleet.times[0], fleet.times[-1] + HOUR)
    away = sum(each.mw for each in rows if each.job == "moves" and each.region != home)
    total = sum(each.mw for each in rows if each.job == "moves")
    assert total == pytest.approx(6.0 + 0.3 * (away / 1.05) / 6.0)
    steady = dict.fromkeys(fleet.times[2:12], 0.0)
    for each in rows:
        if each.job == "steady":
            steady[each.slot] += each.mw
    assert min(steady.values()) >= 0.3 - 1e-9


def test_work_that_a_meter_misses_is_done_again(store: Store) -> None:
    fleet = replace(load(MIX).window(0, 14), jobs=None)
    JobStore(store).submit([asked("slow", fleet, 1, 12, 5.0, 1.0), asked("dead", fleet, 1, 12, 5.0, 1.0)])

    def half(served: Served) -> None:
        """An executor that does half of what it is told at first, and one that does nothing."""
        if table := store.last_table():
            for name, part in (("slow", 0.5 if served.slot < 6 else 1.0), ("dead", 0.0)):
                if name in table.jobs:
                    mw = float(table.work_in(table.start)[table.jobs.index(name)].sum())
                    store.write("meter", [Entry(table.start, name, "work_mwh", part * mw)])

    with service(store, fleet, half) as found:
        found.controller.run()
    told = store.totals("meter", fleet.times[0], fleet.times[-1] + HOUR)
    assert states(store) == {"slow": DONE, "dead": MISSED}
    assert told["slow", "work_mwh"] == pytest.approx(5.0)
    (missed,) = JobStore(store).jobs([MISSED])
    assert missed.left_mwh == pytest.approx(5.0) and missed.why == "5 MWh were not done in time"
    assert any(event.level == "critical" and "dead is missed" in event.text for event in store.events())


def test_failing_regions_and_late_plans_miss_no_deadline(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = load(MIX).window(0, 36)
    (tmp_path / "events.toml").write_text(
        "\n".join(
            f"[[event]]\nwhat = 'region-down'\nat = {at}\nslots = 2\nregion = '{fleet.regions[row]}'\n"
            for at, row in ((5, 0), (14, 2), (23, 1))
        )
    )
    decide = Soft.decide

    def fails(self: Soft, hour: Slot) -> Exchange:
        if hour.now in (9, 10, 24, 25, 26):
            raise RuntimeError("no idea")
        return (yield from decide(self, hour))

    monkeypatch.setattr(Soft, "decide", fails)
    found = run(store, fleet, events=tmp_path / "events.toml", demand_forecast="corrected")
    assert found["tables"]["last plan"] >= 5
    assert found["jobs"]["missed"] == 0
    done = check(store, fleet)
    admitted = [job for job in JobStore(store).jobs() if job.state == DONE]
    assert len(admitted) >= 30
    assert sum(done.values()) == pytest.approx(sum(job.energy_mwh for job in admitted))


def test_a_service_that_starts_again_goes_on_with_its_jobs(store: Store) -> None:
    fleet = load(MIX).window(0, 30)
    for stop in (6, 13, 20):

        def at(served: Served, stop: int = stop) -> None:
            if served.slot >= stop:
                found.controller.stop()

        with service(store, fleet, at) as found:
            found.controller.run()
    before = {job.name: job for job in JobStore(store).jobs()}
    found = run(store, fleet)
    assert found["jobs"]["done"] == 30 and found["jobs"]["missed"] == 0
    done = check(store, fleet)
    assert all(done[name] >= job.energy_mwh - job.left_mwh - 1e-9 for name, job in before.items())
    expected = simulate(fleet, "soft", offline=False).objective
    assert found["objective"] == pytest.approx(expected, rel=0.02)


def test_jobs_go_on_while_nobody_plans(store: Store) -> None:
    """The process is away for slots on end, as after a crash."""
    fleet = replace(load(MIX).window(0, 20), jobs=None)
    JobStore(store).submit([asked("a", fleet, 1, 18, 8.0, 1.0), asked("b", fleet, 1, 12, 10.5, 1.0)])

    def stop(served: Served) -> None:
        if served.slot == 3:
            found.controller.stop()

    with service(store, fleet, stop) as found:
        found.controller.run()
    with service(store, fleet) as found:
        clock = found.controller._clock
        clock.wait_until(fleet.times[9], found.controller._wake)  # six hours later
        found.controller.run()
    assert {each.start for each in store.tables(100)}.isdisjoint(fleet.times[4:9])
    assert states(store) == {"a": DONE, "b": DONE}
    check(store, fleet)


def test_a_policy_that_does_not_plan_jobs_refuses_them(store: Store) -> None:
    fleet = load(MIX).window(0, 8)
    with pytest.raises(InputError, match="policy nearest does not decide when they run"):
        run(store, fleet, policy="nearest")
    plain = replace(fleet, jobs=None)
    JobStore(store).submit([asked("posted", plain, 1, 6, 1.0, 1.0)])
    found = run(store, plain, policy="nearest")
    assert found["slots"] == 8
    (refused,) = JobStore(store).jobs()
    assert refused.state == REFUSED and "does not decide" in refused.why


def test_demand_finds_room_before_work_does(store: Store, tmp_path: Path) -> None:
    """Gateways ask for more than they declared: as much is served as without jobs, and these are late."""
    fleet = load(MIX).window(0, 20)
    declared = replace(fleet, demand=0.6 * fleet.demand)
    demand = declared.demand.copy()
    demand[:, 8:18] *= 0.97 * fleet.capacity[:, 8:18].sum(0) / demand[:, 8:18].sum(0)
    alone = Store(tmp_path / "alone.db")
    unmet: dict[str, dict[np.datetime64, float]] = {}
    for name, books, planned in (("jobs", store, declared), ("none", alone, replace(declared, jobs=None))):
        with service(books, planned) as found:
            assert found.rehearsal is not None
            found.rehearsal.scenario = replace(found.rehearsal.scenario, demand=demand)
            found.controller.run()
        tables = {table.start: table for table in reversed(books.tables(1000))}
        unmet[name] = {
            start: 0.0 if table.unmet is None else float(table.unmet.sum()) for start, table in tables.items()
        }
        assert all(not table.problems() for table in tables.values())
    alone.close()
    assert unmet["jobs"] == pytest.approx(unmet["none"], abs=1e-6)
    assert len(unmet["jobs"]) == 20
    missed = JobStore(store).jobs([MISSED])
    assert missed and all(job.left_mwh > 0.0 and "not done in time" in job.why for job in missed)
    assert {job.state for job in JobStore(store).jobs()} <= {DONE, MISSED, REFUSED}

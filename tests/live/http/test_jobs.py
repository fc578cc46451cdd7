"""Jobs over HTTP: what is taken in and what is not, and what a scheduler is told of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sql
from support.service_states import (
    HTTP,
    TOKEN,
    WRITER,
    Service,
    Stopped,
    served,
    world10,
    world10_desk,
    world10_table,
)

from eglb.live.accounting.alerts import Monitor
from eglb.live.accounting.ledger import Ledger
from eglb.live.http.api import make_app
from eglb.live.http.server import serving
from eglb.live.storage.job_store import JobStore
from eglb.live.storage.store import Entry, Store

SLOT = "2023-07-03T00:00:00Z"  # it is ten minutes later
JOB = {
    "job": "train",
    "energy_mwh": 60.0,
    "deadline_utc": "2023-07-03T12:30:00Z",
    "max_mw": 10.0,
    "regions": ["tokyo", "virginia"],
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with served(Store(tmp_path / "store.db")) as made:
        yield made


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all that is refused."""
    with served(Store(tmp_path_factory.mktemp("refusing") / "store.db")) as made:
        yield made


def store_of(service: Service) -> JobStore:
    assert service.service_state.store is not None
    return JobStore(service.service_state.store)


def turn(service: Service, name: str, **changes: Any) -> None:
    """As the coordinator does."""
    jobs = store_of(service)
    jobs.turn([replace(job, **changes) for job in jobs.jobs(names=[name])])


def power(service: Service, version: int, **by_job: dict[str, float]) -> None:
    """A table is published by which jobs have so many MW by region."""
    regions = world10().regions
    work = np.array([[of.get(region, 0.0) for region in regions] for of in by_job.values()])
    table = world10_table(version)
    room = table.capacity + work.sum(0)
    service.service_state.router.publish(replace(table, jobs=tuple(by_job), work=work, capacity=room))


class TestSubmitting:
    def test_is_all_or_none_and_again_without_harm(self, service: Service) -> None:
        assert service.post("/v1/jobs", JOB) == {"submitted": ["train"], "known": []}
        both = [JOB, {**JOB, "job": "other", "release_utc": "2023-07-03T02:00:00+01:00"}]
        assert service.post("/v1/jobs", both) == {"submitted": ["other"], "known": ["train"]}
        # Once it is known, its deadline may pass, and what it was released at is what was said first.
        clock = service.service_state.clock
        assert isinstance(clock, Stopped)
        clock.time += np.timedelta64(1, "D")
        assert service.post("/v1/jobs", both)["known"] == ["train", "other"]
        changed = [{**JOB, "max_mw": 11.0}, {**JOB, "release_utc": SLOT}, {**both[1], "home_region": "tokyo"}]
        for row in changed:
            assert "the name belongs to another job" in service.post("/v1/jobs", row, 409)["detail"]
        turn(service, "train", state="refused", why="no room")
        assert service.post("/v1/jobs", JOB)["known"] == ["train"]
        found = {each["job"]: each for each in service.get("/v1/jobs?state=all")["jobs"]}
        assert found["train"]["release_utc"] == "2023-07-03T00:10:00Z"
        assert found["other"]["release_utc"] == "2023-07-03T01:00:00Z"
        assert found["train"]["regions"] == ["virginia", "tokyo"]

    def test_without_regions_is_for_all_of_them(self, service: Service) -> None:
        service.post("/v1/jobs", {name: value for name, value in JOB.items() if name != "regions"})
        (found,) = service.get("/v1/jobs")["jobs"]
        assert found["regions"] == list(world10().regions)
        assert (found["state"], found["left_mwh"], found["now_mw"]) == ("submitted", 60.0, {})

    @pytest.mark.parametrize(
        ("change", "status", "said"),
        [
            ({"regions": ["tokyo", "atlantis"]}, 404, "no region is called 'atlantis'"),
            ({"home_region": "atlantis"}, 404, "no region is called 'atlantis'"),
            ({"deadline_utc": "2023-07-03T00:05:00Z"}, 422, "its deadline 2023-07-03T00:05:00Z has passed"),
            (
                {"deadline_utc": "2023-07-03T01:59:59Z"},
                422,
                "no whole slot lies between 2023-07-03T01:00:00Z",
            ),
            ({"deadline_utc": "9999-12-31T00:00:00Z"}, 422, "more than 366 days away"),
            ({"release_utc": "2023-07-03T11:00:01Z"}, 422, "no whole slot lies between"),
            ({"release_utc": "2024-07-03T11:00:01Z"}, 422, "no whole slot lies between"),
            ({"energy_mwh": 110.001}, 422, "110.001 MWh need more than 11 h at max_mw 10"),
            ({"release_utc": "2023-07-03T06:00:01Z", "energy_mwh": 51}, 422, "more than 5 h"),
            ({"min_mw": 11.0}, 422, "min_mw 11 must lie between 0 and max_mw 10"),
            ({"min_mw": 6.0}, 422, "min_mw 6 for 11 h is more than its 60 MWh"),
            ({"checkpoint_cost_mwh": 1.0}, 422, "checkpoint_cost_mwh needs a home_region"),
            ({"job": "train"}, 422, "job train: is there 2 times"),
            ({"job": "a\x00b"}, 422, "String should match pattern"),
            ({"energy_mwh": 0.0}, 422, "greater than or equal to 0.000001"),
            ({"max_mw": "10"}, 422, "valid number"),
            ({"regions": []}, 422, "at least 1 item"),
            ({"deadline_utc": "2023-07-03T12:00:00"}, 422, "timezone"),
            ({"deadline": "2023-07-03T12:00:00Z"}, 422, "Extra inputs are not permitted"),
        ],
    )
    def test_of_what_cannot_be_is_refused_and_nothing_kept(
        self, refusing: Service, change: dict[str, Any], status: int, said: str
    ) -> None:
        told = refusing.post("/v1/jobs", [JOB, {**JOB, "job": "wrong", **change}], status)
        assert any(said in each for each in (told["detail"], *told["problems"])), told
        assert store_of(refusing).jobs() == []

    def test_counts_the_slots_from_the_next_one_on(self, service: Service) -> None:
        just = {**JOB, "energy_mwh": 110.0, "release_utc": "2020-01-01T00:00:00Z"}
        assert service.post("/v1/jobs", just)["submitted"] == ["train"]
        (row,) = service.get("/v1/jobs")["jobs"]
        assert row["slack_mwh"] == pytest.approx(0.0)

    def test_of_many_by_one_name_at_once_takes_one(self, service: Service) -> None:
        def submit(mw: float) -> int:
            row = {**JOB, "max_mw": mw}
            return HTTP.post(f"{service.client.base_url}/v1/jobs", json=row, headers=WRITER).status_code

        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(submit, map(float, range(10, 18))))
        assert sorted(told) == [200] + [409] * 7
        (kept,) = store_of(service).jobs()
        assert told[int(kept.max_mw) - 10] == 200

    def test_says_all_that_is_wrong_at_once(self, service: Service) -> None:
        service.post("/v1/jobs", JOB)
        told = service.post(
            "/v1/jobs",
            [
                {**JOB, "job": "a", "energy_mwh": 1e6, "min_mw": 99.0},
                {**JOB, "max_mw": 1.0},
                {**JOB, "job": "b", "regions": ["x", "y"], "max_mw": 1.0},
            ],
            404,
        )
        assert told["detail"] == "4 problems"
        assert len(told["problems"]) == 4
        assert told["problems"][0] == "job b: no region is called 'x', 'y'"


class TestWithdrawing:
    def test_is_from_the_next_slot_on_and_once(self, service: Service) -> None:
        service.post("/v1/jobs", JOB)
        assert "no job is called 'x'" in service.delete("/v1/jobs?job=x", 404)["detail"]
        assert service.delete("/v1/jobs?job=train") == {
            "job": "train",
            "state": "withdrawn",
            "from_utc": "2023-07-03T01:00:00Z",
        }
        assert "it is withdrawn" in service.delete("/v1/jobs?job=train", 409)["detail"]
        assert service.get("/v1/jobs")["jobs"] == []
        assert service.get("/v1/explain?job=train")["reasons"] == ["it was withdrawn"]


class TestPolling:
    def test_tells_the_power_of_the_table_in_force_around_regions_that_are_down(
        self, service: Service
    ) -> None:
        moved = {**JOB, "job": "moved", "home_region": "tokyo", "checkpoint_cost_mwh": 6.0}
        service.post("/v1/jobs", [{**JOB, "deadline_utc": "2023-07-03T18:00:00Z"}, moved])
        power(service, 2, train={"tokyo": 4.0, "virginia": 1.0}, moved={"virginia": 3.3})
        for name in ("train", "moved"):
            turn(service, name, state="admitted", left_mwh=50.0)
        told = service.get("/v1/jobs")
        assert (told["version"], told["slot_utc"], told["seconds"], told["down"]) == (2, SLOT, 3600.0, [])
        rows = {each["job"]: each for each in told["jobs"]}
        assert list(rows) == ["moved", "train"]
        assert rows["train"]["now_mw"] == {"tokyo": 4.0, "virginia": 1.0}
        # This slot, and what lies wholly between the next and the deadline; moving is not work.
        assert rows["train"]["slack_mwh"] == pytest.approx(5.0 + 17 * 10.0 - 50.0)
        assert rows["moved"]["slack_mwh"] == pytest.approx(3.3 / 1.1 + 11 * 10.0 - 50.0)
        service.service_state.router.mark("tokyo", False)
        told = service.get("/v1/jobs?limit=2")
        assert told["down"] == ["tokyo"]
        assert told["jobs"][1]["now_mw"] == {"tokyo": 0.0, "virginia": 1.0}

    def test_is_of_the_states_asked_for(self, service: Service) -> None:
        service.post("/v1/jobs", [{**JOB, "job": name} for name in "abcde"])
        turn(service, "a", state="done", left_mwh=0.0)
        turn(service, "b", state="refused", why="no room")
        turn(service, "c", state="admitted")

        def names(query: str) -> list[str]:
            return [each["job"] for each in service.get(f"/v1/jobs{query}")["jobs"]]

        assert names("") == names("?state=open") == ["c", "d", "e"]
        assert names("?state=admitted") == ["c"]
        assert names("?state=all") == ["a", "b", "c", "d", "e"]
        assert names("?limit=1") == ["c"]
        assert [service.get(f"/v1/jobs?limit={limit}")["more"] for limit in (2, 3)] == [True, False]
        (refused,) = service.get("/v1/jobs?state=refused")["jobs"]
        assert (refused["why"], refused["slack_mwh"]) == ("no room", None)
        assert "state" in str(service.get("/v1/jobs?state=running", 422)["problems"])

    def test_tells_nothing_twice_and_waits_for_news(self, service: Service) -> None:
        def wait(etag: str, seconds: float) -> Any:
            address = f"{service.client.base_url}/v1/jobs?wait={seconds:g}"
            return HTTP.get(address, headers={"if-none-match": etag}, timeout=seconds + 5.0)

        etag = service.client.get("/v1/jobs").headers["etag"]
        again = service.client.get("/v1/jobs", headers={"if-none-match": f'"other", W/{etag}'})
        assert (again.status_code, again.content) == (304, b"")
        assert wait(etag, 0.1).status_code == 304
        with ThreadPoolExecutor(1) as pool:
            for change in (
                lambda: service.post("/v1/jobs", JOB),
                lambda: power(service, 2, train={"tokyo": 4.0}),
                lambda: service.service_state.router.mark("tokyo", False),
                lambda: service.delete("/v1/jobs?job=train"),
            ):
                waiting = pool.submit(wait, etag, 30.0)
                time.sleep(0.15)
                assert not waiting.done()
                change()
                told = waiting.result(5.0)
                assert told.status_code == 200
                etag = told.headers["etag"]

    def test_before_the_first_table_there_is_no_power(self, tmp_path: Path) -> None:
        with served(Store(tmp_path / "store.db")) as service:
            service.service_state.router.view = None
            service.post("/v1/jobs", JOB)
            told = service.get("/v1/jobs")
            assert (told["version"], told["slot_utc"]) == (None, None)
            assert told["jobs"][0]["now_mw"] == {}
            assert service.get("/v1/explain?job=train")["table"] is None


class TestElsewhere:
    def test_plan_state_and_metrics_tell_work_apart_from_requests(self, tmp_path: Path) -> None:
        fleet, store = world10(), Store(tmp_path / "store.db")
        kinds = tuple(kind.name for kind in fleet.footprints)
        monitor = Monitor(
            Ledger(store, fleet.regions, kinds, fleet.times[0], 3600.0, 24),
            np.ones((len(fleet.regions), len(kinds))),
        )
        with served(store, monitor=monitor) as service:
            service.post("/v1/jobs", [JOB, {**JOB, "job": "other"}])
            turn(service, "other", state="done", left_mwh=0.0)
            before = {each["name"]: each for each in service.get("/v1/state")["regions"]}
            power(service, 2, train={"tokyo": 4.0, "virginia": 1.0})
            plan, state = service.get("/v1/plan"), service.get("/v1/state")
            assert plan["jobs"] == [
                {"job": "train", "region": "virginia", "mw": 1.0},
                {"job": "train", "region": "tokyo", "mw": 4.0},
            ]
            for told in (plan, state):
                work = {each["name"]: each["work_mw"] for each in told["regions"]}
                assert {name: mw for name, mw in work.items() if mw} == {"tokyo": 4.0, "virginia": 1.0}
            for each in state["regions"]:
                assert each["load_mw"] == before[each["name"]]["load_mw"]
                assert each["share"] == before[each["name"]]["share"]
            assert state["jobs"]["counts"]["submitted"] == state["jobs"]["counts"]["done"] == 1
            assert state["jobs"]["open"] == service.get("/v1/jobs")["jobs"]
            figures = service.client.get("/metrics").text
            assert 'eglb_work_mw{region="tokyo"} 4.0' in figures
            assert 'eglb_jobs{state="done"} 1.0' in figures
            service.service_state.router.mark("tokyo", False)
            work = {each["name"]: each["work_mw"] for each in service.get("/v1/state")["regions"]}
            assert (work["tokyo"], work["virginia"]) == (0.0, 1.0)

            # What meters say of jobs is kept, and no region's, though a job be called like one.
            service.post("/v1/jobs", {**JOB, "job": "tokyo"})
            row = {"slot": SLOT, "job": "tokyo", "energy_mwh": 3.0}
            assert service.post("/v1/meter", [row, {**row, "job": "train"}]) == {"values": 2}
            assert (
                "no job is called 'x'" in service.post("/v1/meter", [row, {**row, "job": "x"}], 404)["detail"]
            )
            late = {**row, "slot": "2023-07-03T00:30:00Z"}
            assert "it has not begun yet" in service.post("/v1/meter", late, 409)["detail"]
            start = np.datetime64("2023-07-03T00:00:00")
            assert store.read("meter", start, start + np.timedelta64(1, "D")) == [
                Entry(start, "tokyo", "work_mwh", 3.0),
                Entry(start, "train", "work_mwh", 3.0),
            ]
            assert monitor.ledger.total("energy_mwh").sum() == 0.0

    def test_an_explanation_says_how_a_job_stands(self, service: Service) -> None:
        service.post("/v1/jobs", JOB)

        def reasons() -> list[str]:
            told = service.get("/v1/explain?job=train")
            assert (told["job"], told["about"]["job"], told["flows"]) == ("train", "train", [])
            return list(told["reasons"])

        assert reasons() == [
            "it is admitted or refused before the slot that begins at 2023-07-03T01:00:00Z",
            "whole slots left before its deadline: 11; at its most power it can do 50 MWh more than is left",
        ]
        turn(service, "train", state="admitted", left_mwh=60.0)
        assert reasons()[0] == "it waits"
        power(service, 2, train={"tokyo": 4.0, "virginia": 1.0})
        service.service_state.router.mark("tokyo", False, "typhoon")
        assert reasons() == [
            "it runs: 1 MW in virginia",
            "tokyo is down: typhoon",
            "whole slots left before its deadline: 11; at its most power it can do 51 MWh more than is left",
        ]
        turn(service, "train", state="missed", why="virginia was out", left_mwh=1.0)
        assert reasons() == ["it was missed: virginia was out"]
        assert service.get("/v1/explain?job=x", 404)["detail"] == "no job is called 'x'"
        assert "one of them" in service.get("/v1/explain?job=train&region=tokyo", 404)["detail"]

    def test_books_that_cannot_be_read_are_no_end_of_routing(self, service: Service) -> None:
        assert service.service_state.store is not None
        service.service_state.store.execute(sql.text("DROP TABLE jobs"))
        assert service.get("/v1/state")["jobs"] is None
        assert service.get("/readyz")["ready"]
        for path in ("/v1/jobs", "/v1/jobs?wait=1", "/v1/explain?job=a"):
            assert "no such table" in service.get(path, 503)["detail"]
        assert "no such table" in service.post("/v1/jobs", JOB, 503)["detail"]

    def test_a_service_without_books_or_for_the_world_has_no_jobs(self) -> None:
        with serving(make_app(world10_desk(), token=TOKEN), "127.0.0.1", 0) as url:
            for method, more in (("GET", {}), ("POST", {"json": JOB}), ("DELETE", {"params": {"job": "a"}})):
                answer = HTTP.request(method, f"{url}/v1/jobs", headers=WRITER, **more)
                assert (answer.status_code, answer.json()["detail"]) == (503, "this service keeps no books")
            assert HTTP.get(f"{url}/v1/state").json()["jobs"] is None
            assert HTTP.delete(f"{url}/v1/jobs?job=a").status_code == 401
            refused = HTTP.put(f"{url}/v1/jobs", headers=WRITER)
            assert (refused.status_code, refused.headers["allow"]) == (405, "DELETE, GET, POST")
        with serving(make_app(world10_desk(), token=TOKEN, read_only=True), "127.0.0.1", 0) as url:
            for method in ("GET", "POST", "DELETE"):
                assert HTTP.request(method, f"{url}/v1/jobs", headers=WRITER).status_code == 404

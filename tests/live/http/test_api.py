"""The service over HTTP, really served: routes, weights that can be waited for, meters, health, state."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from support.service_states import (
    HTTP,
    TOKEN,
    WRITER,
    Service,
    Stopped,
    served,
    wait_for,
    world10,
    world10_desk,
    world10_table,
)

from eglb.foundation.errors import InputError
from eglb.live.accounting.alerts import Monitor
from eglb.live.accounting.ledger import Ledger
from eglb.live.http.api import make_app
from eglb.live.http.server import parse_listen, serving
from eglb.live.routing.router import Router
from eglb.live.state.service_state import ServiceState
from eglb.live.storage.store import Entry, Store

SLOT = "2023-07-03T00:00:00Z"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with served(Store(tmp_path / "store.db")) as made:
        yield made


class TestRoute:
    def test_follows_the_weights(self, service: Service) -> None:
        weights = service.get("/v1/weights")["gateways"]["gw-chicago"]
        found = Counter(service.get("/v1/route?gateway=gw-chicago")["region"] for _ in range(100))
        assert found.keys() == weights.keys()
        assert all(abs(found[region] - 100 * weight) < 1.0 for region, weight in weights.items())

    def test_keeps_a_session_and_says_why(self, service: Service) -> None:
        paths = ("gateway=gw-tokyo&session=J%C3%BCrg+7", "session=J%C3%BCrg%207&gateway=gw-tokyo")
        answers = [service.get(f"/v1/route?{paths[i % 2]}") for i in range(8)]
        assert all(answer == answers[0] for answer in answers)
        assert answers[0]["why"] == "affinity"
        assert answers[0]["region"] == service.service_state.router.route("gw-tokyo", "Jürg 7").region

    def test_the_short_cut_answers_as_the_long_way_does(self, service: Service) -> None:
        short = service.client.get("/v1/route?gateway=gw-tokyo&session=a")
        long = service.client.get("/v1/route?session=a&gateway=gw-tokyo")
        assert short.json() == long.json()
        assert {**short.headers, "date": ""} == {**long.headers, "date": ""}

    @pytest.mark.parametrize(
        ("query", "status", "said"),
        [
            ("gateway=atlantis", 404, "no gateway is called 'atlantis'"),
            ("", 422, "query.gateway: Field required"),
            ("gateway=gw-tokyo&sesion=a", 422, "query.sesion: Extra inputs are not permitted"),
            ("gateway=gw-tokyo&session=", 422, "at least 1 character"),
            (f"gateway=gw-tokyo&session={'a' * 257}", 422, "at most 256 characters"),
            ("gateway=%FF%00", 404, "no gateway is called"),
        ],
    )
    def test_refuses_what_it_does_not_know(
        self, service: Service, query: str, status: int, said: str
    ) -> None:
        assert said in json.dumps(service.get(f"/v1/route?{query}", status))

    def test_without_a_table_it_is_unavailable(self) -> None:
        fleet = world10()
        service_state = ServiceState(fleet, Router.of(fleet), Stopped(fleet.times[0]))
        with serving(make_app(service_state), "127.0.0.1", 0) as url:
            for path in ("/v1/route?gateway=gw-tokyo", "/v1/weights", "/v1/plan"):
                answer = HTTP.get(url + path)
                assert (answer.status_code, answer.json()["detail"]) == (
                    503,
                    "there is no table of weights yet",
                )
            assert HTTP.get(f"{url}/readyz").status_code == 503
            assert HTTP.get(f"{url}/healthz").json() == {"status": "ok"}
            assert HTTP.get(f"{url}/v1/state").json()["table"] is None


class TestWeights:
    def wait(self, service: Service, etag: str, seconds: float) -> httpx.Response:
        headers = {"if-none-match": etag}
        # A client of its own: one that waits would hold up the others of a pool that is full.
        return HTTP.get(
            f"{service.client.base_url}/v1/weights?wait={seconds:g}", headers=headers, timeout=seconds + 5.0
        )

    def test_are_those_of_the_table_for_all_gateways_or_one(self, service: Service) -> None:
        table, said = service.service_state.router.table, service.get("/v1/weights")
        assert table is not None
        assert (said["version"], said["slot_utc"], said["source"]) == (1, SLOT, "plan")
        for j, gateway in enumerate(table.gateways):
            own = service.get(f"/v1/weights?gateway={gateway}")["gateways"]
            assert own == {gateway: said["gateways"][gateway]}
            share = [own[gateway].get(region, 0.0) for region in table.regions]
            assert share == table.share[j].tolist()
        assert service.get("/v1/weights?gateway=x", 404)["detail"] == "no gateway is called 'x'"

    def test_are_not_sent_again_to_who_has_them(self, service: Service) -> None:
        first = service.client.get("/v1/weights")
        etag = first.headers["etag"]
        for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            again = service.client.get("/v1/weights", headers={"if-none-match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert service.client.get("/v1/weights", headers={"if-none-match": '"other"'}).status_code == 200
        assert service.client.get("/v1/weights?gateway=gw-tokyo").headers["etag"] != etag
        service.service_state.router.publish(world10_table(2))
        assert service.client.get("/v1/weights", headers={"if-none-match": etag}).json()["version"] == 2

    def test_can_be_waited_for(self, service: Service) -> None:
        etag = service.client.get("/v1/weights").headers["etag"]
        with ThreadPoolExecutor(1) as pool:
            waiting: Future[httpx.Response] = pool.submit(self.wait, service, etag, 30.0)
            time.sleep(0.2)
            assert not waiting.done()
            service.service_state.router.publish(world10_table(2))
            published = waiting.result(5.0)
            assert published.json()["version"] == 2
            waiting = pool.submit(self.wait, service, published.headers["etag"], 30.0)
            time.sleep(0.2)
            service.post("/v1/health", {"region": "virginia", "healthy": False})
            said = waiting.result(5.0).json()
            assert said["down"] == ["virginia"]
            assert not any("virginia" in weights for weights in said["gateways"].values())
            assert all(abs(sum(weights.values()) - 1.0) < 1e-9 for weights in said["gateways"].values())

    def test_a_wait_ends_in_time(self, service: Service) -> None:
        etag = service.client.get("/v1/weights").headers["etag"]
        begun = time.monotonic()
        assert self.wait(service, etag, 0.3).status_code == 304
        assert 0.3 <= time.monotonic() - begun < 3.0

    def test_only_so_many_may_wait_and_who_has_gone_does_not_count(self, service: Service) -> None:
        etag = service.client.get("/v1/weights").headers["etag"]

        def give_up() -> None:
            address, headers = f"{service.client.base_url}/v1/weights?wait=60", {"if-none-match": etag}
            with suppress(httpx.ReadTimeout):
                # There may be no place yet.
                while HTTP.get(address, headers=headers, timeout=3.0).status_code == 503:
                    pass

        gone = [threading.Thread(target=give_up) for _ in range(2)]
        for thread in gone:
            thread.start()

        def status() -> int:
            return self.wait(service, etag, 0.01).status_code

        wait_for(lambda: status() == 503)
        for thread in gone:
            thread.join()
        wait_for(lambda: status() == 304)

    def test_a_server_that_ends_lets_go_who_waits(self) -> None:
        service_state = world10_desk()
        with ThreadPoolExecutor(1) as pool:
            with serving(make_app(service_state), "127.0.0.1", 0) as url:
                etag = HTTP.get(f"{url}/v1/weights").headers["etag"]
                headers = {"if-none-match": etag}
                waiting = pool.submit(HTTP.get, f"{url}/v1/weights?wait=60", headers=headers, timeout=60.0)
                time.sleep(0.2)
                begun = time.monotonic()
            assert time.monotonic() - begun < 5.0
            assert waiting.result(1.0).status_code == 304


class TestMeters:
    def test_are_entered_by_row_or_by_list_and_again_without_harm(self, service: Service) -> None:
        region = {"slot": SLOT, "region": "virginia", "energy_mwh": 12.5, "footprints": {"water": 3.0}}
        gateway = {"slot": "2023-07-02T23:00:00+00:00", "gateway": "gw-tokyo", "demand_mw": 7.0}
        assert service.post("/v1/meter", region) == {"values": 2}
        assert service.post("/v1/meter", [region | {"energy_mwh": 13.0}, gateway]) == {"values": 3}
        store = service.service_state.store
        assert store is not None
        start = np.datetime64("2023-07-02", "s")
        assert store.read("meter", start, start + np.timedelta64(2, "D")) == [
            Entry(np.datetime64("2023-07-02T23:00:00"), "gw-tokyo", "demand_mw", 7.0),
            Entry(np.datetime64("2023-07-03T00:00:00"), "virginia", "energy_mwh", 13.0),
            Entry(np.datetime64("2023-07-03T00:00:00"), "virginia", "footprint:water", 3.0),
        ]

    @pytest.mark.parametrize(
        ("change", "status", "said"),
        [
            ({"region": "atlantis"}, 404, "no region is called 'atlantis'"),
            ({"region": "\ud800"}, 422, "body.row.region.region"),
            ({"footprints": {"noise": 1.0}}, 404, "no kind of footprint is called 'noise'"),
            ({"slot": "2023-07-03T00:30:00Z"}, 409, "it has not begun yet"),
            ({"slot": "2023-07-02T00:30:00Z"}, 409, "slots begin every 3600 s"),
            ({"slot": "2023-07-03T00:00:00"}, 422, "timezone"),
            ({"slot": 1688342400}, 422, "is not a date and time"),
            ({"energy_mwh": -1.0}, 422, "greater than or equal to 0"),
            ({"energy_mwh": "1"}, 422, "valid number"),
            ({"energy": 1.0}, 422, "Extra inputs are not permitted"),
        ],
    )
    def test_that_are_wrong_are_refused_and_nothing_is_entered(
        self, service: Service, change: dict[str, Any], status: int, said: str
    ) -> None:
        good = {"slot": SLOT, "region": "virginia", "energy_mwh": 12.5}
        wrong = service.client.post(
            "/v1/meter", content=json.dumps([good, good | change]), headers=WRITER_JSON
        )
        assert wrong.status_code == status
        assert said in wrong.text.replace("body.rows.1", "body.row")
        assert service.service_state.store is not None
        assert not service.service_state.store.totals(
            "meter", np.datetime64("2000", "s"), np.datetime64("2100", "s")
        )

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[]", b"null", b'{"slot":NaN}', b"\xff", b"[" * 100_000, b"1" * 5000]
    )
    def test_what_is_no_meter_at_all_is_refused(self, service: Service, body: bytes) -> None:
        answer = service.client.post("/v1/meter", content=body, headers=WRITER_JSON)
        assert answer.status_code in (400, 422)
        assert answer.json()["detail"]

    def test_a_service_without_books_says_so(self) -> None:
        service_state = world10_desk()
        with serving(make_app(service_state, token=TOKEN), "127.0.0.1", 0) as url:
            row = {"slot": SLOT, "region": "virginia", "energy_mwh": 1.0}
            answer = HTTP.post(f"{url}/v1/meter", json=row, headers=WRITER)
            assert (answer.status_code, answer.json()["detail"]) == (503, "this service keeps no books")
            assert HTTP.get(f"{url}/metrics").status_code == 404


WRITER_JSON = {**WRITER, "content-type": "application/json"}


class TestState:
    def test_a_region_reported_down_is_skipped_at_once_and_all_say_so(self, service: Service) -> None:
        session = next(
            f"s{i}"
            for i in range(1000)
            if service.service_state.router.route("gw-tokyo", f"s{i}").region == "tokyo"
        )
        report = {"region": "tokyo", "healthy": False, "why": "typhoon"}
        assert service.post("/v1/health", report) == {**report, "changed": True}
        assert service.post("/v1/health", report)["changed"] is False
        for query in ("", f"&session={session}"):
            said = service.get(f"/v1/route?gateway=gw-tokyo{query}")
            assert said["region"] != "tokyo"
            assert said["why"].endswith("; tokyo is down")
        assert "it is down: typhoon" in service.get("/v1/explain?region=tokyo")["reasons"]
        assert "tokyo is down: typhoon" in service.get("/v1/explain?gateway=gw-tokyo")["reasons"]
        state = {region["name"]: region for region in service.get("/v1/state")["regions"]}
        assert (state["tokyo"]["healthy"], state["tokyo"]["why"]) == (False, "typhoon")
        assert state["tokyo"]["load_mw"] == 0.0
        assert service.get("/v1/events")[0]["text"] == "tokyo is reported down: typhoon"
        assert service.post("/v1/health", {"region": "tokyo", "healthy": True})["healthy"] is True
        assert service.get(f"/v1/route?gateway=gw-tokyo&session={session}")["region"] == "tokyo"
        assert service.post("/v1/health", {"region": "x", "healthy": True}, 404)["detail"]

    def test_plan_state_and_explanation_agree(self, service: Service) -> None:
        plan, state = service.get("/v1/plan"), service.get("/v1/state")
        assert plan["flows"] == state["flows"]
        assert plan["table"] == {"version": 1, "source": "plan", "note": "", "age_s": 600.0}
        for region in plan["regions"]:
            name = region["name"]
            flows = [flow for flow in plan["flows"] if flow["region"] == name]
            assert sum(flow["mw"] for flow in flows) == pytest.approx(region["load_mw"])
            about = service.get(f"/v1/explain?region={name}")
            assert about["flows"] == flows
            assert about["about"]["load_mw"] == pytest.approx(region["load_mw"])
        assert sum(region["share"] for region in state["regions"]) == pytest.approx(1.0)
        assert service.get("/v1/explain?region=virginia&gateway=gw-tokyo", 404)["detail"]
        assert service.get("/v1/explain", 404)["detail"]
        assert service.get("/v1/explain?region=gw-tokyo", 404)["detail"]

    def test_shows_what_the_controller_shows(self, service: Service) -> None:
        service.service_state.show(
            policy="soft",
            slot={"number": 3, "of": 336},
            regions={"tokyo": {"price": np.float64(31.0)}},
            certificate={"gap": float("nan"), "history": [[np.datetime64("2023-07-03"), np.float32(0.5)]]},
        )
        state = service.get("/v1/state")
        assert state["policy"] == "soft"
        assert state["slot"] == {"start_utc": SLOT, "seconds": 3600.0, "number": 3, "of": 336}
        assert {region["name"]: region["price"] for region in state["regions"]}["tokyo"] == 31.0
        assert state["certificate"] == {"gap": None, "history": [["2023-07-03T00:00:00Z", 0.5]]}

    def test_the_last_decisions_are_shown_at_the_time_of_the_service(self, service: Service) -> None:
        service.get("/v1/route?gateway=gw-berlin")
        last = service.get("/v1/state")["decisions"][0]
        assert (last["gateway"], last["why"]) == ("gw-berlin", "plan")
        assert "2023-07-03T00:09" <= last["utc"] <= "2023-07-03T00:10:00Z"

    def test_it_is_ready_while_its_table_is_of_now(self, service: Service) -> None:
        clock = service.service_state.clock
        assert isinstance(clock, Stopped)
        assert service.get("/readyz") == {"ready": True, "problems": []}
        clock.time += np.timedelta64(2, "h")
        (problem,) = service.get("/readyz", 503)["problems"]
        assert problem == "the table is of 2023-07-03T00:00:00Z, more than a slot ago"
        assert service.get("/v1/route?gateway=gw-tokyo")["version"] == 1

    def test_it_is_not_ready_where_a_gateway_reaches_nobody(self, service: Service) -> None:
        for region in world10().regions:
            service.service_state.router.mark(region, False)
        assert "gw-tokyo" in service.get("/readyz", 503)["problems"][0]
        assert "is up" in service.get("/v1/route?gateway=gw-tokyo", 503)["detail"]

    def test_books_are_shown_and_counted(self, tmp_path: Path) -> None:
        fleet = world10()
        store = Store(tmp_path / "store.db")
        kinds = tuple(kind.name for kind in fleet.footprints)
        ledger = Ledger(store, fleet.regions, kinds, fleet.times[0], 3600.0, 24)
        weight = np.stack([kind.region_weight for kind in fleet.footprints], 1)
        service_state = world10_desk(store=store, monitor=Monitor(ledger, weight))
        with serving(make_app(service_state, token=TOKEN), "127.0.0.1", 0) as url:
            row = {"slot": SLOT, "region": "virginia", "energy_mwh": 1.0, "footprints": {"water": 3.0}}
            assert HTTP.post(f"{url}/v1/meter", json=row, headers=WRITER).json() == {"values": 2}
            HTTP.get(f"{url}/v1/route?gateway=gw-tokyo&session=a")
            state = HTTP.get(f"{url}/v1/state").json()
            virginia = next(each for each in state["regions"] if each["name"] == "virginia")
            assert virginia["metered"]["water"] == 3.0
            assert "worst" not in state["footprints"]["water"]  # nothing to compare it with yet
            ledger.record("baseline", 0, np.ones((len(fleet.regions), 3 + len(kinds))))
            water = HTTP.get(f"{url}/v1/state").json()["footprints"]["water"]
            assert (water["worst_region"], water["worst"], water["baseline_worst"]) == ("virginia", 3.0, 1.0)
            figures = HTTP.get(f"{url}/metrics").text
            where = service_state.router.route("gw-tokyo", "a").region
            routed = f'eglb_routed_requests_total{{gateway="gw-tokyo",region="{where}"}} 1.0'
            assert routed in figures
            assert 'eglb_footprint{account="metered",kind="water",region="virginia"} 3.0' in figures
        store.close()


class TestServer:
    def test_an_address_in_use_is_a_problem_of_the_user(self) -> None:
        app = make_app(world10_desk())
        with serving(app, "127.0.0.1", 0) as url:
            port = int(url.rpartition(":")[2])
            with (
                pytest.raises(InputError, match=f"--listen 127.0.0.1:{port}: Address already in use"),
                serving(app, "127.0.0.1", port),
            ):
                pass

    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("127.0.0.1:80", ("127.0.0.1", 80)),
            ("8080", ("127.0.0.1", 8080)),
            (":0", ("127.0.0.1", 0)),
            ("[::1]:9", ("::1", 9)),
            ("ops.example:65535", ("ops.example", 65535)),
        ],
    )
    def test_addresses_are_read(self, text: str, address: tuple[str, int]) -> None:
        assert parse_listen(text) == address

    @pytest.mark.parametrize("text", ["", "localhost", "a:65536", "a:-1", "a:²"])
    def test_what_is_no_address_is_refused(self, text: str) -> None:
        with pytest.raises(InputError, match="is not HOST:PORT"):
            parse_listen(text)

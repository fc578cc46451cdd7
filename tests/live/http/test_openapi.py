"""The OpenAPI document is what the service does: schemathesis asks, by the rules and against them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from support.service_states import TOKEN, world10, world10_desk

from eglb.live.accounting.alerts import Monitor
from eglb.live.accounting.ledger import Ledger
from eglb.live.http.api import make_app
from eglb.live.storage.store import Store

# Its client is starlette's, which says that it would rather have another one below.
pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")

WRITER = {"Authorization": f"Bearer {TOKEN}"}
DESK = world10_desk()  # operations are test cases, so the document must be there when tests are collected
JOB = {
    "job": "train",
    "energy_mwh": 6.0,
    "deadline_utc": "2023-07-03T12:00:00Z",
    "max_mw": 2.0,
    "regions": ["tokyo"],
}
WORK = {"slot": "2023-07-03T00:00:00Z", "job": "train", "energy_mwh": 1.0}
ROW = {"slot": "2023-07-03T00:00:00Z", "region": "tokyo", "energy_mwh": 1.0, "footprints": {"water": 2.0}}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """That of a service with books, by its own address."""
    fleet, store = world10(), Store(tmp_path_factory.mktemp("openapi") / "store.db")
    kinds = tuple(kind.name for kind in fleet.footprints)
    ledger = Ledger(store, fleet.regions, kinds, fleet.times[0], 3600.0, 24)
    monitor = Monitor(ledger, fleet.footprints[0].region_weight[:, None].repeat(len(kinds), 1))
    service_state = world10_desk(store=store, monitor=monitor)
    yield schemathesis.openapi.from_asgi("/openapi.json", make_app(service_state, token=TOKEN))
    store.close()


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Meters have somewhere to go."""
    DESK.store = Store(tmp_path_factory.mktemp("fuzzed") / "store.db")
    yield
    DESK.store.close()


# A list of too many rows may be too long a body before anybody counts them: 413 refuses it as well as 422.
REFUSALS = [400, 401, 403, 404, 405, 409, 413, 422, "5xx"]
# What a window has room for is beyond a schema.
IN_VAIN = ["2xx", 401, 403, 404, 409, 422, "5xx"]
CONFIG = schemathesis.Config.from_dict(
    {
        "checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}},
        "operations": [
            {
                "include-path": "/v1/jobs",
                "include-method": "POST",
                "checks": {"positive_data_acceptance": {"expected-statuses": IN_VAIN}},
            }
        ],
    }
)


@schemathesis.openapi.from_asgi("/openapi.json", make_app(DESK, token=TOKEN), config=CONFIG).parametrize()
@pytest.mark.usefixtures("books")
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_asked_the_answer_is_a_documented_one(case: schemathesis.Case) -> None:
    case.call_and_validate(headers=WRITER)


@pytest.mark.parametrize(
    ("method", "path", "asked", "status"),
    [
        ("GET", "/v1/route", {"query": {"gateway": "gw-tokyo"}}, 200),
        ("GET", "/v1/route", {"query": {"gateway": "gw-tokyo", "session": "a"}}, 200),
        ("GET", "/v1/weights", {"query": {}}, 200),
        ("GET", "/v1/weights", {"query": {"gateway": "gw-tokyo"}, "headers": {"if-none-match": "*"}}, 304),
        ("GET", "/v1/plan", {}, 200),
        ("GET", "/v1/state", {}, 200),
        ("GET", "/v1/explain", {"query": {"region": "tokyo"}}, 200),
        ("GET", "/v1/explain", {"query": {"gateway": "gw-tokyo"}}, 200),
        ("GET", "/v1/explain", {}, 404),
        ("GET", "/metrics", {}, 200),
        ("GET", "/readyz", {}, 200),
        ("POST", "/v1/meter", {"body": ROW}, 200),
        ("POST", "/v1/meter", {"body": [ROW, {**ROW, "region": "sydney"}]}, 200),
        ("POST", "/v1/meter", {"body": {**ROW, "slot": "2024-07-03T00:00:00Z"}}, 409),
        ("POST", "/v1/health", {"body": {"region": "tokyo", "healthy": False, "why": "typhoon"}}, 200),
        ("GET", "/v1/events", {}, 200),
        ("POST", "/v1/jobs", {"body": JOB}, 200),
        ("POST", "/v1/jobs", {"body": [JOB, {**JOB, "job": "other"}]}, 200),
        ("POST", "/v1/jobs", {"body": {**JOB, "max_mw": 3.0}}, 409),
        ("POST", "/v1/jobs", {"body": {**JOB, "job": "a", "regions": ["atlantis"]}}, 404),
        ("POST", "/v1/meter", {"body": [ROW, WORK]}, 200),
        ("GET", "/v1/jobs", {}, 200),
        ("GET", "/v1/jobs", {"query": {"state": "all"}, "headers": {"if-none-match": "*"}}, 304),
        ("GET", "/v1/explain", {"query": {"job": "train"}}, 200),
        ("DELETE", "/v1/jobs", {"query": {"job": "train"}}, 200),
        ("DELETE", "/v1/jobs", {"query": {"job": "train"}}, 409),
        ("GET", "/v1/explain", {"query": {"job": "train"}}, 200),
        ("GET", "/v1/state", {}, 200),
    ],
)
def test_what_is_asked_of_a_fleet_by_its_names_is_answered_as_documented(
    document: Any, method: str, path: str, asked: dict[str, Any], status: int
) -> None:
    media = {"media_type": "application/json"} if "body" in asked else {}
    case = document[path][method].Case(**asked, **media)
    answer = case.call_and_validate(headers=WRITER | asked.get("headers", {}))
    assert answer.status_code == status


def test_every_operation_documents_its_refusals(document: Any) -> None:
    for path, operations in document.raw_schema["paths"].items():
        for method, operation in operations.items():
            assert operation["description"]
            documented = set(operation["responses"])
            assert {"200", "421"} <= documented, path
            assert ("422" in documented) == bool(operation.get("parameters") or method == "post")
            if method in ("post", "delete"):
                assert {"400", "401", "403", "404", "408", "413"} <= documented
            for status, response in operation["responses"].items():
                assert response["description"]
                if status != "304":
                    assert all(content["schema"] for content in response["content"].values())


def test_writing_asks_for_a_token(document: Any) -> None:
    schemes = document.raw_schema["components"]["securitySchemes"]
    assert list(schemes.values()) == [{"type": "http", "scheme": "bearer"}]
    for operations in document.raw_schema["paths"].values():
        for method, operation in operations.items():
            assert ("security" in operation) == (method != "get")

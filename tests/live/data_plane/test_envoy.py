"""A real Envoy in front of real regions."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator

import pytest
from support.proxies import Front, find, flowing, in_front, send, table

REGIONS = ["north", "south", "east-1", "west"]
PLANS = {"london": [0.4, 0.3, 0.2, 0.1], "new york": [0.0, 0.0, 1.0, 0.0]}
WITHOUT_NORTH = {name: [0.0, *row[1:]] for name, row in PLANS.items()}

pytestmark = pytest.mark.skipif(find("envoy") is None, reason="envoy is not installed: make data-plane")


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with in_front("envoy", REGIONS, list(PLANS)) as found:
        yield found


def test_ten_thousand_requests_are_shared_as_planned(front: Front) -> None:
    plan = table(PLANS, REGIONS)
    assert front.plane.apply(plan).problems == ()
    answers = send(front.ports["london"], 10_000)
    for name, part in zip(REGIONS, plan.share[0], strict=True):
        # Envoy draws each region at random.
        assert abs(answers[name] / 10_000 - part) <= 5.0 * math.sqrt(part * (1.0 - part) / 10_000)
    assert set(answers) == set(REGIONS)
    assert set(send(front.ports["new york"], 1000)) == {"east-1"}


def test_a_table_in_force_is_left_alone(front: Front) -> None:
    front.plane.apply(table(PLANS, REGIONS))
    found = front.plane.apply(table(PLANS, REGIONS, version=2))
    assert not found.changed and not found.problems


def test_weights_add_up_and_name_clusters_that_there_are(front: Front) -> None:
    front.plane.apply(table(PLANS, REGIONS))
    document = json.loads((front.folder / "routes-london.json").read_text())
    (host,) = document["resources"][0]["virtual_hosts"]
    clusters = host["routes"][0]["route"]["weighted_clusters"]["clusters"]
    assert [(each["name"], each["weight"]) for each in clusters] == [
        ("north", 4000),
        ("south", 3000),
        ("east_1", 2000),
        ("west", 1000),
    ]


def test_a_region_that_is_down_gets_nothing_from_then_on(front: Front) -> None:
    front.plane.apply(table(PLANS, REGIONS))
    assert front.plane.apply(table(WITHOUT_NORTH, REGIONS, down=["north"])).problems == ()
    assert set(send(front.ports["london"], 1000)) == set(REGIONS) - {"north"}


def test_no_request_fails_while_weights_change(front: Front) -> None:
    with flowing(front.ports["london"]) as answers:
        for number in range(15):
            row = [float(number % 2 == n % 2) for n in range(4)]
            found = front.plane.apply(table({"london": row, "new york": row}, REGIONS))
            assert found.changed and not found.problems
            time.sleep(0.02)
    assert answers.total() > 200
    assert set(answers) <= set(REGIONS)


def test_one_that_is_away_starts_with_the_last_weights(front: Front) -> None:
    front.proxy.stop()
    found = front.plane.apply(table(WITHOUT_NORTH, REGIONS))
    assert found.problems[0].startswith("Envoy: is to start with the weights, but does not answer at ")
    front.proxy.start()
    assert set(send(front.ports["london"], 500)) == set(REGIONS) - {"north"}
    assert not front.plane.apply(table(WITHOUT_NORTH, REGIONS)).changed

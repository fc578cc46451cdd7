"""A real NGINX in front of real regions."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.proxies import Front, deviation, find, flowing, in_front, send, table

REGIONS = ["north", "south", "east-1", "west"]
PLANS = {"london": [0.4, 0.3, 0.2, 0.1], "new york": [0.0, 0.0, 1.0, 0.0]}
WITHOUT_NORTH = {name: [0.0, *row[1:]] for name, row in PLANS.items()}

pytestmark = pytest.mark.skipif(find("nginx") is None, reason="nginx is not installed: make data-plane")


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with in_front("nginx", REGIONS, list(PLANS)) as found:
        yield found


@pytest.fixture(scope="module")
def by_client() -> Iterator[Front]:
    """Whose clients are told apart by a header."""
    with in_front("nginx", REGIONS, list(PLANS), key="$http_x_client") as found:
        yield found


def test_ten_thousand_clients_are_shared_as_planned_and_each_stays_where_it_is(by_client: Front) -> None:
    plan = table(PLANS, REGIONS)
    assert by_client.plane.apply(plan).problems == ()
    first, again = (send(by_client.ports["london"], 10_000) for _ in range(2))
    assert first == again
    assert deviation(first, plan.share[0], REGIONS) <= 0.01
    assert set(send(by_client.ports["new york"], 1000)) == {"east-1"}


def test_draws_for_each_request_are_those_of_chance(front: Front) -> None:
    plan = table(PLANS, REGIONS)
    assert front.plane.apply(plan).problems == ()
    answers = send(front.ports["london"], 10_000)
    for name, part in zip(REGIONS, plan.share[0], strict=True):
        assert abs(answers[name] / 10_000 - part) <= 5.0 * math.sqrt(part * (1.0 - part) / 10_000)
    assert set(answers) == set(REGIONS)


def test_a_table_in_force_is_left_alone(front: Front) -> None:
    front.plane.apply(table(PLANS, REGIONS))
    found = front.plane.apply(table(PLANS, REGIONS, version=2))
    assert not found.changed and not found.problems


def test_a_region_that_is_down_gets_nothing_from_then_on(front: Front) -> None:
    front.plane.apply(table(PLANS, REGIONS))
    assert front.plane.apply(table(WITHOUT_NORTH, REGIONS, down=["north"])).problems == ()
    assert set(send(front.ports["london"], 1000)) == set(REGIONS) - {"north"}


def test_no_request_fails_while_weights_change(front: Front) -> None:
    with flowing(front.ports["london"]) as answers:
        for number in range(8):
            row = [float(number % 2 == n % 2) for n in range(4)]
            found = front.plane.apply(table({"london": row, "new york": row}, REGIONS))
            assert found.changed and not found.problems
            time.sleep(0.05)
    assert answers.total() > 200
    assert set(answers) <= set(REGIONS)


def test_weights_that_it_does_not_take_leave_those_before(front: Front) -> None:
    front.plane.apply(table(PLANS, REGIONS))
    weights, config = front.folder / "weights.conf", front.folder / "nginx.conf"
    before, good = weights.read_text(), config.read_text()
    config.write_text(good.replace("events", "evnts"))
    found = front.plane.apply(table(WITHOUT_NORTH, REGIONS))
    config.write_text(good)
    assert len(found.problems) == 1
    assert found.problems[0].startswith(
        "NGINX: does not take the weights, and keeps those before: unknown dir"
    )
    assert weights.read_text() == before
    assert set(send(front.ports["london"], 500)) == set(REGIONS)
    assert not leftovers(front.folder)


def test_one_that_is_away_starts_with_the_last_weights(front: Front) -> None:
    front.proxy.stop()
    found = front.plane.apply(table(WITHOUT_NORTH, REGIONS))
    assert found.problems[0].startswith("NGINX: is to start with the weights, but cannot be told now: ")
    front.proxy.start()
    assert set(send(front.ports["london"], 500)) == set(REGIONS) - {"north"}
    assert not front.plane.apply(table(WITHOUT_NORTH, REGIONS)).changed


def leftovers(folder: Path) -> list[Path]:
    return list(folder.glob(".*"))

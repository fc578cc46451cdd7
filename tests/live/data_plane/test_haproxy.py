"""A real HAProxy in front of real regions: what is sent through it goes where the table says."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.proxies import FAILED, Front, deviation, find, flowing, free_ports, in_front, send, table, until

from eglb.live.data_plane.haproxy import HEAVIEST, weights
from eglb.live.data_plane.keeping import Keeping
from eglb.live.data_plane.plane import Applied

REGIONS = ["north", "south", "east-1", "são paulo", "west", "far"]
PLANS = {
    "london": [0.5, 0.25, 0.125, 0.0625, 0.0625, 0.0],
    "new york": [0.003, 0.017, 0.94, 0.02, 0.0, 0.02],
}
CONNECTIONS = 8
EVEN = {"london": [1.0] * 6, "new york": [1.0] * 6}
WITHOUT_NORTH = {name: [0.0, *row[1:]] for name, row in PLANS.items()}

here = pytest.mark.skipif(find("haproxy") is None, reason="haproxy is not installed: make data-plane")


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with in_front("haproxy", REGIONS, list(PLANS)) as found:
        yield found


def applied(front: Front, *arguments: object, **options: object) -> Applied:
    found = front.plane.apply(table(*arguments, **options))  # type: ignore[arg-type]
    assert not found.problems
    return found


@here
def test_ten_thousand_requests_are_shared_as_planned(front: Front) -> None:
    plan = table(PLANS, REGIONS)
    assert front.plane.apply(plan).changed
    for (_, port), share in zip(front.ports.items(), plan.share, strict=True):
        answers = send(port, 10_000)
        assert deviation(answers, share, REGIONS) <= 0.01
        assert set(answers) <= set(REGIONS)
        assert not [name for name, part in zip(REGIONS, share, strict=True) if answers[name] and not part]


@here
def test_a_table_in_force_is_left_alone(front: Front) -> None:
    applied(front, PLANS, REGIONS)
    assert not applied(front, PLANS, REGIONS, version=2).changed


@here
def test_a_region_that_is_down_gets_nothing_from_then_on_and_its_share_when_it_is_back(front: Front) -> None:
    port = front.ports["london"]
    applied(front, PLANS, REGIONS)
    with flowing(port, connections=CONNECTIONS) as answers:
        until(lambda: answers.total() > 200)
        applied(front, WITHOUT_NORTH, REGIONS, down=["north"])
        north, total = answers["north"], answers.total()
        until(lambda: answers.total() > total + 200)
        # What was on its way is answered, a request on each of the connections.
        assert 0 < answers["north"] <= north + CONNECTIONS
        assert not send(port, 500)["north"]
        applied(front, PLANS, REGIONS)
        assert send(port, 2000)["north"] > 900
    assert set(answers) <= set(REGIONS)


@here
def test_no_request_fails_while_weights_change_and_everybody_is_replaced(front: Front) -> None:
    with flowing(front.ports["london"]) as answers:
        for number in range(60):
            row = [float(number % 3 == n % 3) for n in range(6)]
            out = [REGIONS[n] for n in range(6) if not row[n]] if number % 2 else []
            applied(front, {"london": row, "new york": row}, REGIONS, down=out)
            time.sleep(0.01)
    assert answers.total() > 200
    assert set(answers) <= set(REGIONS)


@here
def test_after_a_crash_it_starts_with_the_weights_it_had(front: Front) -> None:
    applied(front, WITHOUT_NORTH, REGIONS, down=["north"])
    front.proxy.stop(signal.SIGKILL)
    away = front.plane.apply(table(WITHOUT_NORTH, REGIONS, down=["north"]))
    assert [problem.startswith("HAProxy: at ") for problem in away.problems] == [True]
    front.proxy.start()
    assert not applied(front, WITHOUT_NORTH, REGIONS, down=["north"]).changed
    assert not send(front.ports["new york"], 500)["north"]


@here
def test_one_that_forgot_is_told_again_without_being_asked(front: Front) -> None:
    said: list[Applied] = []
    plan = table(PLANS, REGIONS)
    with Keeping([front.plane], lambda plane, of, how: said.append(how), every=0.05) as keeping:
        keeping.publish(plan)
        until(lambda: len(said) == 1)
        front.proxy.stop()
        until(lambda: bool(said[-1].problems))
        (front.folder / "servers.state").unlink()
        front.proxy.start()
        until(lambda: not said[-1].problems)
        assert said[-1].changed
        told = len(said)
        time.sleep(0.3)
        assert len(said) == told
    assert deviation(send(front.ports["london"], 4000), plan.share[0], REGIONS) <= 0.01


@here
def test_a_reload_in_between_goes_unnoticed(front: Front) -> None:
    applied(front, PLANS, REGIONS)
    front.proxy.process.send_signal(signal.SIGUSR2)
    until(lambda: front.proxy.log().count("Loading success") > 1)
    applied(front, EVEN, REGIONS)
    answers = send(front.ports["london"], 3000)
    assert deviation(answers, [1 / 6] * 6, REGIONS) <= 0.01
    assert not answers[FAILED]


@here
def test_what_is_wrong_with_the_proxy_is_said(front: Front) -> None:
    applied(front, EVEN, REGIONS)
    more = front.plane.apply(table({"london": [1.0] * 7}, [*REGIONS, "nowhere"]))
    assert more.problems[0] == "HAProxy: No such server."
    assert "HAProxy: has no server london/nowhere" in more.problems
    applied(front, PLANS, REGIONS)


@here
def test_a_socket_that_may_only_be_read_is_said() -> None:
    with in_front("haproxy", REGIONS, list(PLANS)) as front:
        config = front.folder / "haproxy.cfg"
        config.write_text(config.read_text().replace("level admin", "level operator"))
        front.proxy.stop()
        front.proxy.start()
        found = front.plane.apply(table(PLANS, REGIONS))
    # HAProxy says so and hangs up, which the first of many commands may or may not outrun.
    breaks_off = f"HAProxy: at {front.folder}/haproxy.sock: breaks off; is it of level admin?"
    assert found.problems[0] in ("HAProxy: Permission denied", breaks_off)


@here
def test_the_runtime_api_over_tcp_does_as_well() -> None:
    regions, (port,) = ["a", "b"], free_ports(1)
    with in_front("haproxy", regions, ["g"], socket=f"127.0.0.1:{port}") as front:
        assert front.plane.apply(table({"g": [3.0, 1.0]}, regions)).problems == ()
        assert abs(send(front.ports["g"], 400)["a"] - 300) <= 4


@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40).filter(lambda row: sum(row) > 1e-3),
)
@settings(max_examples=60, deadline=None)
def test_weights_are_within_what_haproxy_takes_and_as_fine_as_it_can_tell(row: list[float]) -> None:
    share = np.array(row) / sum(row)
    found = weights(share)
    assert (found >= 0).all() and found.max() <= HEAVIEST
    assert (found[share == 0.0] == 0).all()
    assert np.abs(found / found.sum() - share).max() < 1 / 256

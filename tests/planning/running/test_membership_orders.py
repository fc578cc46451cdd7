"""Orders to a running solve: what is carried out, what is refused, and how they get there from elsewhere."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

import eglb
from eglb.coordinator.fleet.faults import Faults
from eglb.coordinator.fleet.membership import Membership, MembershipEvent
from eglb.foundation.errors import InputError
from eglb.planning.lost_regions import member_lines
from eglb.planning.progress import RoundRecord
from eglb.planning.running.membership_orders import (
    FolderOrders,
    Order,
    Orders,
    Overseer,
    carry_out,
    leave_order,
    waiting_orders,
)
from eglb.planning.solve import solve
from eglb.scenarios.catalog import load
from eglb.scenarios.scenario import Scenario

NAMES = ("a", "b", "c")


def members() -> Membership:
    return Membership(NAMES, [slice(0, 1), slice(1, 3)], 5.0)


@pytest.fixture(scope="module")
def fleet() -> Scenario:
    return load("synthetic:4x24,util=0.4")


def test_drained_regions_take_no_part_until_they_are_admitted() -> None:
    found, said = members(), list[str]()
    carry_out(Order("drain", ("a", "c")), found, said.append)
    assert found.closed.tolist() == [True, False, True]
    carry_out(Order("admit", ("c",)), found, said.append)
    assert found.closed.tolist() == [True, False, False] and not said


def test_what_cannot_be_done_is_said_and_the_rest_is_done() -> None:
    found, said = members(), list[str]()
    carry_out(Order("drain", ("b", "atlantis")), found, said.append)
    assert found.closed.tolist() == [False, True, False]
    assert said == ["drain b, atlantis: no region is called atlantis"]
    carry_out(Order("drain", ("a", "c")), found, said.append)
    assert found.closed.tolist() == [False, True, False]
    assert said[1:] == ["drain a, c: not done, as no region would be left"]


def test_nobody_is_drained_who_is_all_that_losses_left() -> None:
    found, said = members(), list[str]()
    found.asked(1, 0.0)
    assert found.overdue(5.0) == [1]
    carry_out(Order("drain", ("a",)), found, said.append)
    assert found.closed.tolist() == [False, True, True] and len(said) == 1


def test_orders_come_from_other_threads() -> None:
    orders = Orders()
    threads = [threading.Thread(target=orders.drain, args=(f"r{i}",)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {order.regions[0] for order in orders.collect()} == {f"r{i}" for i in range(20)}
    assert orders.collect() == []


def test_orders_in_a_folder_come_in_order_once_and_are_gone_when_done(
    tmp_path: Path, fleet: Scenario
) -> None:
    first, second = Order("drain", fleet.regions[:2]), Order("admit", fleet.regions[:1])
    left = FolderOrders(tmp_path)
    assert left.collect(None) == []
    leave_order(tmp_path, first, fleet)
    leave_order(tmp_path, second, fleet)
    assert waiting_orders(tmp_path) == [first, second]
    assert left.collect(None) == [first, second]
    assert left.collect(None) == [] and waiting_orders(tmp_path) == [first, second]
    left.done()
    assert waiting_orders(tmp_path) == [] and list((tmp_path / "orders").iterdir()) == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"what": "drown", "regions": ["a"]}', '{"what": "drain", "regions": [1]}', "\xff"],
)
def test_what_is_no_order_is_said_and_removed(tmp_path: Path, text: str) -> None:
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "0.json").write_text(text, "latin-1")
    left, said = FolderOrders(tmp_path), list[str]()
    assert left.collect(said.append) == [] and len(said) == 1 and "0.json" in said[0]
    left.done()
    assert list((tmp_path / "orders").iterdir()) == []


def test_impossible_orders_are_refused_where_they_are_left(tmp_path: Path, fleet: Scenario) -> None:
    with pytest.raises(InputError) as caught:
        leave_order(tmp_path, Order("drain", (*fleet.regions, "atlantis", "mu")), fleet)
    assert len(caught.value.problems) == 3
    assert "atlantis" in caught.value.problems[0] and "somebody has to serve" in caught.value.problems[2]
    with pytest.raises(InputError, match="cannot be written"):
        leave_order(tmp_path / "none", Order("admit", fleet.regions[:1]), fleet)
    assert list(tmp_path.iterdir()) == []


def test_the_overseer_tells_each_event_once_even_equal_ones() -> None:
    found, said, orders = members(), list[str](), Orders()
    overseer = Overseer(found, orders, None, said.append, 0)
    assert not overseer.look()
    for _ in range(2):
        orders.drain("a")
        orders.admit("a")
    assert overseer.look()
    assert said == ["round 0: a drained", "round 0: a admitted"] * 2
    assert not overseer.look() and len(said) == 4


def test_sentences_about_who_is_missing() -> None:
    events = [
        {"round": 0, "what": "drained", "regions": ("a",), "reason": ""},
        {"round": 3, "what": "lost", "regions": ("b", "c"), "reason": "early"},
        {"round": 4, "what": "back", "regions": ("b", "c"), "reason": ""},
        {"round": 9, "what": "lost", "regions": ("b", "c"), "reason": "no answer within 5 s"},
    ]
    why = "lost: no answer within 5 s"
    out = {"a": "drained", "b": why, "c": why}
    told = {"out": out, "events": events, "rejected": {}}
    lines = member_lines(told, {"mwh": 0.0, "slots": 0, "worst": None})
    expected = (
        f"Without a (drained), b, c since round 9 ({why}); certified against the best plan without them."
    )
    assert lines == [expected]
    short = member_lines(told, {"mwh": 1234.5, "slots": 1, "worst": {}})
    assert short[1].startswith("1,234.5 MWh of demand cannot be met without them, in 1 slot")
    assert member_lines(told | {"out": {}}, {"mwh": 0.0}) == [] and member_lines({}, {}) == []


@pytest.mark.parametrize("algorithm", ["admm", "dual", "newton", "subgradient"])
def test_a_region_is_drained_and_admitted_while_a_solve_runs(fleet: Scenario, algorithm: str) -> None:
    whole = solve(fleet, algorithm, gap=1e-3, address="inprocess")
    orders, said = eglb.Orders(), list[str]()
    calls = 0

    def act(record: RoundRecord) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            orders.drain(fleet.regions[1])
        if calls == 8:
            orders.admit(fleet.regions[1])

    found = solve(fleet, algorithm, gap=1e-9, max_rounds=400, address="inprocess", orders=orders,
                  on_round=act, warn=said.append)  # fmt: skip
    assert [event.what for event in found.events] == ["drained", "admitted"]
    assert said == [str(event) for event in found.events]
    rounds = [record.round for record in found.trace]
    assert rounds == sorted(set(rounds)) and rounds[-1] == found.rounds
    was_out = [record.regions_out for record in found.trace]
    assert set(was_out) == {0, 1} and was_out[0] == was_out[-1] == 0
    assert not found.out and found.unmet is None
    assert found.audit.objective <= whole.audit.objective * (1.0 + 1.1e-3)
    assert found.audit.lower_bound <= whole.audit.objective * (1.0 + 1e-9)
    assert np.isfinite(found.audit.gap)


def test_an_order_given_before_the_first_exchange_counts_from_the_start(fleet: Scenario) -> None:
    orders = Orders()
    orders.drain(fleet.regions[0])
    ordered = solve(fleet, "dual", address="inprocess", orders=orders)
    assert ordered.out == {fleet.regions[0]: "drained"}
    assert {record.regions_out for record in ordered.trace} == {1}
    assert not ordered.load[0].any()
    assert [record.round for record in ordered.trace] == list(range(1, ordered.rounds + 1))


def test_an_order_in_the_checkpoint_folder_outlives_the_run(tmp_path: Path, fleet: Scenario) -> None:
    """It is kept in the state before its file goes: a resumed run is without the region, too."""
    folder, name = tmp_path / "run", fleet.regions[2]

    class Killed(Exception):
        pass

    def act(record: RoundRecord) -> None:
        if record.round == 4:
            leave_order(folder, Order("drain", (name,)), fleet)
        if record.round == 6:
            raise Killed

    with pytest.raises(Killed):
        solve(fleet, "dual", gap=1e-6, address="inprocess", checkpoint=folder, checkpoint_every=1000,
              on_round=act)  # fmt: skip
    assert waiting_orders(folder) == []
    resumed = eglb.resume(folder)
    assert resumed.converged and resumed.out == {name: "drained"}
    assert resumed.events == (MembershipEvent(4, "drained", (name,)),)
    with pytest.raises(InputError, match="by orders"):
        eglb.resume(folder, without=(fleet.regions[0],))


def test_a_resumed_run_has_who_was_lost_back_and_says_so(tmp_path: Path, fleet: Scenario) -> None:
    folder, name = tmp_path / "run", fleet.regions[2]
    gone = Faults.parse(f"out={name}@5+9999")
    solve(fleet, "admm", gap=1e-3, deadline=4.0, address="inprocess", faults=gone, checkpoint=folder)
    leave_order(folder, Order("drain", fleet.regions[:1]), fleet)
    said = list[str]()
    resumed = eglb.resume(folder, warn=said.append)
    told = [(event.what, event.regions) for event in resumed.events]
    assert told == [("lost", (name,)), ("back", (name,)), ("drained", fleet.regions[:1])]
    assert said == [str(event) for event in resumed.events[1:]]
    rounds = [event.round for event in resumed.events]
    assert 0 < rounds[0] < rounds[1] == rounds[2] < resumed.rounds
    assert resumed.out == {fleet.regions[0]: "drained"} and resumed.load[2].any()


def test_without_is_refused_where_it_makes_no_sense(fleet: Scenario) -> None:
    for algorithm, without, problem in (
        ("dual", ["atlantis"], "no region is called atlantis"),
        ("dual", fleet.regions, "no region would be left"),
        ("central", fleet.regions[:1], "asks no agents"),
    ):
        with pytest.raises(InputError, match=problem):
            solve(fleet, algorithm, address="inprocess", without=without)


def test_a_checkpoint_remembers_who_was_left_out_from_the_start(tmp_path: Path, fleet: Scenario) -> None:
    folder = tmp_path / "run"
    left = solve(fleet, "dual", address="inprocess", without=fleet.regions[:1], checkpoint=folder)
    assert json.loads((folder / "options.json").read_text())["options"]["without"] == [fleet.regions[0]]
    for state in folder.glob("state-*"):
        state.unlink()
    again = eglb.resume(folder)
    assert again.out == left.out == {fleet.regions[0]: "drained"}
    np.testing.assert_array_equal(again.route, left.route)

"""Requests go where the weights say: in fair turns, sessions in place, never to a region that is down."""

from __future__ import annotations

import math
import threading
from collections import Counter
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support.service_states import router, table

from eglb.live.routing.balancing import quota_turns, rendezvous, seed_of
from eglb.live.routing.router import Router, UnknownName, Unroutable

THOROUGH = settings(max_examples=60, deadline=None)


@st.composite
def weights(draw: st.DrawFn, least: int = 1, most: int = 12) -> np.ndarray:
    """Shares of one gateway, some of them 0, over many orders of magnitude."""
    n = draw(st.integers(least, most))
    sizes = draw(st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1.0)), min_size=n, max_size=n))
    assume(sum(sizes) > 0.0)
    return np.array(sizes) / sum(sizes)


def counted(share: np.ndarray, regions: list[int]) -> np.ndarray:
    """(n + 1, N): how far the counts are from n times the share, after every n requests."""
    taken = np.zeros((len(regions) + 1, len(share)))
    taken[np.arange(1, len(regions) + 1), regions] = 1.0
    return np.arange(len(regions) + 1)[:, None] * share - taken.cumsum(0)


@given(weights())
@THOROUGH
def test_any_window_of_requests_matches_the_weights_within_two(share: np.ndarray) -> None:
    routes = router(table(share[None]))
    off = counted(share, [routes.route("g0").index for _ in range(700)])
    contenders = np.count_nonzero(share)
    bound = 1.0 - 1.0 / (2 * contenders - 2) if contenders > 1 else 0.0
    assert np.abs(off).max() <= bound + 1e-6
    # A window is the difference of two beginnings.
    assert (off.max(0) - off.min(0)).max() <= 2.0 * bound + 1e-6
    hundreds = np.abs(off[100:] - off[:-100]).max()
    assert hundreds < 2.0


@given(weights(least=2))
@THOROUGH
def test_turns_are_those_of_the_definition_in_whole_numbers(share: np.ndarray) -> None:
    turn = np.empty(60, np.int64)
    quota_turns(share, np.zeros(len(share)), turn)
    exact = [Fraction(float(each)) for each in share]
    taken, contenders = [0] * len(share), [i for i in range(len(share)) if share[i] > 0.0]
    least = Fraction(1, 2 * len(contenders) - 2) if len(contenders) > 1 else Fraction(0)
    for n, chosen in enumerate(turn.tolist(), 1):
        due = {
            i: (1 - least + taken[i] - n * exact[i]) / exact[i]
            for i in contenders
            if n * exact[i] - taken[i] >= least - Fraction(1, 10**9)
        }
        # Ties, and what rounding makes of them, may go either way.
        assert chosen in due
        assert float(due[chosen]) <= float(min(due.values())) + 1e-6 * (1.0 + abs(float(due[chosen])))
        taken[chosen] += 1


@given(st.lists(weights(3, 3), min_size=2, max_size=40), st.integers(1, 7))
@THOROUGH
def test_what_one_table_owes_the_next_ones_pay(shares: list[np.ndarray], requests: int) -> None:
    """A gateway with few requests a slot is not sent to the largest region every time."""
    routes = router(table(shares[0][None]))
    wanted, had = np.zeros(3), np.zeros(3)
    for version, share in enumerate(shares, 2):
        routes.publish(table(share[None], version))
        for _ in range(requests):
            had[routes.route("g0").index] += 1
            wanted += share
        # A region that has no weight any more is not paid, the others share what it is owed.
        if all((each > 0.0).all() for each in shares):
            assert np.abs(wanted - had).max() < 2.0


def test_few_requests_a_slot_match_the_weights_over_many_slots() -> None:
    share = np.array([[0.6, 0.3, 0.1]])
    routes = router(table(share))
    had = np.zeros(3)
    for version in range(2, 102):
        had[routes.route("g0").index] += 1
        routes.publish(table(share, version))
    assert np.abs(had - 100 * share[0]).max() < 1.0


class TestSessions:
    SESSIONS = tuple(f"session {i}" for i in range(4000))

    def placed(self, routes: Router) -> list[int]:
        return [routes.route("g0", session).index for session in self.SESSIONS]

    def test_stay_where_they_are(self) -> None:
        routes = router(table([[0.5, 0.2, 0.3]]))
        before = self.placed(routes)
        routes.publish(table([[0.5, 0.2, 0.3]], 2))
        assert self.placed(routes) == before == self.placed(router(table([[0.5, 0.2, 0.3]])))

    @given(weights())
    @settings(max_examples=8, deadline=None)
    def test_match_the_weights(self, share: np.ndarray) -> None:
        found = Counter(self.placed(router(table(share[None]))))
        n = len(self.SESSIONS)
        for i, part in enumerate(share):
            assert abs(found[i] - n * part) <= 6.0 * math.sqrt(n * part * (1.0 - part)) + 1.0
            assert part > 0.0 or not found[i]

    @given(weights(4, 4), weights(4, 4))
    @settings(max_examples=8, deadline=None)
    def test_few_move_when_weights_change(self, old: np.ndarray, new: np.ndarray) -> None:
        """At least the distance d of the two must move; with hashing at most 2 d / (1 + d) do."""
        routes = router(table(old[None]))
        before = self.placed(routes)
        routes.publish(table(new[None], 2))
        moved = np.mean(np.array(before) != self.placed(routes))
        distance = np.abs(old - new).sum() / 2.0
        bound = 2.0 * distance / (1.0 + distance)
        assert moved <= bound + 6.0 * math.sqrt(bound * max(1.0 - bound, 0.0) / len(before)) + 1e-3

    def test_only_those_of_a_region_that_goes_down_move_and_they_come_back(self) -> None:
        routes = router(table([[0.5, 0.2, 0.3]]))
        before = self.placed(routes)
        routes.mark("r1", False)
        for was, now in zip(before, self.placed(routes), strict=True):
            assert now == was if was != 1 else now in (0, 2)
        assert routes.route("g0", "any").why == "affinity; r1 is down"
        routes.mark("r1", True)
        assert self.placed(routes) == before

    @given(st.text(max_size=40), weights())
    @THOROUGH
    def test_are_placed_as_the_definition_says(self, session: str, share: np.ndarray) -> None:
        def mixed(z: int) -> int:
            whole = (1 << 64) - 1
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & whole
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB & whole
            return z ^ (z >> 31)

        seeds = [seed_of(f"r{i}") for i in range(len(share))]
        score = [
            -math.log(((mixed((seed_of(session) + seed) % (1 << 64)) >> 11) + 0.5) / 2**53) / part
            if part > 0.0
            else math.inf
            for seed, part in zip(seeds, share, strict=True)
        ]
        assert rendezvous(seed_of(session), np.array(seeds, np.uint64), share) == int(np.argmin(score))


class TestHealth:
    def test_a_region_that_is_down_gets_nothing_at_once(self) -> None:
        routes = router(table([[0.5, 0.25, 0.25]]))
        routes.route("g0")
        routes.mark("r0", False, "no heartbeat")
        decisions = [routes.route("g0") for _ in range(100)]
        assert Counter(each.region for each in decisions) == {"r1": 50, "r2": 50}
        assert {each.why for each in decisions} == {"plan; r0 is down"}
        assert routes.down() == {"r0": "no heartbeat"}

    def test_the_nearest_in_reach_stands_in_where_none_with_weight_is_up(self) -> None:
        reach = np.array([[True, True, True, False]])
        shares = table([[1.0, 0.0, 0.0, 0.0]], reach=reach)
        routes = router(shares, distance=np.array([[0.0, 3.0, 2.0, 1.0]]))
        routes.mark("r0", False)
        assert (routes.route("g0").region, routes.route("g0").why) == ("r2", "nearest; r0 is down")
        routes.mark("r2", False)
        assert routes.route("g0", "a session").region == "r1"
        routes.mark("r1", False)
        with pytest.raises(Unroutable, match="r0 is down, r1 is down, r2 is down"):
            routes.route("g0")
        routes.mark("r0", True)
        assert (routes.route("g0").region, routes.route("g0").why) == ("r0", "plan")

    def test_no_stand_in_is_a_region_without_capacity_unless_it_was_down_when_planned(self) -> None:
        closed = table([[1.0, 0.0]], capacity=np.array([1.0, 0.0]))
        routes = router(closed)
        routes.mark("r0", False)
        with pytest.raises(Unroutable):
            routes.route("g0")
        routes = router(closed)
        routes.mark("r1", False)
        routes.publish(closed)
        routes.mark("r1", True)
        routes.mark("r0", False)
        assert routes.route("g0").region == "r1"

    def test_it_is_up_when_nobody_says_it_is_down(self) -> None:
        routes = router(table([[0.5, 0.5]]))
        assert routes.mark("r0", False, "agent lost")
        assert routes.mark("r0", False, "on fire", by="report")
        assert not routes.mark("r0", False, "on fire", by="report")
        assert routes.down() == {"r0": "agent lost, on fire"}
        assert routes.mark("r0", True)
        assert routes.down() == {"r0": "on fire"}
        assert routes.mark("r0", True, by="report")
        assert routes.down() == {}
        with pytest.raises(UnknownName, match="no region is called 'r9'"):
            routes.mark("r9", False)

    @given(st.data())
    @settings(max_examples=40, deadline=None)
    def test_whatever_happens_requests_go_to_regions_that_are_up_and_in_reach(
        self, data: st.DataObject
    ) -> None:
        n, j = data.draw(st.integers(1, 5)), 2
        distance = data.draw(arrays.arrays(float, (j, n), elements=st.floats(0.0, 9.0)))

        def drawn(version: int) -> object:
            reach = data.draw(arrays.arrays(bool, (j, n)))
            reach[:, data.draw(st.integers(0, n - 1))] = True
            sizes = data.draw(arrays.arrays(float, (j, n), elements=st.sampled_from([0.0, 0.1, 1.0]))) * reach
            sizes += reach * (sizes.sum(1) == 0.0)[:, None]
            return table(sizes / sizes.sum(1, keepdims=True), version, reach=reach)

        routes, down = router(drawn(1), distance=distance), set()
        for step in range(data.draw(st.integers(1, 12))):
            region = data.draw(st.integers(0, n - 1))
            match data.draw(st.sampled_from(["down", "up", "publish"])):
                case "down":
                    routes.mark(f"r{region}", False)
                    down.add(region)
                case "up":
                    routes.mark(f"r{region}", True)
                    down.discard(region)
                case "publish":
                    routes.publish(drawn(step + 2))
            for gateway in range(j):
                current = routes.table
                assert current is not None
                up = [i for i in range(n) if i not in down and current.reach[gateway, i]]
                weighted = [i for i in up if current.share[gateway, i] > 0.0]
                nearest = min((distance[gateway, i] for i in up), default=None)
                for session in (None, None, "s"):
                    if not up:
                        with pytest.raises(Unroutable):
                            routes.route(f"g{gateway}", session)
                        continue
                    decision = routes.route(f"g{gateway}", session)
                    assert decision.version == current.version
                    if weighted:
                        assert decision.index in weighted
                    else:
                        assert distance[gateway, decision.index] == nearest


def test_a_table_with_problems_is_refused_and_the_one_before_stays() -> None:
    routes = router(table([[0.5, 0.5]]))
    with pytest.raises(ValueError, match="table 2 is not published: shares of a gateway do not add up to 1"):
        routes.publish(table([[0.5, 0.4]], 2))
    with pytest.raises(ValueError, match="other gateways or regions"):
        routes.publish(table([[0.5, 0.3, 0.2]], 3))
    assert routes.table is not None
    assert routes.table.version == routes.route("g0").version == 1


def test_without_a_table_there_is_nowhere_to_go() -> None:
    routes = Router(("g0",), ("r0",), np.zeros((1, 1)))
    with pytest.raises(Unroutable, match="no table"):
        routes.route("g0")
    routes.mark("r0", False)
    routes.publish(table([[1.0]]))
    with pytest.raises(Unroutable, match="r0 is down"):
        routes.route("g0")
    with pytest.raises(UnknownName, match="'elsewhere'"):
        routes.route("elsewhere")


def test_many_threads_share_turns_while_tables_and_health_change() -> None:
    share = np.array([[0.5, 0.3, 0.2]])
    routes, failures, each = router(table(share)), [], 5000
    done = threading.Event()

    def ask() -> None:
        try:
            for _ in range(each):
                routes.route("g0")
        except Exception as error:
            failures.append(error)

    def change() -> None:
        version = 1
        while not done.wait(0.001):
            version += 1
            routes.publish(table(share, version))
            routes.mark("r2", version % 2 == 0)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    changing = threading.Thread(target=change)
    changing.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    changing.join()
    assert not failures
    assert sum(routes.routed().values()) == 4 * each
    # While r2 is down, the others have 5/8 and 3/8: these two stand to each other as they would in any case.
    first, second = routes.routed()["g0", "r0"], routes.routed()["g0", "r1"]
    assert first / second == pytest.approx(5 / 3, rel=0.02)


def test_who_watches_is_told_of_tables_and_of_health_until_it_stops() -> None:
    routes, told = router(table([[0.5, 0.5]])), []
    with routes.watched(lambda: told.append(routes.table.version)):
        routes.publish(table([[0.4, 0.6]], 2))
        routes.mark("r0", False)
        routes.mark("r0", False)
    routes.mark("r0", True)
    assert told == [2, 2]


def test_the_last_decisions_are_known() -> None:
    routes = router(table([[0.5, 0.5]]))
    made = [routes.route("g0", f"s{i}") for i in range(50)]
    last = routes.last()
    assert [decision for _, decision in last] == made[:-21:-1]
    assert all(later >= earlier for (later, _), (earlier, _) in pairwise(last))

"""The four algorithms driven by hand: known answers, random fleets, lost agents, any split into hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import pytest

from eglb.agents.codec import decode, encode
from eglb.agents.host import RegionHost
from eglb.agents.region import Region
from eglb.coordinator.algorithms.admm import Admm
from eglb.coordinator.algorithms.algorithm import Algorithm
from eglb.coordinator.algorithms.level_bundle import LevelBundle
from eglb.coordinator.algorithms.newton import Newton
from eglb.coordinator.algorithms.subgradient import Subgradient
from eglb.coordinator.fleet.fleet import Fleet, FleetError, group_regions, host_slices
from eglb.coordinator.fleet.transport import Arrival, InProcess, Wait
from eglb.coordinator.market.market import Market
from eglb.coordinator.run import Outcome, run
from eglb.foundation.arrays import Array
from eglb.planning.audit import audit
from eglb.planning.partition import partition
from eglb.scenarios.scenario import Scenario

Draw = Callable[[int], Scenario]

ALGORITHMS: dict[str, type[Algorithm]] = {
    "admm": Admm,
    "dual": LevelBundle,
    "newton": Newton,
    "subgradient": Subgradient,
}
FAST = ["admm", "dual", "newton"]


def start(
    name: str, region: Region, market: Market, gap: float, per_host: int = 99
) -> tuple[Algorithm, Fleet]:
    hosts = group_regions(region, per_host)
    return ALGORITHMS[name](market, gap), Fleet(InProcess(hosts), host_slices(market, hosts))


def worth(region: Region, market: Market, route: Array) -> float:
    """USD: the objective of a route (T, E), by loops."""
    load = np.zeros_like(region.price)
    for t, e in np.ndindex(*route.shape):
        load[market.edge_region[e], t] += route[t, e]
    assert (load <= region.capacity + 1e-9 * market.demand.max()).all() and (route >= 0.0).all()
    for j in range(market.gateways):
        served = route[:, market.edge_gateway == j].sum(1)
        np.testing.assert_allclose(served, market.demand[:, j], atol=1e-9 * market.demand.max())
    worst = [max(region.intensity[i, k] @ load[i] for i in range(len(load))) for k in range(market.kinds)]
    return float(
        (region.price * load).sum() + sum(w * f for w, f in zip(market.equity_weight, worst, strict=True))
    )


def full_reach(regions: int, gateways: int, slots: int, demand: float, weight: Sequence[float]) -> Market:
    gateway, region = np.divmod(np.arange(regions * gateways), regions)
    return Market(np.full((slots, gateways), demand), regions, gateway, region, np.array(weight, float))


def block(price: object, capacity: object, *intensity: object) -> Region:
    """A Region from rows (N, T) of price, capacity and each kind's intensity."""
    rows = np.array(price, float)
    kinds = [np.array(kind, float) for kind in intensity]
    return Region(
        tuple(f"r{i}" for i in range(len(rows))),
        rows,
        np.array(capacity, float),
        np.stack(kinds, 1) if kinds else np.zeros((len(rows), 0, rows.shape[1])),
    )


KNOWN: dict[str, tuple[Region, Market, float]] = {
    # 6 MW at 3 USD, and 2 USD per unit of 6 x 0.5 units
    "one region": (block([[3.0]], [[10.0]], [[0.5]]), full_reach(1, 1, 1, 6.0, [2.0]), 18.0 + 6.0),
    # equal prices: halves, and half the footprint
    "a tie in the max": (
        block([[1.0]] * 2, [[9.0]] * 2, [[1.0]] * 2),
        full_reach(2, 1, 1, 4.0, [10.0]),
        4 + 20.0,
    ),
    # the saving of 1 USD per MW is worth more than the footprint of 0.5: all on the cheap one
    "cost wins": (
        block([[1.0], [2.0]], [[9.0]] * 2, [[1.0]] * 2),
        full_reach(2, 1, 1, 4.0, [0.5]),
        4.0 + 2.0,
    ),
    # y1 = 2 y2, footprints of intensity 1 and 2 in balance: 8/3 and 4/3
    "balanced intensities": (
        block([[1.0]] * 2, [[9.0]] * 2, [[1.0], [2.0]]),
        full_reach(2, 1, 1, 4.0, [30.0]),
        4.0 + 30.0 * 8 / 3,
    ),
    # one region is clean in the first slot, the other in the second: each serves its clean slot
    "across slots": (
        block([[1.0, 1.0]] * 2, [[9.0, 9.0]] * 2, [[0.0, 1.0], [1.0, 0.0]]),
        full_reach(2, 1, 2, 4.0, [30.0]),
        8.0,
    ),
    # no choice: every region full in every slot
    "exactly full": (
        block([[1.0, 2.0], [3.0, 4.0]], [[2.0, 2.0], [4.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]]),
        full_reach(2, 2, 2, 3.0, [5.0]),
        2 + 4 + 12 + 16 + 5 * 8.0,
    ),
    "a closed region": (
        block([[0.1], [2.0], [3.0]], [[0.0], [5.0], [5.0]], [[1.0]] * 3),
        full_reach(3, 1, 1, 6.0, [0.25]),
        10 + 3 + 0.25 * 5,
    ),
    # cheapest at -1 USD up to its 4 MW; 2 MW at 0.5; no footprint priced
    "negative price, no kinds": (
        block([[-1.0], [0.5]], [[4.0], [9.0]]),
        full_reach(2, 1, 1, 6.0, []),
        -4.0 + 1.0,
    ),
    # gateway 1 may only use region 1, which pushes gateway 0 to region 0
    "reach": (
        block([[5.0], [1.0]], [[9.0], [3.0]], [[0.0], [0.0]]),
        Market(np.array([[2.0, 3.0]]), 2, np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([1.0])),
        10.0 + 3.0,
    ),
    # kinds disagree: water wants region 1, carbon region 0; both mix to the middle
    "two kinds at odds": (
        block([[1.0]] * 2, [[9.0]] * 2, [[2.0], [0.0]], [[0.0], [2.0]]),
        full_reach(2, 1, 1, 4.0, [3.0, 3.0]),
        4.0 + 3.0 * 8.0,
    ),
    "no demand in one slot": (
        block([[1.0, 7.0]], [[5.0, 0.0]], [[1.0, 1.0]]),
        Market(np.array([[3.0], [0.0]]), 1, np.zeros(1, int), np.zeros(1, int), np.array([2.0])),
        3.0 + 6.0,
    ),
}


@pytest.mark.parametrize("case", KNOWN)
@pytest.mark.parametrize(
    ("name", "gap", "limit"), [("newton", 1e-6, 40), ("dual", 1e-6, 120), ("admm", 1e-3, 1000)]
)
def test_known_answers(name: str, gap: float, limit: int, case: str) -> None:
    region, market, optimum = KNOWN[case]
    algorithm, fleet = start(name, region, market, gap)
    assert run(algorithm, fleet, max_rounds=limit) is Outcome.CONVERGED
    found = algorithm.incumbent
    assert found.gap <= gap
    tolerance = 1e-9 * max(abs(optimum), 1.0)
    assert found.bound <= optimum + tolerance
    assert optimum - tolerance <= found.objective <= optimum + 1.1 * gap * abs(optimum)
    assert found.route is not None
    assert worth(region, market, found.route) == pytest.approx(found.objective, rel=1e-9)


@pytest.mark.parametrize("case", KNOWN)
def test_known_answers_by_subgradient_are_between_bound_and_objective(case: str) -> None:
    region, market, optimum = KNOWN[case]
    algorithm, fleet = start("subgradient", region, market, 1e-2)
    run(algorithm, fleet, max_rounds=1000)
    found = algorithm.incumbent
    tolerance = 1e-9 * max(abs(optimum), 1.0)
    assert found.bound <= optimum + tolerance and optimum - tolerance <= found.objective
    assert found.gap <= 1e-2


@pytest.fixture(scope="session")
def known_optimum(draw: Draw, solve_exactly: Callable[[Scenario], float]) -> Callable[[int], float]:
    """The optimum of a drawn fleet, solved once for all algorithms."""
    return cache(lambda seed: solve_exactly(draw(seed)))


def certify(scenario: Scenario, optimum: float, name: str, gap: float, limit: int) -> Outcome:
    """Run on a drawn fleet; whatever the outcome, everything claimed must be true."""
    parts = partition(scenario)
    algorithm, fleet = start(name, parts.region, parts.market, gap)
    outcome = run(algorithm, fleet, max_rounds=limit)
    found = algorithm.incumbent
    assert found.route is not None and found.demand_price is not None and found.equity_price is not None
    checked = audit(
        scenario,
        parts.expand_route(found.route),
        parts.expand_demand_price(found.demand_price),
        parts.expand_equity_price(found.equity_price),
    )
    # An optimum near zero is a difference of large sums: rounding counts in the size of the terms.
    size = float(np.abs(scenario.price_per_mw_slot()).max() * scenario.demand.sum())
    tolerance = 1e-9 * max(abs(optimum), size)
    assert checked.lower_bound <= optimum + tolerance
    assert checked.objective >= optimum - tolerance
    assert found.bound <= checked.lower_bound + tolerance
    assert found.objective == pytest.approx(checked.objective, abs=tolerance)
    assert max(checked.violations.values()) <= 1e-9 * scenario.demand.max()
    if outcome is Outcome.CONVERGED:
        assert found.gap <= gap
    return outcome


@pytest.mark.parametrize(
    ("name", "fleets", "limit", "least"),
    [("newton", 200, 60, 199), ("dual", 120, 200, 120), ("admm", 70, 400, 65)],
)
def test_random_fleets_are_solved_and_certified(
    name: str, fleets: int, limit: int, least: int, draw: Draw, known_optimum: Callable[[int], float]
) -> None:
    """Every claim holds on every fleet, and nearly all reach 1e-4."""
    short = {}
    for seed in range(fleets):
        outcome = certify(draw(seed), known_optimum(seed), name, 1e-4, limit)
        if outcome is not Outcome.CONVERGED:
            short[seed] = outcome.value
    assert fleets - len(short) >= least, short


def test_the_yardstick_tells_the_truth_on_random_fleets(
    draw: Draw, known_optimum: Callable[[int], float]
) -> None:
    for seed in range(60):
        certify(draw(seed), known_optimum(seed), "subgradient", 1e-2, 60)


@pytest.mark.parametrize("seed", [1, 4])
@pytest.mark.parametrize("name", ["newton", "dual"])
def test_a_gap_of_1e_6_is_reached(
    name: str, seed: int, draw: Draw, known_optimum: Callable[[int], float]
) -> None:
    assert certify(draw(seed), known_optimum(seed), name, 1e-6, 200) is Outcome.CONVERGED


@pytest.mark.parametrize("name", ALGORITHMS)
def test_any_seating_gives_the_same_iterates_to_the_bit(name: str, draw: Draw) -> None:
    compared = 0
    for seed in range(18):
        scenario = draw(seed)
        if len(scenario.regions) < 3:
            continue
        parts = partition(scenario)
        traces = []
        for per_host in (99, 1, 2):
            algorithm, fleet = start(name, parts.region, parts.market, 1e-5, per_host)
            trace: list[tuple[float, float]] = []
            found = algorithm.incumbent
            run(
                algorithm,
                fleet,
                max_rounds=25,
                on_round=lambda _, trace=trace, found=found: trace.append((found.objective, found.bound)),
            )
            traces.append(trace)
        assert traces[0] == traces[1] == traces[2], seed
        compared += 1
    assert compared >= 10


class Shaky(InProcess):
    """In process, but at some calls one host comes back empty after an answer that never arrived."""

    def __init__(self, hosts: Sequence[Region], crashes: set[int], victim: int) -> None:
        super().__init__(hosts)
        self._data, self._crashes, self._victim, self._count = hosts, crashes, victim, 0

    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        self._count += 1
        arrivals = super().call(payloads, wait, probes)
        if self._count in self._crashes and self._victim in payloads:
            self._hosts[self._victim] = RegionHost(self._data[self._victim])
            died = RuntimeError("the actor died")
            arrivals = [(h, died if h == self._victim else answer) for h, answer in arrivals]
        return arrivals


@pytest.mark.parametrize("name", FAST)
def test_agents_that_restart_in_the_middle_do_not_stop_a_run(
    name: str, draw: Draw, known_optimum: Callable[[int], float]
) -> None:
    for seed in (1, 4, 20, 33):
        parts = partition(draw(seed))
        hosts = group_regions(parts.region, 1)
        algorithm = ALGORITHMS[name](parts.market, 1e-4)
        line = Shaky(hosts, {1, 4, 9, 14}, len(hosts) - 1)
        outcome = run(algorithm, Fleet(line, host_slices(parts.market, hosts)), max_rounds=600)
        assert outcome is Outcome.CONVERGED, seed
        optimum = known_optimum(seed)
        tolerance = 1e-9 * abs(optimum)
        assert algorithm.incumbent.bound <= optimum + tolerance
        assert optimum - tolerance <= algorithm.incumbent.objective <= optimum + 1.1e-4 * abs(optimum)


class Deaf(InProcess):
    """In process, but every answer is lost once: each request is heard and answered twice."""

    _first = True

    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        arrivals = super().call(payloads, wait, probes)
        self._first = not self._first
        return arrivals if self._first else []

    def pause(self, seconds: float) -> None:
        pass


@pytest.mark.parametrize("name", ALGORITHMS)
def test_hearing_everything_twice_changes_no_iterate(name: str, draw: Draw) -> None:
    for seed in (1, 4, 20):
        parts = partition(draw(seed))
        hosts = group_regions(parts.region, 2)
        found = []
        for transport in (InProcess(hosts), Deaf(hosts)):
            algorithm = ALGORITHMS[name](parts.market, 1e-5)
            trace: list[tuple[float, float]] = []
            best = algorithm.incumbent
            fleet = Fleet(transport, host_slices(parts.market, hosts))
            action = algorithm.start()
            for _ in range(12):
                following = algorithm.step(fleet.exchange(action))
                trace.append((best.objective, best.bound))
                if not hasattr(following, "requests"):
                    break
                action = following
            found.append(trace)
        if name == "admm":  # its agents start from the multiplier they found last: equal up to rounding
            np.testing.assert_allclose(found[0], found[1], rtol=1e-9)
        else:
            assert found[0] == found[1]


class Broken(InProcess):
    """In process, but from some call on the first region's numbers are all nan."""

    def __init__(self, hosts: Sequence[Region], after: int) -> None:
        super().__init__(hosts)
        self._left = after

    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        self._left -= 1
        return [(h, self._spoiled(h, answer)) for h, answer in super().call(payloads, wait, probes)]

    def pause(self, seconds: float) -> None:
        pass

    def _spoiled(self, host: int, answer: bytes | Exception) -> bytes | Exception:
        if host or self._left >= 0 or isinstance(answer, Exception):
            return answer
        number, *replies = decode(answer)
        return encode([number, *(type(r)(**{n: getattr(r, n) * np.nan for n in r.axes()}) for r in replies)])


@pytest.mark.parametrize("after", [0, 1, 4])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_nan_from_an_agent_ends_the_run_and_leaves_a_true_certificate(
    name: str, after: int, draw: Draw, known_optimum: Callable[[int], float]
) -> None:
    parts = partition(draw(4))
    assert parts.market.kinds > 0 and parts.market.regions > 2
    hosts = group_regions(parts.region, 1)
    algorithm = ALGORITHMS[name](parts.market, 1e-14)
    with pytest.raises(FleetError, match=r"r0 \(quarantined: sent .* not finite"):
        run(algorithm, Fleet(Broken(hosts, after), host_slices(parts.market, hosts)))
    optimum = known_optimum(4)
    assert algorithm.incumbent.bound <= optimum + 1e-9 * abs(optimum)
    assert algorithm.incumbent.objective >= optimum - 1e-9 * abs(optimum)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_limits_stop_with_a_plan_and_a_bound(name: str, draw: Draw) -> None:
    parts = partition(draw(4))
    heard: list[float] = []
    algorithm, fleet = start(name, parts.region, parts.market, 1e-14)
    assert run(algorithm, fleet, max_rounds=1, on_round=heard.append) is Outcome.ROUND_LIMIT
    assert np.isfinite(algorithm.incumbent.gap) and algorithm.incumbent.route is not None
    assert len(heard) == fleet.traffic.rounds and heard == sorted(heard)
    algorithm, fleet = start(name, parts.region, parts.market, 1e-14)
    assert run(algorithm, fleet, time_limit_s=1e-9) is Outcome.TIME_LIMIT
    assert np.isfinite(algorithm.incumbent.gap)

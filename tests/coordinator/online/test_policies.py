"""Online policies: feasible and causal on every fleet, and what their formulas say, written down a second
time.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.online_instances import draw_hours, scramble_after

from eglb.coordinator.online.policies import POLICIES
from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.planning.online.policies import parse_policy, policy_parameters
from eglb.scenarios.scenario import Scenario
from eglb.sims.replay.simulation import Simulation, simulate


def run(scenario: Scenario, policy: str, **others: object) -> Simulation:
    return simulate(scenario, policy, certify=False, offline=False, **others)  # type: ignore[arg-type]


def full_reach(seed: int, slots: int = 30, regions: int = 4) -> Scenario:
    """Everyone reaches everyone; prices and footprints that differ enough for costs never to tie."""
    random = np.random.default_rng(seed)
    scenario = draw_hours(0, slots)
    ones = np.ones(regions)
    kind = scenario.footprints[0]
    gateway, region = np.divmod(np.arange(2 * regions), regions)
    order = np.lexsort((gateway, region))
    return replace(
        scenario,
        regions=tuple(f"r{i}" for i in range(regions)),
        region_lat=ones,
        region_lon=ones,
        pue=ones,
        capacity=random.uniform(0.8, 1.2, (regions, slots)),
        gateways=("g0", "g1"),
        gateway_lat=ones[:2],
        gateway_lon=ones[:2],
        gateway_utc_offset_h=ones[:2],
        demand=random.uniform(0.4, 1.2, (2, slots)),
        price=random.uniform(20, 80, (regions, slots)),
        footprints=tuple(
            replace(
                kind,
                name=name,
                weight=weight,
                intensity=random.uniform(0.1, 1.0, (regions, slots)),
                region_weight=ones,
            )
            for name, weight in (("water", 40.0), ("carbon", 90.0))
        ),
        reach_gateway=gateway[order],
        reach_region=region[order],
        reach_rtt_ms=np.full(2 * regions, np.nan),
    )


def merit_order(scenario: Scenario, cost: Array, slot: int) -> Array:
    """(N,): cheapest first until demand is served; everyone reaches everyone."""
    load, left = np.zeros(len(cost)), scenario.demand[:, slot].sum()
    for i in np.argsort(cost, kind="stable"):
        load[i] = min(scenario.capacity[i, slot], left)
        left -= load[i]
    return load


def weights_and_intensity(scenario: Scenario) -> tuple[Array, Array]:
    lam = np.array([k.weight for k in scenario.footprints])
    return lam, np.stack([k.intensity for k in scenario.footprints])


def play(scenario: Scenario, price_of: object) -> Array:
    """(N, T): merit order at the equity prices (K, N) that `price_of(slot, F, past)` gives; F is (K, N)."""
    _, a = weights_and_intensity(scenario)
    footprint, past = np.zeros(a.shape[:2]), []
    loads = np.zeros(scenario.price.shape)
    for t in range(scenario.slots):
        mu = price_of(t, footprint, past)  # type: ignore[operator]
        loads[:, t] = merit_order(scenario, scenario.price[:, t] + (mu * a[:, :, t]).sum(0), t)
        past.append(a[:, :, t] * loads[:, t])
        footprint = footprint + past[-1]
    return loads


@pytest.mark.parametrize("seed", range(3))
def test_eg_by_its_formula(seed: int) -> None:
    scenario = full_reach(seed)
    lam, a = weights_and_intensity(scenario)
    eta = np.sqrt(2 * np.log(a.shape[1]) / scenario.slots)

    def price_of(t: int, footprint: Array, past: list[Array]) -> Array:
        largest = np.max([g.max(1) for g in past], axis=0) if past else np.ones(len(lam))
        e = np.exp(eta * footprint / largest[:, None])
        return lam[:, None] * e / e.sum(1, keepdims=True)

    np.testing.assert_allclose(run(scenario, "eg").load, play(scenario, price_of), atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_dmd_by_its_formula(seed: int) -> None:
    scenario, eta = full_reach(seed), 2e-3
    lam, a = weights_and_intensity(scenario)
    g = np.zeros(a.shape[:2])
    largest = np.zeros(len(lam))

    def price_of(t: int, footprint: Array, past: list[Array]) -> Array:
        nonlocal g, largest
        if past:
            gain = lam[:, None] * past[-1]
            largest = np.maximum(largest, gain.max(1))
            for k in range(len(lam)):
                z = np.where(g[k] > 0, largest[k], 0.0) if g[k].clip(0).sum() > 1 else 0.0
                g[k] = g[k] + eta * (gain[k] - z)
        return lam[:, None] * g

    np.testing.assert_allclose(run(scenario, f"dmd:step={eta}").load, play(scenario, price_of), atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_adahedge_by_its_formula(seed: int) -> None:
    scenario = full_reach(seed)
    lam, a = weights_and_intensity(scenario)
    kinds, n = a.shape[:2]
    delta, total = np.zeros(kinds), np.zeros((kinds, n))
    used: list[tuple[Array, float]] = []

    def price_of(t: int, footprint: Array, past: list[Array]) -> Array:
        nonlocal used
        for k in range(kinds if past else 0):
            gain, (v, eta) = lam[k] * past[-1][k], used[k]
            if np.isinf(eta):
                mix = (total[k] + gain).max() - total[k].max()
            else:
                mix = np.log(v @ np.exp(eta * gain)) / eta
            delta[k] += max(0.0, mix - v @ gain)
            total[k] += gain
        used = []
        for k in range(kinds):
            if delta[k] <= 0:
                v, eta = (total[k] >= total[k].max() - 1e-12).astype(float), np.inf
            else:
                eta = np.log(n) / delta[k]
                v = np.exp(eta * (total[k] - total[k].max()))
            used.append((v / v.sum(), eta))
        return lam[:, None] * np.array([v for v, _ in used])

    np.testing.assert_allclose(run(scenario, "adahedge").load, play(scenario, price_of), atol=1e-9)


def test_cost_sum_and_nearest_by_their_rules() -> None:
    scenario = full_reach(5)
    lam, a = weights_and_intensity(scenario)
    n = a.shape[1]
    np.testing.assert_allclose(
        run(scenario, "cost").load, play(scenario, lambda *_: np.zeros((2, n))), atol=1e-12
    )
    fair = np.tile((lam / n)[:, None], (1, n))
    np.testing.assert_allclose(run(scenario, "sum").load, play(scenario, lambda *_: fair), atol=1e-12)
    near = run(replace(scenario, reach_rtt_ms=np.array([1.0, 9, 2, 8, 3, 7, 4, 6])), "nearest")
    # The pair of gateway 0 and region 0 is the nearest of all: it is served as far as it goes.
    first = np.minimum(scenario.demand[0], scenario.capacity[0])
    np.testing.assert_allclose(near.load[0] >= first - 1e-12, True)


@pytest.mark.parametrize("policy", sorted(POLICIES))
@pytest.mark.parametrize("seed", range(12))
def test_every_plan_is_feasible_and_knows_nothing_of_the_future(policy: str, seed: int) -> None:
    scenario = draw_hours(seed, slots=14, negative=seed % 2 == 0)
    whole = run(scenario, policy)
    assert max(whole.violations.values()) <= 1e-9 * scenario.demand.max()
    slot = 6
    other = run(scramble_after(scenario, slot), policy)
    np.testing.assert_array_equal(whole.route[:, : slot + 1], other.route[:, : slot + 1])
    np.testing.assert_array_equal(whole.route, run(scenario, policy).route)


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_awkward_fleets(policy: str, draw: object) -> None:
    """Closed regions, full slots, gateways without demand, kinds of no weight or none at all, any scale."""
    for seed in range(40):
        scenario: Scenario = draw(seed)  # type: ignore[operator]
        result = run(scenario, policy)
        assert max(result.violations.values()) <= 1e-9 * scenario.demand.max(), seed


@pytest.mark.parametrize("policy", ["adahedge", "cost", "sum", "nearest"])
def test_a_new_period_starts_from_nothing(policy: str) -> None:
    """Without memory across periods the second one is planned as if it were a run of its own."""
    scenario = full_reach(2, slots=12)
    together = run(scenario, policy, period="6").load[:, 6:]
    np.testing.assert_allclose(together, run(scenario.window(6, 6), policy).load, atol=1e-12)


def test_parameters_are_shown_and_checked() -> None:
    assert policy_parameters("guard") == "eps=0.05, advice=soft, robust=eg"
    assert policy_parameters("cost") == ""
    with pytest.raises(InputError, match="did you mean soft"):
        parse_policy("sofft")
    with pytest.raises(InputError, match="'speed=1' is no parameter=value of soft"):
        parse_policy("soft:speed=1")
    with pytest.raises(InputError, match=r"steps: 'x' is not a whole number"):
        parse_policy("soft:steps=x")
    with pytest.raises(InputError, match="policy 'nobody' is not known"):
        parse_policy("guard:advice=nobody")

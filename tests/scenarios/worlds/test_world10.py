"""world10: its year keeps what is published, its hours are plausible, it is feasible, and equity matters."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog

import eglb
from eglb.foundation.arrays import Array
from eglb.scenarios.feasibility import find_shortages
from eglb.scenarios.scenario import Scenario
from eglb.scenarios.worlds.world10 import FUEL_MIX_PERCENT, FUELS, SITES, signals

# Medians of Macknick et al. 2012 in L/kWh, as in the data notes; reservoirs are not counted.
EWIF = {"coal": 2.6, "gas": 0.776, "oil": 1.32, "nuclear": 2.544, "biomass": 2.093, "geothermal": 0.057}
EWIF |= {"hydro": 0.0, "wind": 0.0, "solar": 0.0038, "unknown": 1.8}


@pytest.fixture(scope="module")
def fleet() -> Scenario:
    return eglb.load("world10")


def test_the_year_keeps_what_is_published() -> None:
    price, water, carbon = signals()
    assert price.shape == water.central.shape == carbon.central.shape == (10, 8760)
    for i, site in enumerate(SITES):
        assert price[i].mean() == pytest.approx(site.price_usd_mwh)
        assert carbon.central[i].mean() * 1000 == pytest.approx(site.carbon_g_kwh)
        # The sun moves hours of water about, not much of the year's.
        by_mix = sum(p / 100 * EWIF[fuel] for p, fuel in zip(FUEL_MIX_PERCENT[i], FUELS, strict=True))
        assert water.central[i].mean() == pytest.approx(site.wue_l_kwh + site.pue * by_mix, rel=0.12)
    assert {sum(row) for row in FUEL_MIX_PERCENT} == {100}


def test_ranges_hold_the_central_estimate(fleet: Scenario) -> None:
    for kind in fleet.footprints:
        assert (kind.low <= kind.intensity).all() and (kind.intensity <= kind.high).all()
        assert (kind.low > 0).all() and kind.signal.startswith(("on site plus off site; average", "average"))
        assert kind.high.mean() > 1.1 * kind.intensity.mean()


def test_it_is_plausible(fleet: Scenario) -> None:
    assert (len(fleet.regions), len(fleet.gateways), fleet.slots) == (10, 12, 336)
    assert ((fleet.pue >= 1.05) & (fleet.pue <= 1.6)).all() and fleet.price.min() > 0
    full = fleet.demand.sum(axis=0) / fleet.capacity.sum(axis=0)
    assert full.max() == pytest.approx(0.75) and full.mean() > 0.5
    degree = np.bincount(fleet.reach_gateway)
    assert degree.min() >= 3 and degree.max() < 10
    assert "modelled" in fleet.note and len(fleet.sources) >= 8
    assert np.datetime64(fleet.times[0], "D").astype(object).weekday() == 0
    assert np.isfinite(fleet.water_stress).all() and fleet.water_stress.max() == 4
    assert (fleet.people_m > 5).all()
    # Carbon of a sunny grid is lowest around local noon, and dearest power comes in the evening.
    california = fleet.regions.index("california")
    hour = (np.arange(336) + round(fleet.region_lon[california] / 15)) % 24
    by_hour = [fleet.footprints[1].intensity[california, hour == h].mean() for h in range(24)]
    assert 10 <= int(np.argmin(by_hour)) <= 14
    by_hour = [fleet.price[california, hour == h].mean() for h in range(24)]
    assert 17 <= int(np.argmax(by_hour)) <= 21


def test_towers_draw_more_in_summer() -> None:
    """On-site water of Virginia, where little sun is in the mix, in July against January."""
    _, water, _ = signals()
    january, july = water.central[0, :744].mean(), water.central[0, 4344:5088].mean()
    assert july > january + 0.05


def test_every_hour_can_be_served(fleet: Scenario) -> None:
    assert find_shortages(fleet) == ()


def test_it_is_always_the_same(fleet: Scenario) -> None:
    again = eglb.load("world10")
    for field in ("demand", "price", "capacity", "reach_rtt_ms"):
        assert getattr(again, field).tobytes() == getattr(fleet, field).tobytes()


@pytest.mark.parametrize("algorithm", ["admm", "dual", "newton", "crossover"])
def test_decentralised_algorithms_certify_it(fleet: Scenario, algorithm: str) -> None:
    plan = eglb.solve(fleet, algorithm, gap=1e-4, address="inprocess")
    assert plan.converged and plan.audit.gap <= 1e-4


def test_equity_matters(fleet: Scenario) -> None:
    """At the optimum equity is 25-50 % of the objective, the worst regions far below cheapest-first."""
    scenario = fleet
    cheapest, _, cheapest_worst = best_plan(scenario, (0.0, 0.0))
    weights = tuple(kind.weight for kind in scenario.footprints)
    objective, cost, worst = best_plan(scenario, weights)
    assert cost == pytest.approx(objective - np.dot(weights, worst), rel=1e-6)
    assert 0.25 < 1 - cost / objective < 0.50
    assert cost < 1.3 * cheapest
    assert (worst < 0.5 * cheapest_worst).all()


def best_plan(scenario: Scenario, weights: tuple[float, ...]) -> tuple[float, float, Array]:
    """Optimal objective and energy cost (USD), and the worst region's total of each kind, by scipy."""
    pairs, slots, kinds = len(scenario.reach_region), scenario.slots, len(weights)
    n, j = len(scenario.regions), len(scenario.gateways)
    variable = np.arange(pairs * slots)
    slot = variable % slots
    region = np.repeat(scenario.reach_region, slots)
    gateway = np.repeat(scenario.reach_gateway, slots)
    ones = np.ones(len(variable))
    width = len(variable) + kinds
    served = sp.csr_matrix((ones, (gateway * slots + slot, variable)), shape=(j * slots, width))
    loaded = sp.csr_matrix((ones, (region * slots + slot, variable)), shape=(n * slots, width))
    totals = []
    for k, kind in enumerate(scenario.footprints):
        rate = scenario.intensity_per_mw_slot(kind)[region, slot]
        total = sp.csr_matrix((rate, (region, variable)), shape=(n, width))
        totals.append(
            total - sp.csr_matrix((np.ones(n), (np.arange(n), [width - kinds + k] * n)), (n, width))
        )
    price = scenario.price_per_mw_slot()[region, slot]
    answer = linprog(
        np.concatenate([price, weights]),
        A_ub=sp.vstack([loaded, *totals]),
        b_ub=np.concatenate([scenario.capacity.ravel(), np.zeros(kinds * n)]),
        A_eq=served,
        b_eq=scenario.demand.ravel(),
        method="highs-ipm",
    )
    assert answer.status == 0
    worst = [
        np.bincount(region, answer.x[:-kinds] * scenario.intensity_per_mw_slot(kind)[region, slot]).max()
        for kind in scenario.footprints
    ]
    return float(answer.fun), float(price @ answer.x[:-kinds]), np.array(worst)

"""A small solved fleet for what shows and stores solutions, made without any solver."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eglb.planning.audit import audit, region_load
from eglb.planning.progress import RoundRecord
from eglb.planning.solution import Solution
from eglb.scenarios.catalog import load
from eglb.scenarios.folder.writing import new
from eglb.scenarios.scenario import Scenario


@pytest.fixture(scope="session")
def fleet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example fleet: three regions, two gateways, 48 hours."""
    folder = tmp_path_factory.mktemp("fleets") / "my-fleet"
    new(folder)
    return folder


@pytest.fixture(scope="session")
def fleet(fleet_folder: Path) -> Scenario:
    return load(fleet_folder)


@pytest.fixture(scope="session")
def solution(fleet: Scenario) -> Solution:
    """Demand spread over the regions by capacity, the first region left out for a day; simple duals."""
    share = fleet.capacity[fleet.reach_region].copy()
    share[fleet.reach_region == 0, :24] = 0.0
    reached = np.zeros_like(fleet.demand)
    np.add.at(reached, fleet.reach_gateway, share)
    route = share / reached[fleet.reach_gateway] * fleet.demand[fleet.reach_gateway]
    demand_price = np.tile(fleet.price_per_mw_slot().min(axis=0), (len(fleet.gateways), 1))
    count = len(fleet.regions)
    equity_price = np.array([np.full(count, kind.weight / count) for kind in fleet.footprints])
    found = audit(fleet, route, demand_price, equity_price)
    return Solution(
        status="round_limit",
        scenario=fleet,
        algorithm="admm",
        address="inprocess",
        actors=3,
        route=route,
        load=region_load(fleet, route),
        demand_price=demand_price,
        equity_price=equity_price,
        audit=found,
        rounds=2,
        bytes_up=12_345,
        bytes_down=678,
        seconds_start=0.5,
        seconds_solve=1.25,
        seconds_total=1.75,
        peak_rss_mb=101.0,
        trace=(
            RoundRecord(1, 0.5, float("inf"), float("-inf"), float("inf"), 5_000, 300),
            RoundRecord(2, 1.25, found.objective, found.lower_bound, found.gap, 12_345, 678),
        ),
    )


@pytest.fixture(scope="session")
def converged(solution: Solution) -> Solution:
    return replace(solution, status="converged", algorithm="central", actors=0)

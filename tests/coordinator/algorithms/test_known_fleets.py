"""The algorithms on fleets built backwards from a chosen optimum: no solver is needed to know the answer."""

from __future__ import annotations

import pytest
from support.known_answers import build_backwards

from eglb.coordinator.algorithms.admm import Admm
from eglb.coordinator.algorithms.algorithm import Algorithm
from eglb.coordinator.algorithms.level_bundle import LevelBundle
from eglb.coordinator.algorithms.newton import Newton
from eglb.coordinator.fleet.fleet import Fleet, group_regions, host_slices
from eglb.coordinator.fleet.transport import InProcess
from eglb.coordinator.run import Outcome, run
from eglb.planning.partition import partition


@pytest.mark.parametrize(
    ("kind", "gap", "limit"), [(Newton, 1e-6, 60), (LevelBundle, 1e-6, 300), (Admm, 1e-4, 800)]
)
def test_fleets_built_backwards(kind: type[Algorithm], gap: float, limit: int) -> None:
    short = {}
    for seed in range(20):
        (scenario, optimum), _ = build_backwards(seed)
        parts = partition(scenario)
        hosts = group_regions(parts.region, 2)
        algorithm = kind(parts.market, gap)
        outcome = run(algorithm, Fleet(InProcess(hosts), host_slices(parts.market, hosts)), max_rounds=limit)
        found = algorithm.incumbent
        rounding = 1e-9 * abs(optimum)
        assert found.bound <= optimum + rounding
        assert found.objective >= optimum - rounding
        if outcome is Outcome.CONVERGED:
            assert found.objective - found.bound <= gap * abs(found.objective)
        else:
            short[seed] = (outcome.value, found.gap)
    assert not short

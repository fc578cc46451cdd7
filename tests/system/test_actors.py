"""The same run in process and on Ray actors, on private clusters and on one that runs already."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from support.online_instances import draw_hours

from eglb.coordinator.fleet.fleet import FleetError
from eglb.planning.solution import Solution
from eglb.planning.solve import solve
from eglb.scenarios.catalog import load
from eglb.scenarios.scenario import Scenario
from eglb.sims.replay.simulation import simulate

pytestmark = pytest.mark.cluster

# Large enough that no algorithm ends in its opening rounds, small enough that all end in seconds.
_LIMITS = {"gap": 1e-3, "max_rounds": 60}


@pytest.fixture(scope="module")
def fleet() -> Scenario:
    return load("synthetic:5x48,seed=3,reach=3")


def trace(solution: Solution) -> list[tuple[object, ...]]:
    return [(r.round, r.objective, r.lower_bound, r.gap) for r in solution.trace]


@pytest.mark.parametrize("algorithm", ["admm", "dual", "newton", "subgradient"])
@pytest.mark.parametrize("regions_per_actor", [1, 5])
def test_actors_and_one_process_go_the_same_way(
    joined: Any, fleet: Scenario, algorithm: str, regions_per_actor: int
) -> None:
    alone = solve(fleet, algorithm, address="inprocess", regions_per_actor=regions_per_actor, **_LIMITS)
    spread = solve(fleet, algorithm, address="auto", regions_per_actor=regions_per_actor, **_LIMITS)
    assert spread.actors == -(-5 // regions_per_actor)
    assert len(trace(alone)) == alone.rounds > 5
    assert trace(spread) == trace(alone)
    assert (spread.bytes_up, spread.bytes_down) == (alone.bytes_up, alone.bytes_down)
    np.testing.assert_array_equal(spread.route, alone.route)
    np.testing.assert_array_equal(spread.demand_price, alone.demand_price)


def test_hour_by_hour_too(joined: Any) -> None:
    scenario = draw_hours(13, slots=5)
    alone = simulate(scenario, "soft", estimates="drift:sd=0.2")
    spread = simulate(scenario, "soft", estimates="drift:sd=0.2", address="auto", deadline=120.0)
    np.testing.assert_array_equal(alone.route, spread.route)
    assert alone.trace[-1].lower_bound == spread.trace[-1].lower_bound
    assert alone.rounds == spread.rounds


def test_what_runs_in_this_process_is_joined_and_left(joined: Any, fleet: Scenario) -> None:
    import ray

    assert solve(fleet, "newton", address=ray.get_runtime_context().gcs_address).converged
    assert ray.is_initialized()
    with pytest.raises(FleetError, match="address='auto' joins the running one"):
        solve(fleet, "newton", address="local")
    with pytest.raises(FleetError, match=r"cannot join 127.0.0.1:1"):
        solve(fleet, "newton", address="127.0.0.1:1")
    assert ray.is_initialized()


def test_an_actor_loads_no_heavy_library() -> None:
    code = "import sys, eglb.agents.host; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numba", "scipy", "matplotlib", "pyarrow", "pandas", "rich", "pydantic", "ray"}
    assert not heavy & set(loaded.stdout.split())
    assert "numpy" in loaded.stdout.split()

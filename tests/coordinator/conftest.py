"""Random small fleets as fixtures; see `small_fleets`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.small_fleets import draw_scenario, optimum, small_market

from eglb.agents.region import Region
from eglb.coordinator.market.market import Market
from eglb.scenarios.scenario import Scenario


@pytest.fixture(scope="session")
def draw() -> Callable[[int], Scenario]:
    """Draw a random scenario from a seed; see `draw_scenario`."""
    return draw_scenario


@pytest.fixture(scope="session")
def solve_exactly() -> Callable[[Scenario], float]:
    """The optimum of a scenario by an independent solver; see `optimum`."""
    return optimum


@pytest.fixture(scope="session")
def draw_market() -> Callable[..., tuple[Region, Market]]:
    """Draw a small (Region, Market) from a seed; see `small_market`."""
    return small_market

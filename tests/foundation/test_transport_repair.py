"""What regions can serve at most, against a general linear solver on random fleets."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from eglb.foundation.arrays import Array
from eglb.foundation.transport_repair import most_served


def most_by_program(demand: Array, allowed: Array, ceiling: Array) -> float:
    """MW of one slot: the largest flow from gateways to the regions they reach."""
    region, gateway = np.nonzero(allowed)
    rows = np.zeros((len(demand) + len(ceiling), len(region)))
    rows[gateway, np.arange(len(region))] = 1.0
    rows[len(demand) + region, np.arange(len(region))] = 1.0
    found = linprog(-np.ones(len(region)), A_ub=rows, b_ub=np.concatenate([demand, ceiling]))
    return -float(found.fun)


@pytest.mark.parametrize("seed", range(20))
def test_as_much_is_served_as_can_be(seed: int) -> None:
    random = np.random.default_rng(seed)
    regions, gateways, slots = 4, 6, 5
    allowed = random.random((regions, gateways)) < 0.4
    allowed[random.integers(regions, size=gateways), np.arange(gateways)] = True
    demand = random.gamma(1.0, 10.0, (slots, gateways))
    ceiling = random.gamma(1.0, 12.0, (slots, regions))
    served = most_served(demand, allowed, ceiling)
    assert (served >= 0.0).all() and (served <= demand).all()
    wanted = [most_by_program(demand[t], allowed, ceiling[t]) for t in range(slots)]
    np.testing.assert_allclose(served.sum(axis=1), wanted, rtol=1e-9)
    # What is served has a routing of its own: all of it can be served again.
    again = [most_by_program(served[t], allowed, ceiling[t]) for t in range(slots)]
    np.testing.assert_allclose(again, served.sum(axis=1), rtol=1e-9)
    assert (served < demand).any()

"""Whether every slot has a feasible routing: a balanced spread as quick proof."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

Array = np.ndarray


def reach_matrix(regions: int, gateways: int, reach_region: Array, reach_gateway: Array) -> sp.csr_matrix:
    """(N, J) 0/1 matrix of the allowed pairs, reach_* being (E,) index arrays."""
    ones = np.ones(len(reach_region))
    return sp.csr_matrix((ones, (reach_region, reach_gateway)), shape=(regions, gateways))


def balanced_load(
    reach: sp.csr_matrix, demand: Array, capacity: Array, *, passes: int = 40, target: float = 1.0
) -> tuple[Array, Array]:
    """A routing that spreads demand evenly over the regions: its load (N, T) and its weights (N, T).

    Every gateway splits its demand over the regions it reaches in proportion to their weights, so
    ``x_ij = w_i d_j / sum_i' w_i'``; weights start at capacity and shrink where a region is overloaded
    (multiplicative updates towards equal utilisation). The load follows from two sparse products and no
    array of pairs x slots is ever held. Stops when every region is at or below `target` of its capacity.
    Demand that reaches no capacity at all is left out of the load.

    Parameters
    ----------
    reach : (N, J) of :func:`reach_matrix`. demand : (J, T) MW. capacity : (N, T) MW.
    """
    reached_by = reach.T.tocsr()
    weight = np.array(capacity, dtype=float)
    safe_capacity = np.where(capacity > 0, capacity, np.inf)
    for left in range(passes, -1, -1):
        reached = reached_by @ weight
        load = weight * (reach @ (demand / np.where(reached > 0, reached, np.inf)))
        utilisation = load / safe_capacity
        if left == 0 or utilisation.max(initial=0.0) <= target:
            break
        weight *= np.clip(1.0 / np.maximum(utilisation, 1e-9), 0.8, 1.25) ** 0.7
        # Only ratios of weights matter; without this they drift out of range over many passes.
        weight /= np.maximum(weight.max(axis=0), np.finfo(float).tiny)
    return load, weight

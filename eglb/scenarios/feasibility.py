"""Whether every slot has a feasible routing; where not, which gateways ask too much of which regions.

Demand d_j can be served within the capacities cap_i it reaches iff every set S of gateways asks no more than
its regions hold, ``sum_{j in S} d_j <= sum_{i in N(S)} cap_i`` (Gale's theorem, the transport form of
Hall's). The smallest total shortage is the largest violation, and the set that attains it explains it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InfeasibleError
from eglb.scenarios.highs import open_highs
from eglb.scenarios.scenario import Scenario

# A slot at exactly full load is feasible: a shortage up to this share of the largest demand is rounding.
TOLERANCE = 1e-9
SLOTS_SHOWN = 5
NAMES_SHOWN = 6
# Slots tried together by the quick test; bounds its memory to a few arrays of regions x this many.
SLOTS_AT_ONCE = 512


@dataclass(frozen=True)
class Shortage:
    """In `slot`, `gateways` (indices) ask `mw` more than `regions`, all they reach, can hold."""

    slot: int
    gateways: tuple[int, ...]
    regions: tuple[int, ...]
    mw: float


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


def find_shortages(scenario: Scenario) -> tuple[Shortage, ...]:
    """All shortages by slot, exactly: empty iff every slot has a feasible routing.

    A balanced spread proves most slots feasible; only those it leaves in doubt go to a linear program
    (smallest total shortage), whose dual is the offending set of gateways. One slot may hold several
    shortages when they share no region. The MW short come from demand and capacity, not from the solver.
    """
    n, j = len(scenario.regions), len(scenario.gateways)
    reach = reach_matrix(n, j, scenario.reach_region, scenario.reach_gateway)
    allowed = TOLERANCE * float(scenario.demand.max(initial=0.0))
    doubtful = _doubtful_slots(reach, scenario.demand, scenario.capacity, allowed)
    if not len(doubtful):
        return ()
    sets = _overloaded_sets(scenario, doubtful)
    found: list[Shortage] = []
    for slot, overloaded in zip(doubtful, sets, strict=True):
        demand, capacity = scenario.demand[:, slot], scenario.capacity[:, slot]
        overloaded &= demand > 0
        for gateways in _independent_parts(reach, overloaded):
            regions = np.flatnonzero(reach[:, gateways].sum(axis=1))
            mw = float(demand[gateways].sum() - capacity[regions].sum())
            if mw > allowed:
                found.append(Shortage(int(slot), tuple(gateways.tolist()), tuple(regions.tolist()), mw))
    return tuple(found)


def require_served(scenario: Scenario) -> None:
    """Pass if every slot has a feasible routing.

    Raises
    ------
    InfeasibleError : names slots, gateways, the regions they reach and the MW short.
    """
    if problems := describe_shortages(scenario):
        raise InfeasibleError(problems)


def describe_shortages(scenario: Scenario, out: Collection[str] = ()) -> list[str]:
    """What `require_served` says, one shortage a line; regions that are `out` come first, marked."""
    shortages = find_shortages(scenario)
    slots = list(dict.fromkeys(s.slot for s in shortages))
    shown = [s for s in shortages if s.slot in slots[:SLOTS_SHOWN]][: 2 * SLOTS_SHOWN]
    problems = []
    for s in shown:
        gateways = [scenario.gateways[j] for j in s.gateways]
        names = sorted((scenario.regions[i] for i in s.regions), key=lambda name: name not in out)
        regions = [f"{name} (out)" if name in out else name for name in names]
        asked = float(scenario.demand[list(s.gateways), s.slot].sum())
        held = float(scenario.capacity[list(s.regions), s.slot].sum())
        problems.append(
            f"{scenario.name}: slot {s.slot} ({scenario.times[s.slot]}Z): {_listed('gateway', gateways)} "
            f"ask {asked:.6g} MW, but all they reach, {_listed('region', regions)}, hold {held:.6g} MW: "
            f"{s.mw:.6g} MW short"
        )
    if len(shown) < len(shortages):
        worst = max(shortages, key=lambda s: s.mw)
        problems.append(
            f"{scenario.name}: {len(slots)} of {scenario.slots} slots are short; the worst shortage is "
            f"{worst.mw:.6g} MW in slot {worst.slot} ({scenario.times[worst.slot]}Z)"
        )
    return problems


def _listed(noun: str, names: list[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{noun}{'s' if len(names) != 1 else ''} {', '.join(names[:NAMES_SHOWN])}{more}"


def _doubtful_slots(reach: sp.csr_matrix, demand: Array, capacity: Array, allowed: float) -> Array:
    """Slots that no balanced spread proves feasible."""
    doubtful = []
    for start in range(0, demand.shape[1], SLOTS_AT_ONCE):
        slots = np.arange(start, min(start + SLOTS_AT_ONCE, demand.shape[1]))
        # Few passes settle nearly all slots; the stubborn ones get more, alone.
        for passes in (3, 60):
            if not len(slots):
                break
            d, cap = demand[:, slots], capacity[:, slots]
            load, weight = balanced_load(reach, d, cap, passes=passes)
            unserved = (d > 0) & (reach.T @ weight <= 0)
            # A sum of many terms rounds; a slot filled to the last digit is left to the exact test.
            slots = slots[(load - cap > allowed).any(axis=0) | unserved.any(axis=0)]
        doubtful.append(slots)
    return np.concatenate(doubtful)


def _independent_parts(reach: sp.csr_matrix, overloaded: Array) -> list[Array]:
    """The gateways of a set, split where they share no region."""
    gateways = np.flatnonzero(overloaded)
    inside = reach[:, gateways]
    labels = connected_components(inside.T @ inside, directed=False)[1]
    return [gateways[labels == part] for part in range(labels.max(initial=-1) + 1)]


def _overloaded_sets(scenario: Scenario, slots: Array) -> list[Array]:
    """For each slot a (J,) mask of the gateways S with the largest ``d(S) - cap(N(S))``.

    The linear program, one model warm-started from slot to slot, minimises the unserved demand; by duality
    its demand prices are 1 on such a set and 0 off it.
    """
    import highspy

    n, j, pairs = len(scenario.regions), len(scenario.gateways), len(scenario.reach_region)
    scale = float(scenario.demand.max())
    solver = open_highs()
    solver.setOptionValue("primal_feasibility_tolerance", 1e-10)
    solver.setOptionValue("dual_feasibility_tolerance", 1e-10)
    rows = np.concatenate([scenario.reach_gateway, np.arange(j), j + scenario.reach_region])
    columns = np.concatenate([np.arange(pairs), pairs + np.arange(j), np.arange(pairs)])
    matrix = sp.csc_matrix((np.ones(len(rows)), (rows, columns)), shape=(j + n, pairs + j))
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = pairs + j, j + n
    model.col_cost_ = np.concatenate([np.zeros(pairs), np.ones(j)])
    model.col_lower_ = np.zeros(pairs + j)
    model.col_upper_ = np.full(pairs + j, highspy.kHighsInf)
    model.row_lower_ = np.concatenate([np.zeros(j), np.full(n, -highspy.kHighsInf)])
    model.row_upper_ = np.concatenate([np.full(j, highspy.kHighsInf), np.zeros(n)])
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
    model.a_matrix_.value_ = matrix.data
    solver.passModel(model)
    sets = []
    for slot in slots:
        demand, capacity = scenario.demand[:, slot] / scale, scenario.capacity[:, slot] / scale
        for row in range(j):
            solver.changeRowBounds(row, demand[row], highspy.kHighsInf)
        for i in range(n):
            solver.changeRowBounds(j + i, -highspy.kHighsInf, capacity[i])
        solver.run()
        status = solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"the feasibility program of slot {slot} ended as {status}")
        sets.append(np.array(solver.getSolution().row_dual[:j]) > 0.5)
    return sets

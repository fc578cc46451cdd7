"""SCS, Clarabel and OSQP: general conic and quadratic solvers, by their array interfaces."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from time import perf_counter

import numpy as np
import scipy.sparse as sp

from eglb.planning.central.linear_model import LinearModel
from rivals_adapters import Point, conic_rows, row_dual

_MANY = 10_000_000


def solve(method: str, model: LinearModel, setting: float, threads: int, limit: float) -> Iterator[Point]:
    """`setting` is the absolute and relative tolerance."""
    solver, _, option = method.partition("-")
    import_module(solver)
    run = {"scs": _scs, "clarabel": _clarabel, "osqp": _osqp}[solver]
    seconds, columns, multiplier, rows, iterations, status = run(model, setting, threads, limit, option)
    yield Point(seconds, columns, row_dual(model, rows, multiplier), iterations, status)


def _scs(model: LinearModel, setting: float, threads: int, limit: float, option: str) -> tuple:
    import scs

    matrix, side, equal, rows = conic_rows(model, bounds=True)
    data, cone = {"A": matrix, "b": side, "c": model.cost}, {"z": equal, "l": len(side) - equal}
    accuracy = {"eps_abs": setting, "eps_rel": setting, "max_iters": _MANY, "time_limit_secs": limit}
    started = perf_counter()
    found = scs.SCS(data, cone, verbose=False, **accuracy).solve()
    seconds = perf_counter() - started
    return seconds, found["x"], found["y"], rows, found["info"]["iter"], found["info"]["status"]


def _clarabel(model: LinearModel, setting: float, threads: int, limit: float, option: str) -> tuple:
    import clarabel

    matrix, side, equal, rows = conic_rows(model, bounds=True)
    cones = [clarabel.ZeroConeT(equal), clarabel.NonnegativeConeT(len(side) - equal)]
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.time_limit, settings.max_threads = False, limit, threads
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = setting
    settings.direct_solve_method = option or "qdldl"
    nothing = sp.csc_matrix((len(model.cost), len(model.cost)))
    started = perf_counter()
    found = clarabel.DefaultSolver(nothing, model.cost, matrix, side, cones, settings).solve()
    seconds = perf_counter() - started
    return seconds, np.array(found.x), np.array(found.z), rows, found.iterations, str(found.status)


def _osqp(model: LinearModel, setting: float, threads: int, limit: float, option: str) -> tuple:
    import osqp

    unit = sp.identity(len(model.cost), format="csc")
    matrix = sp.csc_matrix(sp.vstack([model.matrix, unit]))
    lower = np.concatenate([model.row_lower, model.lower])
    upper = np.concatenate([model.row_upper, model.upper])
    nothing = sp.csc_matrix((len(model.cost), len(model.cost)))
    accuracy = {"eps_abs": setting, "eps_rel": setting, "max_iter": _MANY, "time_limit": limit}
    started = perf_counter()
    solver = osqp.OSQP()
    solver.setup(nothing, model.cost, matrix, lower, upper, verbose=False, polishing=False, **accuracy)
    found = solver.solve()
    seconds = perf_counter() - started
    rows = np.arange(len(model.row_upper))
    return seconds, np.asarray(found.x), np.asarray(found.y), rows, found.info.iter, found.info.status

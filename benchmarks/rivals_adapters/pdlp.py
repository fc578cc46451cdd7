"""OR-tools PDLP, by its array interface.

In a further process: OR-tools brings a HiGHS library of its own, and whichever of it and highspy is imported
second fails on an undefined symbol (ortools 9.15, highspy 1.15 and 1.16).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter

from eglb.planning.central.linear_model import LinearModel
from rivals_adapters import Point


def solve(option: str, model: LinearModel, setting: float, threads: int, limit: float) -> Iterator[Point]:
    """`setting` is the absolute and relative tolerance; there is no `option`."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        yield apart.submit(_solve, model, setting, threads, limit).result()


def _solve(model: LinearModel, setting: float, threads: int, limit: float) -> Point:
    from ortools.pdlp import solve_log_pb2, solvers_pb2
    from ortools.pdlp.python import pdlp

    program = pdlp.QuadraticProgram()
    program.resize_and_initialize(len(model.cost), len(model.row_upper))
    program.objective_vector = model.cost
    program.constraint_matrix = model.matrix
    program.constraint_lower_bounds, program.constraint_upper_bounds = model.row_lower, model.row_upper
    program.variable_lower_bounds, program.variable_upper_bounds = model.lower, model.upper
    parameters = solvers_pb2.PrimalDualHybridGradientParams(num_threads=threads)
    criteria = parameters.termination_criteria
    criteria.time_sec_limit = limit
    criteria.simple_optimality_criteria.eps_optimal_absolute = setting
    criteria.simple_optimality_criteria.eps_optimal_relative = setting
    started = perf_counter()
    result = pdlp.primal_dual_hybrid_gradient(program, parameters)
    seconds = perf_counter() - started
    log = result.solve_log
    status = solve_log_pb2.TerminationReason.Name(log.termination_reason)
    return Point(seconds, result.primal_solution, result.dual_solution, log.iteration_count, status)

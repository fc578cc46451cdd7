"""OR-tools PDLP, by its array interface."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

from ortools.pdlp import solve_log_pb2, solvers_pb2
from ortools.pdlp.python import pdlp

from eglb.sims.linear_model import LinearModel
from rivals_adapters import Point


def solve(polish: str, model: LinearModel, setting: float, threads: int, limit: float) -> Iterator[Point]:
    """`setting` is the absolute and relative tolerance; ``"polish"`` asks for feasibility polishing."""
    program = pdlp.QuadraticProgram()
    program.resize_and_initialize(len(model.cost), len(model.row_upper))
    program.objective_vector = model.cost
    program.constraint_matrix = model.matrix
    program.constraint_lower_bounds, program.constraint_upper_bounds = model.row_lower, model.row_upper
    program.variable_lower_bounds, program.variable_upper_bounds = model.lower, model.upper
    parameters = solvers_pb2.PrimalDualHybridGradientParams(
        num_threads=threads, use_feasibility_polishing=polish == "polish"
    )
    criteria = parameters.termination_criteria
    criteria.time_sec_limit = limit
    criteria.simple_optimality_criteria.eps_optimal_absolute = setting
    criteria.simple_optimality_criteria.eps_optimal_relative = setting
    started = perf_counter()
    result = pdlp.primal_dual_hybrid_gradient(program, parameters)
    seconds = perf_counter() - started
    log = result.solve_log
    status = solve_log_pb2.TerminationReason.Name(log.termination_reason)
    yield Point(seconds, result.primal_solution, result.dual_solution, log.iteration_count, status)

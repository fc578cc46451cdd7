"""HiGHS: simplex, interior point without crossover (IPX, HiPO), and its first-order method."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import highspy
import numpy as np

from eglb.planning.central.linear_model import LinearModel, to_highs
from eglb.scenarios.highs import open_highs
from rivals_adapters import Point

_OPTIONS = {
    "simplex": {"solver": "simplex"},
    "ipx": {"solver": "ipx", "run_crossover": "off"},
    "hipo": {"solver": "hipo", "run_crossover": "off"},
    "pdlp": {"solver": "pdlp"},
}


def solve(method: str, model: LinearModel, setting: float, threads: int, limit: float) -> Iterator[Point]:
    """`setting` is every tolerance of the method; simplex keeps its own."""
    highspy.Highs.resetGlobalScheduler(True)
    solver = open_highs()
    options = {**_OPTIONS[method], "presolve": "off", "threads": threads, "time_limit": limit}
    if method == "pdlp":
        options["pdlp_optimality_tolerance"] = setting
    if method != "simplex":
        options["kkt_tolerance"] = setting
    if threads > 1:
        options["parallel"] = "on"
    for name, value in options.items():
        if solver.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise ModuleNotFoundError(f"this HiGHS lacks {name}={value}", name="highspy")
    program = to_highs(model)
    started = perf_counter()
    solver.passModel(program)
    solver.run()
    seconds = perf_counter() - started
    info, solution = solver.getInfo(), solver.getSolution()
    if not (solution.value_valid and solution.dual_valid):
        return
    counts = (info.simplex_iteration_count, info.ipm_iteration_count, info.pdlp_iteration_count)
    yield Point(
        seconds,
        np.array(solution.col_value),
        np.array(solution.row_dual),
        max(counts),
        solver.modelStatusToString(solver.getModelStatus()),
    )

"""A HiGHS instance that prints nothing, and a linear model as it takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import highspy

    from eglb.planning.central.linear_model import LinearModel


def open_highs() -> Any:
    """A HiGHS instance on one thread that leaves standard output alone.

    ``highspy.Highs()`` prints its banner while it is being constructed, before any option can silence it,
    and so breaks a program whose standard output is one JSON object. Its base class, the bare
    binding, offers the same calls without the modelling layer and is silent.
    """
    import highspy

    (binding,) = highspy.Highs.__bases__
    solver = binding()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    return solver


def to_highs(model: LinearModel) -> highspy.HighsLp:
    """A linear model as HiGHS takes it."""
    import highspy

    program = highspy.HighsLp()
    program.num_row_, program.num_col_ = model.matrix.shape
    program.col_cost_, program.col_lower_, program.col_upper_ = model.cost, model.lower, model.upper
    program.row_lower_, program.row_upper_ = model.row_lower, model.row_upper
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_, program.a_matrix_.index_ = model.matrix.indptr, model.matrix.indices
    program.a_matrix_.value_ = model.matrix.data
    return program

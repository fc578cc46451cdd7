"""A HiGHS instance that prints nothing, and a linear model as it takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass


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

"""One module per rival: the reduced linear program goes in, the points it returns come out.

An adapter is ``solve(model, setting, threads, limit)``, an iterator of `Point`. `setting` is the rival's own
accuracy (or penalty, for DeDe), `limit` seconds after which it should stop with what it has. Time counts from
arrays to point; building the model, repair and audit are outside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from eglb.foundation.arrays import Array
from eglb.planning.central.linear_model import LinearModel


@dataclass(frozen=True, eq=False)
class Point:
    """`columns` and `row_dual` as in `LinearModel`, any finite numbers; `seconds` since the start."""

    seconds: float
    columns: Array
    row_dual: Array
    iterations: int
    status: str


def conic_rows(model: LinearModel, *, bounds: bool) -> tuple[sp.csc_matrix, Array, int, Array]:
    """``A, b, E, rows``: the first E rows of A are ``= b``, the others ``<= b``; `rows` are the model's.

    With `bounds`, ``-x <= -lower`` and finite ``x <= upper`` follow as further rows.
    """
    equal = model.row_lower == model.row_upper
    if np.isfinite(model.row_lower[~equal]).any() or not np.isfinite(model.row_upper).all():
        raise ValueError("a row of the model is neither an equality nor an upper limit")
    rows = np.concatenate([np.flatnonzero(equal), np.flatnonzero(~equal)])
    parts, sides = [model.matrix.tocsr()[rows]], [model.row_upper[rows]]
    if bounds:
        unit = sp.identity(len(model.cost), format="csr")
        finite = np.isfinite(model.upper)
        parts += [-unit, unit[finite]]
        sides += [-model.lower, model.upper[finite]]
    return sp.csc_matrix(sp.vstack(parts)), np.concatenate(sides), int(equal.sum()), rows


def row_dual(model: LinearModel, rows: Array, multiplier: Array) -> Array:
    """(rows of the model,) sensitivities from multipliers y of ``cost x + y (A x - b)``."""
    dual = np.zeros(model.matrix.shape[0])
    dual[rows] = -multiplier[: len(rows)]
    return dual

"""Sparse LDL factorisation of the demand prices: one order and one fill pattern for all slots.

Gateways are neighbours when they share a region, in every slot alike. So the order of elimination and the
pattern of the factors are found once, and the factors of several slots, side by side in the innermost axis
(the lanes), are computed together.

The systems are symmetric M-matrices, given by their off-diagonal magnitudes and their row sums, both
nonnegative. Elimination keeps the two and forms pivots by adding them up (Grassmann, Taksar, Heyman): nothing
is ever subtracted, and every entry of the factors is accurate to rounding however badly a system is scaled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from eglb.foundation.arrays import Array
from eglb.foundation.compilation import compiled, indices, matrix, nothing


@dataclass(frozen=True, eq=False)
class Elimination:
    """Order and pattern of an LDL' factorisation of J unknowns.

    Parameters
    ----------
    place : (J,) when each unknown is eliminated; all below counts in that order.
    column_start (J + 1,), row (nnz,) : entries below the diagonal, column by column, rows ascending.
    before_start (J + 1,), before (nnz,), entry (nnz,) : the same by rows: the columns ``before`` that reach a
    row, and where in `row` they do.
    """

    place: Array
    column_start: Array
    row: Array
    before_start: Array
    before: Array
    entry: Array

    @property
    def columns(self) -> tuple[Array, Array, Array]:
        """What substitution needs."""
        return self.place, self.column_start, self.row

    @property
    def fill(self) -> int:
        """Entries below the diagonal of a factor."""
        return len(self.row)

    @property
    def parent(self) -> Array:
        """(J,): the first unknown that each one fills into, itself where there is none.

        What a side that is zero but for some neighbours of each other fills is one path of parents.
        """
        parent = np.arange(len(self.place))
        full = np.diff(self.column_start) > 0
        parent[full] = self.row[self.column_start[:-1][full]]
        return parent

    def locate(self, one: Array, other: Array) -> Array:
        """Where in `row` the entries of pairs of distinct neighbours stand."""
        size = len(self.place)
        a, b = self.place[one], self.place[other]
        column = np.repeat(np.arange(size), np.diff(self.column_start))
        found = np.searchsorted(column * size + self.row, np.minimum(a, b) * size + np.maximum(a, b))
        return found.astype(np.int64)


def plan_elimination(size: int, one: Array, other: Array) -> Elimination:
    """Choose an order of little fill for `size` unknowns with neighbours (`one`, `other`), and find the
    fill.
    """
    apart = one != other
    a, b = np.concatenate([one[apart], other[apart]]), np.concatenate([other[apart], one[apart]])
    graph = sp.csc_matrix((np.full(len(a), -1.0), (a, b)), shape=(size, size))
    graph.data[:] = -1.0
    dominant = sp.diags(1.0 - np.asarray(graph.sum(1)).ravel()) + graph
    place = _order(dominant.tocsc())
    ordered = sp.csc_matrix((np.ones(len(a)), (place[a], place[b])), shape=(size, size))
    ordered.sort_indices()
    columns: list[Array] = []
    children: list[list[int]] = [[] for _ in range(size)]
    for k in range(size):
        own = ordered.indices[ordered.indptr[k] : ordered.indptr[k + 1]]
        below = np.unique(np.concatenate([own, *(columns[c] for c in children[k])]))
        below = below[below > k].astype(np.int64)
        columns.append(below)
        if len(below):
            children[below[0]].append(k)
    row = np.concatenate([*columns, np.zeros(0, np.int64)])
    column_start = np.concatenate([[0], np.cumsum([len(c) for c in columns])]).astype(np.int64)
    entry = np.argsort(row, kind="stable").astype(np.int64)
    before = np.repeat(np.arange(size, dtype=np.int64), np.diff(column_start))[entry]
    before_start = np.searchsorted(row[entry], np.arange(size + 1)).astype(np.int64)
    return Elimination(place, column_start, row, before_start, before, entry)


def _order(dominant: sp.csc_matrix) -> Array:
    """(J,) place of each unknown in SuperLU's minimum degree order."""
    factors = splu(
        dominant, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
    return factors.perm_c.astype(np.int64)


@compiled(nothing(matrix, matrix, matrix, matrix, indices, indices, indices, indices, indices))
def factorise(
    upper: Array,
    inverse: Array,
    row_sum: Array,
    dense: Array,
    column_start: Array,
    row: Array,
    before_start: Array,
    before: Array,
    entry: Array,
) -> None:
    """Factor the systems of all lanes in place.

    Parameters
    ----------
    upper : (nnz, lanes) magnitudes of the off-diagonal entries, replaced by those of the factor L D.
    inverse : (J, lanes), filled with the inverse pivots. row_sum : (J, lanes) > 0, overwritten.
    dense : (J, lanes) zeros, and zeros again on return.
    """
    size, lanes = row_sum.shape
    for j in range(size):
        low, high = column_start[j], column_start[j + 1]
        for p in range(low, high):
            into, source = dense[row[p]], upper[p]
            for v in range(lanes):
                into[v] = source[v]
        total, factor = row_sum[j], inverse[j]
        for q in range(before_start[j], before_start[j + 1]):
            k = before[q]
            source, pivot, earlier = upper[entry[q]], inverse[k], row_sum[k]
            for v in range(lanes):
                factor[v] = source[v] * pivot[v]
                total[v] += factor[v] * earlier[v]
            for p in range(entry[q] + 1, column_start[k + 1]):
                into, source = dense[row[p]], upper[p]
                for v in range(lanes):
                    into[v] += factor[v] * source[v]
        for v in range(lanes):
            factor[v] = total[v]
        for p in range(low, high):
            source, into = dense[row[p]], upper[p]
            for v in range(lanes):
                into[v] = source[v]
                factor[v] += source[v]
                source[v] = 0.0
        for v in range(lanes):
            factor[v] = 1.0 / factor[v]


@compiled(nothing(matrix, matrix, matrix, indices, indices))
def substitute(upper: Array, inverse: Array, side: Array, column_start: Array, row: Array) -> None:
    """Solve for `side` (J, lanes) in place with the factors of `factorise`."""
    size, lanes = side.shape
    for k in range(size):
        value, pivot = side[k], inverse[k]
        for v in range(lanes):
            value[v] *= pivot[v]
        for p in range(column_start[k], column_start[k + 1]):
            into, source = side[row[p]], upper[p]
            for v in range(lanes):
                into[v] += source[v] * value[v]
    for k in range(size - 1, -1, -1):
        value, pivot = side[k], inverse[k]
        for p in range(column_start[k], column_start[k + 1]):
            answer, source = side[row[p]], upper[p]
            for v in range(lanes):
                value[v] += source[v] * pivot[v] * answer[v]

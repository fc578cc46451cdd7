"""Aggregation of columns: those of a market that reach the same regions, as one.

To the regions it does not matter whose the load is. So where only loads and their prices count, gateways and
jobs with the same reach may be one column, that is asked for all they ask for; and what is carried for it can
be shared out among them in any way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.foundation.arrays import Array


@dataclass(frozen=True, eq=False)
class Aggregation:
    """C columns with E edges in C' aggregated ones with E' edges, sorted by column, then region.

    Parameters
    ----------
    column : (C,) and edge : (E,), the aggregated one that each is part of. edge_column : (E,) column of each
    edge.
    aggregated_column, aggregated_region : (E',) of the aggregated edges.
    """

    column: Array
    edge: Array
    edge_column: Array
    aggregated_column: Array
    aggregated_region: Array

    @property
    def columns(self) -> int:
        """C'."""
        return int(self.column.max(initial=-1)) + 1

    def aggregate(self, values: Array) -> Array:
        """(T, C') sums of `values` (T, C)."""
        return _added(values, self.column, self.columns)

    def highest(self, price: Array) -> Array:
        """(T, C') highest of `price` (T, C)."""
        out = np.full((len(price), self.columns), -np.inf)
        for source, target in enumerate(self.column):
            out[:, target] = np.maximum(out[:, target], price[:, source])
        return out

    def aggregate_route(self, route: Array) -> Array:
        """(T, E') sums of `route` (T, E)."""
        return _added(route, self.edge, len(self.aggregated_column))

    def disaggregate_route(self, route: Array, served: Array) -> Array:
        """(T, E): to every column its part of `route` (T, E') when `served` (T, C) is what each is served."""
        total = self.aggregate(served)[:, self.column]
        part = np.divide(served, total, out=np.zeros_like(served), where=total > 0.0)
        return np.ascontiguousarray(route[:, self.edge] * part[:, self.edge_column])


def aggregate_columns(edge_column: Array, edge_region: Array, apart: Array) -> Aggregation:
    """Fold columns with the same regions, but those that are to stay `apart` (C,); in order of the first."""
    count = len(apart)
    start = np.searchsorted(edge_column, np.arange(count + 1))
    seen: dict[tuple[int, ...], int] = {}
    column = np.empty(count, np.int64)
    for c in range(count):
        reach = tuple(edge_region[start[c] : start[c + 1]].tolist())
        column[c] = seen.setdefault((*reach, -1 - c) if apart[c] else reach, len(seen))
    width = int(edge_region.max(initial=0)) + 1
    pair, edge = np.unique(column[edge_column] * width + edge_region, return_inverse=True)
    return Aggregation(column, edge.astype(np.int64), edge_column, pair // width, pair % width)


def _added(values: Array, into: Array, count: int) -> Array:
    out = np.zeros((len(values), count))
    for source, target in enumerate(into):
        out[:, target] += values[:, source]
    return out

"""Deferrable jobs: what the coordinator knows of work that can wait, as further columns of its market.

To the regions a job is one more gateway, which asks for at most so much in every slot. How much it does ask
for is the coordinator's choice: any powers s between `least` and `most` that sum to the job's `energy` over
its slots. So wherever a gateway has its demand d, a job has that set, and where the bound has nu . d, it has

    min { q . s : s in the set },

with q_t the price of the job's power in slot t: of its energy, less that of its limit in the slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from eglb.coordinator.market import job_allocation
from eglb.foundation.arrays import Array


@dataclass(frozen=True, eq=False)
class JobSet:
    """M jobs in the last of the C columns of a market over T slots.

    Jobs that never run at the same time may share columns. A job that takes more energy in some regions has a
    way, and a column, for each gain.

    Parameters
    ----------
    first, last : (M,) the job's slots are ``first[m]:last[m]``, at least one.
    energy : (M,) MW-slots of work, > 0. most, least : (M,) MW of work in every slot of its own.
    way_start : (M + 1,); the ways of job m are ``way_start[m]:way_start[m + 1]``.
    way_column, way_gain : (V,) column of each way, and MW of load for a MW of work, >= 1.
    """

    first: Array
    last: Array
    energy: Array
    most: Array
    least: Array
    way_start: Array
    way_column: Array
    way_gain: Array

    def __post_init__(self) -> None:
        for name in ("first", "last", "way_start", "way_column"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.int64))
        for name in ("energy", "most", "least", "way_gain"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=float))

    @cached_property
    def way_job(self) -> Array:
        """(V,): whose each way is."""
        return np.repeat(np.arange(len(self.first)), np.diff(self.way_start)).astype(np.int64)

    @property
    def kernel_arguments(self) -> tuple[Array, Array, Array, Array, Array, Array, Array, Array]:
        """The arguments that describe jobs to the kernels of `job_allocation`."""
        return (
            self.first,
            self.last,
            self.energy,
            self.most,
            self.least,
            self.way_start,
            self.way_column,
            self.way_gain,
        )

    def owner(self, slots: int, columns: int) -> Array:
        """(T, C): the way that a column belongs to in a slot, -1 for none."""
        owner = np.full((slots, columns), -1, np.int64)
        for v, (job, column) in enumerate(zip(self.way_job, self.way_column, strict=True)):
            owner[self.first[job] : self.last[job], column] = v
        return owner

    def load_at(self, power: Array, slots: int, columns: int) -> Array:
        """(T, C): the load in the jobs' columns of each running at a `power` (M,), any way."""
        owner = self.owner(slots, columns)
        return np.where(owner >= 0, (power[self.way_job] * self.way_gain)[owner], 0.0)

    def spread(self, amount: Array, slots: int, columns: int) -> Array:
        """(T, C): an `amount` (M,) spread evenly over the slots of each job, in the column of its first
        way.
        """
        spread = np.zeros((slots, columns))
        for m, column in enumerate(self.way_column[self.way_start[:-1]]):
            length = self.last[m] - self.first[m]
            spread[self.first[m] : self.last[m], column] = amount[m] / length
        return spread

    def least_cost(self, price: Array) -> float:
        """What all work costs at least at `price` (T, C) for a MW of load, USD."""
        value = np.empty(len(self.first))
        job_allocation.least_cost(np.ascontiguousarray(price, dtype=float), value, *self.kernel_arguments)
        return float(value.sum())

    def one_way(self, price: Array) -> JobSet:
        """The jobs where each goes the way that costs it least at `price` (T, C) for a MW of load, and is
        counted in MW of load there, so that no way has a gain.
        """
        cost = np.empty(len(self.way_job))
        single, job = np.arange(len(cost) + 1), self.way_job
        alone = (self.first[job], self.last[job], self.energy[job], self.most[job], self.least[job])
        job_allocation.least_cost(
            np.ascontiguousarray(price, dtype=float), cost, *alone, single, self.way_column, self.way_gain
        )
        way = np.lexsort((cost, job))[self.way_start[:-1]]
        gain = self.way_gain[way]
        return JobSet(
            self.first,
            self.last,
            self.energy * gain,
            self.most * gain,
            self.least * gain,
            np.arange(len(way) + 1),
            self.way_column[way],
            np.ones(len(way)),
        )

    def nearest_load(self, served: Array) -> Array:
        """(T, C) load of the jobs' columns that does all work, its powers next to those of `served` (T, C);
        zero elsewhere.
        """
        load = np.zeros_like(served)
        job_allocation.nearest_load(served, load, *self.kernel_arguments)
        return load

    def less(self, unmet: Array) -> JobSet:
        """The same jobs with less work by what of `unmet` (T, C) is theirs, see `repair.repair`; they
        need not keep their least power then.
        """
        lacks = np.array(
            [
                unmet[a:b, column].sum()
                for a, b, column in zip(
                    self.first, self.last, self.way_column[self.way_start[:-1]], strict=True
                )
            ]
        )
        return JobSet(
            self.first,
            self.last,
            np.maximum(self.energy - lacks, 0.0),
            self.most,
            np.where(lacks > 0.0, 0.0, self.least),
            self.way_start,
            self.way_column,
            self.way_gain,
        )

    def cuts(self, slots: int) -> Array:
        """(P,): the slots at which no job is under way; the first is zero."""
        under_way = np.zeros(slots + 1, np.int64)
        np.add.at(under_way, self.first + 1, 1)
        np.add.at(under_way, self.last, -1)
        return np.flatnonzero(np.cumsum(under_way)[:slots] == 0)

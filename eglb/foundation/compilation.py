"""Numeric kernels: compiled by numba, cached beside the code and never in the home directory, and run on all
cores.

Slots are independent of each other at the coordinator, regions at the agents. So a kernel works on a range of
rows and writes into arrays it is given, and `in_shards` deals the rows to threads; kernels hold no lock. The
result does not depend on the number of threads.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

Kernel = TypeVar("Kernel", bound=Callable[..., object])

_here = Path(__file__).parent
if "NUMBA_CACHE_DIR" not in os.environ and not os.access(_here, os.W_OK):
    os.environ["NUMBA_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / f"eglb-kernels-{os.getuid()}")

import numba  # noqa: E402  (reads the variable above when imported)
from numba import float32, float64, int64, types, void  # noqa: E402

number, count, nothing = float64, int64, void
vector, matrix, cube = float64[::1], float64[:, ::1], float64[:, :, ::1]
single_matrix = float32[:, ::1]
indices, index_matrix = int64[::1], int64[:, ::1]
given_vector, given_matrix = (types.Array(float64, axes, "C", readonly=True) for axes in (1, 2))
given_cube = types.Array(float64, 3, "C", readonly=True)
given_indices = types.Array(int64, 1, "C", readonly=True)
several = types.Tuple

_WORTH_A_THREAD = 50_000
"""Operations below which handing rows to a thread takes longer than the work."""


def compiled(signature: Any) -> Callable[[Kernel], Kernel]:
    """Compile for exactly this signature when imported; later processes load the machine code from the cache.

    An array of another type or layout is refused at the call, rather than compiled for again in silence.
    """
    return numba.njit(signature, cache=True, error_model="numpy", nogil=True)


@cache
def threads() -> int:
    """Threads that kernels may use: OMP_NUM_THREADS where that is set, else the cores of this process."""
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    return int(chosen) if chosen.isdigit() and int(chosen) else len(os.sched_getaffinity(0))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, threads() - 1), thread_name_prefix="eglb-kernel")


def in_shards(kernel: Callable[..., Any], work: int, by_row: Sequence[np.ndarray], *shared: Any) -> None:
    """Run ``kernel(*by_row, *shared)`` on shards of rows at once, when the `work` (operations) is worth it.

    `by_row` are arrays of the same length, cut along their first axis. The kernel returns nothing; it writes.
    """
    rows = len(by_row[0])
    shards = max(1, min(threads(), rows, work // _WORTH_A_THREAD))
    if shards == 1:
        kernel(*by_row, *shared)
        return
    cuts = [rows * s // shards for s in range(shards + 1)]
    (mine, *others) = ([array[low:high] for array in by_row] for low, high in pairwise(cuts))
    jobs = [_pool().submit(kernel, *part, *shared) for part in others]
    kernel(*mine, *shared)  # here, where nothing need be woken for it
    for job in jobs:
        job.result()

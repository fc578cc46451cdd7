"""Compilation of numeric kernels: numba, cached beside the code and never in the home directory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Kernel = TypeVar("Kernel", bound=Callable[..., object])

_here = Path(__file__).parent
if "NUMBA_CACHE_DIR" not in os.environ and not os.access(_here, os.W_OK):
    os.environ["NUMBA_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / f"eglb-kernels-{os.getuid()}")

import numba  # noqa: E402  (reads the variable above when imported)
from numba import float64, int64, types, void  # noqa: E402

number, count, nothing = float64, int64, void
vector, matrix, cube = float64[::1], float64[:, ::1], float64[:, :, ::1]
indices = int64[::1]
several = types.Tuple


def compiled(signature: Any) -> Callable[[Kernel], Kernel]:
    """Compile for exactly this signature when imported; later processes load the machine code from the cache.

    An array of another type or layout is refused at the call, rather than compiled for again in silence.
    """
    return numba.njit(signature, cache=True, error_model="numpy")

"""Compilation of numeric kernels: numba, cached beside the code and never in the home directory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Kernel = TypeVar("Kernel", bound=Callable[..., object])

_here = Path(__file__).parent
if "NUMBA_CACHE_DIR" not in os.environ and not os.access(_here, os.W_OK):
    os.environ["NUMBA_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / f"eglb-kernels-{os.getuid()}")

import numba  # noqa: E402  (reads the variable above when imported)


def compiled(kernel: Kernel) -> Kernel:
    """Compile on first call; later processes load the machine code from the cache."""
    return numba.njit(cache=True)(kernel)  # type: ignore[no-any-return]

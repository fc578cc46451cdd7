"""Pictures of results, drawn without a display into a folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

# Colour-blind safe (Okabe and Ito 2008), told apart by dash as well.
STYLES = (
    ("#0072B2", "-"),
    ("#D55E00", "--"),
    ("#009E73", "-."),
    ("#CC79A7", ":"),
    ("#E69F00", (0, (5, 1, 1, 1, 1, 1))),
)


def keep_home_clean() -> None:
    """Point matplotlib's font cache, else written into the home directory, to a private temporary folder."""
    if "MPLCONFIGDIR" in os.environ:
        return
    cache = Path(tempfile.gettempdir()) / f"eglb-fonts-{os.getuid()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    # Anyone can create this name first in a shared temporary folder: only one's own is trusted.
    mine = not cache.is_symlink() and cache.stat().st_uid == os.getuid()
    os.environ["MPLCONFIGDIR"] = str(cache) if mine else tempfile.mkdtemp(prefix="eglb-fonts-")

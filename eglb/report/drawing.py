"""The library that draws a report's figures, as one script without any address in it."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from importlib.metadata import version
from pathlib import Path

# Documentation links in messages; the names of XML vocabularies are no addresses and must stay.
_FOREIGN = re.compile(r"https?://(?!www\.w3\.org/)")


def vega_version() -> str:
    """The version of Vega that draws."""
    import vl_convert

    return str(vl_convert.get_vega_version())


def script() -> str:
    """Vega, Vega-Lite and Vega-Embed (BSD-3-Clause), about 0.9 MB.

    vl-convert takes seconds to put them together, so the script is kept in a private temporary folder.
    """
    folder = _private_folder()
    kept = None if folder is None else folder / f"vega-embed-{version('vl-convert-python')}.js"
    if kept is not None and kept.is_file():
        return kept.read_text("utf-8")
    import vl_convert

    made = _FOREIGN.sub("", vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).replace(
        "</script", "<\\/script"
    )
    if kept is not None:
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_text(made, "utf-8")
        part.replace(kept)
    return made


def _private_folder() -> Path | None:
    """A folder beside other temporary ones that nobody else can write into, if there can be one."""
    folder = Path(tempfile.gettempdir()) / f"eglb-report-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
    except OSError:
        return None
    # Anyone can create this name first in a shared temporary folder: only one's own is trusted.
    mine = stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o022
    return folder if mine else None

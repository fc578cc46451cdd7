"""The results folder of a scaling experiment: it grows row by row, so that an interrupted one can go on.

    rows.jsonl    one finished run a line, added when the run ends; lines of other grids may stand among them
    scale.json    what ``--json`` prints                     } written at the end,
    table.txt     the table of the terminal                  } each whole or absent
    scaling.svg   and .png: seconds, rounds and memory       }

Unlike other results folders it is therefore not whole or absent: without scale.json it is unfinished.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from eglb.foundation.console import as_text
from eglb.foundation.errors import InputError
from eglb.foundation.row_log import RowLog
from eglb.sims.scaling.scaling import Scaling

_ROWS = "rows.jsonl"
_TABLE_COLUMNS = 120


def open_rows(folder: Path, resume: bool) -> RowLog:
    """The rows of `folder`, a new or empty one; where `resume`, of an earlier experiment.

    Raises
    ------
    InputError : the folder is in use, cannot be created, or is not one to go on with.
    """
    try:
        used = folder.exists() and any(folder.iterdir())
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be used: {error.strerror}") from None
    if used and not (folder / _ROWS).is_file():
        raise InputError(f"{folder}: exists and is not empty; name a new folder")
    if used and not resume:
        raise InputError(f"{folder}: holds an earlier run; --resume goes on with it, or name a new folder")
    return RowLog(folder / _ROWS)


def write_scaling(scaling: Scaling, folder: Path) -> None:
    """Everything but the rows, each file in one step."""
    from eglb.sims.scaling.plots import draw_scaling

    try:
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as name:
            staging = Path(name)
            answer = json.dumps(scaling.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
            draw_scaling(scaling, staging)
            (staging / "table.txt").write_text(as_text(scaling, _TABLE_COLUMNS) + "\n", "utf-8")
            (staging / "scale.json").write_text(answer + "\n", "utf-8")
            for file in ("scaling.svg", "scaling.png", "table.txt", "scale.json"):
                os.replace(staging / file, folder / file)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror or error}") from error

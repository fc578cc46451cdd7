"""The results folder of a robustness study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eglb.foundation.staging import write_json, write_rows, writing

if TYPE_CHECKING:
    from eglb.sims.robustness.robustness import Robustness


def write_robustness(found: Robustness, folder: Path) -> None:
    """Fill `folder` with a robustness study: run.json, rows.jsonl, the picture."""
    from eglb.sims.robustness.plots import draw_robustness
    from eglb.sims.robustness.robustness import row_dict

    with writing(folder):
        write_json(folder / "run.json", found.to_dict())
        write_rows(folder / "rows.jsonl", [row_dict(row) for row in found.rows])
        gaps = {row.condition: row.gap_to_offline for row in found.rows}
        draw_robustness(f"{found.scenario.name}: online policies", gaps, folder)

"""The results folder of a sweep of the equity weights."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from eglb.foundation.staging import write_json, write_rows, writing
from eglb.planning.storage.folder import equity_price_by_region, write_scenario, write_tables

if TYPE_CHECKING:
    from eglb.sims.sweep.sweep import Sweep


def write_sweep(sweep: Sweep, folder: Path) -> None:
    """Fill `folder` with a sweep: run.json, all points' rounds, the plan at the own weights, the picture."""
    from eglb.sims.sweep.plots import draw_sweep

    kept = sweep.kept.solution
    rounds = [
        {"weight_factor": point.factor, **asdict(record)}
        for point in sweep.points
        for record in point.solution.trace
    ]
    with writing(folder):
        write_json(
            folder / "run.json",
            {**sweep.to_dict(), "equity_price": equity_price_by_region(kept), **kept.membership()},
        )
        write_tables(kept, folder)
        write_rows(folder / "rounds.jsonl", rounds)
        draw_sweep(sweep, folder)
        write_scenario(sweep.scenario, folder)

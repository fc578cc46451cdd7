"""The results folder of a comparison."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from eglb.foundation.staging import write_json, write_rows, writing
from eglb.planning.storage.folder import write_scenario, write_tables

if TYPE_CHECKING:
    from eglb.sims.comparison.comparison import Comparison


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Fill `folder` with a comparison: run.json, all solvers' rounds, the cheapest plan, the picture."""
    from eglb.sims.comparison.plots import draw_convergence

    rounds = [
        {"solver": run.algorithm, **asdict(record)} for run in comparison.solvers for record in run.trace
    ]
    best = comparison.cheapest
    with writing(folder):
        write_json(
            folder / "run.json", {**comparison.to_dict(), "plan_by": best.algorithm, **best.membership()}
        )
        write_tables(best, folder)
        write_rows(folder / "rounds.jsonl", rounds)
        draw_convergence(comparison, folder)
        write_scenario(comparison.scenario, folder)

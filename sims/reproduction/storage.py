"""The results folder of a reproduction."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from eglb.foundation.staging import write_json, write_rows, writing
from eglb.planning.storage.folder import equity_price_by_region, write_scenario, write_tables

if TYPE_CHECKING:
    from eglb.sims.reproduction.reproduction import Reproduction


def write_reproduction(found: Reproduction, folder: Path) -> None:
    """Fill `folder` with a reproduction: run.json, the agents' equitable plan, the picture of the weights."""
    from eglb.sims.sweep.plots import draw_sweep

    with writing(folder):
        write_json(
            folder / "run.json", {**found.to_dict(), "equity_price": equity_price_by_region(found.plan)}
        )
        write_tables(found.plan, folder)
        write_rows(folder / "rounds.jsonl", [asdict(record) for record in found.plan.trace])
        draw_sweep(found.sensitivity, folder)
        write_scenario(found.plan.scenario, folder)

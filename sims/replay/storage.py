"""The results folder of a simulation."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from eglb.foundation.staging import write_json, write_rows, writing
from eglb.planning.storage.folder import write_plan, write_scenario
from eglb.planning.storage.job_tables import write_job_tables

if TYPE_CHECKING:
    from eglb.sims.replay.simulation import Simulation


def write_simulation(simulation: Simulation, folder: Path) -> None:
    """Fill `folder` with a simulation: run.json, plan.parquet, rounds.jsonl, the picture."""
    from eglb.sims.replay.plots import draw_course

    with writing(folder):
        write_json(folder / "run.json", simulation.to_dict())
        write_plan(simulation.scenario, simulation.route, folder)
        write_job_tables(simulation.problem, folder, simulation.work)
        write_rows(folder / "rounds.jsonl", [asdict(record) for record in simulation.trace])
        draw_course(simulation, folder)
        write_scenario(simulation.scenario, folder)

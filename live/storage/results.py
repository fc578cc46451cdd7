"""The results folder of a service that has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eglb.foundation.staging import write_json, write_rows, writing
from eglb.planning.storage.folder import write_scenario
from eglb.scenarios.scenario import Scenario


def write_service(
    scenario: Scenario, found: dict[str, Any], served: list[dict[str, Any]], folder: Path
) -> None:
    """Fill `folder` with what a service did: run.json, a row for every slot in rounds.jsonl, the scenario."""
    with writing(folder):
        write_json(folder / "run.json", found)
        write_rows(folder / "rounds.jsonl", served)
        write_scenario(scenario, folder)

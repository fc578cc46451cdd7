"""What moving data between regions costs: tables as they are in the source."""

from __future__ import annotations

import shutil
from pathlib import Path

from eglb.scenarios.data_sets.sets import CLUSTER
from eglb.scenarios.data_sets.text_tables import Sources

PROVIDERS = ("aws", "azure", "gcp")


def build(sources: Sources, data: Path, out: Path) -> None:
    """Write ``factors/egress_*``."""
    folder = out / "factors"
    folder.mkdir(parents=True)
    for provider in PROVIDERS:
        shutil.copyfile(
            sources.path(CLUSTER, source_path(provider)), folder / f"egress_usd_per_gb_{provider}.csv"
        )


def source_path(provider: str) -> str:
    """Where one provider's prices are."""
    return f"data/network_cost/{provider}_transmission_cost_matrix.csv"

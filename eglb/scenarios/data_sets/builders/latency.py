"""Round-trip times between the regions of one cloud provider."""

from __future__ import annotations

from pathlib import Path

from eglb.scenarios.data_sets.sets import POTENTIAL
from eglb.scenarios.data_sets.text_tables import Sources, write_rows

PAIRS = "shared_data/raw_gcp_latency.csv"


def build(sources: Sources, data: Path, out: Path) -> None:
    """Write ``latency/gcp_rtt_ms.csv``: a row and a column for each region, empty where nobody measured."""
    ms = {(sent, received): float(rtt) for sent, received, rtt in sources.rows(POTENTIAL, PAIRS)[1:]}
    regions = sorted({sent for sent, _ in ms})
    rows = ([a, *(repr(ms[a, b]) if (a, b) in ms else "" for b in regions)] for a in regions)
    write_rows(out / "latency" / "gcp_rtt_ms.csv", ["sending_region", *regions], rows)

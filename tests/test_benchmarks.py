"""Every benchmark still runs: its smoke mode, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]

BENCHMARKS = [
    pytest.param(
        path, id=path.stem, marks=[pytest.mark.cluster] if "import ray\n" in path.read_text() else []
    )
    for path in sorted((Path(__file__).parent.parent / "benchmarks").glob("*.py"))
]


@pytest.mark.parametrize("script", BENCHMARKS)
def test_smoke_mode_runs_and_prints_rows(script: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(script), "--smoke"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 3
    assert " s" in done.stdout

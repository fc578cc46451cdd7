"""``eglb reproduce``: one command, one object, one folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eglb.sims import results_folder

Run = Callable[..., Any]


@pytest.mark.slow
def test_the_whole_is_rerun(eglb: Run, data_directory: Path, tmp_path: Path) -> None:
    ran = eglb("reproduce", "--data", data_directory, "--json", "--out", tmp_path / "out", timeout=600.0)
    assert ran.code == 0 and "1 of " in ran.err
    answer = ran.json()
    assert answer["verdicts"]["differs"] == answer["verdicts"]["close"] == 0
    names = [row["name"] for row in answer["cases"]["paper10"]["policies"]]
    assert names[:7] == [
        *("GLB-Nearest", "GLB-Cost", "GLB-Carbon", "GLB-Water", "GLB-C2", "GLB-All"),
        "eGLB-Off",
    ]
    assert names[7:] == ["eGLB-Off, agents", "eGLB", "soft"]
    gaps = {
        (row["policy"], row["forecast"], row["estimates"]): row
        for row in answer["experiments"]["partial_future"]
    }
    assert gaps["soft", "none", "exact"]["above_best"] < gaps["dmd", "none", "exact"]["above_best"]
    stored = results_folder.read(tmp_path / "out")
    assert {key: stored.run[key] for key in answer} == answer
    assert stored.plan is not None and (tmp_path / "out" / "sweep.svg").exists()
    assert results_folder.read_scenario(tmp_path / "out").name == "paper10-partial"


def test_without_data_it_says_how_to_get_them(eglb: Run, tmp_path: Path) -> None:
    ran = eglb("reproduce", "--data", tmp_path, "--json", "--out", tmp_path / "out")
    assert ran.code == 2 and not (tmp_path / "out").exists()
    problems = ran.json()["problems"]
    assert "no such file" in problems[0] and "eglb data fetch paper10" in problems[-1]

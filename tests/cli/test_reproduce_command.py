"""``eglb reproduce`` without its data; with them: tests/sims/reproduction/test_reproduction.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_without_data_it_says_how_to_get_them(eglb: Run, tmp_path: Path) -> None:
    ran = eglb("reproduce", "--data", tmp_path, "--json", "--out", tmp_path / "out")
    assert ran.code == 2 and not (tmp_path / "out").exists()
    problems = ran.json()["problems"]
    assert "no such file" in problems[0] and "eglb data fetch paper10" in problems[-1]

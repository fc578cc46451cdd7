"""docs/own_fleet.md is true: its sheets are a fleet, its commands run and print what it shows."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "own_fleet.md"


def sheets() -> dict[str, str]:
    """Text of every file that the page shows, by its path."""
    found = re.findall(r"^`(sheet/\S+)`\n\n((?:    .*\n|\n)+)", PAGE.read_text("utf-8"), re.M)
    return {name: textwrap.dedent(text).strip("\n") + "\n" for name, text in found}


def test_the_page_leads_from_sheets_to_a_plan(
    eglb: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sheet").mkdir()
    files = sheets()
    assert len(files) == 6
    for name, text in files.items():
        # As a spreadsheet saves it: byte order mark and CRLF.
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    (block,) = re.findall(r"^```console\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    commands = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
    assert len(commands) == 5
    printed = ""
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "eglb"
        place = ["--address", "inprocess"] if words[1] == "solve" else []
        ran = eglb(*words[1:], *place)
        assert ran.code == 0, ran.err
        printed += ran.out
    shown = [line for line in block.splitlines() if not line.startswith("$ ")]
    assert shown and all(line in printed.splitlines() for line in shown)

    run = json.loads((tmp_path / "result" / "run.json").read_text())
    assert (run["status"], run["algorithm"]) == ("converged", "admm") and run["gap"] <= 1e-4
    from eglb.scenarios.folder.reading import read

    fleet = read(tmp_path / "sheet")
    assert fleet.demand[0].tolist() == [61.5, 66.0, 70.25, 72.0]
    assert fleet.price[1, 3] == -2.4 and str(fleet.times[0]) == "2024-07-01T08:00:00"
    assert fleet.footprints[0].region_weight.tolist() == pytest.approx([6.1 / 5.4, 6.1 / 6.8])

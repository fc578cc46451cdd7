"""``eglb solve --network``: seconds expected between regions, in the JSON and in the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def test_expected_seconds_stand_in_the_json_and_in_the_table(eglb: Run, fleet_folder: Path) -> None:
    words = [
        "solve",
        fleet_folder,
        "--algorithm",
        "newton",
        "--address",
        "inprocess",
        "--network",
        "modelled",
    ]
    answer = eglb(*words, "--json").json()
    assert answer["actors"] == answer["regions"]
    assert 0.005 * answer["rounds"] < answer["seconds"]["network"] < answer["rounds"]
    ran = eglb(*words, "--quiet", "--coordinator", "nowhere")
    assert ran.code == 2 and "coordinator 'nowhere' is no region" in ran.err
    shown = eglb(*words).out
    assert f"{answer['seconds']['network']:.2f} s expected for messages on a wide-area network" in shown


def test_a_table_of_round_trips(eglb: Run, fleet_folder: Path, tmp_path: Path) -> None:
    words = ["solve", fleet_folder, "--algorithm", "newton", "--address", "inprocess", "--quiet"]
    regions = eglb(*words, "--json").json()["footprints"]["water"]["by_region"]
    table = tmp_path / "lines.csv"
    table.write_text("region,rtt_ms\n" + "".join(f"{region},400\n" for region in regions))
    answer = eglb(*words, "--json", "--network", table).json()
    assert answer["seconds"]["network"] == pytest.approx(0.4 * answer["rounds"], rel=0.01)
    table.write_text("region,rtt_ms\n")
    ran = eglb(*words, "--network", table)
    assert ran.code == 2 and "lines.csv: holds no rows" in ran.err


def test_a_place_without_a_network_is_refused(eglb: Run, fleet_folder: Path) -> None:
    ran = eglb("solve", fleet_folder, "--coordinator", "x", "--address", "inprocess")
    assert ran.code == 2 and "give that too" in ran.err

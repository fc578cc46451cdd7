"""``eglb data``: list, check and fetch as a user runs them, against a real server and real files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.http_shelf import serving

from eglb.scenarios.data_sets import manifest
from eglb.scenarios.data_sets.builders import egress
from eglb.scenarios.data_sets.sets import CLUSTER, PINS, SETS

Run = Callable[..., Any]
LOCAL = {"no_proxy": "127.0.0.1"}


def test_list_says_what_each_set_is_whose_it_is_and_what_is_there(eglb: Run, tmp_path: Path) -> None:
    (tmp_path / "paper10").mkdir()
    (tmp_path / "paper10" / "reach_partial.csv").write_text("gateway,region\n")
    found = eglb("data", "list", "--data", tmp_path, "--json").json()
    rows = {row["name"]: row for row in found["sets"]}
    assert list(rows) == [each.name for each in SETS]
    assert {row["state"] for name, row in rows.items() if name != "paper10"} == {"absent"}
    paper = rows["paper10"]
    assert paper["state"] == "partly" and paper["scenarios"] == ["paper10", "paper10-partial"]
    assert [file["present"] for file in paper["files"]] == [False, True]
    assert paper["sources"] == ["Ren-Research/Environmentally-Equitable-AI @182da360"]
    assert "Open-Meteo.com, CC BY 4.0" in rows["world16"]["attribution"]
    assert not rows["factors"]["fetchable"] and "typed" in rows["factors"]["by_hand"]


@pytest.mark.parametrize("columns", [80, 120])
def test_list_fits_the_terminal(eglb: Run, tmp_path: Path, columns: int) -> None:
    ran = eglb("data", "list", "--data", tmp_path / "none", COLUMNS=str(columns))
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= columns
    assert any(line.startswith("world16  absent  8.05 MB  for world16, gcp33") for line in lines)
    assert lines[-1] == "next: eglb data fetch paper10"


def test_list_of_a_scenario_is_what_it_is_read_from(eglb: Run, tmp_path: Path) -> None:
    found = eglb("data", "list", "gcp33", "--data", tmp_path, "--json").json()
    names = {row["name"] for row in found["sets"]}
    assert {"latency", "regions", "zones123", "demand"} <= names and "paper10" not in names


def test_an_unknown_name_is_refused_with_a_hint(eglb: Run, tmp_path: Path) -> None:
    for verb in ("list", "check", "fetch"):
        ran = eglb("data", verb, "wrld16", "--data", tmp_path)
        assert (
            ran.code == 2 and "wrld16: neither a data set nor a scenario" in ran.err and "world16" in ran.err
        )


def test_check_names_every_file_that_is_not_as_it_should_be(eglb: Run, tmp_path: Path) -> None:
    (tmp_path / "latency").mkdir()
    (tmp_path / "latency" / "gcp_rtt_ms.csv").write_text("torn")
    (tmp_path / "latency" / "mine.csv").write_text("")
    ran = eglb("data", "check", "latency", "paper10", "--data", tmp_path)
    assert ran.code == 2 and ran.out == ""
    assert ran.err.splitlines() == [
        f"eglb: {tmp_path}/paper10/paper10_2022.csv: missing",
        f"eglb: {tmp_path}/paper10/reach_partial.csv: missing",
        f"eglb: {tmp_path}/latency/gcp_rtt_ms.csv: differs: 4 bytes instead of 7,379",
        "not in the manifest: latency/mine.csv",
    ]
    found = eglb("data", "check", "latency", "--data", tmp_path, "--json").json()
    assert (found["status"], found["exit_code"], found["unknown"]) == ("wrong_input", 2, ["latency/mine.csv"])
    assert [file["state"] for file in found["files"]] == ["differs"]
    ran = eglb("data", "check", "--data", tmp_path / "none")
    assert ran.code == 2 and "no such folder; eglb data fetch makes it" in ran.err


def test_the_data_directory_is_ok(eglb: Run, data_directory: Path) -> None:
    ran = eglb("data", "check", "--data", data_directory)
    assert ran.code == 0 and f"ok, {len(manifest.files())} files, " in ran.out
    found = eglb("data", "check", "--data", data_directory, "--json").json()
    assert found["status"] == "ok" and len(found["files"]) == len(manifest.files())


def test_fetch_without_a_network_says_what_to_do(eglb: Run, tmp_path: Path) -> None:
    with serving({}) as shelf:
        address = shelf.address
    ran = eglb("data", "fetch", "latency", "--data", tmp_path / "new", "--mirror", address, "--json", **LOCAL)
    found = ran.json()
    assert ran.code == found["exit_code"] == 2 and found["status"] == "wrong_input"
    (problem,) = found["problems"]
    assert problem.startswith(f"latency: {address}/umassos/") and "Is there a network?" in problem
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_fetch_names_what_the_server_lacks(eglb: Run, tmp_path: Path) -> None:
    with serving({}) as shelf:
        ran = eglb("data", "fetch", "egress", "--data", tmp_path, EGLB_DATA_MIRROR=shelf.address, **LOCAL)
    assert ran.code == 2
    assert ran.err.count("the server answers 404 Not Found") == len(egress.PROVIDERS)


def test_fetch_says_of_what_it_cannot_why(eglb: Run, tmp_path: Path) -> None:
    ran = eglb("data", "fetch", "factors", "--data", tmp_path)
    assert ran.code == 2 and "factors: cannot be fetched: typed from the two publications" in ran.err
    assert eglb("data", "fetch", "--mirror", "ftp://x", "--data", tmp_path).code == 2


def test_fetch_brings_the_pinned_files_and_check_agrees(
    eglb: Run, data_directory: Path, tmp_path: Path
) -> None:
    """Three tables that are the source's own, so that the data directory holds what the public host has."""
    files = {
        f"{CLUSTER}/{PINS[CLUSTER]}/{egress.source_path(name)}": (
            data_directory / "factors" / f"egress_usd_per_gb_{name}.csv"
        ).read_bytes()
        for name in egress.PROVIDERS
    }
    with serving(files) as shelf:
        options = ("--data", tmp_path / "new", "--mirror", shelf.address)
        ran = eglb("data", "fetch", "egress", *options, **LOCAL)
        assert ran.code == 0, ran.err
        assert "egress  fetched  6.73 kB of sources" in ran.out and "egress: 3 source files" in ran.err
        assert len(shelf.asked) == 3
        again = eglb("data", "fetch", "egress", *options, "--json", **LOCAL).json()
        assert again["sets"] == [{"name": "egress", "outcome": "present", "source_bytes": 0, "seconds": 0.0}]
        assert len(shelf.asked) == 3
    assert eglb("data", "check", "egress", "--data", tmp_path / "new").code == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["factors"]
    path = tmp_path / "new" / "factors" / "egress_usd_per_gb_aws.csv"
    bytes_ = bytearray(path.read_bytes())
    bytes_[700] ^= 1
    path.write_bytes(bytes_)
    ran = eglb("data", "check", "egress", "--data", tmp_path / "new")
    assert ran.code == 2 and ran.err == f"eglb: {path}: differs: its SHA-256 is another one\n"
    shutil.rmtree(tmp_path / "new")


def test_help_is_light(eglb: Run) -> None:
    for verb in ("list", "check", "fetch"):
        ran = eglb("data", verb, "--help")
        assert ran.code == 0 and "[NAME]..." in ran.out

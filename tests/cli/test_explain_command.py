"""``eglb explain``: from a results folder to reasons, in sentences, tables and JSON."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eglb.foundation.errors import InputError
from eglb.foundation.staging import staged_folder
from eglb.planning.explanation.explain import explain
from eglb.planning.solve import solve
from eglb.planning.storage.folder import write_solution
from eglb.scenarios.folder.writing import example, save

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def result(fleet_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from eglb.scenarios.catalog import load

    folder = tmp_path_factory.mktemp("results") / "my-fleet"
    with staged_folder(folder) as aside:
        write_solution(solve(load(fleet_folder), "dual", gap=1e-4, address="inprocess"), aside)
    return folder


def test_json_holds_everything_and_adds_up(eglb: Run, result: Path) -> None:
    run = json.loads((result / "run.json").read_text())
    told = eglb("explain", result, "--json").json()
    assert told["objective"] == pytest.approx(run["objective"], rel=1e-12)
    assert told["lower_bound"] == pytest.approx(run["lower_bound"], rel=1e-12)
    gap = told["gap_usd"]
    parts = gap["sharpened"] + gap["routing"] + gap["capacity"] + sum(gap["equity"].values())
    assert parts == pytest.approx(run["objective"] - run["lower_bound"], abs=1e-10 * run["objective"])
    assert {row["region"] for row in told["regions"]} == {"oregon", "texas", "virginia"}
    assert sum(row["share"] for row in told["regions"]) == pytest.approx(1.0)
    assert {row["gateway"] for row in told["gateways"]} == {"west", "east"}
    assert "pairs" not in told


def test_json_of_a_selection_lists_every_pair(eglb: Run, result: Path) -> None:
    told = eglb("explain", result, "--hour", "2024-07-02T05", "--gateway", "east", "--json").json()
    assert told["time_utc"] == "2024-07-02T05:00:00Z" and told["gateway"] == "east"
    assert [row["region"] for row in told["pairs"]] == ["oregon", "texas", "virginia"]
    for row in told["pairs"]:
        cost = row["energy"] + sum(row["surcharge"].values()) + row["capacity"] - row["demand_price"]
        assert cost == pytest.approx(row["reduced_cost"], abs=1e-9)
    assert min(row["reduced_cost"] for row in told["pairs"]) == 0.0
    (region,) = eglb("explain", result, "--region", "texas", "--json").json()["regions"]
    assert region["region"] == "texas"


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--region", "texas"],
        ["--gateway", "west"],
        ["--hour", "7"],
        ["--hour", "7", "--region", "texas"],
        ["--hour", "7", "--gateway", "west", "--region", "texas"],
    ],
    ids=lambda words: "-".join(words).replace("--", "") or "whole",
)
def test_every_view_fits_the_terminal(
    result: Path,
    words: list[str],
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from eglb.cli import main

    monkeypatch.setenv("COLUMNS", str(width))
    with pytest.raises(SystemExit) as ended:
        main(["explain", str(result), *words])
    out = capfd.readouterr().out
    assert ended.value.code == 0
    assert max(map(len, out.splitlines())) <= width
    assert out.startswith("my-fleet") and "USD" in out
    for word in words[1::2]:
        assert word in out


def test_the_summary_says_who_is_worst_off_and_of_what_the_gap_is_made(eglb: Run, result: Path) -> None:
    out = eglb("explain", result).out
    prices = json.loads((result / "run.json").read_text())["equity_price"]
    for kind, by_region in prices.items():
        worst = max(by_region, key=by_region.__getitem__)
        (line,) = [line for line in out.splitlines() if line.startswith(kind.capitalize())]
        assert worst in line
    assert "above the best plan" in out and "every gateway reaches every region" in out


def test_what_is_not_there_is_refused_with_what_is(eglb: Run, result: Path) -> None:
    ran = eglb("explain", result, "--region", "texsa", "--gateway", "wst", "--hour", "99", "--json")
    assert ran.code == 2
    region, hour, gateway = ran.json()["problems"]
    assert "did you mean texas?" in region and "did you mean west?" in gateway and "slots 0 to 47" in hour


def test_a_folder_of_something_else_is_refused(eglb: Run, result: Path, tmp_path: Path) -> None:
    ran = eglb("explain", tmp_path)
    assert ran.code == 2 and "not a results folder" in ran.err
    no_prices = tmp_path / "simulated"
    shutil.copytree(result, no_prices)
    run = json.loads((no_prices / "run.json").read_text())
    del run["equity_price"]
    (no_prices / "run.json").write_text(json.dumps(run))
    with pytest.raises(InputError, match="holds no plan with its prices"):
        explain(no_prices)
    other = tmp_path / "other"
    shutil.copytree(result, other)
    shutil.rmtree(other / "scenario")
    save(example().window(0, 24), other / "scenario")
    with pytest.raises(InputError, match="are not of the fleet in"):
        explain(other)


def test_a_solution_and_its_folder_explain_alike(result: Path) -> None:
    import eglb as package

    e = package.explain(result)
    assert str(e).startswith("my-fleet") and e.to_dict(hour=3)["time_utc"] == "2024-07-01T03:00:00Z"
    plan = package.solve(e.scenario, "dual", gap=1e-4, address="inprocess")
    assert package.explain(plan).slackness.gap == pytest.approx(e.slackness.gap, abs=1e-6)

"""A results folder is whole or absent, and holds what it takes to recompute every number in it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from eglb.foundation.errors import InputError
from eglb.foundation.staging import staged_folder
from eglb.planning.audit import audit
from eglb.planning.solution import Solution
from eglb.planning.storage import folder as results_folder


def write(solution: Solution, target: Path) -> None:
    with staged_folder(target) as folder:
        results_folder.write_solution(solution, folder)


def test_run_json_is_what_json_prints_and_all_finite(solution: Solution, tmp_path: Path) -> None:
    write(solution, tmp_path / "out")
    text = (tmp_path / "out" / "run.json").read_text()
    run = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    prices = run.pop("equity_price")
    assert run == solution.to_dict()
    assert prices["water"]["texas"] == pytest.approx(20.0)
    rounds = results_folder.read(tmp_path / "out").rounds
    assert [row["round"] for row in rounds] == [1, 2]
    assert rounds[0]["objective"] is None and rounds[0]["gap"] is None
    assert rounds[1]["objective"] == solution.audit.objective


def test_numbers_follow_from_the_folder_and_the_scenario_alone(solution: Solution, tmp_path: Path) -> None:
    write(solution, tmp_path / "out")
    stored = results_folder.read(tmp_path / "out")
    fleet = solution.scenario
    assert stored.plan is not None and stored.prices is not None

    pairs = {
        (fleet.gateways[j], fleet.regions[i]): e
        for e, (j, i) in enumerate(zip(fleet.reach_gateway, fleet.reach_region, strict=True))
    }
    slots = {t: n for n, t in enumerate(fleet.times.astype("datetime64[ms]").tolist())}
    route = np.zeros((len(pairs), fleet.slots))
    for row in stored.plan.to_pylist():
        assert row["mw"] > 0
        route[pairs[row["gateway"], row["region"]], slots[row["time_utc"].replace(tzinfo=None)]] = row["mw"]
    demand_price = np.zeros(fleet.demand.shape)
    for row in stored.prices.to_pylist():
        at = fleet.gateways.index(row["gateway"]), slots[row["time_utc"].replace(tzinfo=None)]
        demand_price[at] = row["usd_per_mw_slot"]
    equity_price = np.array(
        [[stored.run["equity_price"][k.name][region] for region in fleet.regions] for k in fleet.footprints]
    )

    again = audit(fleet, route, demand_price, equity_price)
    assert again.objective == stored.run["objective"]
    assert again.lower_bound == stored.run["lower_bound"]
    assert again.energy_cost_usd == stored.run["energy_cost_usd"]
    assert again.footprints["water"].by_region == stored.run["footprints"]["water"]["by_region"]


def test_only_pairs_that_carry_load_are_rows(solution: Solution, tmp_path: Path) -> None:
    write(solution, tmp_path / "out")
    plan = results_folder.read(tmp_path / "out").plan
    assert plan is not None
    assert plan.num_rows == np.count_nonzero(solution.route) < solution.route.size
    assert plan.column_names == ["time_utc", "gateway", "region", "mw"]
    assert str(plan.schema.field("time_utc").type) == "timestamp[ms, tz=UTC]"


def test_a_folder_that_fails_half_way_is_absent(solution: Solution, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staged_folder(tmp_path / "out") as folder:
        results_folder.write_solution(solution, folder)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled_and_its_parents_are_made(solution: Solution, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(solution, tmp_path / "empty")
    write(solution, tmp_path / "a" / "b" / "out")
    for name in ("empty", "a/b/out"):
        folder = tmp_path / name
        assert {path.name for path in folder.iterdir()} == {
            "run.json",
            "plan.parquet",
            "prices.parquet",
            "rounds.jsonl",
            "scenario",
        }
        assert folder.stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_link_to_an_empty_folder_is_followed(solution: Solution, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(solution, tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "run.json").exists()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: (p.mkdir(), (p / "old").write_text("")), "exists and is not empty"),
        (lambda p: p.write_text(""), "exists and is not a folder"),
        (lambda p: (p.with_name("f").write_text(""), p.symlink_to(p.with_name("f"))), "is not a folder"),
    ],
)
def test_a_target_in_use_is_refused_before_any_work(make, says: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    make(target)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=says), staged_folder(target):
        pytest.fail("work was started")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("target", ["/proc/out", "/dev/null/out", "/"])
def test_a_target_that_cannot_be_written_is_refused_before_any_work(target: str) -> None:
    with pytest.raises(InputError, match=target), staged_folder(Path(target)):
        pytest.fail("work was started")


def test_a_target_filled_meanwhile_is_left_alone(solution: Solution, tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(InputError, match="not empty"), staged_folder(target) as folder:
        results_folder.write_solution(solution, folder)
        target.mkdir()
        (target / "theirs").write_text("kept")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["theirs"]


@pytest.mark.parametrize("content", [None, "{", '{"status": 1}'])
def test_what_is_no_results_folder_is_said_so(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match="not a results folder"):
        results_folder.read(tmp_path)

"""The robustness study: every condition runs, its numbers are those of single runs, it can be looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.online_instances import draw_hours, objective_so_far

from eglb.sims.replay.simulation import simulate
from eglb.sims.robustness.conditions import GROUPS, conditions
from eglb.sims.robustness.plots import draw_robustness
from eglb.sims.robustness.robustness import Robustness, row_dict, so_far, study
from eglb.sims.robustness.tables import blocks


@pytest.fixture(scope="module")
def found() -> Robustness:
    return study(draw_hours(6, slots=26))


def test_every_condition_has_its_row(found: Robustness) -> None:
    assert [row.condition for row in found.rows] == conditions()
    assert {row.condition.group for row in found.rows} == set(GROUPS)
    assert len(set(conditions())) == len(conditions())


def test_rows_are_those_of_single_runs(found: Robustness) -> None:
    for row in found.rows[::7]:
        c = row.condition
        run = simulate(
            found.scenario,
            c.policy,
            forecast=c.forecast,
            estimates=c.estimates,
            feedback=c.feedback,
            meter_delay=c.meter_delay,
            declared_slots=round(c.declared * 26),
            certify=False,
        )
        assert run.objective == pytest.approx(row.objective, rel=1e-12)
        assert run.gap_to_offline == pytest.approx(row.gap_to_offline, rel=1e-9, abs=1e-12)


def test_guarded_runs_keep_their_budget(found: Robustness) -> None:
    guarded = [row for row in found.rows if row.condition.group == "guard"]
    assert len(guarded) == 15
    for row in guarded:
        eps = float(row.condition.policy.partition("eps=")[2])
        assert row.above_robust is not None
        assert row.above_robust <= eps + 1e-9


def test_so_far_by_an_independent_sum() -> None:
    scenario = draw_hours(6, slots=9)
    load = simulate(scenario, "eg", certify=False, offline=False).load
    assert so_far(scenario, load) == pytest.approx(objective_so_far(scenario, load), rel=1e-12)


def test_table_and_picture(found: Robustness, tmp_path: Path) -> None:
    gaps = {row.condition: row.gap_to_offline for row in found.rows}
    shown = [(label, value) for _, _, rows in blocks(gaps) for label, values in rows for value in values]
    assert sum(value is not None for _, value in shown) == len(gaps)
    text = str(found)
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    draw_robustness("a title", gaps, tmp_path)
    assert (tmp_path / "robustness.png").stat().st_size > 20_000
    assert row_dict(found.rows[0])["policy"] == "soft"


def test_the_command(eglb: Callable[..., Any], tmp_path: Path) -> None:
    done = eglb("compare", "synthetic:3x10", "--online", "--json", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    answer = done.json()
    assert len(answer["rows"]) == len(conditions())
    assert {"group", "label", "policy", "forecast", "objective", "gap_to_offline"} <= answer["rows"][0].keys()
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"run.json", "rows.jsonl", "robustness.svg", "robustness.png"}
    wrong = eglb("compare", "synthetic:3x10", "--history", "none")
    assert wrong.code == 2
    assert "--history is for --online" in wrong.err

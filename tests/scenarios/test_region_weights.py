"""Region weights from water stress and from people nearby: their values; they count in the maximum only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eglb.foundation.errors import InputError
from eglb.planning.audit import audit, footprint_totals, plan_objective
from eglb.planning.solve import solve
from eglb.scenarios.folder.reading import read
from eglb.scenarios.folder.writing import example, save
from eglb.scenarios.region_weights import with_region_weights
from eglb.scenarios.scenario import Scenario

BOTH = {"water": "stress", "carbon": "per-capita"}


@pytest.fixture
def fleet() -> Scenario:
    return replace(example(), water_stress=np.array([0.0, 4.0, 1.0]), people_m=np.array([0.5, 8.0, 4.0]))


def test_weights_are_as_stated(fleet: Scenario) -> None:
    water, carbon = with_region_weights(fleet, BOTH).footprints
    assert water.region_weight.tolist() == pytest.approx(np.array([1.0, 5.0, 2.0]) * 3 / 8)
    assert water.region_weight.mean() == pytest.approx(1.0)
    assert carbon.region_weight.tolist() == pytest.approx([12.5 / 3 / p for p in (0.5, 8.0, 4.0)])


def test_weights_enter_the_maximum_and_nothing_else(fleet: Scenario) -> None:
    weighted = with_region_weights(fleet, BOTH)
    load = np.outer([5.0, 20.0, 10.0], np.ones(fleet.slots))
    totals = footprint_totals(weighted, load)
    assert totals == footprint_totals(fleet, load)
    worst = {
        kind.name: max(
            w * total
            for w, total in zip(kind.region_weight, totals[kind.name].by_region.values(), strict=True)
        )
        for kind in weighted.footprints
    }
    energy = float((fleet.price_per_mw_slot() * load).sum())
    expected = energy + sum(kind.weight * worst[kind.name] for kind in weighted.footprints)
    assert plan_objective(weighted, load) == pytest.approx(expected, rel=1e-12)
    assert plan_objective(fleet, load) != pytest.approx(expected)


@pytest.mark.parametrize("algorithm", ["admm", "dual", "newton"])
def test_a_plan_under_them_is_certified_and_feasible(fleet: Scenario, algorithm: str) -> None:
    weighted = with_region_weights(fleet, BOTH)
    plan = solve(weighted, algorithm, gap=1e-4, address="inprocess")
    again = audit(weighted, plan.route, plan.demand_price, plan.equity_price)
    assert plan.converged and again.gap <= 1e-4
    assert max(again.violations.values()) <= 1e-9 * fleet.demand.max()
    # It is another plan than without weights, and better by them.
    even = solve(fleet, algorithm, gap=1e-4, address="inprocess")
    assert plan_objective(weighted, plan.load) < 0.999 * plan_objective(weighted, even.load)


def test_what_is_not_known_is_said_region_by_region(fleet: Scenario) -> None:
    unknown = replace(fleet, water_stress=None, people_m=np.array([np.nan, 0.0, 4.0]))
    with pytest.raises(InputError) as caught:
        with_region_weights(unknown, {**BOTH, "noise": "stress"})
    assert [problem.partition("my-fleet")[2] for problem in caught.value.problems] == [
        ": water_stress of the regions is not known",
        ": people_m of oregon is not known",
        ": people_m of texas is 0, and a footprint per person needs people",
        " has no footprint 'noise'; it has water, carbon",
    ]


def test_a_folder_names_them(fleet: Scenario, tmp_path: Path) -> None:
    save(fleet, tmp_path / "fleet")
    settings = tmp_path / "fleet" / "scenario.toml"
    text = settings.read_text()
    for kind, name in BOTH.items():
        text = text.replace(f"[equity.{kind}]\n", f'[equity.{kind}]\nregion_weight = "{name}"\n')
    settings.write_text(text)
    for kind, wanted in zip(
        read(tmp_path / "fleet").footprints, with_region_weights(fleet, BOTH).footprints, strict=True
    ):
        assert kind.region_weight.tolist() == wanted.region_weight.tolist()

"""Forecasts by name, and what outlooks they are given."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.online_instances import draw_hours

from eglb.agents.forecasting import Forecaster
from eglb.foundation.errors import InputError
from eglb.planning.online.forecasts import FORECAST_MEANING, FORECASTS, parse_forecast
from eglb.scenarios.folder.writing import save
from eglb.sims.replay.simulation import simulate


def test_every_forecast_has_a_meaning_and_runs() -> None:
    assert FORECASTS.keys() == FORECAST_MEANING.keys()
    scenario = draw_hours(1, slots=10)
    for name in FORECASTS.keys() - {"file"}:
        run = simulate(scenario, "soft", forecast=name, certify=False, offline=False)
        assert max(run.violations.values()) <= 1e-9 * scenario.demand.max()


def test_outlooks_of_the_wrong_regions() -> None:
    scenario = draw_hours(8, slots=6)
    turned = parse_forecast("reversed").outlook(scenario)
    np.testing.assert_array_equal(turned.price, scenario.price[::-1])
    np.testing.assert_array_equal(turned.demand, scenario.demand)
    drawn = parse_forecast("permuted:seed=3").outlook(scenario)
    assert sorted(map(tuple, drawn.price)) == sorted(map(tuple, scenario.price))
    assert parse_forecast("perfect").outlook(scenario) is scenario


def test_a_folder_is_believed(tmp_path: Path) -> None:
    """The truth in a folder is a perfect forecast; another fleet's folder is refused."""
    scenario = draw_hours(12, slots=12)
    save(scenario, tmp_path / "told")
    told = simulate(scenario, "mpc", forecast=f"file:path={tmp_path / 'told'}", certify=False)
    perfect = simulate(scenario, "mpc", forecast="perfect", certify=False)
    assert told.objective == pytest.approx(perfect.objective, rel=1e-4)
    save(replace(scenario, regions=tuple(f"x{i}" for i in range(len(scenario.regions)))), tmp_path / "other")
    with pytest.raises(InputError, match="its regions are not those of"):
        simulate(scenario, "mpc", forecast=f"file:path={tmp_path / 'other'}")
    save(scenario.window(0, 6), tmp_path / "short")
    with pytest.raises(InputError, match="its hours do not end with those"):
        simulate(scenario, "mpc", forecast=f"file:path={tmp_path / 'short'}")


def test_a_forecaster_of_ones_own_in_the_present_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = Forecaster.__doc__ or ""
    code = text[text.index("from dataclasses") :].replace("\n        ", "\n")
    (tmp_path / "my_own_forecast.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    scenario = draw_hours(4, slots=8)
    run = simulate(scenario, "soft", forecast="my_own_forecast.HalfWay:hours=3", offline=False)
    assert run.forecast == "my_own_forecast.HalfWay:hours=3"
    other = simulate(scenario, "soft", offline=False)
    assert (run.load != other.load).any()

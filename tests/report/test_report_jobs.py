"""Jobs in the report: figures hold the plan, and open at any width."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.browser import CHROMIUM, browser
from support.job_mixes import jobs_of

from eglb import report
from eglb.foundation.errors import InputError
from eglb.planning.storage import folder as results_folder
from eglb.report import jobs as figures_of_jobs
from eglb.report.inputs import read
from eglb.scenarios.catalog import load
from eglb.sims.co_scheduling.co_scheduling import Coordination, coordinate, write_coordination

NASTY = '</script><b>"it\'s"</b>'


@pytest.fixture(scope="module")
def found() -> Coordination:
    """Training and inference of six regions over two days; a region and a job have names that break pages."""
    s = load("synthetic:6x48,jobs=0.25:12", seed=3)
    jobs = jobs_of(s)
    named = replace(jobs, names=(*jobs.names[:-1], NASTY))
    return coordinate(replace(s, regions=(NASTY, *s.regions[1:]), jobs=named), gap=1e-3, address="inprocess")


@pytest.fixture(scope="module")
def folder(found: Coordination, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("jobs")
    write_coordination(found, place)
    report.write(place, scenario=found.plan.problem)
    return place


def drawn(folder: Path) -> dict[str, Any]:
    page = (folder / "report.html").read_text("utf-8")
    found = re.findall(r'<script type="application/json" id="figures">(.*?)</script>', page, re.S)[0]
    return dict(json.loads(found))


def test_rows_of_regions_hold_the_load(found: Coordination, folder: Path) -> None:
    material = read(folder)
    np.testing.assert_allclose(material.plan.load, found.plan.load, atol=1e-9)
    assert found.plan.work is not None and material.plan.work is not None
    np.testing.assert_array_equal(material.plan.work, found.plan.work)
    of_jobs = figures_of_jobs.load_of_jobs(material)
    regions = figures_of_jobs.shown_regions(material)
    rows = drawn(folder)["jobs-regions"]["data"]["values"]
    for place, i in enumerate(regions):
        own = [row for row in rows if row["r"] == place]
        assert len(own) == found.scenario.slots + 1
        np.testing.assert_allclose([row["j"] for row in own[:-1]], of_jobs[i], rtol=1e-3, atol=1e-9)
        inference = found.plan.load[i] - of_jobs[i]
        np.testing.assert_allclose([row["i"] for row in own[:-1]], inference, rtol=1e-3, atol=1e-6)
        base = len(regions) - 1 - place
        assert all(base <= row["a"] <= row["b"] <= row["c"] + 0.002 <= base + 1 for row in own)
    stacked = drawn(folder)["hourly"]["data"]["values"][7]
    total = sum(value for key, value in stacked.items() if key.startswith("b"))
    assert total == pytest.approx(found.plan.load[:, 7].sum(), rel=1e-3)


def test_bars_of_jobs_hold_their_work(found: Coordination, folder: Path) -> None:
    jobs = jobs_of(found.scenario)
    windows, run = (layer["data"]["values"] for layer in drawn(folder)["jobs-gantt"]["layer"])
    chosen = figures_of_jobs.shown_jobs(read(folder))
    assert (
        len(windows) == len(chosen) == 40 and jobs.energy_mwh[chosen].min() >= np.sort(jobs.energy_mwh)[-40]
    )
    first, last = jobs.slots(found.scenario.times, found.scenario.slot_hours)
    for row, m in zip(windows, chosen, strict=True):
        bars = [bar for bar in run if row["y"] <= bar["y"] < row["y"] + 1]
        # Heights are rounded, and what is hardly anything is left out.
        area = sum((bar["z"] - bar["y"]) * (bar["b"] - bar["a"]) for bar in bars) / figures_of_jobs.THICK
        done = area * jobs.max_mw[m] * found.scenario.slot_hours
        slack = (figures_of_jobs.FINEST + 5 * figures_of_jobs.LEAST) * jobs.max_mw[m] * (last[m] - first[m])
        assert done == pytest.approx(jobs.energy_mwh[m], abs=slack)
        assert all(bar["mw"] <= 1.001 * jobs.max_mw[m] for bar in bars)
        assert all(first[m] <= bar["a"] < bar["b"] <= last[m] for bar in bars)
        assert all(bar["z"] <= row["z"] + 0.01 for bar in bars)


def test_the_text_says_what_became_of_jobs(found: Coordination, folder: Path) -> None:
    page = (folder / "report.html").read_text("utf-8")
    told = found.plan.job_measures()
    assert told is not None and f"{told.moved_in_time:.1%} moved in time" in page
    for row in found.rows()[:-1]:
        assert f"{100.0 * row['saved_together']:.2f} %" in page
    shown = page.split("<script")[0]
    assert shown.count("<table") == shown.count("<caption")
    assert NASTY not in page.split("<script")[0]


def test_rebuilt_from_the_folder_alone_it_is_the_same(folder: Path, tmp_path: Path) -> None:
    assert report.write(folder, tmp_path / "again.html").read_bytes() == (folder / "report.html").read_bytes()


def test_a_folder_without_its_work_is_refused(found: Coordination, tmp_path: Path) -> None:
    results_folder.write_solution(found.plan, tmp_path)
    (tmp_path / "jobs.parquet").unlink()
    with pytest.raises(InputError, match=r"its scenario has jobs, but there is no jobs\.parquet"):
        report.build(tmp_path)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium to open the report in")
def test_it_opens_wide_and_narrow_in_light_and_dark(folder: Path) -> None:
    with browser() as page:
        for width, scheme in ((1280, "light"), (390, "dark")):
            page.look(width, scheme, mobile=width < 500)
            page.open(folder / "report.html")
            assert page.value("window.reportDrawn") >= 8
            for figure in ("jobs-regions", "jobs-gantt", "coordination"):
                marks = f"document.querySelectorAll('#figure-{figure} svg path[d]:not([d=\"\"])').length"
                assert page.value(marks) > 10
            assert page.value("document.documentElement.scrollWidth") <= width
            assert not page.value(
                "[...document.querySelectorAll('svg')].some(s => /NaN|undefined/.test(s.outerHTML))"
            )
            assert page.complaints == []
        page.look(1280, "light")
        page.open(folder / "report.html")
        page.value("window.reportDrawn")
        bar = "[...document.querySelectorAll('#figure-jobs-gantt .mark-rect path')].at(-1)"
        page.value(f"{bar}.scrollIntoView({{block: 'center'}})")
        x, y = page.value(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({bar}.getBoundingClientRect())")
        page.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        shown = page.value("document.querySelector('#vg-tooltip-element.visible')?.innerText ?? ''")
        assert "MW of work" in shown and NASTY in shown


def test_what_a_folder_with_jobs_holds_is_documented(folder: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "results.md").read_text()

    def documented(section: str) -> set[str]:
        text = document.split(f"## {section}\n")[1].split("\n## ")[0]
        rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
        return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}

    assert json.loads((folder / "run.json").read_text()).keys() <= documented("run.json")
    assert set(pq.read_table(folder / "jobs.parquet").column_names) == documented("jobs.parquet")
    for path in folder.iterdir():
        assert f"`{path.name}" in document or path.name.split(".")[0] == "coordination"

"""The report of a results folder: its numbers, its size, and that it opens with the network off."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from support.browser import CHROMIUM, browser

from eglb import report
from eglb.foundation.errors import InputError
from eglb.planning.solution import Solution
from eglb.planning.solve import solve
from eglb.planning.storage import folder as results_folder
from eglb.report.inputs import read
from eglb.scenarios.scenario import Scenario
from eglb.scenarios.synthetic import generate, parse_name
from eglb.sims.baselines import policy_row
from eglb.sims.comparison.comparison import compare
from eglb.sims.comparison.storage import write_comparison
from eglb.sims.replay.simulation import simulate
from eglb.sims.replay.storage import write_simulation
from eglb.sims.sweep.storage import write_sweep
from eglb.sims.sweep.sweep import sweep

MEGABYTES = 3
NASTY = '</script><b>"it\'s"</b>'


@pytest.fixture(scope="module")
def fleet() -> Scenario:
    """Six regions over four days; one has a name that would break a careless page, a source an address."""
    made = generate(parse_name("synthetic:6x96", seed=3))
    kind = made.footprints[0]
    ranged = replace(kind, signal="average, direct", low=0.5 * kind.intensity, high=2.0 * kind.intensity)
    return replace(
        made,
        regions=(NASTY, *made.regions[1:]),
        sources=("Somebody's series, https://example.org/data (CC BY 4.0)",),
        footprints=(ranged, *made.footprints[1:]),
    )


@pytest.fixture(scope="module")
def solution(fleet: Scenario) -> Solution:
    return solve(fleet, "newton", gap=1e-4, address="inprocess")


@pytest.fixture(scope="module")
def folders(fleet: Scenario, solution: Solution, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A results folder of every command."""
    place = tmp_path_factory.mktemp("results")
    compared = compare(fleet, algorithms=["dual", "newton"], gap=1e-3, address="inprocess")
    simulated = simulate(fleet, "eg")
    swept = sweep(fleet, factors=(0.0, 0.5, 1.0, 4.0), gap=1e-3)
    for name, write, what in (
        ("solve", results_folder.write_solution, solution),
        ("compare", write_comparison, compared),
        ("simulate", write_simulation, simulated),
        ("sweep", write_sweep, swept),
    ):
        (place / name).mkdir()
        write(what, place / name)  # type: ignore[operator]
        report.write(place / name)
    return {folder.name: folder for folder in place.iterdir()}


class Markup(HTMLParser):
    """Tags that are open, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.text = ""
        self.wrong: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in ("meta", "link", "br", "input", "line", "rect", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("line", "rect", "path"):
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text = f"{self.text} {data}".replace("\n", " ").replace("  ", " ")


COMMANDS = ("solve", "compare", "simulate", "sweep")


@pytest.mark.parametrize("command", COMMANDS)
def test_one_small_file_that_names_no_other_host(folders: dict[str, Path], command: str) -> None:
    page = (folders[command] / "report.html").read_text("utf-8")
    assert len(page.encode()) < MEGABYTES * 1_000_000
    addresses = set(re.findall(r"\b(?:https?|ftp|wss?)://[^\s\"'`<>\\)]*", page))
    assert addresses <= {
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/2000/xmlns/",
    }
    markup = Markup(page)
    assert not markup.wrong and not markup.open
    for _, name, value in markup.attributes:
        assert name not in ("src", "srcset", "action") and (name != "href" or value == "data:,")
    assert "url(" not in page.split("<style>")[1].split("</style>")[0]
    assert "Somebody's series, example.org/data (CC BY 4.0)" in markup.text
    shown = page.split("<script")[0]
    # Frames have a text alternative, tables a caption.
    frames = [value for _, name, value in markup.attributes if name == "data-figure"]
    named = [value for tag, name, value in markup.attributes if tag == "div" and name == "aria-label"]
    assert len(named) >= len(frames) >= 5 and all(named)
    assert shown.count("<table") == shown.count("<caption>")


def figures(page: str) -> dict[str, Any]:
    return json.loads(
        re.findall(r'<script type="application/json" id="figures">(.*?)</script>', page, re.S)[0]
    )


def test_the_headline_is_the_audit_against_cheapest_first(
    folders: dict[str, Path], solution: Solution, fleet: Scenario
) -> None:
    text = Markup((folders["solve"] / "report.html").read_text("utf-8")).text
    cheap = policy_row("GLB-Cost", fleet)
    more = solution.audit.energy_cost_usd / cheap.energy_cost_usd - 1
    assert f"{100 * more:+.1f} %".replace("-", "\N{MINUS SIGN}") in text
    for name, totals in solution.audit.footprints.items():
        assert f"{name.capitalize()}, max/avg {totals.par:.2f}" in text
        assert f"GLB-Cost: {cheap.footprints[name].par:.2f}" in text
    assert f"{100 * solution.audit.gap:.2g} %" in text or "< 0.0001 %" in text
    assert NASTY in text and "average, direct" in text
    assert "estimates range from 0.50 to 2.00 times" in text


def test_figures_hold_the_plan(folders: dict[str, Path], solution: Solution, fleet: Scenario) -> None:
    material = read(folders["solve"])
    assert material.plan.load == pytest.approx(solution.load, abs=1e-9)
    assert material.plan.sent.sum() == pytest.approx(fleet.demand.sum() * fleet.slot_hours)
    drawn = figures((folders["solve"] / "report.html").read_text("utf-8"))
    rows = drawn["hourly"]["data"]["values"]
    assert len(rows) == fleet.slots + 1
    total = sum(value for key, value in rows[7].items() if key.startswith("b"))
    assert total == pytest.approx(fleet.demand[:, 7].sum(), rel=1e-3)
    bars = {row["region"]: row["plan"] for row in drawn["footprint-0"]["data"]["values"]}
    assert bars == pytest.approx(solution.audit.footprints[fleet.footprints[0].name].by_region, rel=1e-4)
    gaps = [row["gap"] for row in drawn["gap-seconds"]["data"]["values"]]
    assert gaps[-1] == pytest.approx(solution.audit.gap, rel=1e-3) and gaps == sorted(gaps, reverse=True)


def test_every_command_has_its_figures(folders: dict[str, Path]) -> None:
    drawn = {name: figures((path / "report.html").read_text("utf-8")) for name, path in folders.items()}
    for name in COMMANDS:
        assert {"map", "hourly", "footprint-0", "footprint-1"} <= drawn[name].keys()
    assert {"gap-round", "gap-bytes", "gap-seconds"} <= drawn["compare"].keys()
    assert "central solver" in json.dumps(drawn["compare"]["gap-seconds"])
    assert {"standing", "gap-so-far", "growing-0", "growing-1"} <= drawn["simulate"].keys()
    assert {"sweep-0-max", "sweep-0-par"} <= drawn["sweep"].keys()
    points = json.loads((folders["sweep"] / "run.json").read_text())["points"]
    assert [row["cost"] for row in drawn["sweep"]["sweep-0-max"]["data"]["values"]] == pytest.approx(
        [point["energy_cost_usd"] for point in points], rel=1e-5
    )


def test_rebuilding_gives_the_same_file(folders: dict[str, Path], tmp_path: Path) -> None:
    for folder in folders.values():
        again = report.write(folder, tmp_path / "again.html")
        assert again.read_bytes() == (folder / "report.html").read_bytes()


def test_a_large_fleet_stays_small_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    fleet = generate(parse_name("synthetic:1000x24", seed=0))
    found = solve(fleet, "admm", gap=0.05, address="inprocess")
    results_folder.write_solution(found, tmp_path)
    page = report.write(tmp_path).read_text("utf-8")
    text = Markup(page).text
    assert len(page.encode()) < 1_300_000
    assert "The 300 largest of 1,000 regions" in text and "20 largest of 1,000 regions" in text
    assert "the cost of equity, are left out" in text


def test_folders_that_are_none_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a results folder: run\.json: No such file"):
        report.build(tmp_path)
    (tmp_path / "run.json").write_text('{"rows": []}')
    with pytest.raises(InputError, match="no results of compare, simulate, solve, sweep"):
        report.build(tmp_path)
    (tmp_path / "run.json").write_text("[1")
    with pytest.raises(InputError, match=r"not a results folder: run\.json"):
        report.build(tmp_path)
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for name in ("run.json", "rounds.jsonl", "plan.parquet"):
        (mixed / name).write_bytes((folders["solve"] / name).read_bytes())
    with pytest.raises(InputError, match="with its scenario"):
        report.build(mixed)
    with pytest.raises(InputError, match="do not belong together"):
        report.build(folders["solve"], generate(parse_name("synthetic:6x96", seed=3)))
    with pytest.raises(InputError, match="cannot be written"):
        report.write(folders["solve"], tmp_path / "none" / "report.html")


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium to open the report in")


@needs_chromium
def test_it_opens_without_a_network_in_light_dark_wide_and_narrow(folders: dict[str, Path]) -> None:
    with browser() as page:
        for command, width, scheme in (
            ("compare", 1280, "light"),
            ("solve", 390, "dark"),
            ("simulate", 390, "light"),
            ("sweep", 1280, "dark"),
        ):
            page.look(width, scheme, mobile=width < 500)
            page.open(folders[command] / "report.html")
            assert page.value("window.reportDrawn") == page.value(
                "document.querySelectorAll('[data-figure]').length"
            )
            marks = page.value(
                "[...document.querySelectorAll('[data-figure]')]"
                ".map(place => place.querySelectorAll('svg path[d]:not([d=\"\"])').length)"
            )
            assert min(marks) >= 3, marks
            assert page.value("document.documentElement.scrollWidth") <= width
            assert not page.value(
                "[...document.querySelectorAll('svg')].some(s => /NaN|undefined/.test(s.outerHTML))"
            )
            colours = page.value("getComputedStyle(document.body).backgroundColor")
            assert (colours == "rgb(15, 18, 22)") == (scheme == "dark")
            assert page.complaints == []


@needs_chromium
def test_pointer_finger_and_keyboard_reach_the_figures(folders: dict[str, Path]) -> None:
    shown = "document.querySelector('#vg-tooltip-element.visible')?.innerText ?? ''"
    bar = "document.querySelector('#figure-footprint-0 .mark-rect path')"

    def spot(what: str) -> tuple[float, float]:
        page.value(f"{what}.scrollIntoView({{block: 'center'}})")
        x, y = page.value(f"(b => [b.x + b.width / 4, b.y + b.height / 2])({what}.getBoundingClientRect())")
        return x, y

    with browser() as page:
        page.look(1280, "light")
        page.open(folders["solve"] / "report.html")
        page.value("window.reportDrawn")
        x, y = spot(bar)
        page.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        assert "this plan" in page.value(shown)
        # The radio buttons answer to the arrow keys, the circles to the radio buttons.
        sizes = (
            "[...document.querySelectorAll('#figure-map .circles path')].map(p => p.getAttribute('d')).join()"
        )
        before = page.value(sizes)
        page.value("document.querySelector('input[name=\"map.shown\"]').focus()")
        for kind in ("rawKeyDown", "keyUp"):
            page.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key="ArrowRight",
                code="ArrowRight",
                windowsVirtualKeyCode=39,
            )
        page.value("new Promise(done => setTimeout(done, 200))")
        assert page.value(sizes) != before

        page.look(390, "light", mobile=True)
        page.ask("Emulation.setTouchEmulationEnabled", enabled=True)
        page.open(folders["solve"] / "report.html")
        page.value("window.reportDrawn")
        assert page.value(shown) == ""
        x, y = spot(bar)
        page.ask("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        page.ask("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        page.value("new Promise(done => setTimeout(done, 400))")
        assert "this plan" in page.value(shown)
        assert page.complaints == []

"""The dashboard in a browser, on a service that has just run: what it shows, how wide, and whom it asks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect
from support.browser import Visit
from support.service_states import HTTP, world10_desk, world10_table

import eglb
from eglb.live.http.api import make_app
from eglb.live.http.server import names_of, parse_listen, serving
from eglb.live.service import Service, Wanted, open_service
from eglb.live.state.service_state import ServiceState
from eglb.live.storage.job_store import JobStore
from eglb.live.storage.store import Store

HOUSE = Path(__file__).parents[3]
SERVED = 9
EVENTS = """
[[event]]
what = "region-down"
region = "frankfurt"
at = 5

[[event]]
what = "dead-signal"
kind = "carbon"
region = "tokyo"
at = 4

[[event]]
what = "wrong-estimate"
region = "virginia"
factor = 1.5
at = 0
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Nine hours of world10: a region is lost, a signal does not answer, an estimate is wrong."""
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "events.toml").write_text(EVENTS)
    store = Store(folder / "books.db")
    wanted = Wanted(slots=SERVED, speed=math.inf, events=folder / "events.toml")
    with open_service(eglb.load("world10"), wanted, store) as service:
        service.controller.run()
        yield service
    store.close()


@contextmanager
def served(service: Service, listen: str = "127.0.0.1:0") -> Iterator[str]:
    app = make_app(service.service_state, hosts=names_of("127.0.0.1"))
    with serving(app, *parse_listen(listen)) as url:
        yield url


def text(page: Page, selector: str) -> str:
    return page.locator(selector).inner_text()


def expect_link(page: Page, how: str) -> None:
    expect(page.locator("#link")).to_have_attribute("data-link", how)


def expect_whole(page: Page) -> None:
    """Nothing is wider than the window, and no number is missing."""
    assert page.viewport_size is not None
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert not re.search(
        "NaN|undefined|Infinity|null", page.locator("body").evaluate("body => body.outerHTML")
    )


def rows(page: Page, table: str) -> list[list[str]]:
    """Cells of a table."""
    found: list[list[str]] = page.locator(f"#{table} tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    )
    return found


def by_name(page: Page, table: str) -> dict[str, list[str]]:
    """Cells by the first of their row."""
    return {first: others for first, *others in rows(page, table)}


def test_all_that_the_service_says_is_shown_wide_and_narrow(ran: Service, visit: Visit) -> None:
    with served(ran) as url:
        for gateway in ("gw-tokyo", "gw-berlin"):
            HTTP.get(f"{url}/v1/route?gateway={gateway}").raise_for_status()
        state = HTTP.get(f"{url}/v1/state").json()
        for width, height, scheme in ((1440, 900, "light"), (390, 844, "dark")):
            with visit(url, width, scheme, height) as page:
                expect_link(page, "live")
                expect_whole(page)
                background = page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
                assert (background == "rgb(15, 18, 22)") == (scheme == "dark")

                tiles = text(page, "#tiles")
                assert "plan" in tiles
                assert "9 of 10" in tiles
                assert "29 of 30" in tiles
                assert f"{100 * state['certificate']['gap']:.2f} %" in tiles
                for kind, found in state["footprints"].items():
                    part = found["worst"] / found["baseline_worst"] - 1.0
                    said = f"{100 * abs(part):.1f} % {'above' if part > 0 else 'below'} the baseline"
                    assert f"Worst {kind} so far" in tiles
                    assert said in tiles
                    assert said in text(page, "#lines")

                regions = by_name(page, "regions")
                assert list(regions) == [each["name"] for each in state["regions"]]
                assert regions["frankfurt"][:2] == ["✕ down", "0.0 %"]
                assert regions["virginia"][7] == "0.67 ▲"
                assert regions["tokyo"][7] == "1.00"
                signals = by_name(page, "signals")
                assert signals["tokyo"][5].startswith("▲ ")
                assert signals["sydney"][5].startswith("✓ ")
                assert "frankfurt is out: rehearsed loss" in text(page, "#alerts")
                assert [each[1] for each in rows(page, "decisions")] == ["gw-berlin", "gw-tokyo"]
                assert len(rows(page, "solves")) == 8

                # Legends have some, too.
                expect(page.locator(".land")).to_have_count(1)
                far = {(f["gateway"], f["region"]) for f in state["flows"]}
                assert 0 < page.locator(".flow").count() <= len(far)
                expect(page.locator(".room")).to_have_count(len(regions) + 3)
                expect(page.locator(".gateway")).to_have_count(len(state["gateways"]) + 1)
                expect(page.locator(".cross[d^=M]")).to_have_count(2)
                expect(page.locator(".line[d]")).to_have_count(2 * len(state["footprints"]) + 1)
                expect(page.locator("#solve-bars rect")).to_have_count(SERVED)


def test_keys_and_pointer_read_the_map_and_the_lines(ran: Service, visit: Visit) -> None:
    with served(ran) as url, visit(url) as page:
        expect_link(page, "live")
        chart, readout = page.locator("#map"), page.locator("#map-readout")
        chart.press("ArrowRight")
        expect(readout).to_have_text(re.compile(r"^virginia: up, "))
        expect(page.locator("#spoken")).to_have_text(re.compile(r"^virginia: up, "))
        chart.press("Escape")
        expect(readout).to_contain_text("9 of 10 regions up")
        # The cross of a region that is down lies over it.
        chart.locator(".room.down").first.hover(force=True)
        expect(readout).to_have_text(re.compile("^frankfurt: down, rehearsed loss"))

        line = page.locator("#lines .draw").first
        readout = page.locator("#lines .readout").first
        line.focus()
        expect(readout).to_have_text(re.compile("^2023-07-03 08:00: "))
        line.press("Home")
        expect(readout).to_have_text(re.compile("^2023-07-03 00:00: "))


def test_it_says_that_the_service_is_gone_and_comes_back_with_it(ran: Service, visit: Visit) -> None:
    def places(page: Page) -> list[float]:
        return page.locator("section").evaluate_all(
            "all => all.map(each => each.getBoundingClientRect().top)"
        )

    with served(ran) as url:
        listen = url.removeprefix("http://")
    gone = "net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE)$"
    with ExitStack() as first:
        first.enter_context(served(ran, listen))
        with visit(url, 390, height=844, excused=gone) as page:
            expect_link(page, "live")
            before = places(page)
            first.close()
            expect_link(page, "gone")
            expect(page.locator("#link")).to_contain_text("no answer since")
            assert places(page) == before
            with served(ran, listen):
                expect_link(page, "live")
            assert places(page) == before


def test_a_service_that_has_only_begun_is_shown_too(visit: Visit) -> None:
    app = make_app(world10_desk(), hosts=names_of("127.0.0.1"))
    with serving(app, "127.0.0.1", 0) as url, visit(url, 390, height=844) as page:
        expect_link(page, "live")
        for empty in (
            "No meters yet",
            "No signals have been read yet",
            "No alert holds",
            "no slot is settled yet",
            "no request has asked for a route yet",
            "no slot has been planned yet",
        ):
            expect(page.get_by_text(empty).first).to_be_visible()
        expect_whole(page)
        expect(page.locator(".of-jobs:visible")).to_have_count(0)


@pytest.fixture(scope="module")
def with_jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceState]:
    """One job runs and has hardly time, one waits, one is yet to be admitted, two have ended."""
    store = Store(tmp_path_factory.mktemp("jobs") / "books.db")
    service_state = world10_desk(store=store)
    asked = {"max_mw": 10.0, "min_mw": 0.0, "regions": None, "home_region": None, "checkpoint_cost_mwh": 0.0}
    for name, energy, hours in (
        ("tight", 30.0, 4), ("slow", 40.0, 30), ("fresh", 5.0, 60), ("done", 1.0, 9), ("refused", 9.0, 9)
    ):  # fmt: skip
        deadline = datetime(2023, 7, 3, tzinfo=UTC) + timedelta(hours=hours)
        times = {"release_utc": None, "deadline_utc": deadline}
        service_state.jobs.submit([{"job": name, "energy_mwh": energy, **times, **asked}])
    jobs = JobStore(store)
    became = {
        "tight": {"state": "admitted", "left_mwh": 26.0},
        "slow": {"state": "admitted", "left_mwh": 10.0},
        "done": {"state": "done", "left_mwh": 0.0},
        "refused": {"state": "refused", "why": "no room"},
    }
    jobs.turn([replace(job, **became[job.name]) for job in jobs.jobs() if job.name in became])
    table = world10_table(2)
    work = np.zeros((1, len(table.regions)))
    work[0, table.regions.index("tokyo")] = 5.0
    service_state.router.publish(replace(table, jobs=("tight",), work=work))
    yield service_state
    store.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_jobs_are_shown_where_there_are_any(
    with_jobs: ServiceState, visit: Visit, width: int, scheme: str
) -> None:
    app = make_app(with_jobs, hosts=names_of("127.0.0.1"))
    with serving(app, "127.0.0.1", 0) as url, visit(url, width, scheme) as page:
        state = HTTP.get(f"{url}/v1/state").json()
        expect_link(page, "live")
        expect(page.locator("#jobs tbody tr")).to_have_count(3)
        expect_whole(page)
        assert text(page, "#jobs-note") == "1 submitted, 2 admitted, 1 refused, 1 done."
        shown = by_name(page, "jobs")
        assert list(shown) == ["tight", "slow", "fresh"]
        assert shown["tight"][:3] == ["13 %", "in 3.8 h ▲", "tokyo 5.000"]
        assert shown["slow"][:2] == ["75 %", "in 29.8 h"]
        assert shown["fresh"][5] == "submitted"
        tokyo = next(each for each in state["regions"] if each["name"] == "tokyo")
        assert by_name(page, "regions")["tokyo"][2] == f"{tokyo['load_mw']:.2f} + 5.000"
        bar = page.locator("#regions tbody tr").filter(has_text=re.compile("^tokyo")).locator("td").nth(2)
        parts, colours = bar.evaluate(
            "cell => [['--part', '--both'].map(each => Number(cell.lastChild.style.getPropertyValue(each))),"
            " getComputedStyle(cell.lastChild).backgroundImage]"
        )
        assert parts == pytest.approx(
            [mw / tokyo["capacity_mw"] for mw in (tokyo["load_mw"], tokyo["load_mw"] + 5.0)], abs=1e-4
        )
        assert len(set(re.findall(r"rgb\([^)]*\)", colours))) == 3
        radii = page.locator("#map .work").evaluate_all(
            "all => all.map(each => Number(each.getAttribute('r')))"
        )
        assert sum(radius > 0 for radius in radii) == 1
        for part in page.locator(".of-jobs").all():
            expect(part).to_be_visible()


def test_nothing_in_it_is_inline_or_from_elsewhere(ran: Service) -> None:
    with served(ran) as url, httpx.Client(base_url=url, verify=False) as client:
        page = client.get("/")
        assert page.headers["content-type"].startswith("text/html")
        names = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        for name in names:
            if name != "data:,":
                assert client.get(f"/{name}").status_code in (200, 503), name
    folder = HOUSE / "live" / "dashboard"
    for path in folder.iterdir():
        said = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(
            r"https?:|//[a-z]+\.[a-z]|style=|<script>|\bon[a-z]+=\"|innerHTML|\beval\b", said
        ), path


def test_the_map_has_the_fleet_and_the_land_on_it(ran: Service) -> None:
    fleet = ran.scenario
    with served(ran) as url:
        found = HTTP.get(f"{url}/map.json").json()
    west, east, south, north = found["view"]
    assert all(west < lon < east for lon in [*fleet.region_lon, *fleet.gateway_lon])
    assert all(south < lat < north for lat in [*fleet.region_lat, *fleet.gateway_lat])

    def land(lat: float, lon: float) -> bool:
        step = (east - west) / found["columns"]
        return any(abs(x - lon) <= step / 2 and abs(y - lat) <= step / 2 for x, y in found["land"])

    assert land(48.0, 11.0)  # Munich
    assert land(-25.0, 133.0)  # Alice Springs
    assert not land(30.0, -45.0)
    assert not land(-30.0, 80.0)


def test_its_colours_are_those_of_the_report() -> None:
    def tokens(path: str) -> list[str]:
        return re.findall(
            r"--(?:page|card|ink|soft|line|focus|land|flow|c\d|good): #\w+", (HOUSE / path).read_text()
        )

    report = tokens("eglb/report/style.css")
    dashboard = tokens("live/dashboard/dashboard.css")
    assert len(dashboard) == 30
    assert dashboard == report[: len(dashboard)]

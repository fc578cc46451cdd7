"""The dashboard in a browser, on a service that has just run: what it shows, how wide, and whom it asks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
from support.browser import CHROMIUM, Page, browser
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

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium to open the dashboard in")


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
    return str(page.value(f"document.querySelector('{selector}').innerText"))


def until(page: Page, condition: str) -> None:
    """Wait for it in the page, ten seconds at most."""
    page.value(
        "new Promise((done, failed) => { const start = Date.now(); (function look() {"
        f" if ({condition}) done(); else if (Date.now() - start > 10000) failed(new Error('never'));"
        " else setTimeout(look, 40); })(); })"
    )


def linked(page: Page, how: str) -> None:
    until(page, f"document.getElementById('link').dataset.link === '{how}'")


def rows(page: Page, table: str) -> list[list[str]]:
    """Cells of a table."""
    found: list[list[str]] = page.value(
        f"[...document.querySelectorAll('#{table} tbody tr')].map(row => "
        "[...row.cells].map(cell => cell.innerText.trim()))"
    )
    return found


def by_name(page: Page, table: str) -> dict[str, list[str]]:
    """Cells by the first of their row."""
    return {first: others for first, *others in rows(page, table)}


@needs_chromium
def test_all_that_the_service_says_is_shown_wide_and_narrow(ran: Service) -> None:
    with served(ran) as url, browser(url) as page:
        for gateway in ("gw-tokyo", "gw-berlin"):
            HTTP.get(f"{url}/v1/route?gateway={gateway}").raise_for_status()
        state = HTTP.get(f"{url}/v1/state").json()
        for width, height, scheme in ((1440, 900, "light"), (390, 844, "dark")):
            page.look(width, scheme, height, mobile=width < 500)
            page.open(url)
            linked(page, "live")
            assert page.value("document.documentElement.scrollWidth") <= width
            background = page.value("getComputedStyle(document.body).backgroundColor")
            assert (background == "rgb(15, 18, 22)") == (scheme == "dark")
            assert not page.value("/NaN|undefined|Infinity|null/.test(document.body.outerHTML)")
            assert page.complaints == []

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

            drawn = page.value(
                "['.land', '.flow', '.room', '.gateway', '.cross[d^=M]', '.line[d]', '#solve-bars rect']"
                ".map(each => document.querySelectorAll(each).length)"
            )
            far = {(f["gateway"], f["region"]) for f in state["flows"]}
            assert drawn[0] == 1
            assert 0 < drawn[1] <= len(far)
            assert drawn[2:4] == [len(regions) + 3, len(state["gateways"]) + 1]  # the legend has some
            assert drawn[4:] == [2, 2 * len(state["footprints"]) + 1, SERVED]


@needs_chromium
def test_keys_and_pointer_read_the_map_and_the_lines(ran: Service) -> None:
    def press(key: str) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            page.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    with served(ran) as url, browser(url) as page:
        page.look(1440, "light")
        page.open(url)
        linked(page, "live")
        page.value("document.getElementById('map').focus()")
        press("ArrowRight")
        assert text(page, "#map-readout").startswith("virginia: up, ")
        assert text(page, "#spoken").startswith("virginia: up, ")
        press("Escape")
        assert "9 of 10 regions up" in text(page, "#map-readout")
        x, y = page.value(
            "(box => [box.x + box.width / 2, box.y + box.height / 2])"
            "([...document.querySelectorAll('#map .room.down')][0].getBoundingClientRect())"
        )
        page.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        assert text(page, "#map-readout").startswith("frankfurt: down, rehearsed loss")

        page.value("document.querySelector('#lines .draw').focus()")
        latest = text(page, "#lines .readout")
        press("Home")
        assert text(page, "#lines .readout").startswith("2023-07-03 00:00: ")
        assert latest.startswith("2023-07-03 08:00: ")
        assert page.complaints == []


@needs_chromium
def test_it_says_that_the_service_is_gone_and_comes_back_with_it(ran: Service) -> None:
    places = "[...document.querySelectorAll('section')].map(each => each.getBoundingClientRect().top)"
    with served(ran) as url:
        listen = url.removeprefix("http://")
    with browser(url) as page:
        page.look(390, "light", 844, mobile=True)
        with served(ran, listen):
            page.open(url)
            linked(page, "live")
            before = page.value(places)
        linked(page, "gone")
        assert "no answer since" in text(page, "#link")
        assert page.value(places) == before
        with served(ran, listen):
            linked(page, "live")
        assert page.value(places) == before
        assert {each.rpartition("net::")[2] for each in page.complaints} <= {
            "ERR_CONNECTION_REFUSED",
            "ERR_CONNECTION_RESET",
            "ERR_EMPTY_RESPONSE",
        }


@needs_chromium
def test_a_service_that_has_only_begun_is_shown_too() -> None:
    app = make_app(world10_desk(), hosts=names_of("127.0.0.1"))
    with serving(app, "127.0.0.1", 0) as url, browser(url) as page:
        page.look(390, "light", 844, mobile=True)
        page.open(url)
        linked(page, "live")
        said = text(page, "main")
        for empty in (
            "No meters yet",
            "No signals have been read yet",
            "No alert holds",
            "no slot is settled yet",
            "no request has asked for a route yet",
            "no slot has been planned yet",
        ):
            assert empty in said
        assert page.value("document.documentElement.scrollWidth") <= 390
        assert page.value("[...document.querySelectorAll('.of-jobs')].every(each => each.offsetHeight === 0)")
        assert page.complaints == []


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


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_jobs_are_shown_where_there_are_any(with_jobs: ServiceState, width: int, scheme: str) -> None:
    app = make_app(with_jobs, hosts=names_of("127.0.0.1"))
    with serving(app, "127.0.0.1", 0) as url, browser(url) as page:
        state = HTTP.get(f"{url}/v1/state").json()
        page.look(width, scheme, 900, mobile=width < 500)
        page.open(url)
        linked(page, "live")
        until(page, "document.querySelectorAll('#jobs tbody tr').length === 3")
        assert page.value("document.documentElement.scrollWidth") <= width
        assert not page.value("/NaN|undefined|Infinity|null/.test(document.body.outerHTML)")
        assert page.complaints == []
        assert text(page, "#jobs-note") == "1 submitted, 2 admitted, 1 refused, 1 done."
        shown = by_name(page, "jobs")
        assert list(shown) == ["tight", "slow", "fresh"]
        assert shown["tight"][:3] == ["13 %", "in 3.8 h ▲", "tokyo 5.000"]
        assert shown["slow"][:2] == ["75 %", "in 29.8 h"]
        assert shown["fresh"][5] == "submitted"
        tokyo = next(each for each in state["regions"] if each["name"] == "tokyo")
        assert by_name(page, "regions")["tokyo"][2] == f"{tokyo['load_mw']:.2f} + 5.000"
        row = "[...document.querySelectorAll('#regions tbody tr')].find(row => /^tokyo/.test(row.innerText))"
        parts = page.value(
            f"(bar => ['--part', '--both'].map(each => Number(bar.style.getPropertyValue(each))))"
            f"(({row}).cells[3].lastChild)"
        )
        assert parts == pytest.approx(
            [mw / tokyo["capacity_mw"] for mw in (tokyo["load_mw"], tokyo["load_mw"] + 5.0)], abs=1e-4
        )
        colours = page.value(f"getComputedStyle(({row}).cells[3].lastChild).backgroundImage")
        assert len(set(re.findall(r"rgb\([^)]*\)", colours))) == 3
        drawn = "[...document.querySelectorAll('#map .work')].map(each => Number(each.getAttribute('r')))"
        assert sum(radius > 0 for radius in page.value(drawn)) == 1
        assert page.value("[...document.querySelectorAll('.of-jobs')].every(each => each.offsetHeight > 0)")


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

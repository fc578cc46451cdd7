"""``eglb serve`` as users start, ask, interrupt and kill it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from eglb.live.storage.store import Store
from eglb.scenarios.catalog import load
from eglb.sims.replay.simulation import simulate

FLEET = "synthetic:4x24,seed=2"


class Serving:
    """A service in a process of its own, and a client that routes all the time."""

    def __init__(self, folder: Path, *options: object) -> None:
        command = ["serve", FLEET, "--address", "inprocess", "--listen", "127.0.0.1:0", "--json"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "eglb", *command, *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "EGLB_TOKEN": "secret-of-the-test"},
        )
        assert self.process.stderr is not None
        self.said: list[str] = []
        self.url = ""
        while not self.url:
            line = self.process.stderr.readline()
            assert line, self.process.communicate()
            self.said.append(line)
            if "http://" in line:
                self.url = line.split()[-1]
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()
        self.client = httpx.Client(base_url=self.url, timeout=20.0)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self.said += self.process.stderr

    def coordinator(self) -> int:
        """The process that plans; 0 while there is none."""
        supervisor = self.process.pid
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        return int(children[0]) if children else 0

    def state(self) -> dict[str, Any]:
        return dict(self.client.get("/v1/state").json())

    def weights(self) -> httpx.Response:
        return self.client.get("/v1/weights")

    def finish(self) -> tuple[int, str]:
        code = self.process.wait(60.0)
        self._reader.join(10.0)
        assert "Traceback" not in "".join(self.said), "".join(self.said)
        assert self.process.stdout is not None
        self.client.close()
        return code, self.process.stdout.read()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    running: list[Serving] = []

    def start(*options: object) -> Serving:
        running.append(Serving(tmp_path, *options))
        return running[-1]

    yield start
    for each in running:
        each.client.close()
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()
        for stream in (each.process.stdout, each.process.stderr):
            if stream is not None:
                each._reader.join(10.0)
                stream.close()


def wait_for(met: Callable[[], Any], patience_s: float = 60.0) -> Any:
    deadline = time.monotonic() + patience_s
    while not (found := met()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def version_of(response: httpx.Response) -> int:
    return int(response.json()["version"]) if response.status_code == 200 else 0


class Routing(threading.Thread):
    """Asks for the way all the time."""

    def __init__(self, service: Serving) -> None:
        super().__init__(daemon=True)
        self._url, self._over = service.url, threading.Event()
        self.answered, self.failed = 0, list[str]()
        self.start()

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=20.0) as client:
            while not self._over.wait(0.002):
                answer = client.get("/v1/route", params={"gateway": "g0"})
                if answer.status_code == 200:
                    self.answered += 1
                else:
                    self.failed.append(answer.text)

    def end(self) -> None:
        self._over.set()
        self.join(30.0)


def test_a_coordinator_that_is_killed_is_started_again_and_no_request_is_lost(
    serve: Callable[..., Serving], tmp_path: Path
) -> None:
    service = serve("--speed", 1800, "--store", tmp_path / "books.db")
    wait_for(lambda: version_of(service.weights()) >= 2)
    bearer = {"authorization": "Bearer secret-of-the-test"}
    down = {"region": "r1", "healthy": False, "why": "maintenance"}
    assert service.client.post("/v1/health", json=down, headers=bearer).status_code == 200
    routing, posted = Routing(service), {}
    for killed in (1, 2):
        first = wait_for(service.coordinator)
        wait_for(lambda: service.state()["coordinator"]["up"])
        os.kill(first, signal.SIGKILL)
        away = wait_for(lambda: (s := service.state()) and not s["coordinator"]["up"] and s)
        assert away["coordinator"]["restarts"] == killed
        assert away["alerts"][0]["what"] == "coordinator"
        ready = service.client.get("/readyz").json()
        assert any("the last table is served until it is back" in each for each in ready["problems"])
        assert f"eglb_coordinator_restarts_total {killed}.0" in service.client.get("/metrics").text
        row = {"slot": away["slot"]["start_utc"], "region": "r0", "latency_ms": 20.0 + killed}
        assert service.client.post("/v1/meter", json=row, headers=bearer).status_code == 200
        posted[row["slot"]] = row["latency_ms"]  # what is posted again is over
        if killed == 1:
            up = {"region": "r1", "healthy": True}
            assert service.client.post("/v1/health", json=up, headers=bearer).status_code == 200
            down = {"region": "r2", "healthy": False}
            assert service.client.post("/v1/health", json=down, headers=bearer).status_code == 200
        version = away["table"]["version"]
        wait_for(lambda v=version: version_of(service.weights()) > v)
        again = service.state()
        assert service.coordinator() != first
        assert [each["healthy"] for each in again["regions"]] == [True, True, False, True]
    wait_for(lambda: service.client.get("/readyz").json() == {"ready": True, "problems": []})
    routing.end()
    assert routing.answered > 100 and routing.failed == []
    code, out = service.finish()
    assert code == 0
    assert json.loads(out)["slots_metered"] == 24
    books = Store(tmp_path / "books.db")
    tables = books.tables(1000)
    assert not any(table.problems() for table in tables) and tables[0].capacity[2] == 0.0
    assert [(e.what, e.until is not None) for e in books.events() if e.level == "critical"][:1]
    latencies = [e.value for e in books.read("meter", tables[-1].start, tables[0].start, "latency_ms")]
    assert latencies == list(posted.values())
    books.close()


def test_a_front_that_is_killed_leaves_no_coordinator(serve: Callable[..., Serving], tmp_path: Path) -> None:
    service = serve("--speed", 3600)
    child = wait_for(service.coordinator)
    wait_for(lambda: version_of(service.weights()))
    service.process.kill()
    service.process.wait()
    wait_for(lambda: not Path(f"/proc/{child}").exists(), 10.0)


def test_terminated_it_ends_both(serve: Callable[..., Serving], tmp_path: Path) -> None:
    service = serve("--speed", 3600)
    child = wait_for(service.coordinator)
    wait_for(lambda: version_of(service.weights()))
    service.process.terminate()
    code, _ = service.finish()
    assert code == 128 + signal.SIGTERM
    assert not Path(f"/proc/{child}").exists()


def test_killed_it_starts_again_in_the_slot_it_should_be_in_with_the_last_table(
    serve: Callable[..., Serving], tmp_path: Path
) -> None:
    options = ("--speed", 3600, "--store", tmp_path / "books.db")
    first = serve(*options)
    wait_for(lambda: version_of(first.weights()) >= 5)
    routes = [first.client.get("/v1/route", params={"gateway": "g0"}).status_code for _ in range(50)]
    assert set(routes) == {200}
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    killed = time.monotonic()
    books = Store(tmp_path / "books.db")
    last = books.last_table()
    assert last is not None
    began = time.monotonic()
    second = serve(*options)
    again = wait_for(lambda: version_of(second.weights()))
    down_s = time.monotonic() - killed
    assert again >= last.version
    assert second.client.get("/v1/route", params={"gateway": "g1"}).status_code == 200
    table = wait_for(lambda: (t := books.last_table()) is not None and t.version > last.version and t)
    passed = (table.start - last.start).astype(int) / 3600
    assert began - killed <= passed <= down_s + 40.0, "the clock went on meanwhile"
    slot = wait_for(lambda: (s := second.client.get("/v1/state").json()["slot"]).get("of") and s)
    assert slot["of"] == 24
    code, out = second.finish()
    assert code == 0
    found = json.loads(out)
    assert found["resumed"] and found["slots_metered"] == 24
    expected = simulate(load(FLEET), "soft", offline=False).objective
    # For some slots an old table was all there was.
    assert found["objective"] == pytest.approx(expected, rel=0.1)
    books.close()


def test_interrupted_it_ends_well_and_says_what_it_did(serve: Callable[..., Serving], tmp_path: Path) -> None:
    planes = tmp_path / "planes.toml"
    (tmp_path / "envoy").mkdir()
    regions = "".join(f'r{i} = "127.0.0.1:{9001 + i}"\n' for i in range(4))
    gateways = "".join(f"g{j} = {9101 + j}\n" for j in range(4))
    planes.write_text(
        f'[regions]\n{regions}[gateways]\n{gateways}[envoy]\nfolder = "envoy"\nadmin = "127.0.0.1:1"\n'
    )
    service = serve("--speed", 1800, "--out", tmp_path / "out", "--policy", "eg", "--data-plane", planes)
    wait_for(lambda: version_of(service.weights()) >= 2)
    assert wait_for(lambda: service.client.get("/readyz").status_code == 200)
    row = {"slot": "2024-01-01T00:00:00Z", "region": "r0", "energy_mwh": 1.0}
    assert service.client.post("/v1/meter", json=row).status_code == 401
    bearer = {"authorization": "Bearer secret-of-the-test"}
    down = {"region": "r1", "healthy": False, "why": "maintenance"}
    assert service.client.post("/v1/health", json=down, headers=bearer).status_code == 200
    moved = wait_for(
        lambda: (t := service.client.get("/v1/plan").json()) and t["regions"][1]["capacity_mw"] == 0.0 and t
    )
    assert moved["table"]["source"] in ("plan", "last plan")
    assert all(flow["region"] != "r1" for flow in moved["flows"])
    routes = wait_for(lambda: [path.read_text() for path in (tmp_path / "envoy").glob("*g0*")])
    assert "weight" in routes[0]
    wait_for(lambda: not any("r1" in path.read_text() for path in (tmp_path / "envoy").glob("*g0*")))
    service.process.send_signal(signal.SIGINT)
    code, out = service.finish()
    assert code == 0
    found = json.loads(out)
    assert found["status"] == "stopped" and found["policy"] == "eg"
    written = tmp_path / "out"
    assert json.loads((written / "run.json").read_text()) == found
    assert len((written / "rounds.jsonl").read_text().splitlines()) == found["slots"]
    assert (written / "books" / "tables.parquet").stat().st_size > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--policy", "sofd"), "policy 'sofd' is not known"),
        (("--listen", "nowhere"), "--listen nowhere: is not HOST:PORT"),
        (("--speed", "0"), "'0' is not a number above 0"),
        (("--solve-deadline", "2"), "'2' is more than 1"),
        (("--start", "2025-01-01"), "is not in synthetic"),
        (("--slots", "99"), "has 24 slots from"),
        (("--until", "3", "--slots", "2"), "only one of them can be the end"),
        (("--token-env", "NO_SUCH_TOKEN"), "--token-env NO_SUCH_TOKEN: there is no such"),
        (("--meters", "posted"), "needs a period: month"),
        (("--meters", "posted", "--slots", "3", "--forecast", "perfect"), "it is for rehearsals"),
        (("--store", "mysql://x/y"), "store"),
    ],
)
def test_what_can_be_wrong(capfd: pytest.CaptureFixture[str], options: tuple[str, ...], message: str) -> None:
    from eglb import cli

    given = ["serve", FLEET, "--address", "inprocess", "--listen", "127.0.0.1:0", *options]
    with pytest.raises(SystemExit) as ended:
        cli.main(given)
    assert ended.value.code == 2
    assert message in capfd.readouterr().err.replace("\n", " ")

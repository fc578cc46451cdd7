"""What does a routing decision cost, and what does serving it over HTTP add to a bare handler?

    python benchmarks/routing.py [--seconds 5] [--runs 7] [--connections 32] [--out FOLDER]

In process: decisions a second of the router for tables of several sizes, by turns and by session.

Over HTTP: ``GET /v1/route`` of world10 as `eglb serve` answers it, beside a handler on the same stack
(FastAPI, uvicorn, httptools, uvloop) that returns a constant of the same length and checks nothing; one
server process each, loaded by `wrk` in turns, on the same cores. Figures are medians over the runs, the ratio
is of runs next to each other; the processor time is that of the server process, whatever else the machine
did. Without `wrk` a small asyncio client loads them, which is slower itself. `--smoke`: seconds long.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np

import eglb
from eglb.live.routing.router import Router
from eglb.live.routing.weights import WeightTable

SIZES = ((10, 10), (33, 33), (1000, 100))
SERVERS = ("bare", "route", "route+session", "route, the long way")
PATHS = {
    "bare": "/bare",
    "route": "/v1/route?gateway=gw-chicago",
    "route+session": "/v1/route?gateway=gw-chicago&session=5f2b9c1e",
    # A query in another order is as good, but is not answered by the short cut.
    "route, the long way": "/v1/route?session=5f2b9c1e&gateway=gw-chicago",
}


class Now:
    """A clock that shows the start of the table's slot."""

    speed = 1.0

    def now(self) -> np.datetime64:
        return np.datetime64("2023-07-01", "s")


def a_router(gateways: tuple[str, ...], regions: tuple[str, ...]) -> Router:
    """With a table of random weights, half of the pairs out of reach."""
    rng = np.random.default_rng(0)
    reach = rng.random((len(gateways), len(regions))) < 0.5
    reach[:, 0] = True
    share = np.where(reach, rng.exponential(size=reach.shape), 0.0)
    router = Router(gateways, regions, rng.random(reach.shape))
    router.publish(
        WeightTable(
            version=1,
            start=Now().now(),
            seconds=3600.0,
            gateways=gateways,
            regions=regions,
            share=share / share.sum(1, keepdims=True),
            demand=np.ones(len(gateways)),
            capacity=np.full(len(regions), float(len(gateways))),
            reach=reach,
        )
    )
    return router


def in_process(decisions: int) -> Iterator[dict[str, Any]]:
    for gateways, regions in SIZES:
        router = a_router(*(tuple(f"{k}{i}" for i in range(n)) for k, n in (("g", gateways), ("r", regions))))
        names = [router.gateways[i % gateways] for i in range(1000)]
        sessions = [f"session-{i}" for i in range(1000)]
        for how in ("turns", "sessions"):
            rates = []
            for _ in range(5):
                begun = time.perf_counter()
                for i in range(decisions):
                    router.route(names[i % 1000], sessions[i % 1000] if how == "sessions" else None)
                rates.append(decisions / (time.perf_counter() - begun))
            yield {
                "what": "in process",
                "case": f"{gateways} gateways, {regions} regions, {how}",
                "per_second": round(statistics.median(rates)),
            }


def serve(which: str) -> None:
    """Run by a process of its own: a server, its URL on stdout, until stdin closes."""
    from fastapi import FastAPI
    from fastapi.responses import Response

    from eglb.live.http.api import make_app
    from eglb.live.http.server import serving

    app: Any
    if which == "bare":
        app, body = FastAPI(), a_desk().router.route("gw-chicago").body

        @app.get("/bare")
        async def bare() -> Response:
            return Response(body, media_type="application/json")
    else:
        app = make_app(a_desk(), hosts=("127.0.0.1",))
    with serving(app, "127.0.0.1", 0) as url:
        print(url, flush=True)
        sys.stdin.read()


def a_desk() -> Any:
    from eglb.live.state.service_state import ServiceState

    fleet = eglb.load("world10")
    return ServiceState(fleet, a_router(fleet.gateways, fleet.regions), Now())


@contextmanager
def server(which: str) -> Iterator[tuple[str, int]]:
    """Its URL and process."""
    command = [sys.executable, __file__, "--serve", which]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.stdin.close()
            process.wait(30)


_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def by_wrk(url: str, seconds: float, connections: int) -> tuple[float, float, float]:
    """Requests a second, p50 and p99 in ms."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]
    late = {q: float(n) * _UNITS[unit] for q, n, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)\b", said)}
    return rate, late["50"], late["99"]


def by_asyncio(url: str, seconds: float, connections: int) -> tuple[float, float, float]:
    """The same, by a client of our own."""
    host, path = url.removeprefix("http://").split("/", 1)
    name, port = host.split(":")
    request = f"GET /{path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()
    late: list[float] = []

    async def one(until: float) -> None:
        reader, writer = await asyncio.open_connection(name, int(port))
        while time.perf_counter() < until:
            begun = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))  # type: ignore[index]
            late.append(time.perf_counter() - begun)
        writer.close()

    async def all_of_them() -> None:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(one(until) for _ in range(connections)))

    asyncio.run(all_of_them())
    cuts = statistics.quantiles(late, n=100)
    return len(late) / seconds, 1e3 * cuts[49], 1e3 * cuts[98]


def processor_s(process: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def over_http(seconds: float, runs: int, connections: int) -> Iterator[dict[str, Any]]:
    load = by_wrk if shutil.which("wrk") else by_asyncio
    client = "wrk" if load is by_wrk else "asyncio client"
    with server("bare") as bare, server("route") as ours:
        for which in SERVERS:
            load((bare if which == "bare" else ours)[0] + PATHS[which], min(seconds, 1.0), connections)
        for run in range(runs):
            for which in SERVERS:
                url, process = bare if which == "bare" else ours
                used, begun = processor_s(process), time.perf_counter()
                rate, p50, p99 = load(url + PATHS[which], seconds, connections)
                spent = (processor_s(process) - used) / (time.perf_counter() - begun)
                yield {
                    "what": f"HTTP, {client}, {connections} connections",
                    "case": which,
                    "run": run,
                    "per_second": round(rate),
                    "p50_ms": round(p50, 3),
                    "p99_ms": round(p99, 3),
                    "processor_us": round(1e6 * spent / rate, 2),
                }


def summary(rows: list[dict[str, Any]]) -> list[list[str]]:
    lines = []
    bare = [row["per_second"] for row in rows if row["case"] == "bare"]
    for what, case in dict.fromkeys((row["what"], row["case"]) for row in rows):
        mine = [row for row in rows if (row["what"], row["case"]) == (what, case)]
        cells = [what, case, f"{statistics.median(row['per_second'] for row in mine):,.0f}"]
        if "p50_ms" in mine[0]:
            cells += [
                f"{statistics.median(row[name] for row in mine):.2f} ms" for name in ("p50_ms", "p99_ms")
            ]
            ratios = [row["per_second"] / base for row, base in zip(mine, bare, strict=True)]
            cells.append(f"{statistics.median(ratios):.2f}")
            cells.append(f"{statistics.median(row['processor_us'] for row in mine):.1f} µs")
        lines.append(cells + ["-"] * (len(HEADS) - len(cells)))
    return lines


HEADS = ("what", "case", "a second", "p50", "p99", "of the bare handler", "processor time of one")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--out", type=Path, help="folder for routing.csv and routing.md")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve)
        return
    if given.smoke:
        given.seconds, given.runs, given.connections = 1.0, 1, 4
    rows = list(in_process(2_000 if given.smoke else 200_000))
    rows += over_http(given.seconds, given.runs, given.connections)
    table = ["| " + " | ".join(HEADS) + " |", "|---|---|" + "---:|" * (len(HEADS) - 2)]
    table += ["| " + " | ".join(cells) + " |" for cells in summary(rows)]
    print("\n".join(table))
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        with (given.out / "routing.csv").open("w", newline="") as file:
            writer = csv.DictWriter(
                file, ["what", "case", "run", "per_second", "p50_ms", "p99_ms", "processor_us"]
            )
            writer.writeheader()
            writer.writerows(rows)
        call = f"python benchmarks/routing.py --seconds {given.seconds:g} --runs {given.runs} "
        call += f"--connections {given.connections}"
        assert __doc__ is not None
        method = __doc__.split("\n\n", 2)[2].replace(" `--smoke`: seconds long.", "").strip()
        text = [
            f"# {__doc__.splitlines()[0]}",
            method,
            "\n".join(table),
            f"Medians. `{call}`, {os.cpu_count()} cores.",
        ]
        (given.out / "routing.md").write_text("\n\n".join(text) + "\n")


if __name__ == "__main__":
    main()

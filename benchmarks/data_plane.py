"""How soon do proxies route by a new table of weights, how closely, and does a request fail meanwhile?

    python benchmarks/data_plane.py [--proxy NAME]... [--hours 48] [--requests 10000] [--out FOLDER]

HAProxy, NGINX and Envoy with the configurations of `eglb scenario data-plane`, each in front of a small HTTP
server for each region, on loopback; clients, servers and proxy share this machine.

- Applied: the tables of successive hours of a certified plan of world10, 12 gateways and 10 regions, one by
  one: from the call until the proxy is seen to have the table, without traffic and with eight clients that
  ask without a pause. Failed: of their requests, what got no answer or another than a region's.
- Shares: the largest distance of a region's part to its share over `--requests` requests of 16 clients, for
  several tables; beside it what draws of chance would have, the standard deviation of the largest share.

A proxy that is not installed is left out. `--smoke`: a few hours, few requests.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np

import eglb
from eglb.live.data_plane.plane import Applied
from eglb.live.routing.weights import WeightTable

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support.proxies import Front, deviation, find, flowing, in_front, send, table

PROXIES = ("haproxy", "nginx", "envoy")
GATEWAY = "gw-london"
PAUSE_S = 0.1
"""Between tables, so that requests are sent by each of them."""


def plans(hours: int) -> list[WeightTable]:
    """The first hours of a plan of world10, certified to 1e-4."""
    fleet = eglb.load("world10").window(0, hours)
    found = eglb.solve(fleet, "newton", gap=1e-4, address="inprocess")
    tables = []
    for hour in range(hours):
        share = np.zeros((len(fleet.gateways), len(fleet.regions)))
        share[fleet.reach_gateway, fleet.reach_region] = found.route[:, hour]
        rows = dict(zip(fleet.gateways, share.tolist(), strict=True))
        tables.append(table(rows, list(fleet.regions), version=hour + 1))
    return tables


def shares(planned: list[WeightTable]) -> dict[str, list[float]]:
    """Rows to measure, by name; the plan's is the one that goes to most regions."""
    row = max(planned, key=lambda each: np.count_nonzero(share_of(each) > 0.01))
    rng = np.random.default_rng(0)
    return {
        "a planned hour": share_of(row).tolist(),
        "even": [0.1] * 10,
        "halves of halves": [2.0**-n for n in range(1, 10)] + [2.0**-9],
        "one and crumbs": [0.982] + [0.002] * 9,
        "by chance": rng.dirichlet(np.ones(10)).tolist(),
    }


def share_of(each: WeightTable) -> np.ndarray:
    return each.share[each.gateways.index(GATEWAY)]


def change(front: Front, tables: list[WeightTable], pause: float) -> Iterator[Applied]:
    """Apply tables in turn; of those that changed anything."""
    for each in tables:
        applied = front.plane.apply(each)
        if applied.problems:
            raise RuntimeError("; ".join(applied.problems))
        if applied.changed:
            yield applied
        time.sleep(pause)


def measure(proxy: str, planned: list[WeightTable], requests: int) -> Iterator[dict[str, Any]]:
    """Rows of one proxy."""
    regions, gateways = list(planned[0].regions), list(planned[0].gateways)
    with in_front(proxy, regions, gateways) as front:
        port = front.ports[GATEWAY]
        idle = list(change(front, planned, 0.0))
        yield timed(proxy, "idle", idle) | {"requests": 0, "failed": 0}
        with flowing(port) as answers:
            busy = list(change(front, planned[::-1], PAUSE_S))
        failed = answers.total() - sum(answers[name] for name in regions)
        yield timed(proxy, "busy", busy) | {"requests": answers.total(), "failed": failed}
        for name, row in shares(planned).items():
            each = table(dict.fromkeys(gateways, row), regions)
            list(change(front, [each], 0.0))
            off = deviation(send(port, requests), share_of(each), regions)
            most = share_of(each).max()
            yield {
                "proxy": proxy,
                "what": "shares",
                "table": name,
                "requests": requests,
                "deviation": f"{off:.5f}",
                "chance": f"{(most * (1.0 - most) / requests) ** 0.5:.5f}",
            }


def timed(proxy: str, what: str, applied: list[Applied]) -> dict[str, Any]:
    seconds = [each.seconds for each in applied]
    return {
        "proxy": proxy,
        "what": what,
        "tables": len(seconds),
        "median_s": f"{statistics.median(seconds):.4f}",
        "worst_s": f"{max(seconds):.4f}",
    }


def version(proxy: str) -> str:
    binary = find(proxy)
    assert binary is not None
    said = subprocess.run([binary, "--version" if proxy == "envoy" else "-v"], capture_output=True, text=True)
    found = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
    return f"{proxy} {found[0] if found else '?'}"


CHANGE_HEADS = ("proxy", "traffic", "tables", "applied, median", "worst", "requests meanwhile", "failed")
SHARE_HEADS = ("proxy", "table", "requests", "largest distance", "by chance")


def lines_of(rows: list[dict[str, Any]]) -> tuple[list[list[str]], list[list[str]]]:
    """The two tables' cells."""
    changes = [
        [
            row["proxy"],
            "none" if row["what"] == "idle" else "8 clients",
            str(row["tables"]),
            f"{1000 * float(row['median_s']):.1f} ms",
            f"{1000 * float(row['worst_s']):.1f} ms",
            f"{row['requests']:,}" if row["requests"] else "-",
            str(row["failed"]) if row["requests"] else "-",
        ]
        for row in rows
        if row["what"] != "shares"
    ]
    measured = [
        [
            row["proxy"],
            row["table"],
            f"{row['requests']:,}",
            f"{100 * float(row['deviation']):.2f} %",
            f"{100 * float(row['chance']):.2f} %",
        ]
        for row in rows
        if row["what"] == "shares"
    ]
    return changes, measured


def markdown(heads: tuple[str, ...], lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in ([*heads], ["---"] * len(heads), *lines))


def write(folder: Path, rows: list[dict[str, Any]], call: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(key for row in rows for key in row))
    with (folder / "data_plane.csv").open("w", newline="") as file:
        file.write(f"# {call}\n")
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    changes, measured = lines_of(rows)
    proxies = ", ".join(version(name) for name in dict.fromkeys(row["proxy"] for row in rows))
    assert __doc__ is not None
    method = __doc__.split("\n\n", 2)[2].split("\n\nA proxy that", 1)[0].strip()
    text = [
        f"# {__doc__.splitlines()[0]}",
        f"    {call}",
        f"{proxies}; {platform.system()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}.",
        method,
        "## Applied",
        markdown(CHANGE_HEADS, changes),
        "## Shares",
        markdown(SHARE_HEADS, measured),
        LIMITATIONS,
    ]
    (folder / "data_plane.md").write_text("\n\n".join(text) + "\n")


LIMITATIONS = """## Limitations

- One machine: clients, regions and proxy take cores from each other, and other work did too. Between
  machines a change takes HAProxy a few round trips longer; NGINX and Envoy read files of their own machine.
- A client that finds a kept connection closed sends its request once more, as HTTP has it; only what fails
  then is counted.
- NGINX's time holds 0.2 s in which only new workers must have answered: old ones serve for 0.1 s more.
- HAProxy's turns begin anew for servers whose weight was 0: where tables follow each other within a few
  hundred requests, regions of little weight get less than their share."""


def main() -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proxy", action="append", choices=PROXIES)
    parser.add_argument("--hours", type=int, default=48)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    hours, requests = (3, 300) if options.smoke else (options.hours, options.requests)
    planned = plans(hours)
    rows: list[dict[str, Any]] = []
    for proxy in options.proxy or PROXIES:
        if find(proxy) is None:
            print(f"{proxy} is not installed: left out")
            continue
        for row in measure(proxy, planned, requests):
            rows.append(row)
            print("".join(f"{key} {value}  " for key, value in row.items()).rstrip(), flush=True)
    print(f"from table to routing by it in s; distances over {requests} requests")
    if not rows:
        print("no proxy is installed: `make data-plane` says what can be had")
        print("nothing was measured")
    elif options.out is not None:
        write(options.out, rows, " ".join(["python", *sys.argv]))


if __name__ == "__main__":
    main()

"""Two weeks of service in six minutes: is a request lost, is a table infeasible, and what does it cost?

    EGLB_DATA=FOLDER python benchmarks/rehearsal.py [--slots 336] [--ray-slots 72] [--jobs-slots 120] \
        [--out FOLDER]

`eglb serve world16@2023-07-01/14d --speed 3600`, rehearsed while three regions fail one after the other, the
carbon signal of one does not answer, footprints of another are estimated 1.5 times too high, and the
coordinator is killed (SIGKILL) twice. A second, shorter run is on Ray, with an actor for each core; there a
killed coordinator takes its Ray with it. In a third, with slots of three seconds, a fifth of the energy are
jobs that may wait a day; what was done of them is counted again from the store. One client asks
`GET /v1/route` all the time, another waits for new weights. Every table in the store is checked again from
the scenario's own series; the objective is of the recorded series and the metered loads, beside `simulate` of
the same slots, where nothing fails and demand is known. The time until a table is from the start of its slot
until a client has it. Then the estimator that is off, with meters that tell footprints and with meters that
tell loads alone; and days 4 to 7 of world10, with demand of the slot that runs posted or not, and headroom.
`--smoke`: seconds long, world10.
"""

from __future__ import annotations

import argparse
import csv
import http.client
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np

import eglb
from eglb.live.loop.rehearsal import Rehearsal
from eglb.live.routing.weights import WeightTable
from eglb.live.service import Wanted, open_service
from eglb.live.storage.job_store import STATES, JobStore
from eglb.live.storage.store import NOTE, Store
from eglb.scenarios.catalog import load_history
from eglb.scenarios.scenario import Scenario
from eglb.sims.replay.simulation import simulate

SPEED, SPEED_WITH_JOBS = 3600.0, 1200.0
HISTORY_SLOTS = 28 * 24
KILLS = (0.06, 0.6)
"""Parts of the slots after which the coordinator is killed."""
LOOKS = (0.1, 0.5, 0.7, 0.99)
"""Parts of the slots after which memory is looked at."""
PAUSE_S = 0.004
OFF = 1.5


def events(fleet: Scenario, slots: int) -> list[dict[str, Any]]:
    """What goes wrong; regions fail and come back in the middle of a slot."""
    found: list[dict[str, Any]] = [
        {
            "what": "region-down",
            "at": f"{fleet.times[int(part * slots)].astype('datetime64[m]') + np.timedelta64(30, 'm')}",
            "region": fleet.regions[row],
            "slots": max(1, slots // 48),
        }
        for part, row in ((0.25, 1), (0.45, 4), (0.8, 7))
    ]
    lasting = {"slots": max(1, slots // 24)}
    kind = fleet.footprints[-1].name
    found.append(
        {"what": "dead-signal", "at": int(0.35 * slots), "kind": kind, "region": fleet.regions[2], **lasting}
    )
    return [*found, wrong(fleet, int(0.15 * slots))]


def wrong(fleet: Scenario, at: int) -> dict[str, Any]:
    return {"what": "wrong-estimate", "at": at, "region": fleet.regions[0], "factor": OFF}


def toml(found: list[dict[str, Any]]) -> str:
    lines = (
        "[[event]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in event.items())
        for event in found
    )
    return "\n".join(lines)


@dataclass
class Client(threading.Thread):
    """Routes requests of all gateways in turn until it is over."""

    port: int
    gateways: tuple[str, ...]
    over: threading.Event = field(default_factory=threading.Event)
    failed: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    calls: int = 0
    sent: Counter[tuple[int, str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10.0)
        paths = [(name, f"/v1/route?gateway={quote(name)}") for name in self.gateways]
        while not self.over.wait(PAUSE_S):
            gateway, path = paths[self.calls % len(paths)]
            self.calls += 1
            began = time.perf_counter()
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
            except OSError as error:
                self.failed.append(repr(error))
                connection.close()
                continue
            self.seconds.append(time.perf_counter() - began)
            if answer.status != 200:
                self.failed.append(body.decode())
                continue
            told = json.loads(body)
            self.sent[told["version"], gateway, told["region"]] += 1


@dataclass
class Waiting(threading.Thread):
    """Waits for new weights; when each version came, by `time.time`."""

    port: int
    over: threading.Event = field(default_factory=threading.Event)
    came: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30.0)
        tag = ""
        while not self.over.is_set():
            try:
                connection.request("GET", "/v1/weights?wait=2", headers={"If-None-Match": tag})
                answer = connection.getresponse()
                body = answer.read()
            except OSError:
                connection.close()
                continue
            if answer.status == 200:
                tag = answer.headers["etag"]
                self.came.setdefault(json.loads(body)["version"], time.time())


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory_mb(pid: int) -> float:
    """Resident, of one process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    resident = (int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
    return next(resident, math.nan)  # it has just ended


def rehearse(name: str, slots: int, address: str, folder: Path, speed: float = SPEED) -> dict[str, Any]:
    """One row: a service that runs to its end."""
    fleet = eglb.load(name).window(0, slots)
    (folder / "events.toml").write_text(toml(events(fleet, slots)))
    books = folder / "books.db"
    command = [sys.executable, "-m", "eglb", "serve", name, "--slots", str(slots), "--speed", f"{speed:g}"]
    command += ["--address", address, "--listen", "127.0.0.1:0", "--store", str(books), "--json"]
    command += ["--rehearse", str(folder / "events.toml")]
    if address == "local":
        command += ["--regions-per-actor", str(-(-len(fleet.regions) // (os.cpu_count() or 1)))]
    # To files: nobody reads a pipe while this waits for something else.
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err)
        try:
            row = _watch(process, fleet, books, folder)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    assert process.returncode == 0, (folder / "err").read_text()
    store = Store(books)
    tables = store.tables(10**6)[::-1]
    found = json.loads((folder / "out").read_text())
    came, killed, sent = (row.pop(name) for name in ("came", "killed", "sent"))
    history = load_history(name, HISTORY_SLOTS)
    expected = simulate(fleet, "soft", history=history, offline=False).objective
    row = {
        "fleet": name,
        "address": address,
        "slots": slots,
        "speed": speed,
        **row,
        "tables": len(tables),
        "infeasible_tables": sum(bool(problems(table, fleet)) for table in tables),
        **_by_slot(tables, came, killed, fleet, store, speed),
        **_shares(tables, sent),
        **overload(fleet, store),
        "slots_metered": found["slots_metered"],
        "objective": round(found["objective"], 2),
        "over_simulate_percent": round(100.0 * (found["objective"] / expected - 1.0), 3),
        **({} if fleet.jobs is None else work_done(fleet, store)),
    }
    store.close()
    return row


def _watch(process: subprocess.Popen[bytes], fleet: Scenario, books: Path, folder: Path) -> dict[str, Any]:
    """Until it ends: ask it, kill its coordinator, look at its memory."""
    while "http://" not in (said := (folder / "err").read_text()):
        assert process.poll() is None, said
        time.sleep(0.05)
    port = int(said.split("http://")[1].split()[0].rsplit(":", 1)[1])
    waiting = Waiting(port)
    waiting.start()
    while not waiting.came:
        assert process.poll() is None, (folder / "err").read_text()
        time.sleep(0.01)
    client = Client(port, fleet.gateways)
    client.start()
    store = Store(books)
    kills, looks = list(KILLS), list(LOOKS)
    row: dict[str, Any] = {}
    killed = []
    while process.poll() is None and (kills or looks):
        table = store.last_table()
        assert table is not None
        at = float((table.start - fleet.times[0]) / np.timedelta64(1, "h"))
        if looks and at >= min(looks[0] * fleet.slots, fleet.slots - 1) and (own := children(process.pid)):
            part = f"{100 * looks.pop(0):.0f}"
            row[f"front_mb_{part}"] = round(memory_mb(process.pid), 1)
            row[f"coordinator_mb_{part}"] = round(memory_mb(own[0]), 1)
        if kills and at >= kills[0] * fleet.slots and (own := children(process.pid)):
            kills.pop(0)
            os.kill(own[0], signal.SIGKILL)
            killed.append(at)
        time.sleep(0.05)
    store.close()
    # It is in its last slot: soon it ends, and is not to be asked any more.
    client.over.set()
    waiting.over.set()
    client.join()
    process.wait()
    waiting.join()
    took = np.array(client.seconds) * 1e3
    return {
        "route_calls": client.calls,
        "failed_route_calls": len(client.failed),
        "route_p50_ms": round(float(np.quantile(took, 0.5)), 2),
        "route_p99_ms": round(float(np.quantile(took, 0.99)), 2),
        "coordinator_kills": len(killed),
        **row,
        "came": waiting.came,
        "killed": killed,
        "sent": client.sent,
    }


def problems(table: WeightTable, fleet: Scenario) -> list[str]:
    """What is wrong with a table, by the scenario's series alone."""
    slot = int((table.start - fleet.times[0]) / np.timedelta64(round(3600 * fleet.slot_hours), "s"))
    reach = np.zeros(table.share.shape, bool)
    reach[fleet.reach_gateway, fleet.reach_region] = True
    capacity = fleet.capacity[:, slot]
    up = table.capacity > 0.0
    unmet = np.zeros(len(fleet.gateways)) if table.unmet is None else table.unmet
    work = np.zeros((1, len(capacity))) if table.work is None else table.work
    load = ((table.demand - unmet)[:, None] * table.share).sum(0) + work.sum(0)
    found = {
        "negative work": not (work >= 0.0).all(),
        "negative": not (table.share >= 0.0).all(),
        "sums": not np.allclose(table.share.sum(1), (reach & up).any(1), atol=1e-9),
        "out of reach": bool(table.share[~reach].any()),
        "region that is out": bool(table.share[:, ~up].any()),
        "invented capacity": bool((np.abs(table.capacity - capacity)[up] > 1e-9).any()),
        "over capacity": bool((load > capacity * up + 1e-6).any()),
        "unmet though there is room": bool(unmet.sum() > 1e-6 and (capacity * up - load).min() > 1e-3),
    }
    return [name for name, wrong in found.items() if wrong]


def work_done(fleet: Scenario, store: Store) -> dict[str, Any]:
    """What has become of the jobs, by the scenario and by what is told of every slot."""
    jobs = fleet.jobs
    assert jobs is not None
    states = {job.name: job.state for job in JobStore(store).jobs()}
    first, last = jobs.slots(fleet.times, fleet.slot_hours)
    index = {name: m for m, name in enumerate(jobs.names)}
    gain = {
        (int(m), fleet.regions[i]): each
        for m, i, each in zip(jobs.pair_job, jobs.pair_region, jobs.pair_gain, strict=True)
    }
    power = np.zeros((len(jobs), fleet.slots))
    places = np.zeros((len(jobs), fleet.slots), int)
    for each in JobStore(store).work(fleet.times[0], fleet.times[-1] + np.timedelta64(1, "h")):
        m = index[each.job]
        slot = int((each.slot - fleet.times[0]) / np.timedelta64(1, "h"))
        power[m, slot] += each.mw / gain[m, each.region]
        places[m, slot] += 1
    slot = np.arange(fleet.slots)
    window = (slot >= first[:, None]) & (slot < last[:, None])
    done = (power * window).sum(1) * fleet.slot_hours
    kept = np.array([states[name] not in ("refused", "submitted") for name in jobs.names])
    return {
        "jobs": len(jobs),
        **{f"jobs_{state}": sum(each == state for each in states.values()) for state in STATES},
        "jobs_late_s_worst": round(3600.0 * float(((jobs.energy_mwh - done) / jobs.max_mw)[kept].max()), 3),
        "regions_of_a_job_median": float(np.median(places[places > 0])),
        "regions_of_a_job_mean": round(float(places[places > 0].mean()), 2),
        "work_mwh": round(float(done.sum()), 3),
        "work_mwh_not_done_in_time": round(float((jobs.energy_mwh - done)[kept].sum()), 6),
        "work_out_of_window_mwh": round(float((power * ~window).sum()) * fleet.slot_hours, 6),
        "power_over_most_mw": round(float((power - jobs.max_mw[:, None]).max()), 6),
    }


def _by_slot(
    tables: list[WeightTable],
    came: dict[int, float],
    killed: list[float],
    fleet: Scenario,
    store: Store,
    speed: float,
) -> dict[str, Any]:
    """Where the first table of every slot came from, and when."""
    told = json.loads(store.note(NOTE) or "")
    start, origin = np.datetime64(told["start"]), told["origin"]
    firsts: dict[int, WeightTable] = {}
    for table in tables:
        firsts.setdefault(int((table.start - fleet.times[0]) / np.timedelta64(1, "h")), table)
    sources = Counter(table.source for table in firsts.values())
    calm, all_s = [], []
    for slot, table in firsts.items():
        if table.version in came:
            began = origin + float((table.start - start) / np.timedelta64(1, "ms")) / 1e3 / speed
            all_s.append(came[table.version] - began)
            if not any(at <= slot <= at + 10.0 * speed / SPEED for at in killed):
                calm.append(all_s[-1])
    return {
        "slots_by_plan": sources["plan"],
        "slots_by_last_plan": sources["last plan"],
        "slots_by_nearest": sources["nearest"],
        "slots_without_own_table": fleet.slots - len(firsts),
        "table_s_median": round(statistics.median(all_s), 3),
        "table_s_worst": round(max(all_s), 3),
        "table_s_worst_no_restart": round(max(calm), 3) if calm else math.nan,
    }


def _shares(tables: list[WeightTable], sent: Counter[tuple[int, str, str]]) -> dict[str, Any]:
    """How far the requests of a gateway were from the weights, over the whole run: the worst gateway."""
    by_version = {table.version: table for table in tables}
    calls: Counter[tuple[int, str]] = Counter()
    for (version, gateway, _), count in sent.items():
        calls[version, gateway] += count
    names = tables[0].gateways, tables[0].regions
    due, went = (np.zeros((len(names[0]), len(names[1]))) for _ in range(2))
    for (version, gateway), count in calls.items():
        j = names[0].index(gateway)
        due[j] += count * by_version[version].share[j]
    for (_, gateway, region), count in sent.items():
        went[names[0].index(gateway), names[1].index(region)] += count
    off = np.abs(went - due).max(1) / went.sum(1)
    return {"share_off_percent_worst": round(100.0 * float(off.max()), 3)}


def overload(fleet: Scenario, store: Store) -> dict[str, Any]:
    """Loads beyond what regions have, as metered."""
    row = {name: i for i, name in enumerate(fleet.regions)}
    load = np.zeros(fleet.capacity.shape)
    for each in store.read("meter", fleet.times[0], fleet.times[-1] + np.timedelta64(1, "h"), "load_mw"):
        load[row[each.place], int((each.slot - fleet.times[0]) / np.timedelta64(1, "h"))] = each.value
    over = np.maximum(load - fleet.capacity, 0.0)
    return {
        "overload_mw_worst": round(float(over.max()), 3),
        "overload_mwh": round(float(over.sum()) * fleet.slot_hours, 2),
        "overload_of_load_percent": round(100.0 * float(over.sum() / load.sum()), 4),
    }


def estimators(name: str, slots: int, folder: Path) -> Iterator[dict[str, Any]]:
    """An estimator that is right or off, with footprints metered or not; nothing else goes wrong."""
    fleet, history = eglb.load(name).window(0, slots), load_history(name, HISTORY_SLOTS)
    (folder / "off.toml").write_text(toml([wrong(fleet, 0)]))
    metered = Rehearsal.meters

    def loads_alone(self: Rehearsal, slot: int, *gone: np.ndarray) -> Iterator[dict[str, Any]]:
        for each in metered(self, slot, *gone):
            yield {key: value for key, value in each.items() if key != "footprints"}

    right = math.nan
    for factor in (1.0, OFF):
        for loop in ("closed", "open"):
            store = Store(folder / f"{factor}{loop}.db")
            wanted = Wanted(
                speed=math.inf,
                patience=1,
                demand_forecast="perfect",
                events=folder / "off.toml" if factor != 1.0 else None,
            )
            meters = metered if loop == "closed" else loads_alone
            with (
                mock.patch.object(Rehearsal, "meters", meters),
                open_service(fleet, wanted, store, history) as service,
            ):
                service.controller.run()
                objective = service.summary()["objective"]
                row = fleet.regions.index(fleet.regions[0])
                series = service.controller.series
                last = series.begun + slots - 1
                true = np.array([fleet.intensity_per_mw_slot(kind)[row, -1] for kind in fleet.footprints])
                known = series.correct(last)[row] / true
            store.close()
            right = objective if math.isnan(right) else right
            yield {
                "estimate": factor,
                "loop": loop,
                "objective": round(objective, 2),
                "over_right_percent": round(100.0 * (objective / right - 1.0), 3),
                "planned_by_over_true": round(float(known.max()), 3),
            }


def overloads(slots: int, folder: Path) -> Iterator[dict[str, Any]]:
    """What demand that is only foretold overloads, with and without what is done about it."""
    whole = eglb.load("world10")
    fleet, history = whole.window(72, slots), whole.window(0, 72)
    expected = simulate(fleet, "soft", history=history, offline=False).objective
    posted = Rehearsal.demand
    for demand, headroom in (("not posted", 0.0), ("posted", 0.0), ("posted", 0.02), ("posted", 0.05)):
        store = Store(folder / f"{demand}{headroom}.db")
        heard = posted if demand == "posted" else lambda self, slot, now: []
        with (
            mock.patch.object(Rehearsal, "demand", heard),
            open_service(fleet, Wanted(speed=math.inf, headroom=headroom), store, history) as service,
        ):
            service.controller.run()
            objective = service.summary()["objective"]
        row = overload(fleet, store)
        store.close()
        over = round(100.0 * (objective / expected - 1.0), 2)
        yield {"demand": demand, "headroom": headroom, **row, "over_simulate_percent": over}


def plain_table(rows: list[dict[str, Any]]) -> str:
    heads = list(rows[0])
    lines = [f"| {' | '.join(head.replace('_', ' ') for head in heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        cells = [row[head] if isinstance(row[head], str) else f"{row[head]:,}" for head in heads]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def table_of(rows: list[dict[str, Any]]) -> str:
    """Figures down, runs across."""
    lines = []
    for key in dict.fromkeys(key for row in rows for key in row):
        cells = [
            f"{row[key]:,}" if isinstance(row.get(key), (int, float)) else str(row.get(key, "-"))
            for row in rows
        ]
        lines.append(f"| {key.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join([lines[0], "|---|" + "---:|" * len(rows), *lines[1:]])


def write(
    folder: Path, runs: list[dict[str, Any]], loops: list[dict[str, Any]], over: list[dict[str, Any]]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "rehearsal.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["run", "figure", "value"])
        for rows, names in (
            (runs, ("fleet", "address", "slots")),
            (loops, ("estimate", "loop")),
            (over, ("demand", "headroom")),
        ):
            for row in rows:
                run = ", ".join(f"{name} {row[name]}" for name in names)
                writer.writerows([run, key, value] for key, value in row.items() if key not in names)
    assert __doc__ is not None
    title, call, method = __doc__.strip().split("\n\n", 2)
    method = method.replace(" `--smoke`: seconds long, world10.", "")
    tables = [table_of(runs), plain_table(loops), plain_table(over)]
    text = [f"# {title}", call, method, *tables, f"{os.cpu_count()} cores."]
    (folder / "rehearsal.md").write_text("\n\n".join(text) + "\n")


def main() -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fleet", default="world16@2023-07-01/14d")
    parser.add_argument("--slots", type=int, default=336)
    parser.add_argument("--ray-slots", type=int, default=72, help="of a second run, on Ray; 0 for none")
    parser.add_argument("--jobs-slots", type=int, default=120, help="of a third one, with jobs; 0 for none")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    if given.smoke:
        given.fleet, given.slots, given.ray_slots, given.jobs_slots = "world10", 10, 0, 12
    runs = []
    mixed = f"{given.fleet},jobs=0.2:{6 if given.smoke else 24}"
    for name, address, slots, speed in (
        (given.fleet, "inprocess", given.slots, SPEED),
        (given.fleet, "local", given.ray_slots, SPEED),
        (mixed, "inprocess", given.jobs_slots, SPEED_WITH_JOBS),
    ):
        if slots:
            with tempfile.TemporaryDirectory() as folder:
                runs.append(rehearse(name, slots, address, Path(folder), speed))
            for key, value in runs[-1].items():
                print(f"{key.replace('_', ' ')}: {value}", flush=True)
    loops, over = [], []
    with tempfile.TemporaryDirectory() as folder:
        for row in estimators(given.fleet, given.slots, Path(folder)):
            loops.append(row)
            print(row, flush=True)
        for row in overloads(given.slots if given.smoke else 96, Path(folder)):
            over.append(row)
            print(row, flush=True)
    if given.out is not None:
        write(given.out, runs, loops, over)


if __name__ == "__main__":
    main()

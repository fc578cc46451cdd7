"""How long would a solve take between regions, and what shortens it: fewer rounds or smaller messages?

    EGLB_DATA=... python benchmarks/wide_area.py [--out benchmarks/results]

Every agent stands in its region, the coordinator where its slowest round trip is the shortest. Round trips
are those measured between cloud regions; lines carry 100 Mbit/s at a region and 1 Gbit/s at the coordinator.
Rounds, bytes and gaps are those of real runs in one process; seconds are expected from them
(`eglb.coordinator.fleet.network`), without the time to compute. Also expected: with the coordinator at the
worst place, and with lines of 10 and 1 Mbit/s at the regions. Variants change one thing of what is shipped:

    double            all messages in double precision
    delta             (simulated) centers and loads as 16-bit differences to what the other side had before
    certificates apart  bounds and prices of plans in exchanges of their own
    one sweep         ADMM's projection as one sweep over the gateways instead of as many as it takes
    one Newton step   interior point with one step on the agents' models instead of three

`cloud34` is a generated fleet placed at the 34 measured regions: its round trips are real, its costs are not.
`--smoke` is one small generated fleet by distance: seconds long, no data needed.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np

import eglb
from eglb.agents.codec import Message, decode, encode
from eglb.agents.proximal import Proposal, ProximalStep
from eglb.coordinator.algorithms import admm, level_bundle, newton
from eglb.coordinator.exchange import Broadcast, HostReply, Round
from eglb.coordinator.fleet.fleet import Fleet, group_regions, host_slices
from eglb.coordinator.fleet.network import Network
from eglb.coordinator.fleet.transport import Arrival, InProcess, Transport, TransportWrapper, Wait
from eglb.coordinator.run import run
from eglb.planning.partition import partition
from eglb.planning.wide_area import lay_network, measured_places
from eglb.scenarios.catalog import data_directory
from eglb.scenarios.scenario import Scenario
from eglb.sims.wide_area_plots import Variant, draw_wide_area

METHODS = {"admm": admm.Admm, "newton": newton.Newton, "dual": level_bundle.LevelBundle}
SECONDS = ("seconds", "seconds_worst_place", "seconds_10_mbit_s", "seconds_1_mbit_s")
GAPS = (1e-3, 1e-4, 1e-6)
MAX_ROUNDS, LIMIT_S = 600, 60.0


class Recorder(TransportWrapper):
    """Another transport, and the bytes of every exchange."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.exchanges: list[tuple[list[int], list[int], list[int]]] = []

    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        arrivals = self.inner.call(payloads, wait, probes)
        back = {h: len(answer) for h, answer in arrivals if isinstance(answer, bytes)}
        self.exchanges.append(
            (list(payloads), [len(data) for data in payloads.values()], [back[h] for h in payloads])
        )
        return arrivals


class Delta(Recorder):
    """Rounds as 16-bit differences would, in the loop, and records the bytes these would take.

    A difference is scaled by its largest entry in the row, which travels along; what was lost stays in the
    next difference. The first message is as it is. Loads are rounded down, so that no capacity is exceeded.
    """

    LEVELS, BYTES, SCALE_BYTES, BEFORE_BYTES = 32767, 2, 4, 4

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.known: dict[tuple[int, type[Message]], np.ndarray] = {}

    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        sent = {
            h: self._rounded(h, data, ProximalStep, "load_center", np.rint) for h, data in payloads.items()
        }
        arrivals = dict(self.inner.call({h: data for h, (data, _) in sent.items()}, wait, probes))
        back = {h: self._rounded(h, arrivals[h], Proposal, "load", np.floor) for h in payloads}
        self.exchanges.append(
            (list(payloads), [size for _, size in sent.values()], [size for _, size in back.values()])
        )
        return [(h, data) for h, (data, _) in back.items()]

    def _rounded(self, host: int, data: bytes, kind: Any, name: str, rounding: Any) -> tuple[bytes, int]:
        messages, size = decode(data), len(data)
        for at, message in enumerate(messages):
            if not isinstance(message, kind):
                continue
            value = getattr(message, name).astype(float)
            before = self.known.get((host, kind))
            if before is not None:
                scale = np.abs(value - before).max(1, keepdims=True) / self.LEVELS
                steps = rounding((value - before) / np.where(scale > 0.0, scale, 1.0))
                after = before + scale * steps
                value = np.clip(after, 0.0, value) if rounding is np.floor else after
                size -= (self.BEFORE_BYTES - self.BYTES) * value.size - self.SCALE_BYTES * len(value)
            self.known[host, kind] = value
            messages[at] = replace(message, **{name: value})
        return encode(messages, narrow=False), size


class CertificatesApart(Fleet):
    """What asks for bounds and prices of plans goes in an exchange of its own."""

    def exchange(self, broadcast: Broadcast) -> Round:
        if broadcast.opening or len(broadcast.requests) == 1:
            return super().exchange(broadcast)
        step, *rest = broadcast.requests
        first = super().exchange(replace(broadcast, requests=(step,), again=()))
        second = super().exchange(replace(broadcast, requests=tuple(rest)))
        # As if all had been answered in the second.
        host_replies = tuple(
            HostReply(second.number, a.regions, a.requests + b.requests, a.replies + b.replies)
            for a, b in zip(first.present, second.present, strict=True)
        )
        return Round(second.number, host_replies, first.changed or second.changed)


@dataclass(frozen=True)
class Way:
    """An algorithm with one thing changed."""

    algorithm: str
    name: str = "as shipped"
    recorder: type[Recorder] = Recorder
    fleet: type[Fleet] = Fleet
    narrow: bool = True
    setting: tuple[Any, str, int] | None = None


WAYS = (
    Way("admm"),
    Way("admm", "double", narrow=False),
    Way("admm", "delta", recorder=Delta),
    Way("admm", "certificates apart", fleet=CertificatesApart),
    Way("admm", "one sweep", setting=(admm, "_SWEEPS", 1)),
    Way("newton"),
    Way("newton", "double", narrow=False),
    Way("newton", "certificates apart", fleet=CertificatesApart),
    Way("newton", "one Newton step", setting=(newton, "_NEWTON_STEPS_FEW", 1)),
    Way("dual"),
)


def load_fleet(name: str) -> Scenario:
    """A scenario by name; ``cloud34`` as said above."""
    if name != "cloud34":
        return eglb.load(name)
    regions, lat, lon, _ = measured_places(data_directory())
    fleet = eglb.load(f"synthetic:{len(regions)}")
    return replace(fleet, name=name, regions=regions, region_lat=lat, region_lon=lon)


def networks_of(scenario: Scenario, source: str) -> dict[str, Network]:
    """What the seconds are expected on, by the name of the column."""
    best = lay_network(scenario, source)
    places = [lay_network(scenario, source, coordinator=region) for region in scenario.regions]
    worst = max(places, key=lambda place: float(place.rtt_ms.max()))
    return dict(zip(SECONDS, (best, worst, _with_rate(best, 10.0), _with_rate(best, 1.0)), strict=True))


def _with_rate(network: Network, mbit_s: float) -> Network:
    rate = np.full_like(network.rtt_ms, mbit_s)
    return replace(network, down_mbit_s=rate, up_mbit_s=rate)


def measure(
    scenario: Scenario, networks: dict[str, Network], way: Way
) -> tuple[list[dict[str, Any]], Variant]:
    """A row for each gap, and what the picture shows."""
    parts = partition(scenario)
    hosts = group_regions(parts.region, 1)
    transport = way.recorder(InProcess(hosts))
    fleet = way.fleet(transport, host_slices(parts.market, hosts), narrow=way.narrow)
    algorithm = METHODS[way.algorithm](parts.market, GAPS[-1])
    gaps: list[tuple[int, float]] = []
    with ExitStack() as changed:
        if way.setting is not None:
            changed.enter_context(mock.patch.object(*way.setting))
        run(
            algorithm,
            fleet,
            max_rounds=MAX_ROUNDS,
            time_limit_s=LIMIT_S,
            on_round=lambda _: gaps.append((len(transport.exchanges), algorithm.incumbent.gap)),
        )
    clocks = {
        name: np.cumsum([network.seconds(d, u, h) for h, d, u in transport.exchanges])
        for name, network in networks.items()
    }
    down, up = (np.cumsum([sum(e[way_]) for e in transport.exchanges]) for way_ in (1, 2))
    rows = []
    for target in GAPS:
        rounds = next((at for at, gap in gaps if gap <= target), None)
        row = {
            "instance": scenario.name,
            "algorithm": way.algorithm,
            "variant": way.name,
            "gap": f"{target:g}",
        }
        if rounds is not None:
            last = rounds - 1
            row |= {"rounds": rounds}
            row |= {"kb_down_per_region": f"{down[last] / len(hosts) / 1e3:.1f}"}
            row |= {"kb_up_per_region": f"{up[last] / len(hosts) / 1e3:.1f}"}
            row |= {name: f"{clock[last]:.2f}" for name, clock in clocks.items()}
        rows.append(row)
    seen = [(float(clocks["seconds"][at - 1]), max(gap, 1e-16)) for at, gap in gaps if np.isfinite(gap)]
    at = rows[1] if "rounds" in rows[1] else None
    variant = Variant(
        way.algorithm,
        way.name,
        seen,
        float(at["seconds"]) if at else None,
        int(at["rounds"]) if at else None,
        float(at["kb_down_per_region"]) + float(at["kb_up_per_region"]) if at else None,
    )
    return rows, variant


def show(rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        kilobytes = (
            f"{row.get('kb_down_per_region', '-'):>7} kB down{row.get('kb_up_per_region', '-'):>7} kB up"
        )
        print(
            f"{row['instance'][:16]:17}{row['algorithm']:8}{row['variant']:20}{row['gap']:>7}"
            f"{row.get('rounds', '-'):>5}{kilobytes}",
            *(f"{row.get(name, '-'):>7} s" for name in SECONDS),
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    smoke = ("synthetic:5x12,reach=3",)
    names = smoke if options.smoke else ("world10", "paper10", "paper10-partial", "cloud34")
    rows, pictures = [], {}
    for name in names:
        scenario = load_fleet(name)
        networks = networks_of(scenario, "modelled" if options.smoke else "measured")
        best = networks["seconds"]
        print(f"{name}: coordinator in {best.coordinator}, {best.rtt_ms.max():.0f} ms at most; {best.note}")
        pictures[name] = []
        for way in WAYS:
            if way.setting is not None and not hasattr(*way.setting[:2]):
                print(f"{name}: {way.algorithm} has no setting {way.setting[1]} any more")
                continue
            found, variant = measure(scenario, networks, way)
            show(found)
            rows += found
            pictures[name].append(variant)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        with (options.out / "wide_area.csv").open("w", newline="") as file:
            file.write(f"# {' '.join(['python', *sys.argv])}\n")
            columns = list(dict.fromkeys(key for row in rows for key in row))
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        draw_wide_area(pictures, GAPS[1], options.out)


if __name__ == "__main__":
    main()

"""What would an ADMM round take on 100 hosts with 100,000 regions? A model of costs measured here.

    python benchmarks/cluster_model.py [--out benchmarks/results]
    python benchmarks/cluster_model.py --hosts 50 --cores 8 --rate 25000 --latency 0.2

Rounds are measured in process and on Ray actors; the model (`eglb.sims.cluster_model`, with its formula) is
fitted to some sizes and tried on others, larger ones among them, that it has not seen. Then it is asked about
a cluster whose clearing is split over several coordinator workers. Output: ``cluster_model.csv`` (every
measured round beside its prediction), ``.md`` (costs, error, extrapolation) and ``.svg``.
`--smoke` is a few small fleets, without output: seconds long.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

from eglb.scenarios.synthetic import SyntheticSpec
from eglb.sims.cluster_model import Costs, Layout, Sample, fit, measure_round
from eglb.sims.scaling.run import machine

# Regions, slots, reach, hosts, whether they are Ray actors.
Size = tuple[int, int, int, int, bool]
FITTED: tuple[Size, ...] = (
    (50, 24, 8, 1, False), (50, 168, 8, 1, False), (50, 168, 8, 10, False), (50, 168, 8, 50, False),
    (100, 24, 4, 1, False), (100, 168, 4, 1, False), (100, 168, 16, 1, False), (200, 24, 8, 20, False),
    (200, 168, 4, 1, False), (200, 168, 8, 1, False), (200, 168, 16, 20, False), (400, 24, 16, 1, False),
    (400, 24, 8, 100, False), (400, 168, 4, 1, False), (400, 168, 8, 100, False), (400, 168, 16, 1, False),
    (50, 24, 8, 2, True), (50, 168, 8, 4, True), (100, 168, 8, 2, True), (100, 24, 8, 8, True),
    (200, 168, 8, 8, True), (400, 168, 8, 4, True),
)  # fmt: skip
HELD_OUT: tuple[Size, ...] = (
    (300, 72, 6, 1, False), (300, 168, 12, 30, False), (800, 168, 8, 1, False), (1600, 168, 8, 1, False),
    (1000, 24, 8, 50, False), (300, 168, 8, 6, True), (800, 168, 8, 2, True), (200, 72, 8, 12, True),
)  # fmt: skip
SMOKE: tuple[tuple[Size, ...], tuple[Size, ...]] = (
    ((6, 6, 2, 1, False), (12, 6, 3, 3, False), (12, 12, 2, 1, False), (24, 12, 4, 6, False),
     (48, 12, 4, 2, False), (12, 12, 2, 2, True)),
    ((36, 12, 3, 4, False),),
)  # fmt: skip
LIMITATIONS = """## Limitations

- Costs come from fleets of 50 to 400 regions on one shared machine; the last table goes up to 250 times
  beyond. It says where time would go and what would bound a round, not what a cluster will do.
- Workers that share the clearing are not built: the coordinator of today is one process (1 worker).
- Ray's costs are those of up to 8 actors that share this machine's cores, over shared memory and loopback;
  the price of a call, which bounds the fastest rounds of the table, may be quite another between machines.
  Rate and latency of the network are parameters. Skew between hosts, lost messages and memory traffic are
  left out.
- One round, not a solve: how many rounds a fleet of that size needs is not known.
- Each measured round is the mean of the fastest of four cycles; other work on the machine disturbed it.
"""
REGIONS, WORKERS, SLOTS, REACH = (1_000, 10_000, 100_000), (1, 10, 100), 168, 8


def take(sizes: tuple[Size, ...]) -> list[Sample]:
    """Measure each size, saying so."""
    samples = []
    for regions, hours, reach, hosts, actors in sizes:
        sample = measure_round(SyntheticSpec(regions, hours, reach=reach), hosts, actors=actors)
        samples.append(sample)
        print(f"{describe(sample.layout):52}{1e3 * sample.round:9.2f} ms a round", flush=True)
    return samples


def describe(at: Layout) -> str:
    kind = "actors" if at.calls else "hosts in process"
    return f"{at.regions} regions, {at.slots} slots, {at.edges} pairs, {at.hosts} {kind}"


def rows_of(samples: list[Sample], costs: Costs, use: str) -> list[dict[str, Any]]:
    """Measured and predicted milliseconds of each sample."""
    rows = []
    for sample in samples:
        at, said = sample.layout, costs.predict(sample.layout)
        predicted = sum(said.values())
        rows.append(
            {
                "use": use,
                "transport": "ray actors" if at.calls else "in process",
                **{name: getattr(at, name) for name in ("regions", "slots", "edges", "hosts")},
                "bytes": round(at.bytes),
                **{
                    f"ms_{name}": f"{1e3 * getattr(sample, name):.3f}" for name in ("agents", "step", "codec")
                },
                "ms_round": f"{1e3 * sample.round:.3f}",
                "ms_predicted": f"{1e3 * predicted:.3f}",
                "error": f"{predicted / sample.round - 1:+.2f}",
            }
        )
    return rows


def extrapolate(costs: Costs, bytes_per_load: float, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Seconds of a round for growing fleets, with the clearing on one, ten and a hundred workers."""
    base = Layout(
        regions=1,
        slots=SLOTS,
        edges=REACH,
        hosts=options.hosts,
        bytes=bytes_per_load * SLOTS,
        cores_per_host=options.cores,
        rate_mbit_s=options.rate,
        latency_ms=options.latency,
    )
    rows = []
    for count in REGIONS:
        fleet = replace(base, regions=count, edges=REACH * count, bytes=base.bytes * count)
        for workers in WORKERS:
            said = costs.predict(replace(fleet, workers=workers))
            rows.append({"regions": count, "workers": workers, **said, "round": sum(said.values())})
    return rows


def write(
    rows: list[dict[str, Any]],
    costs: Costs,
    far: list[dict[str, Any]],
    hardware: str,
    said: str,
    folder: Path,
) -> None:
    """cluster_model.csv, .md and .svg."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "cluster_model.csv").open("w", newline="") as file:
        file.write(f"# {said}\n")
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    lines = [
        "# An ADMM round on a cluster beyond this machine: a model, not a measurement",
        "",
        f"    {' '.join(['python', 'benchmarks/cluster_model.py', *sys.argv[1:]])}",
        "",
        f"{said}. The formula stands in `sims/cluster_model.py`; all measured rounds in `cluster_model.csv`.",
        "",
        "| cost | nanoseconds |",
        "|---|---:|",
        *(f"| {name} | {1e9 * value:,.3g} |" for name, value in asdict(costs).items()),
        "",
        "## Sizes the model has not seen",
        "",
        "| size | measured ms | predicted ms | error |",
        "|---|---:|---:|---:|",
    ]
    lines += [
        f"| {r['regions']} regions, {r['slots']} slots, {r['edges']} pairs, {r['hosts']} hosts "
        f"{r['transport']} | {float(r['ms_round']):.1f} | {float(r['ms_predicted']):.1f} | "
        f"{100 * float(r['error']):+.0f} % |"
        for r in rows
        if r["use"] == "held out"
    ]
    parts = [name for name in far[0] if name not in ("regions", "workers", "round")]
    lines += [
        "",
        f"## Extrapolation: milliseconds a round, {SLOTS} slots, reach {REACH}, {hardware}",
        "",
        f"| regions | workers | {' | '.join(parts)} | round |",
        f"|---:|---:|{'---:|' * (len(parts) + 1)}",
        *(
            f"| {r['regions']:,} | {r['workers']} | "
            + " | ".join(f"{1e3 * r[name]:,.1f}" for name in [*parts, "round"])
            + " |"
            for r in far
        ),
        "",
        "![Seconds a round](cluster_model.svg)",
        "",
        LIMITATIONS,
    ]
    (folder / "cluster_model.md").write_text("\n".join(lines))
    draw(far, hardware, folder)


def draw(far: list[dict[str, Any]], hardware: str, folder: Path) -> None:
    """Seconds a round against regions, one line for each number of workers."""
    from eglb.foundation.plots import STYLES, keep_home_clean

    keep_home_clean()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    for workers, (colour, dash) in zip(WORKERS, STYLES, strict=False):
        chosen = [row for row in far if row["workers"] == workers]
        label = f"{workers} coordinator worker{'s' * (workers > 1)}"
        x, y = [row["regions"] for row in chosen], [row["round"] for row in chosen]
        axis.loglog(x, y, color=colour, linestyle=dash, marker="o", markersize=4, label=label)
    axis.set_xlabel("regions")
    axis.set_ylabel("seconds a round, modelled")
    axis.set_title(f"ADMM round, {hardware}", fontsize="medium")
    axis.grid(True, which="major", color="0.9")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    figure.savefig(folder / "cluster_model.svg", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    options = read_options()
    fitted, held_out = SMOKE if options.smoke else (FITTED, HELD_OUT)
    samples, unseen = take(fitted), take(held_out)
    costs = fit(samples)
    rows = rows_of(samples, costs, "fitted") + rows_of(unseen, costs, "held out")
    for use in ("fitted", "held out"):
        errors = [abs(float(row["error"])) for row in rows if row["use"] == use]
        print(f"{use}: median error {statistics.median(errors):.0%}, largest {max(errors):.0%}")
    loads = statistics.median(s.layout.bytes / (s.layout.regions * s.layout.slots) for s in unseen)
    far = extrapolate(costs, loads, options)
    for row in far:
        print(f"{row['regions']:>8,} regions, {row['workers']:>3} workers {row['round']:9.3f} s a round")
    if options.out is not None and not options.smoke:
        here = machine()
        versions = " ".join(f"{name} {number}" for name, number in here["versions"].items())
        said = f"{here['cpu']}, {here['cpu_count']} cores, load average {here['load_average']}; {versions}"
        hardware = (
            f"{options.hosts} hosts of {options.cores} cores, {options.rate:g} Mbit/s, {options.latency:g} ms"
        )
        write(rows, costs, far, hardware, said, options.out)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--cores", type=int, default=4, help="cores of a host for its agents")
    parser.add_argument("--rate", type=float, default=10_000.0, help="Mbit/s of one machine's network line")
    parser.add_argument("--latency", type=float, default=0.5, help="ms for a message there and back")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--smoke", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()

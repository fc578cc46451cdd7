"""What does it buy to schedule training together with inference?

    EGLB_DATA=... python benchmarks/coordination.py [--week NAME]... [--out FOLDER]

`eglb compare --jobs` on weeks of four seasons of world16 and one of gcp33, with 10, 20 and 40 % of the energy
as jobs that may wait up to 6, 24 and 72 h (`eglb.scenarios.job_mix`, seed 0). Apart, eGLB plans inference as
if there were no jobs; training then takes the capacity that is left cheapest-first, carbon-first (both
exactly), or by eGLB with inference fixed, `eGLB in turn`. Together, eGLB plans both at once (`admm`). Every
plan of eGLB is asked for a certified gap of 1e-5; figures are recomputed from plan and scenario.

Saved: (apart - together) / apart, of the objective: energy cost plus equity. Where that is at most the
largest certified gap of the three plans of eGLB, coordination buys nothing. Worst: the region with the
largest footprint; PAR: that over the mean of all regions. Moved in time: the share of the work that runs in
another slot than if every job ran at once; in space: elsewhere than in the regions nearest to where it is
asked for.

`--smoke` is three mixes on a small generated fleet: seconds long, no data needed.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

from eglb.foundation.plots import STYLES, keep_home_clean
from eglb.scenarios.catalog import load
from eglb.sims.co_scheduling.co_scheduling import Coordination, coordinate
from eglb.sims.co_scheduling.ways import IN_TURN, TOGETHER, WAYS, WITHOUT_EQUITY

GAP = 1e-5
STARTS = ("2023-01-02", "2023-04-03", "2023-07-03", "2023-10-02")
WEEKS = (*(f"world16@{start}/7d" for start in STARTS), "gcp33@2022-07-04/7d")
SHARES, HOURS = (0.1, 0.2, 0.4), (6, 24, 72)
Row = dict[str, Any]


def measure(week: str, share: float, hours: int) -> list[Row]:
    """A row for every way on one mix."""
    found = coordinate(load(f"{week},jobs={share:g}:{hours}"), gap=GAP, address="inprocess")
    return [_row(found, week, share, hours, place) for place in range(len(found.ways))]


def _row(found: Coordination, week: str, share: float, hours: int, place: int) -> Row:
    way = found.ways[place]
    saved = found.saved(way)
    row: Row = {
        "week": week,
        "share": share,
        "hours": hours,
        "training": way.name,
        "problem": way.problem,
        "certified_gap": f"{found.certain:.2e}" if way.name == TOGETHER else "",
        "energy_cost_usd": _short(way.energy_cost_usd),
        "objective_usd": _short(way.objective),
        "saved_together": "" if saved is None or way.name == TOGETHER else f"{saved:.6f}",
        "moved_in_time": _short(way.moved_in_time, 4),
        "moved_in_space": _short(way.moved_in_space, 4),
    }
    for kind in found.scenario.footprints:
        totals = None if way.footprints is None else way.footprints[kind.name]
        row[f"{kind.name}_worst_{kind.unit}"] = _short(totals and totals.max)
        row[f"{kind.name}_par"] = _short(totals and totals.par, 4)
    return row


def _short(value: float | None, digits: int = 8) -> str:
    return "" if value is None else f"{value:.{digits}g}"


def more(rows: Sequence[Row], what: str, training: str) -> float | None:
    """How much less together has of `what` than `training`, as a share of it; None if not possible."""
    by_name = {row["training"]: row for row in rows}
    if training not in by_name or not by_name[training][what]:
        return None
    apart, own = float(by_name[training][what]), float(by_name[TOGETHER][what])
    return (apart - own) / abs(apart)


def cell(rows: Sequence[Row], training: str) -> str:
    """What together saves against one way, in percent; said where it is nothing, or the way is impossible."""
    saved = more(rows, "objective_usd", training)
    if saved is None:
        return "not possible apart"
    certain = max(float(row["certified_gap"]) for row in rows if row["certified_gap"])
    return "**nothing**" if saved <= certain else f"{100.0 * saved:.2f}"


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *lines))


def by_mix(rows: Sequence[Row]) -> dict[tuple[str, float, int], list[Row]]:
    mixes: dict[tuple[str, float, int], list[Row]] = {}
    for row in rows:
        mixes.setdefault((row["week"], row["share"], row["hours"]), []).append(row)
    return mixes


def write(folder: Path, rows: Sequence[Row], call: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "coordination.csv").open("w", newline="") as file:
        file.write(f"# {call}\n")
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    mixes = by_mix(rows)
    apart = [name for name in WAYS if name != TOGETHER]
    saved = [
        [week, f"{share:.0%}", f"{hours} h", *(cell(of, name) for name in apart)]
        for (week, share, hours), of in mixes.items()
    ]
    worst = [name for name in rows[0] if "_worst_" in name]
    pars = [name for name in rows[0] if name.endswith("_par")]
    heads = ["week", "of energy", "within", "energy cost", *(name.split("_")[0] + " worst" for name in worst)]
    heads += [name.split("_")[0] + " PAR" for name in pars]
    heads += ["moved in time", "in space", "in space, in turn"]
    parts = []
    for (week, share, hours), of in mixes.items():
        best = max(WITHOUT_EQUITY, key=lambda name: -(more(of, "objective_usd", name) or 1e9))
        together = next(row for row in of if row["training"] == TOGETHER)
        turn = next((row for row in of if row["training"] == IN_TURN and not row["problem"]), None)
        less = [more(of, what, best) for what in ("energy_cost_usd", *worst)]
        parts.append(
            [
                week,
                f"{share:.0%}",
                f"{hours} h",
                *("-" if value is None else f"{-100.0 * value:+.1f} %" for value in less),
                *(f"{float(together[name]):.2f}" for name in pars),
                f"{float(together['moved_in_time']):.0%}",
                f"{float(together['moved_in_space']):.0%}",
                "-" if turn is None else f"{float(turn['moved_in_space']):.0%}",
            ]
        )
    assert __doc__ is not None
    title, _, *method, _ = __doc__.strip().split("\n\n")
    text = [
        f"# {title}",
        f"    {call}",
        *method,
        "## Saved together, % of the objective, by how training is scheduled apart",
        table(["week", "of energy", "within", *apart], saved),
        summary(mixes),
        "![](coordination.svg)",
        "## Together against the better of cheapest-first and carbon-first",
        table(heads, parts),
        "PAR and what is moved are those of together, the last column that of `eGLB in turn`.",
    ]
    (folder / "coordination.md").write_text("\n\n".join(text) + "\n")
    draw(mixes, folder)


def summary(mixes: dict[tuple[str, float, int], list[Row]]) -> str:
    """Medians and extremes over all mixes, and how often nothing is bought."""
    lines = []
    for name in WAYS:
        if name == TOGETHER:
            continue
        values = [value for of in mixes.values() if (value := more(of, "objective_usd", name)) is not None]
        nothing = sum(cell(of, name) == "**nothing**" for of in mixes.values())
        impossible = len(mixes) - len(values)
        if values:
            lines.append(
                f"Against {name}: {100 * min(values):.2f} to {100 * max(values):.2f} %, median "
                f"{100 * statistics.median(values):.2f} %; nothing on {nothing} of {len(mixes)} mixes"
                + (f", and not possible apart on {impossible}." if impossible else ".")
            )
    gap = max(float(row["certified_gap"]) for of in mixes.values() for row in of if row["certified_gap"])
    lines.append(f"The largest certified gap of all plans of eGLB is {gap:.1e}.")
    return "\n\n".join(lines)


def draw(mixes: dict[tuple[str, float, int], list[Row]], folder: Path) -> None:
    """coordination.svg: saved together against the better way without equity, and against eGLB in turn."""
    keep_home_clean()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    weeks = list(dict.fromkeys(week for week, *_ in mixes))
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    titles = ("against the better of cheapest- and carbon-first", "against eGLB in turn")
    for axis, title, names in zip(axes, titles, (WITHOUT_EQUITY, (IN_TURN,)), strict=True):
        for place, week in enumerate(weeks):
            colour, dash = STYLES[place % len(STYLES)]
            of_week = [(key, of) for key, of in mixes.items() if key[0] == week]
            values = [
                min((v for name in names if (v := more(of, "objective_usd", name)) is not None), default=None)
                for _, of in of_week
            ]
            axis.plot(
                range(len(values)),
                [float("nan") if value is None else 100.0 * value for value in values],
                color=colour,
                linestyle=dash,
                marker="o",
                markersize=4,
                label=week,
            )
        labels = [f"{share:.0%}\n{hours} h" for _, share, hours in (key for key, _ in of_week)]
        axis.set_xticks(range(len(labels)), labels, fontsize="x-small")
        axis.set_title(title, fontsize="medium")
        axis.set_ylim(bottom=0.0)
        axis.grid(True, axis="y", color="0.9")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("objective saved together, %")
    axes[0].legend(frameon=False, fontsize="x-small", loc="lower right", ncols=2)
    figure.savefig(folder / "coordination.svg", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--week", action="append")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    weeks = ("synthetic:6x48",) if options.smoke else options.week or WEEKS
    mixes = (
        [(0.1, 6), (0.2, 12), (0.4, 24)]
        if options.smoke
        else [(share, hours) for share in SHARES for hours in HOURS]
    )
    rows: list[Row] = []
    print(f"{'week':23}{'jobs':>5}{'within':>7}  {'took':>8}  saved together, % of the objective", flush=True)
    for week in weeks:
        for share, hours in mixes:
            began = time.perf_counter()
            of = measure(week, share, hours)
            rows += of
            said = ", ".join(f"{name} {cell(of, name)}" for name in WAYS if name != TOGETHER)
            took = time.perf_counter() - began
            print(f"{week:23}{share:5.0%}{hours:5} h  {took:6.1f} s  {said}", flush=True)
            if options.out is not None:
                write(options.out, rows, "EGLB_DATA=... python benchmarks/coordination.py")


if __name__ == "__main__":
    main()

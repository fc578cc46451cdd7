"""Jobs in Vega-Lite: their load over inference by region and hour, and when and where each of them runs."""

from __future__ import annotations

import json

import numpy as np

from eglb.foundation.arrays import Array
from eglb.planning.audit import region_load
from eglb.report import hours
from eglb.report.inputs import Material
from eglb.report.style import COLOURS, SHAPES, Spec, figure, hover, lit, number, rounded
from eglb.scenarios.jobs import Jobs

REGIONS, JOBS = 16, 40
ROW, FILLED = 52, 0.7  # pixels of a region's row, and the share of it that its capacity takes
BAR, THICK, ABOVE = 17, 0.84, 24  # pixels of a job's row, the share of it that its most power takes, the axis
LEAST, FINEST = 0.01, 0.02  # of a job's most power: below which nothing is drawn, and what is drawn apart
GREY = "var(--other)"


def jobs_of(material: Material) -> tuple[Jobs, Array]:
    """The jobs, and their load (P, T) MW on their pairs."""
    assert material.scenario.jobs is not None and material.plan.work is not None
    return material.scenario.jobs, material.plan.work


def load_of_jobs(material: Material) -> Array:
    """(N, T) MW of load of jobs in each region."""
    _, work = jobs_of(material)
    nothing = np.zeros((len(material.scenario.reach_region), material.scenario.slots))
    return region_load(material.scenario, nothing, work)


def shown_regions(material: Material) -> list[int]:
    """The regions where most work is done, first."""
    total = load_of_jobs(material).sum(axis=1)
    return [int(i) for i in np.argsort(-total, kind="stable")[:REGIONS] if total[i] > 0.0]


def shown_jobs(material: Material) -> list[int]:
    """The largest jobs, in the order of their release."""
    jobs, _ = jobs_of(material)
    largest = np.argsort(-jobs.energy_mwh, kind="stable")[:JOBS]
    return sorted(largest.tolist(), key=lambda m: (jobs.release[m], jobs.deadline[m], m))


def by_region(material: Material) -> Spec:
    """A row for each region, as high as its capacity: inference below, jobs above it."""
    s, regions = material.scenario, shown_regions(material)
    of_jobs = load_of_jobs(material)
    inference = np.maximum(material.plan.load - of_jobs, 0.0)
    step = hours.slots_a_step(s.slots)
    starts = np.arange(0, s.slots, step)
    length = np.diff(np.append(starts, s.slots))
    when = _stamps(material, starts)
    when.append(int(when[-1] + length[-1] * s.slot_hours * 3_600_000))
    rows, lines, names = [], [], []
    for place, i in enumerate(regions):
        base, most = len(regions) - 1 - place, max(float(s.capacity[i].max()), 1e-300)
        below, above, room = (
            np.append(mean, mean[-1])
            for mean in (
                np.add.reduceat(series[i], starts) / length for series in (inference, of_jobs, s.capacity)
            )
        )
        names.append({"y": base + FILLED + 0.06, "name": f"{s.regions[i]}, {most:,.4g} MW"})
        for at, t in enumerate(when):
            heights = [below[at] / most, (below[at] + above[at]) / most, room[at] / most]
            a, b, c = (round(base + FILLED * height, 3) for height in heights)
            mw = {"i": rounded(below[at], 4), "j": rounded(above[at], 4)}
            rows.append({"t": t, "r": place, "a": a, "b": b, "c": c, **mw})
        lines.append(base)
    x = _time_axis()
    y = {"type": "quantitative", "scale": {"domain": [0, len(regions)], "nice": False}, "axis": None}
    detail = {"field": "r", "type": "nominal"}

    def area(low: str, high: str, colour: str) -> Spec:
        encoding = {"x": x, "y": {"field": low, **y}, "y2": {"field": high}, "detail": detail}
        return {"mark": {"type": "area", "interpolate": "step-after", "color": colour}, "encoding": encoding}

    room_line = {
        "mark": {"type": "line", "interpolate": "step-after", "color": "var(--soft)", "strokeWidth": 0.8},
        "encoding": {"x": x, "y": {"field": "c", **y}, "detail": detail},
    }
    ground = {
        "data": {"values": [{"y": base} for base in lines]},
        "mark": {"type": "rule", "color": "var(--line)"},
        "encoding": {"y": {"field": "y", **y}},
    }
    label = {
        "data": {"values": names},
        "mark": {"type": "text", "align": "left", "baseline": "bottom", "fontWeight": 600, "x": 0},
        "encoding": {"y": {"field": "y", **y}, "text": {"field": "name"}},
    }
    digits = number(float(material.plan.load.max(initial=0.0)))
    spot = {
        "params": hover("spot", on=["t", "r"]),
        "mark": {"type": "point", "filled": True, "size": 36, "color": "var(--ink)"},
        "encoding": {
            "x": x,
            "y": {"field": "b", **y},
            "opacity": lit("spot"),
            "tooltip": [
                {"field": "n", "title": "region"},
                {
                    "field": "t",
                    "type": "temporal",
                    "title": "UTC",
                    "timeUnit": "utcyearmonthdatehoursminutes",
                },
                {"field": "j", "title": "jobs, MW", "format": digits},
                {"field": "i", "title": "inference, MW", "format": digits},
            ],
        },
    }
    layers = [ground, area("o", "a", GREY), area("a", "b", COLOURS[0]), room_line, label, spot]
    named = [
        {"calculate": f"{len(regions) - 1} - datum.r", "as": "o"},
        {"calculate": f"{json.dumps([s.regions[i] for i in regions])}[datum.r]", "as": "n"},
    ]
    return figure(ROW * len(regions), layers, data={"values": rows}, transform=named)


def gantt(material: Material) -> Spec:
    """A row for each of the largest jobs: its window, and in it the power that it runs at, by region."""
    s = material.scenario
    jobs, _ = jobs_of(material)
    chosen = shown_jobs(material)
    first, last = jobs.slots(s.times, s.slot_hours)
    stamps = _stamps(material, np.arange(s.slots))
    length = round(s.slot_hours * 3_600_000)
    windows, bars = [], []
    for place, m in enumerate(chosen):
        row = len(chosen) - 1 - place
        ends = {"t": stamps[first[m]], "e": stamps[last[m] - 1] + length}
        about = {
            "n": jobs.names[m],
            "w": rounded(float(jobs.energy_mwh[m])),
            "p": rounded(float(jobs.max_mw[m])),
        }
        windows.append({**ends, "y": row, "z": row + THICK, **about})
        bars += [
            {"a": a, "b": b, "y": round(row + low, 2), "z": round(row + high, 2), "c": i, "mw": mw}
            for a, b, i, low, high, mw in _blocks(material, m)
        ]
    names = [jobs.names[m] for m in reversed(chosen)]
    x = _time_axis()
    y = {
        "field": "y",
        "type": "quantitative",
        "scale": {"domain": [0, len(chosen)], "nice": False},
        "axis": {
            "title": None,
            "grid": False,
            "values": [row + THICK / 2 for row in range(len(chosen))],
            "labelExpr": f"{json.dumps(names)}[floor(datum.value)]",
            "labelLimit": 84,
            "labelOverlap": False,
        },
    }
    when = {"type": "temporal", "timeUnit": "utcyearmonthdatehoursminutes"}
    window = {
        "data": {"values": windows},
        "mark": {"type": "rect", "color": "var(--line)"},
        "encoding": {
            "x": x,
            "x2": {"field": "e"},
            "y": y,
            "y2": {"field": "z"},
            "tooltip": [
                {"field": "n", "title": "job"},
                {"field": "w", "title": "MWh"},
                {"field": "p", "title": "MW at most"},
                {"field": "t", "title": "release, UTC", **when},
                {"field": "e", "title": "deadline, UTC", **when},
            ],
        },
    }
    run = {
        "data": {"values": bars},
        "transform": [
            {"calculate": f"{stamps[0]} + {length} * datum.a", "as": "t"},
            {"calculate": f"{stamps[0]} + {length} * datum.b", "as": "e"},
            {"calculate": f"{json.dumps(names)}[floor(datum.y)]", "as": "n"},
            {"calculate": f"{json.dumps(list(s.regions))}[datum.c]", "as": "r"},
        ],
        "mark": {"type": "rect"},
        "encoding": {
            "x": x,
            "x2": {"field": "e"},
            "y": y,
            "y2": {"field": "z"},
            "color": {"field": "c", "type": "nominal", "scale": _scale(material), "legend": None},
            "tooltip": [
                {"field": "n", "title": "job"},
                {"field": "r", "title": "region"},
                {"field": "mw", "title": "MW of work"},
                {"field": "t", "title": "from, UTC", **when},
                {"field": "e", "title": "to, UTC", **when},
            ],
        },
    }
    return figure(BAR * len(chosen) + ABOVE, [window, run])


def regions_of_jobs(material: Material) -> list[tuple[int, str]]:
    """(region, colour) of every region, where most work is done first: six colours, the same pale, grey."""
    colours = [*COLOURS, *(f"var(--p{place})" for place in range(1, len(COLOURS) + 1))]
    total = load_of_jobs(material).sum(axis=1)
    ranked = np.argsort(-total, kind="stable").tolist()
    return [(i, colours[place] if place < len(colours) else GREY) for place, i in enumerate(ranked)]


def coordination(material: Material) -> Spec:
    """How much more than together every way apart costs, in percent of together."""
    rows = [
        {"what": what, "way": name, "more": rounded(100.0 * share)}
        for what, values in apart(material)
        for name, share in values
    ]
    ways = list(dict.fromkeys(row["way"] for row in rows))
    x = {
        "field": "more",
        "type": "quantitative",
        "axis": {"title": "more than together, %", "tickCount": 6},
    }
    points = {
        "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
        "encoding": {
            "x": x,
            "y": {
                "field": "what",
                "type": "nominal",
                "sort": None,
                "axis": {"title": None, "grid": True, "labelLimit": 150},
            },
            "shape": {
                "field": "way",
                "scale": {"domain": ways, "range": list(SHAPES[: len(ways)])},
                "legend": None,
            },
            "color": {
                "field": "way",
                "scale": {"domain": ways, "range": list(COLOURS[: len(ways)])},
                "legend": None,
            },
            "tooltip": [
                {"field": "way", "title": "training"},
                {"field": "what", "title": "of"},
                {"field": "more", "title": "more, %", "format": "+,.2f"},
            ],
        },
    }
    zero = {
        "data": {"values": [{"more": 0}]},
        "mark": {"type": "rule", "color": "var(--ink)"},
        "encoding": {"x": x},
    }
    return figure(38 * len(apart(material)) + ABOVE, [zero, points], data={"values": rows})


def apart(material: Material) -> list[tuple[str, list[tuple[str, float]]]]:
    """(what, every way apart and how much more of it that has than together, as a share)."""
    *others, own = [row for row in material.run["schedulings"] if not row["problem"]]
    measures = [("objective", "objective"), ("energy cost", "energy_cost_usd")]
    found = [(label, [(row["name"], row[key] / own[key] - 1.0) for row in others]) for label, key in measures]
    for kind, totals in own["footprints"].items():
        if totals["max"] > 0.0:
            shares = [(row["name"], row["footprints"][kind]["max"] / totals["max"] - 1.0) for row in others]
            found.append((f"worst region's {kind}", shares))
    return found


def _blocks(material: Material, m: int) -> list[tuple[int, int, int, float, float, float | None]]:
    """Slots from and to, region, foot and head and MW of work of each block of a job's row."""
    s = material.scenario
    jobs, work = jobs_of(material)
    pairs = np.flatnonzero(jobs.pair_job == m)
    done = work[pairs] / jobs.pair_gain[pairs][:, None]
    head = np.cumsum(np.where(done >= LEAST * jobs.max_mw[m], done, 0.0), axis=0)
    head = np.round(THICK / FINEST * head / jobs.max_mw[m]) * FINEST
    foot = np.vstack([np.zeros_like(head[:1]), head[:-1]])
    found = []
    for n, pair in enumerate(pairs):
        level = np.stack([foot[n], head[n]])
        ends = np.flatnonzero((np.diff(level, axis=1) != 0.0).any(axis=0)) + 1
        for a, b in zip([0, *ends], [*ends, s.slots], strict=True):
            low, high = (float(each) for each in level[:, a])
            if high > low:
                mw = rounded(float(done[n, a:b].mean()), 3)
                found.append((int(a), int(b), int(jobs.pair_region[pair]), low, high, mw))
    return found


def _scale(material: Material) -> Spec:
    regions = regions_of_jobs(material)
    return {"domain": [i for i, _ in regions], "range": [colour for _, colour in regions]}


def _stamps(material: Material, slots: Array) -> list[int]:
    """Milliseconds at which slots start."""
    stamps: list[int] = material.scenario.times[slots].astype("datetime64[ms]").astype(int).tolist()
    return stamps


def _time_axis() -> Spec:
    return {
        "field": "t",
        "type": "temporal",
        "scale": {"type": "utc", "nice": False},
        "axis": {
            "title": None,
            "grid": False,
            "labelFlush": True,
            "labelOverlap": True,
            "tickCount": {"expr": "max(3, floor(width / 100))"},
        },
    }

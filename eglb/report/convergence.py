"""Certified gap of every algorithm against rounds, bytes and seconds, in Vega-Lite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from eglb.report.inputs import Material
from eglb.report.style import COLOURS, DASHES, SI, Spec, figure, hover, lit, rounded

ALONG = {"round": "rounds", "bytes": "bytes", "seconds": "seconds"}


def solver_names(material: Material) -> list[str]:
    """The algorithms whose rounds the folder has, in its order; the central solver has none."""
    run = material.run
    if material.command == "compare":
        told = {row.get("solver") for row in material.rounds}
        return [row["name"] for row in run["solvers"] if row["name"] in told and row["rounds"]]
    solved = material.command == "solve" and run["rounds"] and _known(material.rounds)
    return [run["algorithm"]] if solved else []


def _known(rounds: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rounds if row.get("gap") is not None]


def gap_against(material: Material, along: str) -> Spec:
    """Certified gap of the best plan so far against rounds, bytes or seconds, every algorithm a line."""
    names = solver_names(material)
    rows: list[Spec] = []
    for place, name in enumerate(names):
        own = [row for row in material.rounds if row.get("solver", name) == name]
        rows += [
            {
                "s": place,
                "solver": name,
                "round": row["round"],
                "bytes": row["bytes_up"] + row["bytes_down"],
                "seconds": rounded(row["seconds"], 4),
                "gap": rounded(max(row["gap"], 1e-16), 4),
            }
            for row in _turns(_known(own))
        ]
    title = ALONG[along]
    x = {
        "field": along,
        "type": "quantitative",
        "scale": {"type": "log", "nice": False, "padding": 6},
        "axis": {
            "title": title,
            "grid": False,
            "values": log_ticks([row[along] for row in rows]),
            "labelOverlap": True,
            **(SI if along == "bytes" else {"format": ",~g"}),
        },
    }
    y = {
        "field": "gap",
        "type": "quantitative",
        "scale": {"type": "log", "nice": False, "padding": 8},
        "axis": {
            "title": None,
            "format": ".0e",
            "values": log_ticks([row["gap"] for row in rows], decades=True),
            "labelOverlap": True,
        },
    }
    every = list(range(len(names)))
    colour = {
        "field": "s",
        "type": "nominal",
        "scale": {"domain": every, "range": [COLOURS[place % len(COLOURS)] for place in every]},
        "legend": None,
    }
    dash = {
        "field": "s",
        "type": "nominal",
        "scale": {"domain": every, "range": [list(DASHES[place % len(DASHES)]) for place in every]},
        "legend": None,
    }
    tooltip = [
        {"field": "solver", "title": "algorithm"},
        {"field": "gap", "title": "certified gap", "format": ".2~e"},
        {"field": "round", "title": "round", "format": ",d"},
        {"field": "bytes", "title": "bytes, all agents", "format": ".3~s"},
        {"field": "seconds", "title": "seconds", "format": ".3~g"},
    ]
    lines = {
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2},
        "encoding": {"x": x, "y": y, "color": colour, "strokeDash": dash},
    }
    ends = {
        "transform": [
            {"joinaggregate": [{"op": "max", "field": "round", "as": "last"}], "groupby": ["s"]},
            {"filter": "datum.round == datum.last"},
        ],
        "mark": {"type": "point", "filled": True, "size": 44, "opacity": 1},
        "encoding": {"x": x, "y": y, "color": colour},
    }
    picked = {
        "params": hover("near", on=["s", "round"]),
        "mark": {"type": "point", "filled": True, "size": 70},
        "encoding": {"x": x, "y": y, "color": colour, "opacity": lit("near"), "tooltip": tooltip},
    }
    central = central_seconds(material)
    layers: list[Spec] = [lines, ends, picked]
    if along == "seconds" and central is not None:
        layers += _upright(central, f"central solver, {central:.2g} s", rows)
    return figure(230, layers, data={"values": rows})


def log_ticks(values: list[float], *, decades: bool = False) -> list[float]:
    """Powers of ten about `values`; twice and five times them too, where that makes no crowd."""
    known = [value for value in values if value]
    if not known:
        return []
    low, high = math.floor(math.log10(min(known))), math.ceil(math.log10(max(known)))
    steps = (1,) if decades or high - low > 4 else (1, 3) if high - low > 2 else (1, 2, 5)
    return [float(f"{step}e{power}") for power in range(low, high + 1) for step in steps]


def central_seconds(material: Material) -> float | None:
    """What the central solver took, where it ran."""
    for row in material.run.get("solvers", []):
        if row["name"] == "central":
            return float(row["seconds"])
    return None


def _upright(seconds: float, text: str, rows: list[Spec]) -> list[Spec]:
    """A line at the central solver's seconds, its label where lines leave room."""
    x = {"datum": rounded(seconds, 3), "type": "quantitative"}
    ends = [row["seconds"] for row in rows if row["seconds"]] or [seconds]
    # Lines come from the upper left and end at the lower right.
    right = seconds < min(ends) ** 0.75 * max(ends) ** 0.25
    return [
        {
            "data": {"values": [{}]},
            "mark": {"type": "rule", "color": "var(--ink)", "strokeDash": [2, 3]},
            "encoding": {"x": x},
        },
        {
            "data": {"values": [{}]},
            "mark": {
                "type": "text",
                "text": text,
                "align": "left" if right else "right",
                "dx": 5 if right else -5,
                "baseline": "bottom",
                "color": "var(--soft)",
            },
            "encoding": {"x": x, "y": {"value": "height"}},
        },
    ]


def _turns(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rounds at which a line of the best gap so far visibly falls, by a fiftieth, or rises, as it may
    when the members change; and the last.
    """
    kept = rows[:1]
    for row in rows[1:]:
        before = kept[-1]["gap"]
        if row["gap"] < 0.98 * before or row["gap"] > before or row is rows[-1]:
            kept.append(row)
    return kept

"""What the figures of a sweep over the equity weights and of a simulation show, in Vega-Lite."""

from __future__ import annotations

from typing import Any

import numpy as np

from eglb.foundation.arrays import Array
from eglb.report.bars import colour_of, worst_first
from eglb.report.inputs import Material
from eglb.report.style import COLOURS, DASHES, SI, Spec, figure, hover, lit, number, rounded

LINES, GREY = 5, 25  # regions whose course is drawn in colour, and at most that many others
INSTANTS = 168

_PLAIN: Spec = {"title": None, "tickCount": 5, **SI}


def sweep(material: Material, place: int, figure_of: str) -> Spec:
    """Along a sweep: the worst region's total of one kind (``max``) or max / avg (``par``) by energy cost."""
    kind = material.scenario.footprints[place]
    rows = [
        {
            "order": order,
            "cost": rounded(point["energy_cost_usd"], 7),
            "value": rounded(point["footprints"][kind.name][figure_of]),
            "factor": point["weight_factor"],
            "gap": point["gap"],
            "knee": bool(point["knee"]),
        }
        for order, point in enumerate(material.points)
        if point["footprints"][kind.name][figure_of] is not None
    ]
    label = f"worst region, {kind.unit}" if figure_of == "max" else "max/avg"
    digits = number(max((row["value"] for row in rows), default=1.0)) if figure_of == "max" else ".3f"
    x = {
        "field": "cost",
        "type": "quantitative",
        "scale": {"zero": False, "nice": True},
        "axis": {"title": "energy cost, USD", "tickCount": 4, "grid": False, **SI},
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "scale": {"zero": False, "nice": True},
        "axis": _PLAIN if figure_of == "max" else {"title": None, "tickCount": 5, "format": ".2f"},
    }
    colour = colour_of(place)
    tooltip = [
        {"field": "factor", "title": "weights times", "format": ".3~g"},
        {"field": "cost", "title": "energy cost, USD", "format": ",.0f"},
        {"field": "value", "title": label, "format": digits},
        {"field": "gap", "title": "certified gap", "format": ".1e"},
    ]
    line = {
        "mark": {"type": "line", "color": colour, "strokeWidth": 2},
        "encoding": {"x": x, "y": y, "order": {"field": "order"}},
    }
    points = {
        "mark": {"type": "point", "filled": True, "size": 40, "color": colour, "opacity": 1},
        "encoding": {"x": x, "y": y},
    }
    knee = {
        "transform": [{"filter": "datum.knee"}],
        "mark": {"type": "point", "shape": "circle", "size": 220, "stroke": "var(--ink)", "strokeWidth": 1.5},
        "encoding": {"x": x, "y": y},
    }
    name = {
        "transform": [{"filter": "datum.knee"}],
        "mark": {"type": "text", "text": "knee", "align": "left", "dx": 12, "dy": -8, "fontWeight": 600},
        "encoding": {"x": x, "y": y},
    }
    picked = {
        "params": hover("near", on=["order"]),
        "mark": {"type": "point", "filled": True, "size": 90, "color": colour},
        "encoding": {"x": x, "y": y, "opacity": lit("near"), "tooltip": tooltip},
    }
    return figure(240, [line, points, knee, name, picked], data={"values": rows})


def _days(material: Material) -> tuple[Array, Array]:
    """The slots at whose ends a course is drawn, and those ends in days."""
    slots = material.scenario.slots
    shown = np.unique(np.linspace(0, slots - 1, min(slots, INSTANTS)).astype(int))
    return shown, (shown + 1) * material.scenario.slot_hours / 24.0


def _x(days: Array) -> Spec:
    return {
        "field": "d",
        "type": "quantitative",
        "scale": {"domain": [0, rounded(float(days[-1]))], "nice": False},
        "axis": {"title": "days", "grid": False, "tickCount": 6},
    }


def has_certificate(material: Material) -> bool:
    """Whether the simulation kept its running certificate."""
    return bool(material.rounds) and material.rounds[-1].get("lower_bound") is not None


def standing(material: Material) -> Spec:
    """Objective so far and the least that any plan could have spent up to then."""
    shown, days = _days(material)
    names = ("spent so far", "best possible up to now, at least")
    rows = []
    for slot, day in zip(shown.tolist(), days.tolist(), strict=True):
        record = material.rounds[slot]
        gap = record["gap"]
        for place, field in enumerate(("objective", "lower_bound")):
            value = {"usd": rounded(record[field]), "gap": None if gap is None else rounded(gap, 3)}
            rows.append({"d": rounded(day, 4), "s": place, "what": names[place], **value})
    x = _x(days)
    y = {"field": "usd", "type": "quantitative", "axis": _PLAIN}
    return figure(240, _lines(x, y, 2, "what", [
        {"field": "d", "title": "day", "format": ".2f"},
        {"field": "what", "title": "what"},
        {"field": "usd", "title": "USD", "format": ",.0f"},
        {"field": "gap", "title": "gap so far", "format": ".2%"},
    ]), data={"values": rows})  # fmt: skip


def gap(material: Material) -> Spec:
    """Gap of the run so far to the best possible up to then."""
    shown, days = _days(material)
    known = [material.rounds[slot]["gap"] for slot in shown.tolist()]
    top = max(0.01, 1.5 * float(np.quantile([value for value in known if value is not None] or [0.0], 0.9)))
    rows = [
        {"d": rounded(day, 4), "gap": rounded(value, 3), "s": 0}
        for day, value in zip(days.tolist(), known, strict=True)
        if value is not None
    ]
    y = {
        "field": "gap",
        "type": "quantitative",
        "scale": {"domain": [0, top], "clamp": True},
        "axis": {"title": None, "format": ".1~%", "tickCount": 5},
    }
    tooltip = [
        {"field": "d", "title": "day", "format": ".2f"},
        {"field": "gap", "title": "gap so far", "format": ".2%"},
    ]
    return figure(240, _lines(_x(days), y, 1, "s", tooltip), data={"values": rows})


def coloured(material: Material, place: int) -> list[str]:
    """The regions whose course is drawn in colour: the worst of one kind."""
    return worst_first(material, material.scenario.footprints[place])[:LINES]


def growing(material: Material, place: int) -> Spec:
    """Every region's total of one kind so far; the worst in colour, others in grey."""
    scenario, plan = material.scenario, material.plan
    kind = scenario.footprints[place]
    shown, days = _days(material)
    totals = np.cumsum(scenario.intensity_per_mw_slot(kind) * plan.load, axis=1)[:, shown]
    order = worst_first(material, kind)
    index = {region: number for number, region in enumerate(scenario.regions)}

    def drawn(regions: list[str]) -> list[Spec]:
        return [
            {"d": rounded(day, 4), "s": line, "region": region, "total": rounded(total)}
            for line, region in enumerate(regions)
            for day, total in zip(days.tolist(), totals[index[region]].tolist(), strict=True)
        ]

    x = _x(days)
    y = {
        "field": "total",
        "type": "quantitative",
        "axis": _PLAIN,
    }
    grey = {
        "data": {"values": drawn(order[LINES : LINES + GREY])},
        "mark": {"type": "line", "color": "var(--other)", "strokeWidth": 1},
        "encoding": {"x": x, "y": y, "detail": {"field": "region"}},
    }
    tooltip = [
        {"field": "region", "title": "region"},
        {"field": "d", "title": "day", "format": ".2f"},
        {"field": "total", "title": f"so far, {kind.unit}", "format": number(float(totals.max(initial=0.0)))},
    ]
    lines = _lines(x, y, min(LINES, len(order)), "region", tooltip)
    return figure(240, [grey, *lines], data={"values": drawn(order[:LINES])})


def _lines(x: Spec, y: Spec, count: int, named: str, tooltip: list[Spec]) -> list[Spec]:
    """`count` lines by field ``s``, and the point of theirs that is nearest to the pointer."""
    every = list(range(count))

    def by(values: list[Any]) -> Spec:
        return {"field": "s", "type": "nominal", "scale": {"domain": every, "range": values}, "legend": None}

    colour = by([COLOURS[place % len(COLOURS)] for place in every])
    dash = by([list(DASHES[place % len(DASHES)]) for place in every])
    return [
        {
            "mark": {"type": "line", "strokeWidth": 1.8, "clip": True},
            "encoding": {"x": x, "y": y, "color": colour, "strokeDash": dash, "detail": {"field": named}},
        },
        {
            "params": hover("near", on=["d", "s"]),
            "mark": {"type": "point", "filled": True, "size": 70},
            "encoding": {"x": x, "y": y, "color": colour, "opacity": lit("near"), "tooltip": tooltip},
        },
    ]

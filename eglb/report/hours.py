"""The stack of load by region over time, in Vega-Lite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eglb.foundation.arrays import Array
from eglb.report.inputs import Material
from eglb.report.style import COLOURS, Spec, figure, hover, lit, number, rounded

BANDS = 12  # regions told apart in a stack: six colours, each full and pale
STEPS, CROWDED = 720, 400  # instants drawn along the horizon; so many that day means are shown first
LABEL_SHARE, LETTER_SHARE = 0.045, 0.007  # of the stack's height and width that a label and a letter take


@dataclass(frozen=True, eq=False)
class Stack:
    """The bands of the stack of load, lowest first: their names and their series (B, T) in MW.

    `rest` says that the last band is all regions without a band of their own.
    """

    names: list[str]
    load: Array
    rest: bool = False


def stack(material: Material) -> Stack:
    """The regions' load, steady regions below; of a large fleet the largest regions or, where they do not
    count for much, all regions by longitude.
    """
    scenario, plan = material.scenario, material.plan
    load, names = plan.load, scenario.regions
    total = load.sum(axis=1)
    shown = np.argsort(-total, kind="stable")[: BANDS if len(names) <= BANDS else BANDS - 1]
    if total[shown].sum() < 0.5 * total.sum():
        return _by_longitude(material)
    spread = load[shown].std(axis=1) / np.maximum(load[shown].mean(axis=1), 1e-300)
    shown = shown[np.argsort(spread, kind="stable")]
    own = Stack([names[region] for region in shown], load[shown])
    others = len(names) - len(shown)
    if not others:
        return own
    rest = np.maximum(load.sum(axis=0) - own.load.sum(axis=0), 0.0)
    return Stack([*own.names, f"{others:,} other regions"], np.vstack([own.load, rest]), rest=True)


def _by_longitude(material: Material) -> Stack:
    plan = material.plan
    sixth = ((material.scenario.region_lon + 180) % 360 // 60).astype(int)
    ends = ["180° W", "120° W", "60° W", "0°", "60° E", "120° E", "180° E"]
    there = np.unique(sixth).tolist()
    names = [f"{ends[place]} to {ends[place + 1]}" for place in there]
    return Stack(names, np.array([plan.load[sixth == place].sum(axis=0) for place in there]))


def fill(bands: Stack, band: int) -> str:
    """The colour of a band: six colours, then the same pale."""
    if bands.rest and band == len(bands.names) - 1:
        return "var(--other)"
    return COLOURS[band] if band < len(COLOURS) else f"var(--p{band - len(COLOURS) + 1})"


def slots_a_step(slots: int) -> int:
    """How many slots are averaged to one instant of a figure."""
    return -(-slots // STEPS)


def hourly(material: Material) -> Spec:
    """MW of IT load by region over time, stacked, largest region at the bottom."""
    scenario, bands = material.scenario, stack(material)
    names = bands.names
    step = slots_a_step(scenario.slots)
    starts = np.arange(0, scenario.slots, step)
    length = np.diff(np.append(starts, scenario.slots))
    when = scenario.times[starts].astype("datetime64[ms]").astype(int).tolist()
    # The last slot is drawn as wide as the others.
    when.append(int(when[-1] + length[-1] * scenario.slot_hours * 3_600_000))
    load = np.add.reduceat(bands.load, starts, axis=1) / length
    load = np.append(load, load[:, -1:], axis=1)
    spans = {"b": load}
    if smoothed := day_means(material):
        spans["m"] = _moving_mean(load, round(24 / (scenario.slot_hours * step)))
    every = range(len(names))
    rows = [
        {
            "t": t,
            **{
                f"{span}{band}": rounded(series[band][at], 4)
                for span, series in spans.items()
                for band in every
            },
        }
        for at, t in enumerate(when)
    ]
    fields = [f"b{band}" for band in every]
    x = {
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
    digits = number(float(load.max(initial=0.0)))
    areas = {
        "transform": [
            {"fold": fields, "as": ["band", "hourly"]},
            {"calculate": "toNumber(slice(datum.band, 1))", "as": "place"},
            {"calculate": "datum[span + datum.place]", "as": "mw"},
        ],
        "mark": {
            "type": "area",
            "interpolate": "step-after",
            "stroke": "var(--card)",
            "strokeWidth": {"expr": f"width / {len(when)} > 2 ? 0.6 : 0"},
        },
        "encoding": {
            "x": x,
            "y": {
                "field": "mw",
                "type": "quantitative",
                "stack": "zero",
                "axis": {"title": "MW", "tickCount": 5, "titleAngle": 0, "titleAlign": "right", "titleY": -8},
            },
            "color": {
                "field": "band",
                "scale": {"domain": fields, "range": [fill(bands, band) for band in range(len(names))]},
                "legend": None,
            },
            "order": {"field": "place"},
        },
    }
    rule = {
        "params": hover("instant", on=["t"], x_only=True),
        "mark": {"type": "rule", "color": "var(--ink)", "strokeWidth": 1},
        "encoding": {
            "x": x,
            "opacity": lit("instant", 0.8),
            "tooltip": [
                {
                    "field": "t",
                    "type": "temporal",
                    "title": "UTC",
                    "timeUnit": "utcyearmonthdatehoursminutes",
                },
                *(
                    {"field": field, "title": name, "format": digits}
                    for field, name in reversed(list(zip(fields, names, strict=True)))
                ),
            ],
        },
    }
    labels = {
        "data": {
            "values": [
                {"span": span, **label}
                for span, series in spans.items()
                for label in _labels(when, series, names)
            ]
        },
        "transform": [{"filter": "datum.span == span"}],
        "mark": {"type": "text", "fontSize": 11, "fontWeight": 600},
        "encoding": {
            "x": {"field": "t", "type": "temporal", "scale": {"type": "utc"}},
            "y": {"field": "y", "type": "quantitative"},
            "text": {"field": "name"},
            "color": {"field": "ink", "scale": None},
        },
    }
    first = "m" if smoothed and len(when) > CROWDED else "b"
    return figure(
        340, [areas, labels, rule], data={"values": rows}, params=[{"name": "span", "value": first}]
    )


def day_means(material: Material) -> bool:
    """Whether the stack is also drawn as means over a day: three days or more, in slots of hours or less."""
    scenario = material.scenario
    return scenario.slots * scenario.slot_hours >= 72 and scenario.slot_hours <= 6


def _moving_mean(load: Array, steps: int) -> Array:
    """(B, T): means over about `steps` instants around each, fewer at the ends."""
    sums = np.cumsum(np.pad(load, ((0, 0), (1, 0))), axis=1)
    at = np.arange(load.shape[1])
    first, last = np.maximum(at - steps // 2, 0), np.minimum(at + (steps + 1) // 2, load.shape[1])
    return np.asarray((sums[:, last] - sums[:, first]) / (last - first))


def _labels(when: list[int], load: Array, names: list[str]) -> list[Spec]:
    """Each band's name where the band is thick for long enough, if it is anywhere."""
    top = np.cumsum(load, axis=0)
    height = float(top[-1].max(initial=0.0))
    found = []
    for band, name in enumerate(names):
        half = max(1, round(LETTER_SHARE * (len(name) + 2) / 2 * len(when)))
        if 2 * half >= len(when):
            continue
        # Between these two lines the band lies nearly all the time that the name covers.
        covered = np.lib.stride_tricks.sliding_window_view
        low = np.quantile(covered(top[band] - load[band], 2 * half), 0.85, axis=1)
        high = np.quantile(covered(top[band], 2 * half), 0.15, axis=1)
        # On a phone a name takes more of the width: none stands near an end.
        middle = slice(max(0, len(when) // 8 - half), max(1, len(when) - len(when) // 8 - half))
        best = middle.start + int((high - low)[middle].argmax())
        if high[best] - low[best] > LABEL_SHARE * height:
            y = float(low[best] + high[best]) / 2
            ink = f"var(--on{band + 1})" if band < len(COLOURS) else "#000000"
            found.append({"t": when[best + half], "y": rounded(y), "name": name, "ink": ink})
    return found

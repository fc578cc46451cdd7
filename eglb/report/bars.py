"""Every region's footprint beside what the usual policies would make of it, in Vega-Lite."""

from __future__ import annotations

from eglb.foundation.numbers import amount
from eglb.report.inputs import Material
from eglb.report.style import COLOURS, SHAPES, SI, Spec, figure, number, rounded
from eglb.scenarios.scenario import FootprintKind

BARS, FULL = 20, 40  # regions drawn of a fleet that has more than the second
SET_BESIDE = ("GLB-Cost", "GLB-Nearest", "GLB-All")


def shown(material: Material) -> int:
    """How many regions a figure has bars for."""
    count = len(material.scenario.regions)
    return count if count <= FULL else BARS


def beside(material: Material) -> list[str]:
    """The policies drawn beside the plan's footprints."""
    run = {policy.name for policy in material.policies}
    return [name for name in SET_BESIDE if name in run]


def footprints(material: Material, place: int) -> Spec:
    """Every region's total of one kind, worst first, and what the usual policies would make of it."""
    scenario, plan = material.scenario, material.plan
    kind = scenario.footprints[place]
    totals = plan.footprints[kind.name]
    policies = {policy.name: policy.footprints[kind.name] for policy in material.policies}
    regions = worst_first(material, kind)[: shown(material)]
    worst = scenario.regions[material.worst(kind)]
    names = beside(material)
    rows = [
        {
            "region": region,
            "plan": rounded(totals.by_region[region]),
            "worst": region == worst,
            **{name: rounded(policies[name]["by_region"][region]) for name in names},
        }
        for region in regions
    ]
    largest = max([totals.max, *(policies[name]["max"] for name in names)])
    digits = number(largest)
    tooltip = [
        {"field": "region", "title": "region"},
        {"field": "plan", "title": f"this plan, {kind.unit}", "format": digits},
        *({"field": name, "title": name, "format": digits} for name in names),
    ]
    y = {
        "field": "region",
        "type": "nominal",
        "sort": None,
        "axis": {
            "title": None,
            "labelLimit": 140,
            "labelPadding": 12,
            "labelColor": "var(--ink)",
            "labelFontSize": 12,
        },
    }
    x_axis = {"title": None, "tickCount": 4, **SI, "domain": False}
    x = {"field": "plan", "type": "quantitative", "axis": x_axis}
    bars = {
        "mark": {"type": "bar", "height": {"band": 0.62}, "cornerRadiusEnd": 2, "fill": colour_of(place)},
        "encoding": {
            "y": y,
            "x": x,
            "fillOpacity": {"condition": {"test": "datum.worst", "value": 1}, "value": 0.62},
            "tooltip": tooltip,
        },
    }
    mean = {
        "data": {"values": [{}]},
        "mark": {"type": "rule", "color": "var(--ink)", "strokeDash": [3, 3]},
        "encoding": {
            "x": {"datum": rounded(totals.avg)},
            "tooltip": {"value": f"mean of all regions: {amount(totals.avg, kind.unit)}"},
        },
    }
    others = [
        {
            "mark": {
                "type": "point",
                "shape": SHAPES[index],
                "size": 52,
                "fill": "var(--card)",
                "stroke": "var(--ink)",
                "strokeWidth": 1.3,
            },
            "encoding": {"y": y, "x": {"field": name, "type": "quantitative"}, "tooltip": tooltip},
        }
        for index, name in enumerate(names)
    ]
    return figure(24 * len(rows), [bars, mean, *others], data={"values": rows})


def worst_first(material: Material, kind: FootprintKind) -> list[str]:
    """The regions by their total of `kind`, largest first."""
    by_region = material.plan.footprints[kind.name].by_region
    return sorted(by_region, key=lambda region: -by_region[region])


def colour_of(place: int) -> str:
    """The colour of a footprint kind: of the first, blue."""
    return COLOURS[(0, 3, 2, 4, 1, 5)[place % len(COLOURS)]]

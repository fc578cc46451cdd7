"""The map of a fleet, in Vega: land in dots, regions by footprint, and what gateways send them."""

from __future__ import annotations

import math

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.world_map import land_dots
from eglb.report.bars import colour_of
from eglb.report.inputs import Material
from eglb.report.style import Spec, number, rounded
from eglb.scenarios.geography import great_circle_km

FLOWS, CIRCLES, RINGS, NAMED = 60, 300, 100, 60
COLUMNS = 180  # dots across the map
FLOW_SHARE = 0.95  # of what leaves its own site, drawn if `FLOWS` arcs are enough
# Bent to the left of its way, so that there and back are two lines, and never out of the map.
BOW = (
    "'M' + datum.x0 + ',' + datum.y0 + 'Q' "
    "+ ((datum.x0 + datum.x1) / 2 + 0.16 * (datum.y1 - datum.y0)) + ',' "
    "+ clamp((datum.y0 + datum.y1) / 2 - 0.16 * (datum.x1 - datum.x0), 4, height - 4) "
    "+ ',' + datum.x1 + ',' + datum.y1"
)
HERE_KM = 50.0  # a gateway no farther than this is at the region itself

SERVED = "served"


def themes(material: Material) -> list[tuple[str, str, str]]:
    """(field, name, unit) of what circles may show: each footprint kind, and the energy served."""
    kinds = [(f"k{place}", kind.name, kind.unit) for place, kind in enumerate(material.scenario.footprints)]
    return [*kinds, (SERVED, "energy served", "MWh")]


def far_flows(material: Material) -> tuple[Array, float]:
    """The pairs to draw, largest flow first, and their share of all that leaves its own site."""
    scenario, plan = material.scenario, material.plan
    gateway, region = scenario.reach_gateway, scenario.reach_region
    apart = great_circle_km(
        scenario.gateway_lat[gateway],
        scenario.gateway_lon[gateway],
        scenario.region_lat[region],
        scenario.region_lon[region],
    )
    away = np.where(apart > HERE_KM, plan.sent, 0.0)
    total = float(away.sum())
    if total <= 0.0:
        return np.array([], dtype=int), 0.0
    order = np.argsort(-away, kind="stable")
    sums = np.cumsum(away[order])
    enough = int(np.searchsorted(sums, FLOW_SHARE * total)) + 1
    count = min(enough, FLOWS)
    return order[:count], float(sums[count - 1] / total)


def circled(material: Material) -> list[int]:
    """The regions on the map: all, or those with the largest share of anything shown."""
    values = np.array(list(_values(material).values()))
    share = (values / np.maximum(values.max(axis=1, keepdims=True), 1e-300)).max(axis=0)
    return np.argsort(-share, kind="stable")[:CIRCLES].tolist()


def _values(material: Material) -> dict[str, Array]:
    plan = material.plan
    kinds = material.scenario.footprints
    totals = {
        f"k{place}": np.array(list(plan.footprints[kind.name].by_region.values()))
        for place, kind in enumerate(kinds)
    }
    return {**totals, SERVED: plan.served(material.scenario.slot_hours)}


def world(material: Material) -> Spec:
    """Circles sized by what the signal ``shown`` names, and bows as wide as the energy they carry."""
    scenario, plan = material.scenario, material.plan
    values = _values(material)
    (west, east, south, north), dots = land_dots(
        np.concatenate([scenario.region_lat, scenario.gateway_lat]),
        np.concatenate([scenario.region_lon, scenario.gateway_lon]),
        COLUMNS,
    )
    coordinates = dots.round(2).tolist()
    land = {"type": "Feature", "geometry": {"type": "MultiPoint", "coordinates": coordinates}}
    pairs, _ = far_flows(material)
    widest = float(plan.sent[pairs].max(initial=0.0)) or 1.0
    flows = [
        {
            "gateway": scenario.gateways[j],
            "region": scenario.regions[i],
            "from_lon": float(scenario.gateway_lon[j]),
            "from_lat": float(scenario.gateway_lat[j]),
            "to_lon": float(scenario.region_lon[i]),
            "to_lat": float(scenario.region_lat[i]),
            "mwh": rounded(float(mwh)),
            "part": rounded(float(mwh) / widest, 4),
        }
        for j, i, mwh in zip(
            scenario.reach_gateway[pairs], scenario.reach_region[pairs], plan.sent[pairs], strict=True
        )
    ]
    flows.reverse()  # the widest on top
    regions = [
        {
            "name": scenario.regions[region],
            "lat": float(scenario.region_lat[region]),
            "lon": float(scenario.region_lon[region]),
            **{field: rounded(float(series[region])) for field, series in values.items()},
        }
        for region in circled(material)
    ]
    sent = np.bincount(scenario.reach_gateway, plan.sent, len(scenario.gateways))
    gateways = [
        {
            "name": scenario.gateways[gateway],
            "lat": float(scenario.gateway_lat[gateway]),
            "lon": float(scenario.gateway_lon[gateway]),
            "mwh": rounded(float(sent[gateway])),
        }
        for gateway in np.argsort(-sent, kind="stable")[:RINGS].tolist()
    ]
    shown = themes(material)
    largest = {field: float(series.max(initial=0.0)) for field, series in values.items()}
    fields = [field for field, _, _ in shown]
    lines = {field: f"{name}, {unit}" for field, name, unit in shown}
    tip = ", ".join(
        ["'title': datum.name"]
        + [f"{_quoted(lines[field])}: format(datum.{field}, '{number(largest[field])}')" for field in fields]
    )
    mwh = number(max(largest[SERVED], 1e-9))
    place = [_point("lon", "lat", "x", "y")]
    return {
        "autosize": "none",
        "padding": 0,
        "signals": [
            {
                "name": "width",
                "init": "max(containerSize()[0], 200)",
                "on": [
                    {
                        "events": {"source": "window", "type": "resize"},
                        "update": "max(containerSize()[0], 200)",
                    }
                ],
            },
            {"name": "height", "update": f"width * {(north - south) / (east - west):.6f}"},
            {"name": "shown", "value": fields[0]},
            {"name": "degree", "update": f"width / {east - west:.6f}"},
            {
                "name": "big",
                "update": f"PI * pow(clamp(width * {min(0.027, 0.16 / len(regions) ** 0.5):.4f}, 5, 30), 2)",
            },
            {"name": "wide", "update": "clamp(width / 190, 1.6, 5)"},
            {"name": "largest", "update": f"({_object(largest)})[shown]"},
        ],
        "projections": [
            {
                "name": "flat",
                "type": "equirectangular",
                "scale": {"signal": "degree * 180 / PI"},
                "translate": [{"signal": f"{-west:.6f} * degree"}, {"signal": f"{north:.6f} * degree"}],
                "pointRadius": {"signal": f"width * {0.33 / COLUMNS:.6f}"},
                "precision": 0.3,
            }
        ],
        "data": [
            {
                "name": "land",
                "values": [land],
                "transform": [{"type": "geopath", "projection": "flat", "as": "path"}],
            },
            {
                "name": "flows",
                "values": flows,
                "transform": [
                    _point("from_lon", "from_lat", "x0", "y0"),
                    _point("to_lon", "to_lat", "x1", "y1"),
                    {"type": "formula", "expr": BOW, "as": "path"},
                ],
            },
            {"name": "gateways", "values": gateways, "transform": place},
            {
                "name": "regions",
                "values": regions,
                "transform": [
                    *place,
                    {"type": "formula", "expr": "largest > 0 ? datum[shown] / largest : 0", "as": "part"},
                    {"type": "collect", "sort": {"field": "part", "order": "descending"}},
                ],
            },
        ],
        "scales": [
            {
                "name": "hue",
                "type": "ordinal",
                "domain": fields,
                "range": [*(colour_of(k) for k in range(len(fields) - 1)), "var(--soft)"],
            }
        ],
        "marks": [
            {
                "type": "path",
                "name": "ground",
                "from": {"data": "land"},
                "interactive": False,
                "aria": False,
                "clip": True,
                "encode": {"update": {"path": {"field": "path"}, "fill": {"value": "var(--land)"}}},
            },
            {
                "type": "path",
                "name": "arcs",
                "from": {"data": "flows"},
                "clip": True,
                "encode": {
                    "update": {
                        "path": {"field": "path"},
                        "stroke": {"value": "var(--flow)"},
                        "strokeCap": {"value": "round"},
                        "strokeWidth": {"signal": "max(0.5, wide * datum.part)"},
                        "strokeOpacity": {"value": 0.38},
                        "tooltip": {
                            "signal": "{'title': datum.gateway + ' \u2192 ' + datum.region, "
                            f"'sent, MWh': format(datum.mwh, '{mwh}')}}"
                        },
                    },
                    "hover": {"strokeOpacity": {"value": 1}},
                },
            },
            {
                "type": "symbol",
                "name": "rings",
                "from": {"data": "gateways"},
                "encode": {
                    "update": {
                        "x": {"field": "x"},
                        "y": {"field": "y"},
                        "shape": {"value": "diamond"},
                        "size": {"signal": "clamp(width / 18, 18, 46)"},
                        "fill": {"value": "var(--card)"},
                        "stroke": {"value": "var(--flow)"},
                        "strokeWidth": {"value": 1.3},
                        "tooltip": {
                            "signal": "{'title': 'gateway ' + datum.name, "
                            f"'asked for, MWh': format(datum.mwh, '{mwh}')}}"
                        },
                    }
                },
            },
            {
                "type": "symbol",
                "name": "circles",
                "from": {"data": "regions"},
                "encode": {
                    "update": {
                        "x": {"field": "x"},
                        "y": {"field": "y"},
                        "size": {"signal": "max(6, big * datum.part)"},
                        "fill": {"scale": "hue", "signal": "shown"},
                        "fillOpacity": {"value": 0.72},
                        "stroke": {"value": "var(--card)"},
                        "strokeWidth": {"value": 1},
                        "tooltip": {"signal": f"{{{tip}}}"},
                    },
                    "hover": {"fillOpacity": {"value": 1}},
                },
            },
            {
                "type": "text",
                "from": {"data": "circles"},
                "interactive": False,
                "encode": {
                    "update": {
                        "text": {"field": "datum.name"} if len(regions) <= NAMED else {"value": ""},
                        "fontSize": {"signal": "width < 500 ? 9.5 : 11.5"},
                        "fontWeight": {"value": 600},
                        "fill": {"value": "var(--ink)"},
                    }
                },
                "transform": [
                    {
                        "type": "label",
                        "size": {"signal": "[width, height]"},
                        "anchor": ["right", "left", "bottom", "top", "top-right", "bottom-right"],
                        "offset": [2],
                        "avoidMarks": ["rings"],
                    }
                ],
            },
        ],
    }


def _point(lon: str, lat: str, x: str, y: str) -> Spec:
    """Where fields `lon` and `lat` lie on the map."""
    return {"type": "geopoint", "projection": "flat", "fields": [lon, lat], "as": [x, y]}


def _quoted(text: str) -> str:
    """A string of the Vega expression language."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", " ") + "'"


def _object(values: dict[str, float]) -> str:
    """An object of the Vega expression language."""
    finite = {key: value if math.isfinite(value) else 0.0 for key, value in values.items()}
    return "{" + ", ".join(f"{_quoted(key)}: {value!r}" for key, value in finite.items()) + "}"

"""How a report's figures look: colours, dashes and shapes, and what every Vega-Lite figure starts from.

Colours are those of Okabe and Ito (2008), told apart by everyone; they are named by the page's style, so
that they follow light, dark and paper. None stands alone: lines differ by dash too, points by shape, bands by
their labels and their order.
"""

from __future__ import annotations

import math
from typing import Any

Spec = dict[str, Any]

# blue, vermillion, green, orange, purple, sky
COLOURS = tuple(f"var(--c{place})" for place in range(1, 7))
DASHES: tuple[tuple[int, ...], ...] = ((1, 0), (8, 3), (3, 3), (8, 3, 2, 3), (2, 2), (12, 3))
# Thousands as k, millions as M, and zero as nothing else.
SI: Spec = {"format": "~s", "labelExpr": "datum.value === 0 ? '0' : datum.label"}
SHAPES = ("diamond", "triangle-up", "square")

CONFIG: Spec = {
    "background": None,
    "font": 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif',
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "labelPadding": 5,
        "tickSize": 4,
    },
    "axisY": {"domain": False, "ticks": False},
    "text": {"color": "var(--ink)", "fontSize": 11},
}


def figure(height: float | Spec, layers: list[Spec], **more: Any) -> Spec:
    """A Vega-Lite figure as wide as the page lets it be."""
    return {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": layers,
        **more,
    }


def hover(name: str, *, on: list[str], x_only: bool = False) -> list[Spec]:
    """The parameter that picks the mark nearest to pointer or finger."""
    select: Spec = {"type": "point", "nearest": True, "on": "pointerover", "clear": "pointerout"}
    select |= {"encodings": ["x"]} if x_only else {"fields": on}
    return [{"name": name, "select": select}]


def lit(name: str, shown: float = 1.0) -> Spec:
    """Opacity that is nothing until `name` picks the mark."""
    return {"condition": {"param": name, "empty": False, "value": shown}, "value": 0}


def number(largest: float) -> str:
    """The d3 format that gives numbers of this size about four digits."""
    if not math.isfinite(largest) or largest >= 1000:
        return ",.0f"
    return ",.1f" if largest >= 100 else ",.2f" if largest >= 10 else ",.3f" if largest >= 0.1 else ",.3~g"


def rounded(value: float, digits: int = 5) -> float | None:
    """A number for a drawing; None where there is none."""
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short

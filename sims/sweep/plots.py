"""Pictures of a sweep of equity weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eglb.foundation.plots import STYLES, keep_home_clean

if TYPE_CHECKING:
    from eglb.sims.sweep.sweep import Sweep

_LABEL_WIDTH, _LABEL_HEIGHT = 0.17, 0.06
"""Of a panel."""


def draw_sweep(sweep: Sweep, folder: Path) -> None:
    """sweep.svg and sweep.png: energy cost against each kind's worst region, and against max/avg.

    All panels share the axis of energy cost. Of a worst region's panel the thin line is the average region:
    the distance between the two is the inequity. A ring marks the knee, a filled square the scenario's own
    weights; some points are labelled with their factor.
    """
    keep_home_clean()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    kinds = sweep.scenario.footprints
    energy = np.array([point.energy_usd for point in sweep.points])
    marks = [(sweep.own, "s", STYLES[0][0], "own weights"), (sweep.knee, "o", "none", "knee")]
    figure, axes = plt.subplots(
        1, len(kinds) + 1, figsize=(4.2 * (len(kinds) + 1), 4.2), sharey=True, layout="constrained"
    )
    try:
        panels = np.atleast_1d(axes)
        for axis, kind in zip(panels[:-1], kinds, strict=True):
            totals = [point.solution.audit.footprints[kind.name] for point in sweep.points]
            worst = np.array([t.max for t in totals])
            axis.plot([t.avg for t in totals], energy, color="0.6", linewidth=1, label="average region")
            axis.plot(worst, energy, color=STYLES[0][0], marker=".", label="worst region")
            for point, marker, face, label in marks:
                if point is not None:
                    place = sweep.points.index(point)
                    size, edge = (7, face) if marker == "s" else (13, STYLES[1][0])
                    axis.plot(
                        worst[place],
                        energy[place],
                        linestyle="",
                        marker=marker,
                        markersize=size,
                        markerfacecolor=face,
                        markeredgecolor=edge,
                        markeredgewidth=1.5,
                        label=label,
                    )
            for place in _labelled(sweep, worst, energy):
                axis.annotate(
                    f"{sweep.points[place].factor:.3g}x",
                    (worst[place], energy[place]),
                    xytext=(7, 5),
                    textcoords="offset points",
                    fontsize="small",
                    color="0.35",
                )
            axis.set_xlabel(f"{kind.name}, {kind.unit} in a region")
        for (colour, dash), kind in zip(STYLES, kinds, strict=False):
            par = [point.solution.audit.footprints[kind.name].par for point in sweep.points]
            panels[-1].plot(par, energy, color=colour, linestyle=dash, marker=".", label=kind.name)
        panels[-1].set_xlabel("worst region / average region (PAR)")
        panels[0].set_ylabel("energy cost, USD")
        for axis in panels:
            axis.xaxis.set_major_locator(MaxNLocator(5))
            for part in (axis.xaxis, axis.yaxis):
                part.set_major_formatter(FuncFormatter(lambda value, place: f"{value:,.9g}"))
            axis.grid(True, color="0.93")
            axis.spines[["top", "right"]].set_visible(False)
        for axis in (panels[0], panels[-1]):
            axis.legend(frameon=False, fontsize="small")
        figure.suptitle(f"{sweep.scenario.name}: what equity costs (labels: multiples of the weights)")
        figure.savefig(folder / "sweep.svg", metadata={"Date": None})
        figure.savefig(folder / "sweep.png", dpi=150)
    finally:
        plt.close(figure)


def _labelled(sweep: Sweep, across: np.ndarray, along: np.ndarray) -> list[int]:
    """Points whose labels do not run into one another, the marked ones and the ends first."""
    scaled = [(v - v.min()) / (np.ptp(v) or 1.0) for v in (across, along)]
    marked = [sweep.points.index(point) for point in (sweep.own, sweep.knee) if point is not None]
    kept: list[int] = []
    for place in (*marked, 0, len(across) - 1, *range(len(across))):
        apart = [[abs(s[place] - s[other]) for s in scaled] for other in kept]
        if all(dx >= _LABEL_WIDTH or dy >= _LABEL_HEIGHT for dx, dy in apart):
            kept.append(place)
    return kept

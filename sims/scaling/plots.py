"""Pictures of a scaling experiment, drawn without a display into a folder."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from eglb.foundation.plots import STYLES, keep_home_clean

if TYPE_CHECKING:
    from eglb.sims.scaling.scaling import Scaling

PANELS = {"seconds": "seconds", "rounds": "rounds", "peak_rss_mb": "peak memory, MB"}
_DECADE = 10.0
"""Less than that leaves a log axis with hardly a number on it."""


def draw_scaling(scaling: Scaling, folder: Path) -> None:
    """scaling.svg and scaling.png: seconds, rounds and memory against regions; mostly on log axes.

    Lines join the medians of the runs that reached the gap asked for, one line for each class of fleets; dots
    are single runs, crosses those that stopped short of the gap. The central solver has no rounds.
    """
    keep_home_clean()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    try:
        others = [name for name in scaling.algorithms() if name != "central"]
        looks: dict[str, tuple[Any, Any]] = dict(zip(others, STYLES, strict=False))
        looks["central"] = ("0.25", (0, (1, 1)))
        for axis, (quantity, label) in zip(axes, PANELS.items(), strict=True):
            for name in scaling.algorithms():
                colour, dash = looks[name]
                named = False
                for kind in scaling.families():
                    rows = [r for r in scaling.select(family=kind, algorithm=name) if r[quantity]]
                    well = [r for r in rows if r["status"] == "converged"]
                    short = [r for r in rows if r["status"] != "converged"]
                    sizes = sorted({r["regions"] for r in well})
                    if not rows:
                        continue
                    middle = [median(r[quantity] for r in well if r["regions"] == n) for n in sizes]
                    axis.plot(sizes, middle, color=colour, linestyle=dash, label=None if named else name)
                    named = True
                    for chosen, marker in ((well, "o"), (short, "x")):
                        axis.plot(
                            [r["regions"] for r in chosen],
                            [r[quantity] for r in chosen],
                            color=colour,
                            linestyle="",
                            marker=marker,
                            markersize=6 if marker == "x" else 3.5,
                        )
            axis.set_xscale("log")
            values = [row[quantity] for row in scaling.rows if row[quantity]]
            if quantity == "seconds" or max(values, default=0.0) > _DECADE * min(values, default=0.0):
                axis.set_yscale("log")
                axis.yaxis.set_minor_formatter(FuncFormatter(_round_number))
            else:
                axis.set_ylim(bottom=0.0)
            axis.set_xlabel("regions")
            axis.set_ylabel(label)
            axis.xaxis.set_major_locator(FixedLocator(_ticks({row["regions"] for row in scaling.rows})))
            axis.xaxis.set_minor_locator(NullLocator())
            for part in (axis.xaxis, axis.yaxis):
                part.set_major_formatter(FuncFormatter(lambda value, place: f"{value:,.6g}"))
            axis.tick_params(axis="y", which="minor", labelsize="small")
            axis.grid(True, which="major", color="0.9")
            axis.spines[["top", "right"]].set_visible(False)
        axes[0].legend(frameon=False)
        figure.suptitle("What more regions cost; dots are runs, crosses runs that stopped short of the gap")
        figure.savefig(folder / "scaling.svg", metadata={"Date": None})
        figure.savefig(folder / "scaling.png", dpi=150)
    finally:
        plt.close(figure)


def _ticks(sizes: set[int]) -> list[int]:
    """Those sizes that keep a distance on a log axis, the largest among them."""
    kept: list[int] = []
    for size in sorted(sizes, reverse=True):
        if not kept or size <= kept[-1] / 1.4:
            kept.append(size)
    return kept


def _round_number(value: float, place: object) -> str:
    return f"{value:,.6g}" if f"{value:.0e}"[0] in "25" else ""

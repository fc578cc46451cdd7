"""Convergence plots: certified gap against rounds and against seconds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eglb.foundation.plots import STYLES, keep_home_clean

if TYPE_CHECKING:
    from eglb.sims.comparison.comparison import Comparison


def draw_convergence(comparison: Comparison, folder: Path) -> None:
    """convergence.svg and convergence.png: certified gap against rounds and against seconds, log axes.

    One line per algorithm; the central solver is a vertical line at its seconds. Seconds run from the first
    message, start-up of the agents apart. Rounds before an algorithm has both a plan and a bound have no gap
    and are not drawn.
    """
    keep_home_clean()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    runs = [run for run in comparison.solvers if run.algorithm != "central"]
    figure, (by_round, by_second) = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    try:
        for index, run in enumerate(runs):
            colour, dash = STYLES[index % len(STYLES)]
            known = [r for r in run.trace if np.isfinite(r.gap)]
            # A gap closed to the last digit has no place on a log axis: it is drawn at a double's rounding.
            gaps = [max(r.gap, 1e-16) for r in known]
            for axis, along in (
                (by_round, [r.round for r in known]),
                (by_second, [r.seconds for r in known]),
            ):
                axis.step(along, gaps, where="post", color=colour, linestyle=dash, label=run.algorithm)
                axis.plot(along[-1:], gaps[-1:], marker="o", markersize=4, color=colour)
        seconds = comparison.central.seconds_solve
        by_second.axvline(seconds, color="0.35", linewidth=1)
        by_second.annotate(
            f"central solver {seconds:.2f} s",
            (seconds, 0.98),
            xycoords=("data", "axes fraction"),
            xytext=(-4, 0),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="top",
            fontsize="small",
            color="0.35",
        )
        for axis, label in ((by_round, "rounds"), (by_second, "seconds")):
            axis.set_xscale("log")
            axis.set_yscale("log")
            axis.set_xlabel(label)
            axis.grid(True, which="major", color="0.9")
            axis.spines[["top", "right"]].set_visible(False)
        by_round.set_ylabel("certified gap")
        if runs:
            by_round.legend(frameon=False)
        figure.suptitle(f"{comparison.scenario.name}: certified gap of the best plan so far")
        figure.savefig(folder / "convergence.svg", metadata={"Date": None})
        figure.savefig(folder / "convergence.png", dpi=150)
    finally:
        plt.close(figure)

"""Pictures of a simulation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eglb.foundation.plots import STYLES, keep_home_clean

if TYPE_CHECKING:
    from eglb.sims.replay.simulation import Simulation


def draw_course(simulation: Simulation, folder: Path) -> None:
    """course.svg and course.png: objective and bound so far, and every region's footprint adding up.

    The gap in the middle of a period is against the best plan of the slots so far, which a policy that saves
    for later need not reach; only its end is a grade. Of each kind the five largest regions are coloured.
    """
    keep_home_clean()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    scenario, kinds = simulation.scenario, simulation.scenario.footprints
    figure, axes = plt.subplots(1, 1 + len(kinds), figsize=(5 * (1 + len(kinds)), 4), layout="constrained")
    first, *others = np.atleast_1d(axes)
    days = np.arange(1, scenario.slots + 1) * scenario.slot_hours / 24.0
    try:
        if simulation.trace[-1].objective is not None:
            spent = np.array([record.objective for record in simulation.trace], float)
            bound = np.array([record.lower_bound for record in simulation.trace], float)
            first.plot(days, spent, color=STYLES[0][0], label="spent so far")
            first.plot(days, bound, color="0.35", linestyle="--", label="best possible up to now, at least")
            gap = 100 * (spent - bound) / np.maximum(np.abs(spent), 1e-300)
            right = first.twinx()
            right.plot(days, gap, color=STYLES[1][0], linewidth=1, label="gap")
            right.set_ylim(0, max(2.0, float(np.quantile(gap, 0.9))) * 1.5)
            right.set_ylabel("gap, %", color=STYLES[1][0])
            right.spines["top"].set_visible(False)
        else:
            spent = np.cumsum((scenario.price_per_mw_slot() * simulation.load).sum(0))
            first.plot(days, spent, color=STYLES[0][0], label="energy cost so far")
        first.set_ylabel("USD")
        first.legend(frameon=False, loc="upper left")
        first.set_title(f"{scenario.name}, {simulation.policy}", fontsize="medium")
        for axis, kind in zip(others, kinds, strict=True):
            totals = np.cumsum(scenario.intensity_per_mw_slot(kind) * simulation.load, axis=1)
            order = np.argsort(-totals[:, -1])
            for place, region in enumerate(order):
                if place < len(STYLES):
                    colour, dash = STYLES[place]
                    axis.plot(
                        days, totals[region], color=colour, linestyle=dash, label=scenario.regions[region]
                    )
                else:
                    axis.plot(days, totals[region], color="0.8", linewidth=0.8, zorder=0)
            axis.set_title(f"{kind.name} so far by region, {kind.unit}", fontsize="medium")
            axis.legend(frameon=False, fontsize="small", loc="upper left")
        for axis in (first, *others):
            axis.set_xlabel("days")
            axis.spines["top"].set_visible(False)
            axis.grid(True, color="0.93")
            axis.set_xlim(0, days[-1])
        figure.savefig(folder / "course.svg", metadata={"Date": None})
        figure.savefig(folder / "course.png", dpi=150)
    finally:
        plt.close(figure)

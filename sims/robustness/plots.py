"""The robustness study as one picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from eglb.foundation.plots import STYLES, keep_home_clean
from eglb.sims.robustness.conditions import ADVICE, BUDGETS, Condition


def draw_robustness(
    title: str, gaps: Mapping[Condition, float], folder: Path, name: str = "robustness"
) -> None:
    """NAME.svg and NAME.png: gaps by forecast, by estimate error and feedback, and guard against its
    budget.
    """
    keep_home_clean()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.6), layout="constrained")
    percent = {c: 100 * gap for c, gap in gaps.items()}
    try:
        _bars(left, {(c.label, c.policy): v for c, v in percent.items() if c.group == "forecast"}, 6.0)
        left.set_title("what is foretold", fontsize="medium")
        errors = {
            (c.label, c.feedback): v
            for c, v in percent.items()
            if c.group == "estimates" and c.policy == "soft" and c.meter_delay == 1
        }
        _bars(middle, errors, 12.0)
        middle.set_title("soft with wrong estimates, by feedback", fontsize="medium")
        for place, (label, _) in enumerate(ADVICE):
            points = {
                float(c.policy.partition("eps=")[2]): v
                for c, v in percent.items()
                if c.group == "guard" and c.label.endswith(f", {label}")
            }
            if points:
                colour, dash = STYLES[place]
                right.plot(
                    sorted(points),
                    [points[e] for e in sorted(points)],
                    "o",
                    linestyle=dash,
                    color=colour,
                    label=f"guard, advice: soft, forecast {label}",
                )
                alone = next(
                    (
                        v
                        for c, v in percent.items()
                        if c.policy == "soft" and c.forecast == label and c.group == "forecast"
                    ),
                    None,
                )
                if alone is not None:
                    right.axhline(alone, color=colour, linewidth=0.8, alpha=0.6)
                    right.annotate(
                        "unguarded",
                        (BUDGETS[-1], alone),
                        fontsize="x-small",
                        color=colour,
                        va="bottom",
                        ha="right",
                    )
        robust = next((v for c, v in percent.items() if c.policy == "eg" and c.group == "no forecast"), None)
        if robust is not None:
            right.axhline(robust, color="0.35", linestyle="--", linewidth=1, label="robust policy (eg) alone")
        right.set_xscale("log")
        right.set_xticks(BUDGETS, [f"{e:g}" for e in BUDGETS])
        right.minorticks_off()
        right.set_xlabel("budget eps of the guard")
        right.set_title("consistency and robustness", fontsize="medium")
        if right.get_legend_handles_labels()[0]:
            right.legend(frameon=False, fontsize="small")
        right.set_ylim(top=1.45 * right.get_ylim()[1])
        for axis in (left, middle, right):
            axis.spines[["top", "right"]].set_visible(False)
            axis.set_ylim(bottom=0)
        left.set_ylabel("above the best plan that knows all hours, %")
        figure.suptitle(title)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        figure.savefig(folder / f"{name}.png", dpi=130)
    finally:
        plt.close(figure)


def _bars(axis: object, cells: Mapping[tuple[str, str], float], most: float) -> None:
    """Grouped bars; those higher than `most` are cut and say how high they are."""
    labels = list(dict.fromkeys(label for label, _ in cells))
    series = list(dict.fromkeys(one for _, one in cells))
    width = 0.8 / max(1, len(series))
    for place, one in enumerate(series):
        at = np.arange(len(labels)) + (place - (len(series) - 1) / 2) * width
        values = np.array([cells.get((label, one), np.nan) for label in labels])
        axis.bar(at, np.minimum(values, most), width * 0.92, color=STYLES[place][0], label=one)  # type: ignore[attr-defined]
        for x, value in zip(at, values, strict=True):
            if value > most:
                axis.annotate(  # type: ignore[attr-defined]
                    f"{value:.0f}", (x, most), ha="center", va="bottom", fontsize="x-small"
                )
    axis.set_xticks(range(len(labels)), labels, rotation=35, ha="right", fontsize="small")  # type: ignore[attr-defined]
    if series:
        axis.legend(frameon=False, fontsize="small")  # type: ignore[attr-defined]

"""Pictures of solves on a wide-area network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eglb.foundation.plots import STYLES, keep_home_clean


@dataclass(frozen=True)
class Variant:
    """One way to solve an instance: `gaps` are pairs of expected seconds and the certified gap by then.

    `seconds`, `rounds` and `kilobytes` (both directions, per region) are those to the gap that is compared,
    or None where it was not reached.
    """

    algorithm: str
    name: str
    gaps: Sequence[tuple[float, float]]
    seconds: float | None
    rounds: int | None
    kilobytes: float | None


def draw_wide_area(by_instance: Mapping[str, Sequence[Variant]], gap: float, folder: Path) -> None:
    """wide_area.svg and wide_area.png, a column for each instance.

    Above, the certified gap of each algorithm's first variant against expected seconds; below, the seconds to
    `gap` of every variant, with its rounds and kilobytes. A variant that does not get there has no bar.
    """
    keep_home_clean()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    count = len(by_instance)
    longest = max(len(variants) for variants in by_instance.values())
    figure, axes = plt.subplots(
        2,
        count,
        figsize=(1.5 + 3.6 * count, 3.6 + 0.28 * longest),
        height_ratios=(3.0, 0.28 * longest + 0.6),
        squeeze=False,
        layout="constrained",
    )
    try:
        for column, (instance, variants) in enumerate(by_instance.items()):
            lines, bars = axes[0, column], axes[1, column]
            algorithms = list(dict.fromkeys(v.algorithm for v in variants))
            for index, algorithm in enumerate(algorithms):
                colour, dash = STYLES[index % len(STYLES)]
                first = next(v for v in variants if v.algorithm == algorithm)
                lines.step(*zip(*first.gaps, strict=True), where="post", color=colour, linestyle=dash)
                lines.plot([], [], color=colour, linestyle=dash, label=algorithm)
            for row, variant in enumerate(variants):
                colour, _ = STYLES[algorithms.index(variant.algorithm) % len(STYLES)]
                bars.barh(row, variant.seconds or 0.0, color=colour, height=0.7)
                text = (
                    f" {variant.rounds} rounds, {variant.kilobytes:,.0f} kB"
                    if variant.seconds
                    else " not reached"
                )
                bars.text(variant.seconds or 0.0, row, text, va="center", fontsize="x-small")
            lines.axhline(gap, color="0.6", linewidth=0.8)
            lines.set(yscale="log", xscale="log", title=instance, xlabel="expected seconds")
            lines.grid(True, which="major", color="0.9")
            longest_bar = max((v.seconds or 0.0 for v in variants), default=0.0)
            bars.set(xlabel=f"expected seconds to a gap of {gap:g}", xlim=(0.0, 1.7 * longest_bar or 1.0))
            bars.set_yticks(range(len(variants)))
            named = [f"{v.algorithm}, {v.name}" for v in variants]
            bars.set_yticklabels(named if column == 0 else [], fontsize="small")
            bars.invert_yaxis()
            for axis in (lines, bars):
                axis.spines[["top", "right"]].set_visible(False)
        axes[0, 0].set_ylabel("certified gap")
        axes[0, 0].legend(frameon=False)
        figure.savefig(folder / "wide_area.svg", metadata={"Date": None})
        figure.savefig(folder / "wide_area.png", dpi=130)
    finally:
        plt.close(figure)

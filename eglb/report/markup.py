"""HTML of a report's parts: escaped text, tables, legends and the frames that figures are drawn into."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eglb.report.style import COLOURS, DASHES, SHAPES, Spec

OUTLINES = {
    "diamond": "M7 1.5L12.5 7L7 12.5L1.5 7Z",
    "triangle-up": "M7 2L12.5 11.5H1.5Z",
    "square": "M2.5 2.5H11.5V11.5H2.5Z",
}
MINUS = "\N{MINUS SIGN}"
_SCHEME = re.compile(r"\b(?:https?|ftp)://", re.IGNORECASE)


@dataclass(frozen=True)
class Section:
    """`body` is HTML; `figures` are the specifications behind its frames, by name."""

    title: str
    body: str
    figures: dict[str, Spec]


def text(value: object) -> str:
    """`value` as HTML text; addresses lose their scheme, so that nothing in a report names another host."""
    return html.escape(_SCHEME.sub("", str(value)))


def short(value: float) -> str:
    """A large quantity in four digits, such as ``17.95 M``."""
    if not math.isfinite(value):
        return "-"
    for power, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(value) >= power:
            return f"{value / power:.4g} {letter}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def change(old: float, new: float) -> str:
    """How much more `new` is than `old`, such as ``+15.3 %``."""
    if not (math.isfinite(old) and math.isfinite(new)) or old == 0.0:
        return "-"
    share = 100.0 * (new - old) / abs(old)
    digits = 0 if abs(share) >= 100 else 1 if abs(share) >= 0.1 else 2
    return f"{share:+,.{digits}f} %".replace("-", MINUS)


def table(
    caption: str,
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    bold: Sequence[int] = (),
    words: bool = False,
) -> str:
    """A table whose first column names the rows and whose others are figures, or `words`; cells are HTML
    already.

    `head` may break lines with a newline; `bold` are the rows to stress.
    """
    cells = "".join(f'<th scope="col">{text(name).replace(chr(10), "<br>")}</th>' for name in head)
    body = []
    for index, (first, *others) in enumerate(rows):
        stress = ' class="stress"' if index in bold else ""
        body.append(
            f'<tr{stress}><th scope="row">{first}</th>'
            + "".join(f"<td>{cell}</td>" for cell in others)
            + "</tr>"
        )
    kind = ' class="words"' if words else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}">'
        f"<table{kind}>"
        f"<caption>{text(caption)}</caption><thead><tr>{cells}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def folded(summary: str, content: str) -> str:
    """`content` behind a line that opens it."""
    return f"<details><summary>{text(summary)}</summary>{content}</details>"


def frame(name: str, title: str, description: str, *, legend: str = "", wide: bool = False) -> str:
    """The frame that figure `name` is drawn into; `description` is its text alternative."""
    kind = ' class="wide"' if wide else ""
    heading = f"<figcaption>{text(title)}</figcaption>" if title else ""
    return (
        f"<figure{kind}>{heading}{legend}"
        f'<div class="draw" id="figure-{name}" data-figure="{name}" role="img" '
        f'aria-label="{text(description)}"></div></figure>'
    )


def lines_legend(names: Sequence[str]) -> str:
    """Names with the colour and the dash of their lines."""
    entries = []
    for place, name in enumerate(names):
        dash = " ".join(map(str, DASHES[place % len(DASHES)])) if DASHES[place % len(DASHES)][1] else "none"
        mark = (
            f'<line x1="1" y1="6" x2="27" y2="6" stroke-dasharray="{dash}" '
            f'style="stroke:{COLOURS[place % len(COLOURS)]};stroke-width:2.2"/>'
        )
        entries.append((mark, 28, name))
    return _legend(entries)


def bars_legend(colour: str, policies: Sequence[str]) -> str:
    """What bars, points and the dashed line of a figure of footprints are."""
    entries = [(f'<rect y="2" width="14" height="9" rx="1" style="fill:{colour}"/>', 14, "this plan")]
    entries += [
        (
            f'<path d="{OUTLINES[shape]}" style="fill:var(--card);stroke:var(--ink);stroke-width:1.3"/>',
            14,
            name,
        )
        for shape, name in zip(SHAPES, policies, strict=False)
    ]
    dashed = '<line x1="7" y1="0" x2="7" y2="14" stroke-dasharray="3 2" style="stroke:var(--ink)"/>'
    return _legend([*entries, (dashed, 14, "mean of all regions")])


def points_legend(names: Sequence[str]) -> str:
    """Names with the shape and the colour of their points."""
    return _legend(
        [
            (f'<path d="{OUTLINES[shape]}" style="fill:{colour}"/>', 14, name)
            for name, shape, colour in zip(names, SHAPES, COLOURS, strict=False)
        ]
    )


def bands_legend(entries: Sequence[tuple[str, str]]) -> str:
    """(colour, name) of every band of a stack, the top one first."""
    return _legend(
        [(f'<rect y="1" width="12" height="12" rx="2" style="fill:{c}"/>', 12, n) for c, n in entries]
    )


def _legend(entries: Sequence[tuple[str, int, str]]) -> str:
    items = "".join(
        f'<li><svg width="{width}" height="14" viewBox="0 0 {width} 14" aria-hidden="true">{mark}</svg>'
        f"{text(name)}</li>"
        for mark, width, name in entries
    )
    return f'<ul class="legend">{items}</ul>'


def choice(name: str, question: str, options: Sequence[tuple[str, str]]) -> str:
    """One of several, the first chosen: sets a figure's signal `name`; `options` are (value, label)."""
    figure, _, signal = name.partition(".")
    buttons = "".join(
        f'<label><input type="radio" name="{name}" value="{text(value)}" data-of="{figure}" '
        f'data-signal="{signal}"{" checked" if index == 0 else ""}><span>{text(label)}</span></label>'
        for index, (value, label) in enumerate(options)
    )
    return f'<fieldset class="choice"><legend>{text(question)}</legend>{buttons}</fieldset>'

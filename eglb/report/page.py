"""A report put together: one HTML file with its style, its data and the library that draws them."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from eglb.foundation.errors import InputError
from eglb.report.drawing import script
from eglb.report.inputs import Material, read
from eglb.report.markup import text
from eglb.report.provenance import provenance
from eglb.report.sections import sections
from eglb.report.style import CONFIG
from eglb.report.summary import header, lead, tiles
from eglb.scenarios.scenario import Scenario

REPORT = "report.html"


def write(folder: Path, target: Path | None = None, *, scenario: Scenario | None = None) -> Path:
    """Write the report of a results folder into it, or to `target`; the file's path.

    `scenario` is what the folder's plan is for, where it is at hand and need not be read.

    Raises
    ------
    InputError : `folder` holds no results that a report is made of, or the file cannot be written.
    """
    written = build(Path(folder), scenario)
    path = Path(folder) / REPORT if target is None else Path(target)
    try:
        path.write_text(written, "utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
    return path


def build(folder: Path, scenario: Scenario | None = None) -> str:
    """The report of a results folder as HTML; arguments of :func:`write`.

    Raises
    ------
    InputError : `folder` holds no results that a report is made of.
    """
    return render(read(folder, scenario))


def render(material: Material) -> str:
    """The whole page."""
    parts = sections(material)
    specs = {name: spec for part in parts for name, spec in part.figures.items()}
    body = "".join(f"<section><h2>{text(part.title)}</h2>{part.body}</section>" for part in parts)
    here = files("eglb.report")
    style, behaviour = ((here / name).read_text("utf-8") for name in ("style.css", "page.js"))
    name = material.scenario.name
    return "".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{text(name)}: {text(material.command)}, eglb</title>",
            f'<link rel="icon" href="data:,"><style>\n{style}</style></head>\n<body>',
            header(material),
            f"<main>{tiles(material)}{lead(material)}",
            "<noscript><p>The figures need JavaScript; everything else on this page does not.</p></noscript>",
            body,
            f"<section><h2>Data and method</h2>{provenance(material)}</section></main>",
            "<footer>Written by <code>eglb</code>; <code>eglb report DIR</code> writes it anew.</footer>\n",
            f'<script type="application/json" id="figures">{_json(specs)}</script>\n',
            f'<script type="application/json" id="look">{_json(CONFIG)}</script>\n',
            f"<script>{script()}</script>\n<script>\n{behaviour}</script>\n</body></html>\n",
        ]
    )


def _json(value: object) -> str:
    """JSON that no HTML parser can mistake for its own."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")

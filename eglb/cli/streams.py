"""What goes to stdout and what to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rich.console import RenderableType

    from eglb.scenarios.scenario import Scenario


@contextmanager
def stdout_kept_clean() -> Iterator[None]:
    """While inside, whatever is printed to stdout, by native libraries too, goes to stderr instead."""
    sys.stdout.flush()
    saved = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)


def staging(out: Path | None) -> AbstractContextManager[Path | None]:
    """The staged results folder of --out, or nothing; entered first, so that a bad --out costs no work."""
    if out is None:
        return nullcontext(None)
    from eglb.foundation.staging import staged_folder

    return staged_folder(out)


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    import json

    click.echo(json.dumps(value, ensure_ascii=False, allow_nan=False))


def print_table(renderable: RenderableType) -> None:
    """A table on stdout, as wide as the terminal, or as COLUMNS says; 100 columns where neither is known."""
    from rich.console import Console

    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 100
    Console(highlight=False, width=wide).print(renderable)


def print_result(found: Any, as_json: bool, quiet: bool, out: Path | None) -> None:
    """What a command found, as its one JSON object or as its table, and where its folder is."""
    if as_json:
        print_json(found.to_dict())
    elif not quiet:
        print_table(found)
    if out is not None and not quiet:
        print_note(f"results in {out}")


def print_note(text: str) -> None:
    """One line on stderr."""
    click.echo(text, err=True)


def write_report(scenario: Scenario, folder: Path) -> None:
    """report.html into a staged results folder; `scenario` is what the folder's plan is for."""
    from eglb.foundation.staging import writing
    from eglb.report import write

    with writing(folder):
        write(folder, scenario=scenario)

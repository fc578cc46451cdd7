"""Tables as text: what builders read from sources, and how the files of the data directory are written."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array


@dataclass(frozen=True)
class Sources:
    """The source files of one fetch, under `root`/OWNER/NAME."""

    root: Path

    def path(self, repository: str, path: str) -> Path:
        """Where one is."""
        return self.root / repository / path

    def rows(self, repository: str, path: str) -> list[list[str]]:
        """Cells of a table in CSV, heading included; empty lines and lines of comment are left out."""
        text = self.path(repository, path).read_text("utf-8-sig")
        lines = (line for line in text.splitlines() if not line.startswith("#"))
        return [row for row in csv.reader(lines) if row]

    def records(self, repository: str, path: str) -> list[dict[str, str]]:
        """The same, each row by the names of its heading."""
        heading, *rows = self.rows(repository, path)
        return [dict(zip(heading, row, strict=True)) for row in rows]


def write_rows(path: Path, heading: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table in CSV, compressed if the name ends in ``.gz``; the same rows give the same bytes."""
    text = "".join(",".join(map(quoted, row)) + "\n" for row in (heading, *rows))
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = text.encode()
    path.write_bytes(gzip.compress(raw, 9, mtime=0) if path.suffix == ".gz" else raw)


def write_wide(path: Path, first: str, index: Sequence[str], names: Sequence[str], values: Array) -> None:
    """A table with a column of text and one of numbers (names, rows) for each name; NaN is an empty cell."""
    cells = [shortest(column) for column in values]
    write_rows(path, [first, *names], zip(index, *cells, strict=True))


def shortest(values: Iterable[float]) -> list[str]:
    """Numbers as their shortest text, ``""`` for NaN."""
    return ["" if v != v else repr(v) for v in map(float, values)]


def quoted(cell: str) -> str:
    """A cell as CSV has it."""
    return '"' + cell.replace('"', '""') + '"' if any(c in cell for c in ',"\n') else cell


def clock(first: str, hours: int) -> list[str]:
    """Hours as text, such as ``2022-01-01T00:00``."""
    return [str(hour) + ":00" for hour in np.datetime64(first, "h") + np.arange(hours)]

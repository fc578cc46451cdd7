"""Tables of the data directory: that they are there, and their cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.scenarios.folder.tables import Findings, open_table, suggest

HOURS = 8760


def require(data: Path, world: str, files: Iterable[str]) -> None:
    """Raises InputError with every one of `files` that the data directory lacks."""
    if missing := [data / file for file in dict.fromkeys(files) if not (data / file).is_file()]:
        raise InputError(
            f"{path}: no such file; {world} is read from the data directory: give --data DIR, set EGLB_DATA, "
            f"or `eglb data fetch {world}`"
            for path in missing
        )


def columns(
    path: Path, text: Sequence[str], numbers: Sequence[str] = (), blank: Sequence[str] = ()
) -> tuple[dict[str, list[str]], dict[str, Array]]:
    """Columns of a small table: `text`, and as float64 `numbers` and `blank`, which alone may be so (NaN).

    Raises
    ------
    InputError : the table cannot be read, lacks a column or holds what is no number.
    """
    findings = Findings()
    table = open_table(path, [*text, *numbers, *blank], findings)
    values: dict[str, Array] = {}
    if table is not None:
        for names, may_be_blank in ((numbers, False), (blank, True)):
            values |= zip(names, table.numbers(names, findings, blank=may_be_blank).T, strict=True)
    if table is None or findings.messages():
        raise InputError(str(path.parent / problem) for problem in findings.messages())
    return {name: [str(cell).strip() for cell in table.values(name)] for name in text}, values


def find_rows(path: Path, column: str, cells: Sequence[str], wanted: Iterable[str]) -> list[int]:
    """The first row of `cells`, those of `column`, that holds each of `wanted`.

    Raises
    ------
    InputError : all that none holds.
    """
    first = {cell: row for row, cell in reversed(list(enumerate(cells)))}
    wanted = list(wanted)
    if missing := [name for name in dict.fromkeys(wanted) if name not in first]:
        raise InputError(f"{path}: column {column}: {name} is missing" for name in missing)
    return [first[name] for name in wanted]


def large_columns(path: Path, text: Sequence[str], numbers: Sequence[str]) -> dict[str, Array]:
    """Columns of a large CSV, gzipped or not: `text` as str, `numbers` as float64, NaN where a cell is empty.

    Raises
    ------
    InputError : the table cannot be read, lacks a column or holds what is no number, said less exactly than
        `columns` would.
    """
    import pyarrow as pa
    from pyarrow import csv

    types = {name: pa.string() for name in text}
    try:
        table = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types))
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
    there = table.column_names
    problems = [
        f"{path}: column {name} is missing{suggest(name, there)}"
        for name in (*text, *numbers)
        if name not in there
    ]
    kinds = {name: table.column(name).type for name in numbers if name in there}
    problems += [
        f"{path}: column {name} holds what is not a number"
        for name, kind in kinds.items()
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind))
    ]
    if problems:
        raise InputError(problems)
    return {
        name: table.column(name).to_numpy().astype(str if name in text else float)
        for name in (*text, *numbers)
    }


@lru_cache(maxsize=8)
def year(path: Path, names: tuple[str, ...], clock: str = "time_utc") -> Array:
    """(names, 8760) of a table with a row for every hour of a year, NaN where a cell is empty.

    Raises
    ------
    InputError : as `large_columns`, or an hour is missing.
    """
    found = large_columns(path, [clock], names)
    hours = found[clock]
    if len(hours) != HOURS or "01-01T00" not in hours[0] or "12-31T23" not in hours[-1]:
        raise InputError(f"{path}: not the {HOURS} hours of a year, from 01-01T00 to 12-31T23")
    return np.array([found[name] for name in names])

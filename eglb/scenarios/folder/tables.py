"""One table of a scenario folder (CSV, gzipped CSV or Parquet) and what is wrong with it, cell by cell."""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.folder.spreadsheets import (
    NOTHING_SAID,
    CsvHabits,
    day_comes_first,
    find_separator,
    is_open,
    read_date,
    write_numbers_plainly,
)

SUFFIXES = (".csv", ".csv.gz", ".parquet")
SHOWN_PER_KIND = 5
AS_CSV = "save it as CSV UTF-8"


class Findings:
    """Problems by file and kind, in the order found; of each kind a few are shown and the rest counted."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, str], list[str]] = {}
        self._count: dict[tuple[str, str], int] = {}

    def add(self, file: str, kind: str, message: str, *, count: int = 1) -> None:
        """Note `message` about `file`; `count` more-of-the-same problems are counted with it."""
        shown = self._shown.setdefault((file, kind), [])
        if len(shown) < SHOWN_PER_KIND:
            shown.append(f"{file}: {message}")
        self._count[file, kind] = self._count.get((file, kind), 0) + count

    def has_room(self, file: str, kind: str) -> bool:
        """Whether one more problem of this kind would be shown; only then is a hint worth its cost."""
        return len(self._shown.get((file, kind), ())) < SHOWN_PER_KIND

    def messages(self) -> list[str]:
        """Every problem, the files in the order first met, one line each."""
        files = dict.fromkeys(file for file, _ in self._shown)
        lines: list[str] = []
        for wanted in files:
            for (file, kind), shown in self._shown.items():
                if file == wanted:
                    lines += shown
                    hidden = self._count[file, kind] - len(shown)
                    if hidden > 0:
                        lines.append(f"{file}: ... and {hidden} more of the same kind ({kind})")
        return lines


@dataclass(frozen=True)
class Table:
    """Cells of one file. `rows` numbers them for a reader: a CSV's lines, a Parquet file's rows from 1.

    `cells` is row-major text for CSV, `typed` one list of Python values per column for Parquet; `whole` is
    False when rows had to be left out because their length is wrong; `dayfirst` is what is said of its dates.
    """

    file: str
    columns: tuple[str, ...]
    rows: Array
    cells: list[list[str]] | None
    typed: dict[str, list[Any]] | None
    whole: bool = True
    dayfirst: bool | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def values(self, column: str) -> list[Any]:
        """The cells of one column: text from CSV, Python objects from Parquet."""
        if self.typed is not None:
            return self.typed[column]
        assert self.cells is not None
        index = self.columns.index(column)
        return [row[index] for row in self.cells]

    def names(self, column: str, findings: Findings) -> list[str]:
        """The cells of one column as text without surrounding blanks; empty ones are problems."""
        names = ["" if value is None else str(value).strip() for value in self.values(column)]
        for row, name in zip(self.rows, names, strict=True):
            if not name:
                findings.add(self.file, "empty cell", f"column {column}, row {row}: empty cell")
        return names

    def numbers(self, columns: Sequence[str], findings: Findings, *, blank: bool = False) -> Array:
        """(rows, columns) float64; what is not a finite number is a problem (and NaN here).

        With `blank`, an empty cell is no problem but NaN.
        """
        if self.typed is not None:
            pick: Iterable[Sequence[Any]] = zip(*(self.typed[c] for c in columns), strict=True)
        else:
            assert self.cells is not None
            position = {c: i for i, c in enumerate(self.columns)}
            index = [position[c] for c in columns]
            whole = index == list(range(index[0], index[0] + len(index))) if index else False
            pick = (
                (row[index[0] : index[-1] + 1] for row in self.cells)
                if whole
                else ([row[i] for i in index] for row in self.cells)
            )
        picked = list(pick)
        try:
            # One conversion for all; float() reads "1_0" as 10, so such text goes the slow way.
            if any("_" in cell for row in picked for cell in row if isinstance(cell, str)):
                raise ValueError
            if any(isinstance(cell, bool) for row in picked for cell in row):
                raise ValueError
            values = np.array(picked, dtype=float).reshape(len(picked), len(columns))
        except (ValueError, TypeError):
            values = np.empty((len(picked), len(columns)))
            for r, row in enumerate(picked):
                for c, cell in enumerate(row):
                    values[r, c] = self._number(cell, r, columns[c], findings, blank)
            return values
        for r, c in np.argwhere(~np.isfinite(values)):
            values[r, c] = self._number(picked[r][c], r, columns[c], findings, blank)
        return values

    def _number(self, cell: Any, r: int, column: str, findings: Findings, blank: bool) -> float:
        where = f"column {column}, row {self.rows[r]}"
        if cell is None or (isinstance(cell, str) and not cell.strip()):
            if not blank:
                findings.add(self.file, "empty cell", f"{where}: empty cell")
            return float("nan")
        try:
            if isinstance(cell, bool) or (isinstance(cell, str) and "_" in cell):
                raise ValueError
            value = float(cell)
        except (ValueError, TypeError):
            findings.add(self.file, "not a number", f"{where}: {cell!r} is not a number")
            return float("nan")
        if not np.isfinite(value):
            findings.add(self.file, "not finite", f"{where}: {cell} is not a finite number")
            return float("nan")
        return value

    def times(self, findings: Findings, column: str = "time_utc") -> Array | None:
        """(rows,) datetime64[s] UTC of a column, or None when a cell cannot be read."""
        values = self.values(column)
        seconds = np.empty(len(values), dtype=np.int64)
        good = True
        texts = ["" if value is None else str(value).strip() for value in values]
        day_first = day_comes_first(texts, self.dayfirst)
        if day_first is None:
            first = next(r for r, text in enumerate(texts) if is_open(text))
            where = f"column {column}, row {self.rows[first]}: {texts[first]!r}"
            way_out = "write it like 2024-07-01 13:00, or say dayfirst = true or false under [csv]"
            findings.add(self.file, "time", f"{where} may have its day or its month first; {way_out}")
            return None
        for r, (value, text) in enumerate(zip(values, texts, strict=True)):
            problem = ""
            try:
                stamp = value if isinstance(value, datetime) else _read_time(text, day_first)
            except ValueError:
                problem = (
                    f"{text!r} is not a time; write UTC like 2024-07-01T13:00Z" if text else "empty cell"
                )
            else:
                # An instant from Parquet is UTC whatever its zone; text with another offset is a mistake.
                if isinstance(value, str) and stamp.utcoffset():
                    problem = f"{text!r} is not UTC; write it with Z or without an offset"
                elif stamp.microsecond:
                    problem = f"{text!r} is not a whole second"
            if problem:
                findings.add(self.file, "time", f"column {column}, row {self.rows[r]}: {problem}")
                good = False
                continue
            aware = stamp.astimezone(UTC) if stamp.tzinfo else stamp.replace(tzinfo=UTC)
            seconds[r] = int(aware.timestamp())
        return seconds.astype("datetime64[s]") if good else None

    def check(
        self,
        values: Array,
        columns: Sequence[str],
        bad: Array,
        kind: str,
        reason: str,
        findings: Findings,
        *,
        shown: Callable[[float], str] = repr,
    ) -> None:
        """Report the cells where `bad` (rows, columns) holds, as ``column, row: value reason``."""
        hits = np.argwhere(bad)
        for n, (r, c) in enumerate(hits[:SHOWN_PER_KIND]):
            more = len(hits) - SHOWN_PER_KIND + 1 if n == SHOWN_PER_KIND - 1 else 1
            where = f"column {columns[c]}, row {self.rows[r]}"
            findings.add(self.file, kind, f"{where}: {shown(float(values[r, c]))} {reason}", count=more)


def _read_time(text: str, day_first: bool) -> datetime:
    """A time in ISO 8601 or as spreadsheets write it."""
    try:
        if text[4:5] == "-":  # a bare number might pass for a date without dashes
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    return read_date(text, day_first)


def locate_table(folder: Path, table: str, override: str | None, findings: Findings) -> Path | None:
    """The file of `table` in `folder`, by its override or its own name with an ending; None if absent."""
    if override is not None:
        return folder / override if (folder / override).is_file() else None
    found = [folder / f"{table}{suffix}" for suffix in SUFFIXES if (folder / f"{table}{suffix}").is_file()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        findings.add(found[0].name, "two files", f"{names} both exist; name one under [tables]")
    return found[0] if found else None


def open_table(
    path: Path, required: Sequence[str], findings: Findings, habits: CsvHabits = NOTHING_SAID
) -> Table | None:
    """Read a table, or report why not: unreadable, empty, ragged, or without a required column."""
    file = path.name
    try:
        table = _open_parquet(path) if file.endswith(".parquet") else _open_csv(path, findings, habits)
    except UnicodeDecodeError as error:
        findings.add(file, "unreadable", f"is not UTF-8 text (byte {error.start}); {AS_CSV}")
        return None
    except (OSError, EOFError, zlib.error, csv.Error, ValueError) as error:
        # The first line, without the whole path that an OSError repeats.
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
        findings.add(file, "unreadable", f"cannot be read: {reason}")
        return None
    if not table.columns:
        findings.add(file, "empty", "is empty")
        return None
    if len(table.columns) == 1 and "|" in table.columns[0]:
        findings.add(file, "separator", "row 1: cells are separated by '|'; write commas, semicolons or tabs")
        return None
    good = True
    for column in (c for c, times in Counter(table.columns).items() if times > 1):
        findings.add(file, "column", f"column {column or '(without a name)'} appears twice in row 1")
        good = False
    for column in required:
        if column not in table.columns:
            findings.add(file, "column", f"column {column} is missing{suggest(column, table.columns)}")
            good = False
    if good and not len(table):
        findings.add(file, "empty", "holds no rows")
        good = False
    return table if good else None


def suggest(name: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` for a name close to a known one, else nothing."""
    near = difflib.get_close_matches(name, [k for k in known if k != name], n=1, cutoff=0.75)
    return f"; did you mean {near[0]}?" if near else ""


def _open_csv(path: Path, findings: Findings, habits: CsvHabits) -> Table:
    raw = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
    if raw.startswith(b"PK\x03\x04"):
        raise ValueError(f"it is a workbook; {AS_CSV}")
    text = raw.decode("utf-8-sig")
    separator = find_separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    header: tuple[str, ...] = ()
    cells: list[list[str]] = []
    rows: list[int] = []
    before, whole = 0, True
    for row in reader:
        line, before = before + 1, reader.line_num  # a quoted cell may span lines: name the first
        if not any(cell and not cell.isspace() for cell in row):
            continue
        if not header:
            header = tuple(cell.strip() for cell in row)
            while not header[-1]:
                header = header[:-1]
            continue
        # Spreadsheets export columns that were once in use.
        while len(row) > len(header) and not row[-1].strip():
            row.pop()
        if len(row) != len(header):
            whole = False
            message = f"row {line}: has {len(row)} cells, the header has {len(header)}"
            findings.add(path.name, "row length", message)
        else:
            cells.append(row)
            rows.append(line)
    # Most files are plain, and large ones are not looked at twice.
    if separator != "," or '"' in text or habits.decimal == ",":
        problem = write_numbers_plainly(header, cells, rows, separator, habits.decimal)
        if problem:
            raise ValueError(problem)
    return Table(path.name, header, np.array(rows, dtype=int), cells, None, whole, habits.dayfirst)


def _open_parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise ValueError(str(error)) from error
    for index, column in enumerate(table.schema):
        # Nanoseconds would come back as a type that only another library knows.
        if pa.types.is_timestamp(column.type):
            zone = "UTC" if column.type.tz else None
            seconds = table.column(index).cast(pa.timestamp("us", tz=zone), safe=False)
            table = table.set_column(index, column.name, seconds)
    columns = tuple(table.column_names)
    typed = {name: table.column(i).to_pylist() for i, name in enumerate(columns)}
    return Table(path.name, columns, np.arange(1, table.num_rows + 1), None, typed)

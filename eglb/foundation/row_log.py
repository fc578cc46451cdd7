"""A file of finished rows, one JSON object a line, that grows as an experiment goes on.

Every row is appended at once and in one write, so that an experiment that was interrupted can be gone on with
and repeats nothing. A last line that was cut off by a crash is dropped when the file is opened again.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from eglb.foundation.errors import InputError
from eglb.foundation.numbers import plain

Row = dict[str, Any]


class RowLog:
    """The rows of `path`, and more of them: a context manager, held by one process at a time.

    Raises
    ------
    InputError : the file cannot be written, another process writes it, or a line is not a row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.rows = self._read()
        except BlockingIOError:
            os.close(self._file)
            raise InputError(f"{path}: another run is writing it") from None
        except BaseException:
            os.close(self._file)
            raise

    def _read(self) -> list[Row]:
        whole, newline, torn = self.path.read_bytes().rpartition(b"\n")
        if torn:
            os.ftruncate(self._file, len(whole) + len(newline))
        rows: list[Row] = []
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise InputError(f"{self.path}: line {number} is not a row: {line[:60]!r}")
            rows.append(row)
        return rows

    def append(self, row: Row) -> None:
        """Add one row, on the disk when this returns."""
        line = json.dumps(plain(row), ensure_ascii=False, allow_nan=False) + "\n"
        try:
            os.write(self._file, line.encode())
            os.fsync(self._file)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror}") from None
        self.rows.append(row)

    def __enter__(self) -> RowLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

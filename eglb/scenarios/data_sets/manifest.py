"""Size and hash of every file of the data directory, and of every public source file that makes them.

Two tables ship with the project. ``files.csv`` lists the files of the data directory: SHA-256 of the bytes,
and of the content, which a file packed anew by another version of a library keeps. There is a second
content where what is built differs from the original by the order of rows that tie (the largest cities), or
by 0.0001 L/kWh in three cells (fuel mixes). ``sources.csv`` lists the source files, each at the commit that
`sets.PINS` gives its repository.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class File:
    """A file of the data directory, `path` relative to it; any of `contents` is as good as its bytes."""

    set_name: str
    path: str
    size: int
    sha256: str
    contents: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A file of a public repository."""

    set_name: str
    repository: str
    path: str
    size: int
    sha256: str


@cache
def files() -> tuple[File, ...]:
    """Every file of the data directory."""
    return tuple(
        File(name, path, int(size), sha256, tuple(contents.split()))
        for name, path, size, sha256, contents in _rows("files.csv")
    )


@cache
def sources() -> tuple[Source, ...]:
    """Every source file, set by set; what two sets need stands twice."""
    return tuple(
        Source(name, repository, path, int(size), sha256)
        for name, repository, path, size, sha256 in _rows("sources.csv")
    )


def _rows(name: str) -> list[list[str]]:
    text = resources.files("eglb.scenarios.data_sets").joinpath(name).read_text("utf-8")
    _, *rows = csv.reader(text.splitlines())
    for row in rows:
        for path in row[1:3]:
            assert not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts, path
    return rows


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises
    ------
    OSError : it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_sha256(path: Path) -> str:
    """SHA-256 of what a file says, however it is compressed: of a table in Parquet, of its columns.

    Raises
    ------
    OSError, pyarrow.ArrowException : it cannot be read.
    """
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return _table_sha256(pq.read_table(path))
    if path.suffix != ".gz":
        return file_sha256(path)
    digest = hashlib.sha256()
    try:
        with gzip.open(path, "rb") as unpacked:
            while chunk := unpacked.read(CHUNK_BYTES):
                digest.update(chunk)
    except EOFError as error:  # cut short
        raise OSError(str(error)) from error
    return digest.hexdigest()


def _table_sha256(table: pa.Table) -> str:
    """Names, types and values of all columns in their order; NaN and missing values are the same."""
    import numpy as np
    import pyarrow as pa

    digest = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        digest.update(f"{name}:{kind}\n".encode())
        if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
            digest.update("\n".join(map(str, column.to_pylist())).encode())
            continue
        values = np.array(column.to_numpy())
        if values.dtype.kind == "f":
            values[np.isnan(values)] = np.nan
        elif values.dtype.kind == "M":
            values = values.astype("datetime64[us]").astype("<i8")
        digest.update(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()

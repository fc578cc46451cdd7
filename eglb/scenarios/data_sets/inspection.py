"""Whether a data directory holds what the manifest says, file by file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eglb.scenarios.data_sets import manifest
from eglb.scenarios.data_sets.manifest import File, content_sha256, file_sha256

State = Literal["ok", "repacked", "missing", "differs", "unreadable"]
FINE: tuple[State, ...] = ("ok", "repacked")
WORKSHOP = ".eglb-fetch"
"""Where `fetching` keeps what is not finished, within the data directory."""


@dataclass(frozen=True)
class Finding:
    """The state of one file: ``repacked`` says the same in other bytes, which is as good as ``ok``.

    `detail` says how it differs, or why it cannot be read.
    """

    file: File
    state: State
    detail: str = ""

    @property
    def fine(self) -> bool:
        """Nothing is wrong with it."""
        return self.state in FINE


def inspect(folder: Path, sets: Collection[str] | None = None) -> list[Finding]:
    """The files of the named sets, or of all, in the manifest's order."""
    return [_inspect(folder, file) for file in manifest.files() if sets is None or file.set_name in sets]


def present(folder: Path, sets: Collection[str] | None = None) -> dict[str, bool]:
    """Whether each file is there, unread: path -> there."""
    return {
        f.path: (folder / f.path).is_file() for f in manifest.files() if sets is None or f.set_name in sets
    }


def unknown(folder: Path) -> list[str]:
    """Files that the manifest does not list, notes (``*.md``) aside, sorted."""
    listed = {file.path for file in manifest.files()}
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(
        path.as_posix()
        for path in found
        if path.as_posix() not in listed and path.suffix != ".md" and path.parts[0] != WORKSHOP
    )


def _inspect(folder: Path, file: File) -> Finding:
    path = folder / file.path
    try:
        if not path.is_file():
            return Finding(file, "missing")
        if file_sha256(path) == file.sha256:
            return Finding(file, "ok")
    except OSError as error:
        return Finding(file, "unreadable", error.strerror or str(error))
    return compare_content(path, file)


def compare_content(path: Path, file: File) -> Finding:
    """``repacked`` if `path` says what `file` says, else how it differs."""
    size = path.stat().st_size
    differing = (
        f"{size:,} bytes instead of {file.size:,}" if size != file.size else "its SHA-256 is another one"
    )
    try:
        same = content_sha256(path) in file.contents
    except Exception as error:  # whatever gzip, zlib or pyarrow think of a damaged file
        return Finding(file, "differs", f"{differing}; damaged: {str(error).splitlines()[0]}")
    return Finding(file, "repacked") if same else Finding(file, "differs", differing)

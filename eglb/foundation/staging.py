"""Output folders, atomic: whole or absent, with JSON and JSON lines in them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eglb.foundation.errors import InputError
from eglb.foundation.numbers import plain


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """An empty folder to write into; it becomes `target` when the block ends well, else it vanishes.

    It stands beside `target`, so that the last step is one rename on one file system. Entering it before any
    work starts is what refuses a target that cannot be written.

    Raises
    ------
    InputError : `target` exists and is not an empty folder, or cannot be created or filled.
    """
    final = Path(target).resolve()
    _refuse_used(target, final)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{final.name}.partial-", dir=final.parent))
    except OSError as error:
        raise InputError(f"{target}: cannot be created: {error.strerror}") from None
    try:
        yield staging
        _refuse_used(target, final)
        with writing(target):
            # mkdtemp makes folders private; results are as readable as the user's other new folders.
            staging.chmod(0o777 & ~_umask())
            os.replace(staging, final)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _refuse_used(target: Path, final: Path) -> None:
    try:
        if final.is_dir() and any(final.iterdir()):
            what = "exists and is not empty"
        elif final.is_dir():
            what = "is a mount point, which no rename can replace" if final.is_mount() else ""
        else:
            what = "exists and is not a folder" if os.path.lexists(final) else ""
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
    if what:
        raise InputError(f"{target}: {what}; name a new folder")


@contextmanager
def writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, value: dict[str, Any]) -> None:
    """One indented JSON object; numbers that are not finite become null."""
    path.write_text(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """One JSON object per line; numbers that are not finite become null."""
    lines = [json.dumps(plain(row), ensure_ascii=False, allow_nan=False) for row in rows]
    path.write_text("".join(line + "\n" for line in lines), "utf-8")

"""Checkpoint journal: what a run would need to go on, on disk, safe from a death at any moment.

A record is a file of its own, `state-ROUND.msgpack`: a magic word, the format's version, the round, the
length of what was written, a BLAKE2b checksum of all this, and what was written. It is written beside its
place, flushed to the disk and renamed, so that under its name it is whole or absent; the last two are kept.
What is torn or changed all the same is detected on reading, and the record before it is used.

One coordinator at a time: the folder is locked while a `Journal` of it is open, and the lock dies with its
process.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar

_MAGIC, _VERSION = b"eglbstat", 2
_HEAD, _CHECKSUM_SIZE = struct.Struct("<8sHQQ"), 32
_KEPT = 2
_PARTIAL = "partial"
_ROUNDS, _SHARE = 10, 0.1


Content = TypeVar("Content")


class JournalError(Exception):
    """A folder cannot be used as a journal; says which and why."""


class OtherVersionError(ValueError):
    """A whole record, written by another version of the program; says which."""


class Journal:
    """The records of one run in `folder`, a new one due after every `every` rounds.

    If `every` is None, after every ten, or as many more as keep the time for writing below a tenth of all.

    A record that cannot be written does not end a run: `warn` hears of the first, and `trouble` says so as
    long as the last one failed. A context manager.

    Raises
    ------
    JournalError : the folder cannot be written, or another coordinator holds it.
    """

    def __init__(self, folder: Path, every: int | None, warn: Callable[[str], None] | None = None) -> None:
        self.every = every
        self.trouble: str | None = None
        """Why there is no record of the last round that was to have one; None if there is."""
        self._folder = folder
        self._last = self._tried = 0
        self._rested_at = -math.inf
        """From when on, on the monotonic clock, another record costs little of the time."""
        self._warn = warn
        self._lock = _locked(folder)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another coordinator have the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def read_last(self, decode: Callable[[bytes], Content]) -> tuple[Content | None, tuple[str, ...]]:
        """The last good record, None if there is none, and what was skipped on the way and why.

        `decode` turns what was written into the content, and refuses it by a ValueError. The next record is
        due from there on.

        Raises
        ------
        JournalError : the folder cannot be read, or holds only what another version of the program wrote.
        """
        round, content, skipped = last_record(self._folder, decode)
        self._last = self._tried = round
        return content, skipped

    def due(self, round: int) -> bool:
        """Whether a record is to be written after `round`."""
        if self.every is not None:
            return round - self._tried >= self.every
        return round - self._tried >= _ROUNDS and time.monotonic() >= self._rested_at

    def write(self, round: int, data: Sequence[bytes]) -> None:
        """Record `data`, in pieces, as what the run would go on from after `round`."""
        self._tried, began = round, time.monotonic()
        try:
            self._replace(round, data)
        except OSError as error:
            first = self.trouble is None
            there_is = f"the last record is of round {self._last}" if self._last else "there is none yet"
            why = error.strerror or str(error)
            self.trouble = f"{self._folder}: nothing could be recorded after round {round}: {why}; {there_is}"
            with suppress(OSError):
                (self._folder / _PARTIAL).unlink()
            if first and self._warn is not None:
                self._warn(self.trouble)
        else:
            self._last, self.trouble = round, None
            with suppress(JournalError):
                self._prune()
        ended = time.monotonic()
        self._rested_at = ended + (ended - began) / _SHARE

    def _replace(self, round: int, data: Sequence[bytes]) -> None:
        partial = self._folder / _PARTIAL
        head = _HEAD.pack(_MAGIC, _VERSION, round, sum(map(len, data)))
        with partial.open("wb") as file:
            file.write(head + _checksum(head, *data))
            file.writelines(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._folder / f"state-{round:08d}.msgpack")
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _prune(self) -> None:
        """Drop all but the last records up to the one just written: others are older, or were torn."""
        found = _files(self._folder)
        keep = [path for round, path in found if round <= self._last][:_KEPT]
        for _, path in found:
            if path not in keep:
                with suppress(OSError):
                    path.unlink()


def last_record(
    folder: Path, decode: Callable[[bytes], Content]
) -> tuple[int, Content | None, tuple[str, ...]]:
    """The round of the last good record, 0 if there is none, and the rest as `Journal.read_last`."""
    skipped, foreign = [], ""
    for round, path in _files(folder):
        try:
            content = decode(read_record(path.read_bytes(), round))
        except OSError as error:
            skipped.append(f"{path}: cannot be read: {error.strerror}")
        except ValueError as error:
            skipped.append(f"{path}: {error}")
            foreign = foreign or (skipped[-1] if isinstance(error, OtherVersionError) else "")
        else:
            return round, content, tuple(skipped)
    if foreign:
        raise JournalError(f"{foreign}: go on with that version, or solve afresh into a new folder")
    return 0, None, tuple(skipped)


def is_held(folder: Path) -> bool:
    """Whether a coordinator uses the journal in `folder` now."""
    try:
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def read_record(content: bytes, round: int) -> bytes:
    """What was written in a record's file.

    Raises
    ------
    OtherVersionError : it is whole, and of another format. ValueError : it is torn, changed, of another round
    or no record at all; says which.
    """
    start = _HEAD.size + _CHECKSUM_SIZE
    if len(content) < start:
        raise ValueError(f"torn: {len(content)} bytes are not even a head")
    magic, version, written_in, length = _HEAD.unpack_from(content)
    if magic != _MAGIC:
        raise ValueError("not a record of a run")
    data = content[start:]
    if len(data) < length:
        raise ValueError(f"torn: {len(data)} of {length} bytes")
    if content[_HEAD.size : start] != _checksum(content[: _HEAD.size], data):
        raise ValueError("changed since it was written: its checksum does not hold")
    if version != _VERSION:
        age = "an older" if version < _VERSION else "a newer"
        said = f"written by {age} version of eglb (format {version}, this one reads {_VERSION})"
        raise OtherVersionError(said)
    if written_in != round:
        raise ValueError(f"it was written after round {written_in}")
    return data


def _checksum(*pieces: bytes) -> bytes:
    found = hashlib.blake2b(digest_size=_CHECKSUM_SIZE)
    for piece in pieces:
        found.update(piece)
    return found.digest()


def _files(folder: Path) -> list[tuple[int, Path]]:
    """The records with their rounds, latest first."""
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise JournalError(f"{folder}: cannot be read: {error.strerror}") from None
    found = []
    for name in names:
        number = name.removeprefix("state-").removesuffix(".msgpack")
        if name == f"state-{number}.msgpack" and number.isascii() and number.isdigit():
            found.append((int(number), folder / name))
    return sorted(found, reverse=True)


def _locked(folder: Path) -> int:
    """A descriptor that holds the lock of `folder`."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise JournalError(f"{folder}: cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise JournalError(f"{folder}: another run is writing its checkpoints there") from None
    except OSError as error:
        os.close(lock)
        raise JournalError(f"{folder}: cannot be locked: {error.strerror}") from None
    return lock

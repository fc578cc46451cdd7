"""Files over HTTP: each whole, of the size and hash the manifest gives it, or not there at all."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from eglb.foundation.errors import InputError
from eglb.scenarios.data_sets.manifest import CHUNK_BYTES, Source, file_sha256
from eglb.scenarios.data_sets.sets import PINS

DEFAULT_MIRROR = "https://raw.githubusercontent.com"
MIRROR_VARIABLE = "EGLB_DATA_MIRROR"
PATIENCE_S = 30.0  # without a byte
PAUSES_S = (0.5, 2.0)  # before each further try
_PASSING = (408, 425, 429, 500, 502, 503, 504)


class RefusedError(Exception):
    """The server answers, but with something else; the message says with what."""


class UnreachableError(Exception):
    """Nothing comes from the server, however often it is asked; the message says why."""


@dataclass(frozen=True)
class Mirror:
    """Where source files are asked for: ``ADDRESS/OWNER/NAME/COMMIT/PATH``, as the public host has them."""

    address: str
    patience_s: float = PATIENCE_S
    pauses_s: tuple[float, ...] = PAUSES_S

    def url(self, source: Source) -> str:
        """The address of one source file."""
        path = quote(f"{source.repository}/{PINS[source.repository]}/{source.path}")
        return f"{self.address.rstrip('/')}/{path}"

    def fetch(self, source: Source, target: Path, tell: Callable[[int], None]) -> None:
        """Put a file at `target`, unless it is there; `tell` hears how many more bytes are there, or fewer.

        An interrupted file is asked for anew: they are a few MB at most.

        Raises
        ------
        RefusedError, UnreachableError : nothing is left at `target` then.
        OSError : it cannot be written.
        """
        if target.is_file() and target.stat().st_size == source.size and file_sha256(target) == source.sha256:
            tell(source.size)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        try:
            for pause in (*self.pauses_s, None):
                told = 0

                def tell_and_count(count: int) -> None:
                    nonlocal told
                    told += count
                    tell(count)

                try:
                    self._receive(source, part, tell_and_count)
                    os.replace(part, target)
                    return
                except UnreachableError:
                    tell(-told)
                    if pause is None:
                        raise
                    time.sleep(pause)
                except RefusedError:
                    tell(-told)
                    raise
        finally:
            part.unlink(missing_ok=True)

    def _receive(self, source: Source, part: Path, tell: Callable[[int], None]) -> None:
        request = urllib.request.Request(
            self.url(source), headers={"Accept-Encoding": "gzip", "User-Agent": "eglb"}
        )
        digest, size = hashlib.sha256(), 0
        try:
            with urllib.request.urlopen(request, timeout=self.patience_s) as answer:
                body = (
                    gzip.GzipFile(fileobj=answer) if answer.headers["Content-Encoding"] == "gzip" else answer
                )
                with part.open("wb") as file:
                    # One byte beyond what is expected is enough to know.
                    while chunk := body.read(min(CHUNK_BYTES, source.size + 1 - size)):
                        size += len(chunk)
                        if size > source.size:
                            raise RefusedError(f"more than the {source.size:,} bytes there should be")
                        digest.update(chunk)
                        _write(file.write, chunk)
                        tell(len(chunk))
        except urllib.error.HTTPError as error:
            kind = UnreachableError if error.code in _PASSING else RefusedError
            raise kind(f"the server answers {error.code} {error.reason}") from None
        except _DiskError as error:
            raise error.cause from None
        except (OSError, http.client.HTTPException, EOFError, zlib.error) as error:
            raise UnreachableError(_said(error)) from None
        if size < source.size:
            raise UnreachableError(f"the connection ended after {size:,} of {source.size:,} bytes")
        if digest.hexdigest() != source.sha256:
            raise RefusedError("its SHA-256 is another one: it is not the file that was pinned")


def mirror_of(address: str | None) -> Mirror:
    """Where sources come from: `address`, else ``$EGLB_DATA_MIRROR``, else the public host.

    Raises
    ------
    InputError : it is no address of HTTP.
    """
    given = address or os.environ.get(MIRROR_VARIABLE) or DEFAULT_MIRROR
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        said = "--mirror" if address else MIRROR_VARIABLE
        raise InputError(f"{said} {given}: is not an address such as {DEFAULT_MIRROR}")
    return Mirror(given)


class _DiskError(Exception):
    """What went wrong writing, told from what went wrong reading from the network."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _write(write: Callable[[bytes], int], chunk: bytes) -> None:
    try:
        write(chunk)
    except OSError as error:
        raise _DiskError(error) from None


def _said(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__

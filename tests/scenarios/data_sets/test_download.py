"""Downloads from a real server: whole and as pinned, or not there; and what is said of one that is not."""

from __future__ import annotations

import hashlib
import random
import socket
from pathlib import Path

import pytest
from support.http_shelf import Answer, Shelf, busy_once, cut_short_once, send, serving, silent

from eglb.foundation.errors import InputError
from eglb.scenarios.data_sets.download import (
    DEFAULT_MIRROR,
    Mirror,
    RefusedError,
    UnreachableError,
    mirror_of,
)
from eglb.scenarios.data_sets.manifest import Source
from eglb.scenarios.data_sets.sets import PINS

REPOSITORY = "alibaba/ServeGen"
BODY = random.Random(0).randbytes(300_000)
PATH = "data/a folder/b&c.csv"
ON_SHELF = f"{REPOSITORY}/{PINS[REPOSITORY]}/{PATH}"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def source(body: bytes = BODY) -> Source:
    return Source("servegen", REPOSITORY, PATH, len(body), hashlib.sha256(body).hexdigest())


def mirror(shelf: Shelf, patience_s: float = 5.0) -> Mirror:
    return Mirror(shelf.address + "/", patience_s, pauses_s=(0.01, 0.01))


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("answer", "tries"),
    [
        (BODY, 1),
        (lambda handler, attempt: send(handler, BODY, packed=True), 1),
        (cut_short_once(BODY), 2),
        (cut_short_once(BODY, packed=True), 2),
        (busy_once(BODY), 2),
    ],
    ids=["plain", "packed", "cut short", "packed and cut short", "busy"],
)
def test_a_file_arrives_whole_even_if_it_takes_another_try(
    tmp_path: Path, answer: Answer, tries: int
) -> None:
    heard: list[int] = []
    with serving({ON_SHELF: answer}) as shelf:
        mirror(shelf).fetch(source(), tmp_path / "got" / "b.csv", heard.append)
    assert (tmp_path / "got" / "b.csv").read_bytes() == BODY
    assert left(tmp_path) == ["b.csv"]
    assert shelf.asked == [ON_SHELF] * tries
    assert sum(heard) == len(BODY)


def test_what_is_there_is_not_asked_for_again_and_what_is_wrong_is(tmp_path: Path) -> None:
    target = tmp_path / "b.csv"
    target.write_bytes(BODY)
    heard: list[int] = []
    with serving({ON_SHELF: BODY}) as shelf:
        mirror(shelf).fetch(source(), target, heard.append)
        assert shelf.asked == [] and sum(heard) == len(BODY)
        target.write_bytes(BODY[:-1] + bytes([BODY[-1] ^ 1]))
        mirror(shelf).fetch(source(), target, heard.append)
        assert shelf.asked == [ON_SHELF]
    assert target.read_bytes() == BODY


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "the server answers 404 Not Found"),
        ({ON_SHELF: BODY[::-1]}, "its SHA-256 is another one"),
        ({ON_SHELF: BODY + b"x"}, "more than the 300,000 bytes there should be"),
    ],
    ids=["absent", "another file", "too long"],
)
def test_another_file_is_refused_at_once_and_nothing_is_kept(
    tmp_path: Path, files: dict[str, Answer], said: str
) -> None:
    heard: list[int] = []
    with serving(files) as shelf:
        with pytest.raises(RefusedError, match=said):
            mirror(shelf).fetch(source(), tmp_path / "b.csv", heard.append)
        assert shelf.asked == [ON_SHELF]
    assert left(tmp_path) == [] and sum(heard) == 0


def test_no_more_is_taken_than_the_manifest_says(tmp_path: Path) -> None:
    taken: list[int] = []

    def endless(handler: object, attempt: int) -> None:
        handler.send_response(200)  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]
        try:
            for _ in range(4000):
                handler.wfile.write(b"x" * 65_536)  # type: ignore[attr-defined]
                taken.append(65_536)
        except OSError:
            return

    with (
        serving({ON_SHELF: endless}) as shelf,
        pytest.raises(RefusedError, match="more than the 300,000 bytes"),
    ):
        mirror(shelf).fetch(source(), tmp_path / "b.csv", lambda count: None)
    assert sum(taken) < 100_000_000  # what the sockets hold, not the 262 MB on offer
    assert left(tmp_path) == []


def test_a_server_that_says_nothing_is_given_up_after_every_try(tmp_path: Path) -> None:
    with serving({ON_SHELF: silent(1.0)}) as shelf:
        with pytest.raises(UnreachableError, match="no answer in time"):
            mirror(shelf, patience_s=0.1).fetch(source(), tmp_path / "b.csv", lambda count: None)
        assert shelf.asked == [ON_SHELF] * 3
    assert left(tmp_path) == []


def test_a_server_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with socket.socket() as held:  # a port nobody listens at
        held.bind(("127.0.0.1", 0))
        nowhere = Mirror(f"http://127.0.0.1:{held.getsockname()[1]}", 1.0, (0.01,))
        with pytest.raises(UnreachableError, match="Connection refused"):
            nowhere.fetch(source(), tmp_path / "b.csv", lambda count: None)
    assert left(tmp_path) == []


def test_a_full_disk_is_no_fault_of_the_network(tmp_path: Path) -> None:
    target = tmp_path / "b.csv"
    (tmp_path / "b.csv.part").symlink_to("/dev/full")
    with serving({ON_SHELF: BODY}) as shelf, pytest.raises(OSError, match="No space left"):
        mirror(shelf).fetch(source(), target, lambda count: None)
    assert shelf.asked == [ON_SHELF] and left(tmp_path) == []


def test_where_sources_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EGLB_DATA_MIRROR", raising=False)
    assert mirror_of(None).address == DEFAULT_MIRROR
    assert (
        mirror_of(None).url(source())
        == f"{DEFAULT_MIRROR}/{REPOSITORY}/{PINS[REPOSITORY]}/data/a%20folder/b%26c.csv"
    )
    monkeypatch.setenv("EGLB_DATA_MIRROR", "http://here.example:8000/x")
    assert mirror_of(None).address == "http://here.example:8000/x"
    assert mirror_of("https://there.example").address == "https://there.example"


@pytest.mark.parametrize(
    "address", ["ftp://x.example", "x.example", "file:" + "/" * 3 + "etc", "http://", "http://x/?a=b"]
)
def test_a_mirror_speaks_http(address: str) -> None:
    with pytest.raises(InputError, match="is not an address such as"):
        mirror_of(address)

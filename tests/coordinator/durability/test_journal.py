"""The journal on real disks: whole or absent, torn or flipped is told from good, one writer at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eglb.coordinator.durability import journal as journal_module
from eglb.coordinator.durability.journal import Journal, JournalError, read_record

TEXT = bytes(range(256)) * 3


def text(data: bytes) -> bytes:
    """Content is the bytes themselves."""
    return data


def filled(folder: Path, *rounds: int) -> Path:
    """A folder with the records of some rounds, one after the other."""
    with Journal(folder, 10) as journal:
        for number in rounds:
            journal.write(number, [b"%d " % number + TEXT])
        assert journal.trouble is None
    return folder


def last_of(folder: Path) -> tuple[bytes | None, tuple[str, ...]]:
    with Journal(folder, 10) as journal:
        return journal.read_last(text)


def record(folder: Path, number: int) -> Path:
    return folder / f"state-{number:08d}.msgpack"


def test_the_last_two_are_kept_and_the_last_is_read(tmp_path: Path) -> None:
    filled(tmp_path, 10, 20, 30, 41)
    assert sorted(os.listdir(tmp_path)) == ["lock", record(tmp_path, 30).name, record(tmp_path, 41).name]
    assert last_of(tmp_path) == (b"41 " + TEXT, ())


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert last_of(tmp_path) == (None, ())


def test_records_are_due_every_so_many_rounds_from_where_the_run_goes_on(tmp_path: Path) -> None:
    with Journal(tmp_path, 10) as journal:
        assert next(r for r in range(1, 25) if journal.due(r)) == 10
        journal.write(12, [TEXT])
        assert not journal.due(21) and journal.due(22)
    with Journal(tmp_path, 10) as journal:
        journal.read_last(text)
        assert not journal.due(21) and journal.due(22)


def test_left_to_itself_it_takes_a_tenth_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, times = 0.0, iter([100.0, 102.0])  # a write of two seconds
    monkeypatch.setattr(time, "monotonic", lambda: next(times, now))
    with Journal(tmp_path, None) as journal:
        journal.write(10, [TEXT])
        now = 121.9
        assert not journal.due(500)
        now = 122.1
        assert journal.due(500) and not journal.due(19)


def test_every_truncation_falls_back_to_the_one_before(tmp_path: Path) -> None:
    filled(tmp_path, 10, 20)
    whole = record(tmp_path, 20).read_bytes()
    with Journal(tmp_path, 10) as journal:
        for length in range(len(whole)):
            record(tmp_path, 20).write_bytes(whole[:length])
            content, skipped = journal.read_last(text)
            assert content == b"10 " + TEXT
            assert len(skipped) == 1 and str(record(tmp_path, 20)) in skipped[0] and "torn" in skipped[0]
        record(tmp_path, 20).write_bytes(whole)
        assert journal.read_last(text) == (b"20 " + TEXT, ())


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    filled(tmp_path, 20)
    whole = record(tmp_path, 20).read_bytes()
    for at in range(len(whole)):
        for bit in (1, 128):
            flipped = bytearray(whole)
            flipped[at] ^= bit
            with pytest.raises(ValueError, match=r"torn|changed|not a record|format"):
                read_record(bytes(flipped), 20)
    with pytest.raises(ValueError, match="changed"):
        read_record(whole + b"\0", 20)
    assert read_record(whole, 20) == b"20 " + TEXT


def test_swapped_emptied_and_foreign_files_are_skipped_and_named(tmp_path: Path) -> None:
    filled(tmp_path, 10, 20)
    os.replace(record(tmp_path, 20), tmp_path / "aside")
    os.replace(record(tmp_path, 10), record(tmp_path, 20))
    os.replace(tmp_path / "aside", record(tmp_path, 10))
    record(tmp_path, 30).write_bytes(b"")
    record(tmp_path, 40).write_bytes(b"a spreadsheet, by mistake" * 9)
    record(tmp_path, 50).mkdir()
    content, skipped = last_of(tmp_path)
    assert content is None
    reasons = ["a directory", "not a record", "torn", "after round 10", "after round 20"]
    assert len(skipped) == 5
    assert all(why in line.lower() for why, line in zip(reasons, skipped, strict=True))


def test_what_the_reader_refuses_is_skipped_too(tmp_path: Path) -> None:
    filled(tmp_path, 10, 20)

    def picky(data: bytes) -> bytes:
        if data.startswith(b"20"):
            raise ValueError("of another scenario")
        return data

    with Journal(tmp_path, 10) as journal:
        content, skipped = journal.read_last(picky)
    assert content == b"10 " + TEXT and "of another scenario" in skipped[0]


def test_records_of_another_version_are_refused_and_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(journal_module, "_VERSION", 1)
        filled(tmp_path, 10, 20)
    kept = sorted(os.listdir(tmp_path))
    with pytest.raises(JournalError, match=r"state-00000020.*written by an older version of eglb"):
        last_of(tmp_path)
    assert sorted(os.listdir(tmp_path)) == kept
    filled(tmp_path, 30)
    assert last_of(tmp_path)[0] == b"30 " + TEXT


def test_the_next_record_clears_what_was_torn_and_what_was_left_half_written(tmp_path: Path) -> None:
    filled(tmp_path, 10, 20)
    record(tmp_path, 20).write_bytes(b"torn")
    (tmp_path / "partial").write_bytes(b"half")
    with Journal(tmp_path, 5) as journal:
        assert journal.read_last(text)[0] == b"10 " + TEXT
        journal.write(15, [b"15"])
    assert sorted(os.listdir(tmp_path)) == ["lock", record(tmp_path, 10).name, record(tmp_path, 15).name]
    assert last_of(tmp_path) == (b"15", ())


def test_two_coordinators_cannot_share_a_folder(tmp_path: Path) -> None:
    with Journal(tmp_path, 10), pytest.raises(JournalError, match="another run"):
        Journal(tmp_path, 10)
    Journal(tmp_path, 10).close()


def test_a_folder_that_is_not_there_or_not_one_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(JournalError, match=folder.name):
            Journal(folder, 10)


KILLED = """
import os, sys, signal
from pathlib import Path
from eglb.coordinator.durability import journal as journal_module
from eglb.coordinator.durability.journal import Journal
journal = Journal(Path(sys.argv[1]), 1)
print("ready", flush=True)
n = 0
while True:
    n += 1
    journal.write(n, [b"%d" % n * 200_000])
    print(n, flush=True)
"""


def test_a_killed_writer_leaves_a_good_record_and_no_lock(tmp_path: Path) -> None:
    for attempt in range(4):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        writer = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(6 + 3 * attempt)]
        writer.send_signal(signal.SIGKILL)
        said += writer.stdout.readlines()
        writer.wait()
        writer.stdout.close()
        content, skipped = last_of(folder)
        finished = int(said[-1])
        assert content in (b"%d" % finished * 200_000, b"%d" % (finished + 1) * 200_000)
        assert skipped == ()


FULL = """
import resource, signal, sys
from pathlib import Path
from eglb.coordinator.durability import journal as journal_module
from eglb.coordinator.durability.journal import Journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
said = []
with Journal(Path(sys.argv[1]), 10, said.append) as journal:
    journal.write(10, [b"x" * 1000])
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
    for n in (20, 30):
        journal.write(n, [b"x" * 100_000])
    print(len(said), said[0])
    print(journal.trouble)
    print(journal.due(39), journal.due(40))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
    journal.write(40, [b"y" * 100_000])
    print(journal.trouble, len(said))
"""


def test_a_full_disk_is_said_once_and_does_not_end_the_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    first, trouble, due, after = done.stdout.splitlines()
    assert (
        first.startswith("1 ") and "after round 20: File too large; the last record is of round 10" in first
    )
    assert "after round 30" in trouble and "round 10" in trouble
    assert due == "False True" and after == "None 1"
    assert last_of(tmp_path) == (b"y" * 100_000, ())
    assert not (tmp_path / "partial").exists()

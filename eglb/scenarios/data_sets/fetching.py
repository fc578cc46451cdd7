"""From public sources to the files of the data directory: download, build, compare, move into place."""

from __future__ import annotations

import importlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import Literal, Protocol

from eglb.foundation.errors import InputError
from eglb.scenarios.data_sets import manifest
from eglb.scenarios.data_sets.download import Mirror, RefusedError, UnreachableError
from eglb.scenarios.data_sets.inspection import WORKSHOP, compare_content, inspect
from eglb.scenarios.data_sets.manifest import Source
from eglb.scenarios.data_sets.sets import DataSet, with_needs
from eglb.scenarios.data_sets.text_tables import Sources

AT_ONCE = 6
Outcome = Literal["fetched", "present", "by hand"]


@dataclass(frozen=True)
class Fetched:
    """What became of one set: there before, fetched and built, or left as nothing can build it."""

    data_set: DataSet
    outcome: Outcome
    source_bytes: int = 0
    seconds: float = 0.0


class Watcher(Protocol):
    """Hears of a fetch while it goes on."""

    def begin(self, name: str, doing: str, size: int) -> None:
        """A set starts: `doing` says what, `size` how many bytes there are to come."""

    def more(self, count: int) -> None:
        """So many more bytes are there."""


def fetch(folder: Path, sets: Sequence[DataSet], mirror: Mirror, watcher: Watcher) -> list[Fetched]:
    """Have the files of `sets`, and of what they are built from, in `folder`.

    A set whose files are all there is left alone. Downloads are kept until their set is built, so that a
    fetch that was interrupted goes on; files are moved into place when all of their set are what the manifest
    says.

    Raises
    ------
    InputError : what could not be fetched, built or written, of all sets at once; the others are in place.
    """
    wanted = with_needs(sets)
    _refuse_links_outside(folder, wanted)
    workshop = folder / WORKSHOP
    done, problems, failed = [], [], set[str]()
    try:
        for place, each in enumerate(wanted):
            if all(finding.fine for finding in inspect(folder, {each.name})):
                done.append(Fetched(each, "present"))
            elif each.builder is None:
                done.append(Fetched(each, "by hand"))
            elif lacking := [need for need in each.needs if need in failed]:
                failed.add(each.name)
                problems.append(f"{each.name}: is built from {', '.join(lacking)}")
            else:
                try:
                    done.append(_fetch_set(folder, each, mirror, watcher))
                    _drop_sources(workshop, each, wanted[place + 1 :])
                except InputError as error:
                    failed.add(each.name)
                    problems += error.problems
    except UnreachableError as error:
        problems.append(
            f"{error}. Is there a network? A proxy is taken from $https_proxy; a copy of the sources "
            "elsewhere from --mirror URL or $EGLB_DATA_MIRROR. What has arrived is kept: the same command "
            "goes on from there"
        )
    except OSError as error:
        problems.append(f"{error.filename or folder}: cannot be written: {error.strerror or error}")
    if problems:
        raise InputError(problems)
    shutil.rmtree(workshop, ignore_errors=True)
    return done


def source_files(each: DataSet) -> list[Source]:
    """What has to be downloaded for a set."""
    return [source for source in manifest.sources() if source.set_name == each.name]


def _fetch_set(folder: Path, each: DataSet, mirror: Mirror, watcher: Watcher) -> Fetched:
    began = time.monotonic()
    files = source_files(each)
    size = sum(source.size for source in files)
    sources = Sources(folder / WORKSHOP / "sources")
    if files:
        watcher.begin(each.name, f"{len(files)} source file{'s' if len(files) > 1 else ''}", size)
        _download(each, files, sources, mirror, watcher.more)
    watcher.begin(each.name, "building", 0)
    made = folder / WORKSHOP / "made" / each.name
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    build: Callable[[Sources, Path, Path], None]
    build = importlib.import_module(f"eglb.scenarios.data_sets.builders.{each.builder}").build
    build(sources, folder, made)
    wrong = []
    listed = [file for file in manifest.files() if file.set_name == each.name]
    for file in listed:
        found = compare_content(made / file.path, file)
        if not found.fine:
            wrong.append(
                f"{file.path}: built, but not what the manifest says: {found.detail}; it was not kept"
            )
    if wrong:
        raise InputError(wrong)
    for file in listed:
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(made / file.path, target)
    return Fetched(each, "fetched", size, time.monotonic() - began)


def _drop_sources(workshop: Path, built: DataSet, later: Sequence[DataSet]) -> None:
    """Delete the downloads of a set, less those that others still need."""
    needed = {(source.repository, source.path) for each in later for source in source_files(each)}
    sources = Sources(workshop / "sources")
    for source in source_files(built):
        if (source.repository, source.path) not in needed:
            sources.path(source.repository, source.path).unlink()


def _download(
    each: DataSet, files: list[Source], sources: Sources, mirror: Mirror, tell: Callable[[int], None]
) -> None:
    """All source files of a set, some at a time.

    Raises
    ------
    InputError : every file that the server has not, or has otherwise.
    UnreachableError : the server does not answer.
    """
    problems: dict[str, str] = {}
    lock, stop = Lock(), Event()

    def tell_one_at_a_time(count: int) -> None:
        # Where one finds nobody there, or the user has had enough, the others need not go on trying.
        if stop.is_set():
            raise UnreachableError("given up")
        with lock:
            tell(count)

    def one(source: Source) -> None:
        try:
            mirror.fetch(source, sources.path(source.repository, source.path), tell_one_at_a_time)
        except RefusedError as error:
            problems[source.path] = f"{each.name}: {mirror.url(source)}: {error}"
        except UnreachableError as error:
            raise UnreachableError(f"{each.name}: {mirror.url(source)}: {error}") from None

    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fetch")
    try:
        jobs = [pool.submit(one, source) for source in files]
        over, _ = wait(jobs, return_when=FIRST_EXCEPTION)
        for job in over:
            job.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
    if problems:
        raise InputError(problems[source.path] for source in files if source.path in problems)


def _refuse_links_outside(folder: Path, sets: Sequence[DataSet]) -> None:
    """Raises InputError for every file that a link would lead out of `folder`."""
    root, names = folder.resolve(), {each.name for each in sets}
    targets = [file.path for file in manifest.files() if file.set_name in names] + [WORKSHOP]
    out = [path for path in targets if not (folder / path).resolve().is_relative_to(root)]
    if out:
        raise InputError(
            f"{folder / path}: leads out of {folder} by a link; nothing was fetched" for path in out
        )

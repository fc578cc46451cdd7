"""The folder of ``--checkpoint``: all that another coordinator needs to go on with a solve.

    options.json      what was asked for: algorithm, gap, limits, where the agents run
    scenario/         the fleet itself, a scenario folder of Parquet tables
    state-*.msgpack   what is kept after some round (`eglb.coordinator.durability.resumption`), the last two
    lock              held while a run writes here

Every state carries the fingerprint of the scenario, and is used with no other.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from eglb.coordinator.durability.journal import Journal, JournalError, is_held, last_record
from eglb.coordinator.durability.resumption import RunState, capture, pack, resume, unpack
from eglb.foundation.errors import InputError
from eglb.foundation.numbers import duration, small
from eglb.foundation.staging import staged_folder
from eglb.planning.progress import RoundRecord
from eglb.scenarios.folder import reading
from eglb.scenarios.folder.writing import save
from eglb.scenarios.scenario import Scenario

if TYPE_CHECKING:
    from eglb.coordinator.algorithms.reroute import Method
    from eglb.coordinator.fleet.fleet import Fleet
    from eglb.coordinator.market.market import Market
    from eglb.coordinator.run import Run

_OPTIONS, _SCENARIO = "options.json", "scenario"
_COLUMNS = [column.name for column in fields(RoundRecord)]


_STRICT = {"strict": True, "extra": "forbid", "allow_inf_nan": False}
"""How pydantic reads what follows."""


@dataclass(frozen=True)
class SolveOptions:
    """The arguments of `eglb.solve` that a resumed run takes over unless it is told otherwise."""

    __pydantic_config__: ClassVar = _STRICT

    algorithm: str
    gap: float
    max_rounds: int | None
    time_limit: float | None
    address: str
    regions_per_actor: int | None
    deadline: float
    without: tuple[str, ...] = ()

    def changed(self, changes: dict[str, Any]) -> dict[str, Any]:
        """As arguments, with some of them replaced.

        Raises
        ------
        InputError : some cannot be.
        """
        told = asdict(self)
        if "without" in changes:
            raise InputError("regions are drained and admitted by orders, not by resuming without them")
        if unknown := [name for name in changes if name not in told]:
            raise InputError(
                f"{name} cannot be changed on the way; {', '.join(told)} can" for name in unknown
            )
        return told | changes


@dataclass(frozen=True)
class _Settings:
    """options.json."""

    __pydantic_config__: ClassVar = _STRICT

    format: Literal[1]
    fingerprint: str
    every: int | None
    options: SolveOptions


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint folder in use.

    `kept` is what the run goes on from, None where it starts afresh; `skipped` says which states could not be
    used and why.
    """

    folder: Path
    scenario: Scenario
    options: SolveOptions
    journal: Journal
    fingerprint: str
    kept: RunState | None = None
    skipped: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line on where the run stands."""
        if self.kept is None:
            return f"{self.folder}: no state was kept yet, so this starts afresh"
        best = self.kept.incumbent
        gap = f"gap {small(best.gap)}" if best.route is not None else "no plan yet"
        return f"going on after round {self.kept.round}, {duration(self.kept.seconds)}, {gap}"

    @property
    def trace(self) -> list[RoundRecord]:
        """The rounds up to `kept`."""
        return [] if self.kept is None else _rows(self.kept.trace)

    def resume(self, market: Market, fleet: Fleet, method: Method, options: SolveOptions) -> Run:
        """The run that was kept, wanted with `options` now."""
        assert self.kept is not None
        same_method = options.algorithm == self.options.algorithm
        return resume(self.kept, market, fleet, method, options.gap, same_method)

    def record(self, run: Run, trace: Sequence[RoundRecord], last: bool = False) -> None:
        """Keep `run`, if that is due or it was the `last` round; see `Journal.write`."""
        round = run.fleet.traffic.rounds
        if self.journal.due(round) or last:
            self.journal.write(round, pack(capture(run, _columns(trace)), self.fingerprint))


@contextmanager
def open_checkpoint(
    folder: Path,
    scenario: Scenario,
    options: SolveOptions,
    every: int | None,
    warn: Callable[[str], None] | None = None,
) -> Iterator[Checkpoint]:
    """A new checkpoint folder, for a run that starts; `warn` hears of the first state that cannot be written.

    Raises
    ------
    InputError : the folder is in use, or cannot be written.
    """
    if os.path.isfile(folder / _OPTIONS):
        raise InputError(
            f"{folder}: holds the checkpoint of another run; `eglb solve --resume {folder}` goes on with it, "
            "a new run needs a new folder"
        )
    fingerprint = fingerprint_of(scenario)
    settings = _Settings(format=1, fingerprint=fingerprint, every=every, options=options)
    with staged_folder(folder) as staging:
        save(scenario, staging / _SCENARIO, suffix=".parquet")
        try:
            (staging / _OPTIONS).write_text(json.dumps(asdict(settings), indent=2) + "\n", "utf-8")
            for path in (*staging.rglob("*"), staging):
                _flush(path)
        except OSError as error:
            raise InputError(f"{folder}: cannot be written: {error.strerror}") from None
    with _journal(folder, every, warn) as journal:
        yield Checkpoint(folder, scenario, options, journal, fingerprint)


@contextmanager
def resume_checkpoint(folder: Path, warn: Callable[[str], None] | None = None) -> Iterator[Checkpoint]:
    """The checkpoint folder of a run that died or was stopped.

    Raises
    ------
    InputError : it is none, is in use, or its scenario was changed.
    """
    settings = _read_settings(folder)
    scenario = reading.read(folder / _SCENARIO)
    if fingerprint_of(scenario) != settings.fingerprint:
        raise InputError(
            f"{folder / _SCENARIO}: was changed since the run began, whose states are of another problem; "
            f"`eglb solve {folder / _SCENARIO}` solves it afresh"
        )
    with _journal(folder, settings.every, warn) as journal:
        try:
            kept, skipped = journal.read_last(lambda data: _unpack(data, settings.fingerprint))
        except JournalError as error:
            raise InputError(str(error)) from None
        if warn is not None:
            for line in skipped:
                warn(f"not used: {line}")
        yield Checkpoint(folder, scenario, settings.options, journal, settings.fingerprint, kept, skipped)


@dataclass(frozen=True, eq=False)
class Glimpse:
    """A checkpoint folder seen from outside: what was kept last, and whether a run is `held` there now."""

    folder: Path
    scenario: Scenario
    options: SolveOptions
    kept: RunState | None
    held: bool


def glimpse(folder: Path) -> Glimpse:
    """What is in a checkpoint folder, which may be in use.

    Raises
    ------
    InputError : it is none.
    """
    settings = _read_settings(folder)
    scenario = reading.read(folder / _SCENARIO)
    try:
        _, kept, _ = last_record(folder, lambda data: _unpack(data, settings.fingerprint))
    except JournalError as error:
        raise InputError(str(error)) from None
    return Glimpse(folder, scenario, settings.options, kept, is_held(folder))


@contextmanager
def in_use(
    checkpoint: str | Path | Checkpoint | None,
    scenario: Scenario,
    options: SolveOptions,
    every: int | None,
    warn: Callable[[str], None] | None,
) -> Iterator[Checkpoint | None]:
    """A new checkpoint folder if one is named; one in use, or none, as it is."""
    if isinstance(checkpoint, (str, Path)):
        with open_checkpoint(Path(checkpoint), scenario, options, every, warn) as opened:
            yield opened
    else:
        yield checkpoint


def _unpack(data: bytes, fingerprint: str) -> RunState:
    kept = unpack(data, fingerprint)
    if list(kept.trace) != _COLUMNS or not all(isinstance(c, np.ndarray) for c in kept.trace.values()):
        raise ValueError("of another version: its rounds are told otherwise")
    return kept


def _columns(trace: Sequence[RoundRecord]) -> dict[str, np.ndarray]:
    """Many small objects less to keep than rows."""
    return {name: np.array([getattr(row, name) for row in trace]) for name in _COLUMNS}


def _rows(columns: Mapping[str, np.ndarray]) -> list[RoundRecord]:
    return [RoundRecord(*row) for row in zip(*(columns[name].tolist() for name in _COLUMNS), strict=True)]


def fingerprint_of(scenario: Scenario) -> str:
    """A checksum of all that a plan of `scenario` depends on."""
    s, found = scenario, hashlib.blake2b(digest_size=16)
    names = [s.regions, s.gateways, s.slot_hours]
    arrays = [s.times.astype("datetime64[s]").astype(np.int64), s.reach_gateway, s.reach_region]
    arrays += [s.pue, s.capacity, s.demand, s.price]
    for kind in s.footprints:
        names.append((kind.name, kind.weight, kind.per, str(kind.shape)))
        arrays += [kind.intensity, kind.region_weight]
    found.update(json.dumps(names).encode())
    for array in arrays:
        wide = array.astype("<i8" if array.dtype.kind == "i" else "<f8", order="C")
        found.update(json.dumps(wide.shape).encode())
        found.update(wide.tobytes())
    return found.hexdigest()


def _read_settings(folder: Path) -> _Settings:
    from pydantic import TypeAdapter, ValidationError

    path = folder / _OPTIONS
    try:
        return TypeAdapter(_Settings).validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{folder}: holds no checkpoint: there is no {_OPTIONS} in it") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise InputError(
            f"{path}: {'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}"
            for each in error.errors()
        ) from None


@contextmanager
def _journal(folder: Path, every: int | None, warn: Callable[[str], None] | None) -> Iterator[Journal]:
    try:
        journal = Journal(folder, every, warn)
    except JournalError as error:
        raise InputError(str(error)) from None
    with journal:
        yield journal


def _flush(path: Path) -> None:
    """Have a file or folder on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)

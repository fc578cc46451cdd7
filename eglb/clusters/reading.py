"""A YAML file as documents in which every value knows where it stands, whatever is wrong with it."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from eglb.foundation.errors import InputError

MAX_BYTES = 2**20
MAX_VALUES = 100_000
"""Far more than any launch file holds; a few lines of nested YAML aliases can stand for billions."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlevel = 3


def shown(value: object) -> str:
    """A value for a message: short, whatever it is."""
    return _SHORT.repr(value)


@dataclass(frozen=True)
class Place:
    """A value in a file and where it stands.

    What is asked of it and is not there, or of another type, is empty: a wrong file is looked at to its end.
    """

    file: str
    value: Any
    keys: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        """The key path, such as ``spec.workerGroupSpecs[0].labels``."""
        path = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.keys)
        return path.removeprefix(".")

    def at(self, *keys: str | int) -> Place:
        """What stands below, under these keys one after another; its value is None if nothing does."""
        place = self
        for key in keys:
            inner = place.value
            known = isinstance(inner, list) if isinstance(key, int) else isinstance(inner, dict)
            there = known and (key < len(inner) if isinstance(key, int) else key in inner)
            place = Place(self.file, inner[key] if there else None, (*place.keys, key))
        return place

    def below(self) -> list[Place]:
        """The values of a mapping or a list, each in its place."""
        if isinstance(self.value, dict):
            return [Place(self.file, inner, (*self.keys, str(key))) for key, inner in self.value.items()]
        return [self.at(number) for number in range(len(self.value))] if isinstance(self.value, list) else []

    def texts(self) -> Iterator[Place]:
        """All strings in and below this place."""
        if isinstance(self.value, str):
            yield self
        for place in self.below():
            yield from place.texts()

    @property
    def there(self) -> bool:
        return self.value is not None

    @property
    def key(self) -> str:
        """The last key of the path."""
        return str(self.keys[-1]) if self.keys else ""

    @property
    def mapping(self) -> dict[Any, Any]:
        return self.value if isinstance(self.value, dict) else {}

    @property
    def text(self) -> str:
        return self.value if isinstance(self.value, str) else ""

    @property
    def whole(self) -> int | None:
        """The whole number, if it is one."""
        return self.value if isinstance(self.value, int) and not isinstance(self.value, bool) else None


@dataclass
class Findings:
    """What is wrong with a file, and what is only worth knowing, each said once."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def wrong(self, place: Place, what: str) -> None:
        """`what` follows the place in the message."""
        self._add(self.problems, place, what)

    def note(self, place: Place, what: str) -> None:
        self._add(self.notes, place, what)

    @staticmethod
    def _add(to: list[str], place: Place, what: str) -> None:
        message = f"{place.file}: {place}: {what}" if place.keys else f"{place.file}: {what}"
        if message not in to:
            to.append(message)


def read_documents(path: Path, findings: Findings) -> list[Place]:
    """The documents of a YAML file, all but empty ones.

    Raises
    ------
    InputError : it cannot be read, or is not YAML.
    """
    name, text = str(path), _text(path)
    documents = []
    try:
        loader = yaml.SafeLoader(text)
        while loader.check_node():
            node = loader.get_node()
            _look_for_repeated_keys(node, name, findings)
            if _count(node, {}) > MAX_VALUES:
                raise InputError(f"{name}: its aliases stand for more than {MAX_VALUES:,} values")
            value = loader.construct_document(node)
            if value is not None:
                documents.append(Place(name, value))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(f"{name}: {where}is not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{name}: is not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise InputError(f"{name}: is nested too deeply for a launch file") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        # A value that does not fit its YAML type, such as the 13th month, or !!int in front of a word.
        raise InputError(f"{name}: is not YAML: a value does not fit its type") from None
    if not documents:
        raise InputError(f"{name}: is empty")
    return documents


def _text(path: Path) -> str:
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name the file in it")
    try:
        with path.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > MAX_BYTES:
        raise InputError(f"{path}: is larger than 1 MiB, which no launch file is")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not text: byte {error.start + 1} is not UTF-8") from None


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for, aliases written out; too many to bear if it contains itself."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MAX_VALUES + 1  # until it is known: met again below, it contains itself
    inner = [n for pair in node.value for n in pair] if isinstance(node, yaml.MappingNode) else node.value
    count = 1 + (sum(_count(n, known) for n in inner) if isinstance(inner, list) else 0)
    known[id(node)] = count
    return count


def _look_for_repeated_keys(node: yaml.Node, name: str, findings: Findings) -> None:
    """A key that stands twice in a mapping: YAML readers keep the last, and nobody is told."""
    seen_nodes: set[int] = set()
    pending: list[tuple[yaml.Node, tuple[str | int, ...]]] = [(node, ())]
    while pending:
        current, keys = pending.pop()
        if id(current) in seen_nodes:
            continue
        seen_nodes.add(id(current))
        if isinstance(current, yaml.SequenceNode):
            pending += [(inner, (*keys, number)) for number, inner in enumerate(current.value)]
        elif isinstance(current, yaml.MappingNode):
            seen: set[str] = set()
            for key, inner in current.value:
                here = (*keys, str(key.value)[:80])
                if isinstance(key, yaml.ScalarNode) and key.value in seen:
                    line = key.start_mark.line + 1
                    findings.wrong(Place(name, None, here), f"stands twice, the second time in line {line}")
                seen.add(str(key.value))
                pending.append((inner, here))

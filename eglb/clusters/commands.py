"""Shell commands of launch files: what they start Ray with, and what they install."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from eglb.clusters.reading import Findings, Place

_BETWEEN = set(";&|()\n")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_ARM = re.compile(r"([\w.:-]+)[\s\"'*]*\)\s*([A-Za-z_]\w*)=[\"']?([\w.-]+)")
_PINNED = re.compile(r"(?<![\w./-])ray(?:\[[\w,\s-]*\])?\s*(===?|~=|[<>!]=?)\s*([\w.*]+)")
_UNPINNED = re.compile(r"ray(\[[\w,\s-]*\])?")
_RAY_WHEEL = re.compile(r"(?<![\w.-])ray-(\d[\w.]*?)-")


def simple_commands(text: str) -> list[list[str]]:
    """The words of every command in a line of shell, quotes taken away; roughly, where it is not shell."""
    lexer = shlex.shlex(text.replace("\n", " ; "), posix=True, punctuation_chars="".join(_BETWEEN))
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError:  # a quote that is never closed
        words = text.split()
    found: list[list[str]] = [[]]
    for word in words:
        if set(word) <= _BETWEEN:
            found.append([])
        else:
            found[-1].append(word)
    return [command for command in found if command]


@dataclass(frozen=True)
class Start:
    """A ``ray start``: its options, and what it is given in the environment."""

    place: Place
    options: Mapping[str, str]
    environment: Mapping[str, str]

    @property
    def labels(self) -> dict[str, str]:
        pairs = (pair.partition("=") for pair in self.options.get("--labels", "").strip("\"'").split(","))
        return {key.strip(): value.strip().strip("\"'") for key, equals, value in pairs if equals}


def ray_starts(commands: Place) -> list[Start]:
    """Every ``ray start`` among commands."""
    found = []
    for place in commands.below():
        exported: dict[str, str] = {}
        for words in simple_commands(place.text):
            before: dict[str, str] = {}
            rest = list(words)
            while rest and (match := _ASSIGNMENT.fullmatch(rest[0])):
                before[match[1]] = match[2]
                rest.pop(0)
            if rest[:1] == ["export"]:
                exported |= {m[1]: m[2] for word in rest[1:] if (m := _ASSIGNMENT.fullmatch(word))}
            elif rest[:2] == ["ray", "start"]:
                found.append(Start(place, _options(rest[2:]), exported | before))
    return found


def _options(words: list[str]) -> dict[str, str]:
    options = {}
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            following = words[number + 1] if number + 1 < len(words) else ""
            options[name] = value if equals or following.startswith("--") else following
    return options


def chosen_by_address(text: str, variable: str) -> dict[str, str]:
    """What a shell ``case`` sets `variable` to, by the address it looks for."""
    return {address: value for address, name, value in _ARM.findall(text) if name == variable}


def installs_eglb(commands: Place) -> Place | None:
    """The command that installs the project's wheel, if there is one."""
    for place in commands.below():
        for words in simple_commands(place.text):
            if "install" in words and any(re.match(r"eglb(-|\[|==|$)", w.rsplit("/", 1)[-1]) for w in words):
                return place
    return None


def check_installed_ray(place: Place, pin: str, findings: Findings) -> int:
    """How many versions of Ray a command names; another than `pin` is wrong, and so is installing any."""
    named = 0
    for equals, version in _PINNED.findall(place.text):
        named += 1
        if equals not in ("==", "===") or version != pin:
            findings.wrong(place, f"'ray{equals}{version}' is not the Ray of this project: ray=={pin}")
    for version in _RAY_WHEEL.findall(place.text):
        named += 1
        if version != pin:
            findings.wrong(place, f"'ray-{version}' is not the Ray of this project, {pin}")
    for words in simple_commands(place.text):
        if "install" in words and (loose := [word for word in words if _UNPINNED.fullmatch(word)]):
            findings.wrong(place, f"installs {loose[0]} without a version: write {loose[0]}=={pin}")
    return named

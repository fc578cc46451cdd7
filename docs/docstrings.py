"""Extension of griffe: docstrings of the house as Markdown. Sections become bold words, parameters a list."""

from __future__ import annotations

import re
from typing import Any

import griffe

_SECTION = re.compile(r"^(Parameters|Raises|Returns|Yields|Notes)\n-{3,}\n", re.MULTILINE)
_NAMED = re.compile(r"^(?P<names>\**\w+(?:, \**\w+)*) : ")


def as_markdown(text: str) -> str:
    """A docstring whose sections are underlined, as Markdown."""
    first, *rest = _SECTION.split(text)
    parts = [first.rstrip()]
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        own, blank, after = body.partition("\n\n")
        items: list[str] = []
        for line in own.split("\n"):
            if found := _NAMED.match(line):
                names = ", ".join(f"`{name}`" for name in found["names"].split(", "))
                items.append(f"- {names}: {line[found.end() :]}")
            elif items:
                items[-1] += f" {line.strip()}"
            else:
                items.append(line)
        parts.append(f"**{title}**\n\n" + "\n".join(items) + blank + after.rstrip())
    return "\n\n".join(parts)


class Docstrings(griffe.Extension):
    """Rewrites every docstring as soon as its object is read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)

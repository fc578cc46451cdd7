"""Things named with parameters on a command line: ``name`` or ``name:key=value,key=value``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from inspect import Parameter, signature
from typing import Any, TypeVar

from eglb.foundation.errors import InputError

Built = TypeVar("Built")


def build(text: str, what: str, known: Mapping[str, Callable[..., Built]]) -> Built:
    """What `text` names: one of `known`, called with its ``key=value`` parameters.

    Parameters are whole numbers, numbers (``inf`` too) or text, as their annotation says; none is negative.

    Raises
    ------
    InputError : no such name or parameter, or a value that is not one; `what` says of what.
    """
    name, _, rest = text.partition(":")
    if name not in known:
        close = get_close_matches(name, known, 1)
        hint = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"
        raise InputError([f"{what} {name!r} is not known{hint}"])
    wanted = signature(known[name]).parameters
    given: dict[str, Any] = {}
    problems = []
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if key not in wanted or not equals:
            has = ", ".join(wanted) or "none"
            problems.append(f"{what} {text!r}: {part!r} is no parameter=value of {name}; it has {has}")
            continue
        try:
            given[key] = _value(value, str(wanted[key].annotation))
        except ValueError as error:
            problems.append(f"{what} {text!r}: {key}: {error}")
    problems += [
        f"{what} {text!r}: {key} is missing: {name}:{key}=..."
        for key, parameter in wanted.items()
        if parameter.default is Parameter.empty and key not in given
    ]
    if problems:
        raise InputError(problems)
    try:
        return known[name](**given)
    except ValueError as error:
        raise InputError([f"{what} {text!r}: {error}"]) from None


def _value(text: str, kind: str) -> int | float | str:
    if kind == "str":
        return text
    try:
        value = int(text) if kind == "int" else float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a {'whole ' if kind == 'int' else ''}number") from None
    if math.isnan(value) or value < 0:
        raise ValueError(f"{text!r} is not a number of at least 0")
    return value

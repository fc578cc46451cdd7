"""What spreadsheets make of a table when they export it as CSV, and how it is read again.

Cells are separated by comma, semicolon or tab; a number may have a decimal comma and groups of thousands,
a date its day or its month first. What a whole file leaves open is refused, not guessed: ``1.234`` alone may
be 1234, ``01/07/2024`` alone may be January. ``[csv]`` in ``scenario.toml`` then says it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

SEPARATORS = ",;\t"
# Columns of names and times, whose cells are no numbers whatever they look like.
TEXT_COLUMNS = ("time_utc", "region", "gateway")

_LIKE_A_NUMBER = re.compile(r"[+-]?\d[\d.,'\u2019\u00a0\u202f ]*([eE][+-]?\d+)?")
_DATE = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?Z?")


@dataclass(frozen=True)
class CsvHabits:
    """What ``[csv]`` says of all CSV tables of a folder: the decimal mark, whether dates have their day
    first.

    None where it is not said.
    """

    decimal: str | None = None
    dayfirst: bool | None = None


NOTHING_SAID = CsvHabits()


def find_separator(text: str) -> str:
    """What separates the cells of a CSV text: the first of comma, semicolon and tab outside of quotes."""
    quoted = False
    for character in text.lstrip("\r\n").partition("\n")[0]:
        if character == '"':
            quoted = not quoted
        elif character in SEPARATORS and not quoted:
            return character
    return ","


def write_numbers_plainly(
    columns: Sequence[str], cells: list[list[str]], rows: Iterable[int], separator: str, decimal: str | None
) -> str | None:
    """Rewrite numbers with a decimal comma or with grouped thousands as Python writes them, in place.

    `rows` numbers `cells` for messages. The decimal mark is `decimal`, or else what the numbers of the file
    show: in ``1.234,5`` and ``0,25`` it is the comma, in ``1,234.5`` and ``0.250`` the point.

    Returns
    -------
    What is wrong, if the numbers contradict each other or leave it open; else None.
    """
    seen: dict[str, str] = {}
    unclear: dict[str, str] = {}
    numbers: list[tuple[list[str], int]] = []
    wanted = [n for n, column in enumerate(columns) if column not in TEXT_COLUMNS]
    for number, row in zip(rows, cells, strict=True):
        for n in wanted:
            text = row[n].strip()
            if text.isdigit() or not _LIKE_A_NUMBER.fullmatch(text):
                continue
            numbers.append((row, n))
            mark, clear = _decimal_mark(text)
            if mark:
                (seen if clear else unclear).setdefault(mark, f"column {columns[n]}, row {number}: {text!r}")
    told = decimal or (next(iter(seen)) if seen else None)
    if told is None and unclear.keys() == {"."} and separator == ",":
        told = "."  # the usual file, written by a program
    if told is None and unclear:
        where = next(iter(unclear.values()))
        return f'{where} may be in thousands or not; say decimal = "." or "," under [csv] in scenario.toml'
    contradiction = [where for mark, where in seen.items() if mark != told]
    if contradiction:
        name = {".": "point", ",": "comma"}
        because = f'but [csv] says decimal = "{told}"' if decimal else f"unlike {seen[str(told)]}"
        return f"{contradiction[0]} has a decimal {name[',' if told == '.' else '.']}, {because}"
    if told is not None or numbers:
        pattern = _pattern(told or ".")
        for row, n in numbers:
            if match := pattern.fullmatch(row[n].strip()):
                whole = re.sub(r"\D", "", match["whole"])
                row[n] = f"{match['sign']}{whole}.{match['part'] or 0}{match['power'] or ''}"
    return None


def _decimal_mark(text: str) -> tuple[str, bool]:
    """The decimal mark that a number shows, and whether it is clear; "" where it shows none."""
    comma, point = text.rfind(","), text.rfind(".")
    if comma < 0 and point < 0:
        return "", True
    mark = "," if comma > point else "."
    if text.count(mark) > 1:
        return ("." if mark == "," else ","), True
    if min(comma, point) >= 0:
        return mark, True
    whole, _, part = text.lstrip("+-").partition(mark)
    grouped = re.fullmatch(r"[1-9]\d{0,2}", whole) and re.fullmatch(r"\d{3}", part)
    return mark, not grouped


def _pattern(decimal: str) -> re.Pattern[str]:
    group = "[" + ("." if decimal == "," else ",") + r"'\u2019\u00a0\u202f ]"
    return re.compile(
        rf"(?P<sign>[+-]?)(?P<whole>\d{{1,3}}(?:(?P<group>{group})\d{{3}})(?:(?P=group)\d{{3}})*|\d+)"
        rf"(?:{re.escape(decimal)}(?P<part>\d*))?(?P<power>[eE][+-]?\d+)?"
    )


def day_comes_first(texts: Iterable[str], told: bool | None) -> bool | None:
    """Whether dates such as 01/07/2024 have their day first: as `told`, or else as the column shows.

    None where it shows neither and it matters.
    """
    if told is not None:
        return told
    matters = False
    for text in texts:
        match = _DATE.fullmatch(text)
        if match is None or len(match[1]) == 4 or match[2] == ".":
            continue
        first, second = int(match[1]), int(match[3])
        if first > 12 or second > 12:
            return first > 12
        matters |= first != second
    return None if matters else True


def read_date(text: str, day_first: bool) -> datetime:
    """A date, perhaps with a time of day, as spreadsheets write it: 2024/7/1 13:00, 01.07.2024, 7/1/2024.

    Raises
    ------
    ValueError : it is none.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    first, mark, second, third = match[1], match[2], match[3], match[4]
    if len(first) == 4:
        year, month, day = first, second, third
    else:
        day, month, year = (first, second, third) if day_first or mark == "." else (second, first, third)
    if len(year) != 4:
        raise ValueError(text)
    return datetime(
        int(year), int(month), int(day), int(match[5] or 0), int(match[6] or 0), int(match[7] or 0)
    )


def is_open(text: str) -> bool:
    """Whether a date may have its day or its month first."""
    match = _DATE.fullmatch(text)
    return match is not None and len(match[1]) != 4 and match[2] != "." and match[1] != match[3]

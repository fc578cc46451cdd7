"""Tables as spreadsheets of the world export them are read as what they mean, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eglb.foundation.errors import InputError
from eglb.scenarios.folder.reading import read
from eglb.scenarios.folder.spreadsheets import (
    day_comes_first,
    find_separator,
    read_date,
    write_numbers_plainly,
)
from eglb.scenarios.folder.writing import example, save
from eglb.scenarios.scenario import Scenario

TABLES = ("regions", "gateways", "reach", "demand", "price", "water", "carbon")


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    save(example(), tmp_path / "fleet")
    return tmp_path / "fleet"


def rewrite(folder: Path, change: Callable[[list[list[str]]], str]) -> None:
    """Every table as `change` writes its cells."""
    for table in TABLES:
        cells = [line.split(",") for line in (folder / f"{table}.csv").read_text().splitlines()]
        (folder / f"{table}.csv").write_bytes(change(cells).encode())


def german(cells: list[list[str]]) -> str:
    """Semicolons, decimal commas, dates with dots, CRLF, a byte order mark, a row and a column of nothing."""
    rows = [
        [day_first(cell, ".").replace(".", ",") if r else cell for cell in row] for r, row in enumerate(cells)
    ]
    rows = [[cell.replace("#", ".") for cell in row] + [""] for row in rows]
    return "\ufeff" + "".join(";".join(row) + "\r\n" for row in [*rows, [""] * len(rows[0])])


def day_first(cell: str, mark: str) -> str:
    """2024-07-01T13:00:00Z as 01/07/2024 13:00; dots as # for now."""
    if not cell.endswith("Z"):
        return cell
    year, month, rest = cell[:-1].split("-")
    return f"{rest[:2]}{mark}{month}{mark}{year} {rest[3:8]}".replace(".", "#")


def assert_is_the_example(found: Scenario) -> None:
    wanted = example()
    assert (found.times == wanted.times).all() and found.regions == wanted.regions
    for name in ("region_lat", "region_lon", "pue", "capacity", "demand", "price", "reach_rtt_ms"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), name)
    for a, b in zip(found.footprints, wanted.footprints, strict=True):
        np.testing.assert_array_equal(a.intensity, b.intensity)


def test_semicolons_and_decimal_commas(fleet: Path) -> None:
    rewrite(fleet, german)
    assert (
        ";" in (fleet / "price.csv").read_text() and "01.07.2024 00:00" in (fleet / "price.csv").read_text()
    )
    assert_is_the_example(read(fleet))


def test_tabs(fleet: Path) -> None:
    rewrite(fleet, lambda cells: "\n".join("\t".join(row) for row in cells))
    assert_is_the_example(read(fleet))


def test_quoted_thousands(fleet: Path) -> None:
    def quoted(cells: list[list[str]]) -> str:
        return "\n".join(",".join(f'"{cell}"' for cell in row) for row in cells)

    rewrite(fleet, quoted)
    assert_is_the_example(read(fleet))
    text = (fleet / "regions.csv").read_text().replace('"40.0"', '"1,240.5"').replace('"45.0"', '"2,045"')
    (fleet / "regions.csv").write_text(text)
    assert read(fleet).capacity[:2, 0].tolist() == [1240.5, 2045.0]


@pytest.mark.parametrize("said", [None, True])
def test_days_before_months(fleet: Path, said: bool | None) -> None:
    rewrite(fleet, lambda cells: "\n".join(",".join(day_first(cell, "/") for cell in row) for row in cells))
    if said is None:
        with pytest.raises(InputError, match="may have its day or its month first"):
            read(fleet)
        return
    settings = fleet / "scenario.toml"
    settings.write_text(settings.read_text() + "\n[csv]\ndayfirst = true\n")
    assert_is_the_example(read(fleet))


def test_what_separates_cells_is_told_by_the_first_row() -> None:
    assert [find_separator(text) for text in ("a,b;c", "a;b,c", "a\tb,c;d", '"a;b",c;d', "a", "")] == list(
        ",;\t,,,"
    )
    assert find_separator("\r\n\na;b\nc,d") == ";"


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1,5", "1.234,5", "1.234", "7"], [1.5, 1234.5, 1234.0, 7.0]),
        (["1.5", "1,234.5", "1,234", "-7"], [1.5, 1234.5, 1234.0, -7.0]),
        (["0,125", "2,125"], [0.125, 2.125]),
        (["0.125", "2.125"], [0.125, 2.125]),
        (["1.234.567", "1.234,5"], [1234567.0, 1234.5]),
        (["1 234,5", "1\u00a0234,25", "1\u202f234,75", "1'234,0"], [1234.5, 1234.25, 1234.75, 1234.0]),
        (["1,5E+03", "-2,5e-1", "+3,25"], [1500.0, -0.25, 3.25]),
        (["12,", "3,5"], [12.0, 3.5]),
        (["0.1", "1e-300", "123456789.123456789"], [0.1, 1e-300, 123456789.123456789]),
    ],
)  # fmt: skip
def test_numbers_mean_what_the_file_shows(texts: list[str], values: list[float]) -> None:
    cells = [[text] for text in texts]
    assert write_numbers_plainly(["mw"], cells, range(len(cells)), ";", None) is None
    assert [float(cell) for (cell,) in cells] == values


@pytest.mark.parametrize(
    "texts", [["1.234", "5,6", "7.8"], ["1,5", "1.5"], ["1.234"], ["1,234", "12"], ["1.234,5", "1,234.5"]]
)
def test_numbers_that_show_nothing_or_too_much_are_refused(texts: list[str]) -> None:
    problem = write_numbers_plainly(["mw"], [[text] for text in texts], range(len(texts)), ";", None)
    assert problem is not None and problem.startswith("column mw, row ")


@pytest.mark.parametrize(("decimal", "value"), [(",", 1234.0), (".", 1.234)])
def test_a_number_that_shows_nothing_is_read_as_said(decimal: str, value: float) -> None:
    cells = [["1.234"]]
    assert write_numbers_plainly(["mw"], cells, [2], ";", decimal) is None
    assert float(cells[0][0]) == value


def test_text_and_misplaced_groups_stay_as_they_are() -> None:
    row = ["1.5", "12 34", "1,23,456", "n/a", "12 %", "2024-07-01", "1_000", "1,2345.5"]
    cells = [list(row)]
    assert write_numbers_plainly([f"c{n}" for n in range(len(row))], cells, [2], ";", None) is None
    assert cells == [row]


def test_names_are_no_numbers() -> None:
    cells = [["1,5", "1.234", "2,5"]]
    assert write_numbers_plainly(["region", "gateway", "mw"], cells, [2], ";", None) is None
    assert cells == [["1,5", "1.234", "2.5"]]


def test_which_comes_first_is_told_by_a_day_above_twelve() -> None:
    assert day_comes_first(["01/02/2024 00:00", "13/02/2024 00:00"], None) is True
    assert day_comes_first(["01/02/2024", "01/13/2024"], None) is False
    assert day_comes_first(["01/02/2024", "03/02/2024"], None) is None
    assert day_comes_first(["01/02/2024"], False) is False
    assert day_comes_first(["01.02.2024", "2024/02/01", "05/05/2024"], None) is True


@pytest.mark.parametrize(
    ("text", "first", "stamp"),
    [
        ("01/07/2024 13:00", True, "2024-07-01T13:00:00"),
        ("7/1/2024 1:05", False, "2024-07-01T01:05:00"),
        ("01.07.2024 13:00:30", False, "2024-07-01T13:00:30"),
        ("2024/7/1 9:00", False, "2024-07-01T09:00:00"),
        ("2024-7-1", True, "2024-07-01T00:00:00"),
        ("1-7-2024 00:00", True, "2024-07-01T00:00:00"),
    ],
)
def test_dates_of_spreadsheets(text: str, first: bool, stamp: str) -> None:
    assert read_date(text, first).isoformat() == stamp


@pytest.mark.parametrize(
    "text", ["01/07/24", "1/7", "31/04/2024", "13/13/2024", "01/07-2024", "7/1/2024 1 PM", "45474", "24:00"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_date(text, True)

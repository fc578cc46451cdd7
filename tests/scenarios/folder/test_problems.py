"""Every kind of bad input, and the message it gives."""

# A message stands on one line here, as the user sees it.
# ruff: noqa: E501

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eglb.foundation.errors import InfeasibleError, InputError
from eglb.scenarios.folder.reading import read
from eglb.scenarios.folder.writing import new

Edit = Callable[[Path], None]


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    folder = tmp_path / "fleet"
    new(folder)
    settings("# max_rtt_ms", "max_rtt_ms")(folder)
    return folder


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(folder)
    assert caught.value.exit_code == 2
    return [p.removeprefix(f"{folder}/") for p in caught.value.problems]


def line(file: str, number: int, text: str) -> Edit:
    """Replace one line (1-based)."""

    def edit(folder: Path) -> None:
        lines = (folder / file).read_text().splitlines()
        lines[number - 1] = text
        (folder / file).write_text("\n".join(lines) + "\n")

    return edit


def cell(file: str, row: int, column: str, text: str) -> Edit:
    """Replace one cell of a CSV by its line number and column name."""

    def edit(folder: Path) -> None:
        lines = [x.split(",") for x in (folder / file).read_text().splitlines()]
        lines[row - 1][lines[0].index(column)] = text
        (folder / file).write_text("\n".join(",".join(x) for x in lines) + "\n")

    return edit


def insert(file: str, number: int, text: str) -> Edit:
    def edit(folder: Path) -> None:
        lines = (folder / file).read_text().splitlines()
        lines.insert(number - 1, text)
        (folder / file).write_text("\n".join(lines) + "\n")

    return edit


def drop_lines(file: str, first: int, last: int) -> Edit:
    def edit(folder: Path) -> None:
        lines = (folder / file).read_text().splitlines()
        del lines[first - 1 : last]
        (folder / file).write_text("\n".join(lines) + "\n")

    return edit


def drop_rows(file: str, start: str) -> Edit:
    def edit(folder: Path) -> None:
        lines = (folder / file).read_text().splitlines(keepends=True)
        (folder / file).write_text("".join(x for x in lines if not x.startswith(start)))

    return edit


def drop_column(file: str, column: str) -> Edit:
    def edit(folder: Path) -> None:
        lines = [x.split(",") for x in (folder / file).read_text().splitlines()]
        index = lines[0].index(column)
        (folder / file).write_text("\n".join(",".join(x[:index] + x[index + 1 :]) for x in lines) + "\n")

    return edit


def add_column(file: str, header: str, value: str) -> Edit:
    def edit(folder: Path) -> None:
        lines = (folder / file).read_text().splitlines()
        new_lines = [f"{x},{header if n == 0 else value}" for n, x in enumerate(lines)]
        (folder / file).write_text("\n".join(new_lines) + "\n")

    return edit


def write(file: str, content: bytes) -> Edit:
    return lambda folder: (folder / file).write_bytes(content) and None


def copy(file: str, to: str) -> Edit:
    return lambda folder: (folder / to).write_bytes((folder / file).read_bytes()) and None


def delete(file: str) -> Edit:
    return lambda folder: (folder / file).unlink()


def settings(old: str, replacement: str) -> Edit:
    def edit(folder: Path) -> None:
        text = (folder / "scenario.toml").read_text()
        assert old in text
        (folder / "scenario.toml").write_text(text.replace(old, replacement))

    return edit


def every_hour_as(file: str, change: Callable[[str], str]) -> Edit:
    def edit(folder: Path) -> None:
        header, *rows = (folder / file).read_text().splitlines()
        rows = [",".join([change(x.split(",")[0]), *x.split(",")[1:]]) for x in rows]
        (folder / file).write_text("\n".join([header, *rows]) + "\n")

    return edit


def both(*edits: Edit) -> Edit:
    def edit(folder: Path) -> None:
        for one in edits:
            one(folder)

    return edit


# (what, edit, every message expected, as full-match patterns after the folder's name)
CASES: list[tuple[str, Edit, list[str]]] = [
    ("missing table", delete("price.csv"), [r"price\.csv: no such file \(\.csv, \.csv\.gz, \.parquet are read\)"]),
    (
        "missing footprint table",
        delete("water.csv"),
        [r"water\.csv: no such file for \[equity\.water\] \(\.csv, \.csv\.gz, \.parquet are read\)"],
    ),
    ("missing settings", delete("scenario.toml"), [r"scenario\.toml: no such file; `eglb scenario new` .*"]),
    ("missing regions", delete("regions.csv"), [r"regions\.csv: no such file .*"]),
    ("missing gateways", delete("gateways.csv"), [r"gateways\.csv: no such file .*"]),
    (
        "max_rtt without reach",
        delete("reach.csv"),
        [r"reach\.csv: no such file, but max_rtt_ms in scenario\.toml needs its rtt_ms column"],
    ),
    ("max_rtt without rtt", drop_column("reach.csv", "rtt_ms"), [r"reach\.csv: column rtt_ms is missing"]),
    (
        "empty rtt under max_rtt",
        cell("reach.csv", 3, "rtt_ms", ""),
        [r"reach\.csv: column rtt_ms, row 3: empty cell"],
    ),
    ("missing fact column", drop_column("regions.csv", "pue"), [r"regions\.csv: column pue is missing"]),
    (
        "missing region column",
        drop_column("price.csv", "texas"),
        [r"price\.csv: column texas is missing \(a region of this fleet\)"],
    ),
    (
        "misspelt region column",
        line("price.csv", 1, "time_utc,oregon,texsa,virginia"),
        [
            r"price\.csv: column texsa: not a region of regions\.csv; did you mean texas\?",
            r"price\.csv: column texas is missing \(a region of this fleet\)",
        ],
    ),
    (
        "extra region column",
        add_column("carbon.csv", "mars", "0.1"),
        [r"carbon\.csv: column mars: not a region of regions\.csv"],
    ),
    (
        "missing gateway column",
        drop_column("demand.csv", "west"),
        [r"demand\.csv: column west is missing \(a gateway of this fleet\)"],
    ),
    (
        "column twice",
        line("price.csv", 1, "time_utc,oregon,texas,texas"),
        [r"price\.csv: column texas appears twice in row 1"],
    ),
    (
        "no time column",
        line("price.csv", 1, "time,oregon,texas,virginia"),
        [r"price\.csv: column time_utc is missing"],
    ),
    (
        "unknown fact column",
        add_column("regions.csv", "capacity_kw", "1"),
        [r"regions\.csv: column capacity_kw: unknown; did you mean capacity_mw\?"],
    ),
    (
        "weight of no kind",
        add_column("regions.csv", "watr_weight", "1"),
        [r"regions\.csv: column watr_weight: unknown; did you mean water_weight\?"],
    ),
    (
        "duplicate region",
        insert("regions.csv", 5, "texas,1,2,3,1.2,1,1"),
        [r"regions\.csv: column region, row 5: 'texas' is already in row 3"],
    ),
    (
        "duplicate gateway",
        insert("gateways.csv", 4, "east,1,2,0"),
        [r"gateways\.csv: column gateway, row 4: 'east' is already in row 3"],
    ),
    ("region without name", cell("regions.csv", 2, "region", ""), [r"regions\.csv: column region, row 2: empty cell"]),
    ("empty cell", cell("price.csv", 7, "texas", ""), [r"price\.csv: column texas, row 7: empty cell"]),
    (
        "NaN",
        cell("price.csv", 7, "texas", "NaN"),
        [r"price\.csv: column texas, row 7: NaN is not a finite number"],
    ),
    (
        "infinite",
        cell("water.csv", 9, "oregon", "inf"),
        [r"water\.csv: column oregon, row 9: inf is not a finite number"],
    ),
    (
        "not a number",
        cell("demand.csv", 4, "east", "many"),
        [r"demand\.csv: column east, row 4: 'many' is not a number"],
    ),
    (
        "underscored number",
        cell("demand.csv", 4, "east", "1_0"),
        [r"demand\.csv: column east, row 4: '1_0' is not a number"],
    ),
    ("negative demand", cell("demand.csv", 4, "east", "-3"), [r"demand\.csv: column east, row 4: -3\.0 is negative"]),
    (
        "negative footprint",
        cell("carbon.csv", 4, "texas", "-0.1"),
        [r"carbon\.csv: column texas, row 4: -0\.1 is negative"],
    ),
    (
        "negative capacity",
        cell("regions.csv", 3, "capacity_mw", "-1"),
        [r"regions\.csv: column capacity_mw, row 3: -1\.0 is negative"],
    ),
    (
        "negative capacity by slot",
        write("capacity.csv", b"time_utc,texas\n2024-07-01T00:00Z,-5\n"),
        [
            r"capacity\.csv: has 1 rows, demand\.csv has 48",
            r"capacity\.csv: column texas, row 2: -5\.0 is negative",
        ],
    ),
    (
        "negative region weight",
        add_column("regions.csv", "water_weight", "-1"),
        [rf"regions\.csv: column water_weight, row {r}: -1\.0 is negative" for r in (2, 3, 4)],
    ),
    ("PUE below 1", cell("regions.csv", 2, "pue", "0.9"), [r"regions\.csv: column pue, row 2: 0\.9 must be at least 1"]),
    (
        "latitude",
        cell("regions.csv", 2, "lat", "91"),
        [r"regions\.csv: column lat, row 2: 91\.0 must lie between -90 and 90"],
    ),
    (
        "longitude",
        cell("gateways.csv", 2, "lon", "200"),
        [r"gateways\.csv: column lon, row 2: 200\.0 must lie between -180 and 180"],
    ),
    (
        "UTC offset",
        cell("gateways.csv", 3, "utc_offset_h", "25"),
        [r"gateways\.csv: column utc_offset_h, row 3: 25\.0 must lie between -12 and 14"],
    ),
    (
        "duplicate hour",
        cell("price.csv", 4, "time_utc", "2024-07-01T01:00:00Z"),
        [
            r"price\.csv: column time_utc, row 4: 2024-07-01T01:00:00Z is the same as the row before",
            r"price\.csv: column time_utc, row 5: 2024-07-01T03:00:00Z is 2 h after the row above, but slot_hours = 1",
            r"price\.csv: column time_utc, row 4: 2024-07-01T01:00:00Z, but 2024-07-01T02:00:00Z stands there in demand\.csv",
        ],
    ),
    (
        "unsorted hours",
        both(
            cell("demand.csv", 4, "time_utc", "2024-07-01T03:00Z"), cell("demand.csv", 5, "time_utc", "2024-07-01T02:00Z")
        ),
        [
            r"demand\.csv: column time_utc, row 4: 2024-07-01T03:00:00Z is 2 h after the row above.*",
            r"demand\.csv: column time_utc, row 6: 2024-07-01T04:00:00Z is 2 h after the row above.*",
            r"demand\.csv: column time_utc, row 5: 2024-07-01T02:00:00Z is before the row above \(2024-07-01T03:00:00Z\)",
            r"price\.csv: .* stands there in demand\.csv",
            r"water\.csv: .* stands there in demand\.csv",
            r"carbon\.csv: .* stands there in demand\.csv",
        ],
    ),
    (
        "missing hour",
        drop_lines("price.csv", 10, 10),
        [
            r"price\.csv: column time_utc, row 10: 2024-07-01T09:00:00Z is 2 h after the row above, but slot_hours = 1",
            r"price\.csv: has 47 rows, demand\.csv has 48",
        ],
    ),
    (
        "spacing against slot_hours",
        settings("slot_hours = 1.0", "slot_hours = 0.5"),
        [
            rf"{t}\.csv: column time_utc: rows are 1 h apart, but slot_hours = 0\.5"
            for t in ("demand", "price", "water", "carbon")
        ],
    ),
    (
        "shorter table",
        drop_lines("price.csv", 40, 49),
        [r"price\.csv: has 38 rows, demand\.csv has 48"],
    ),
    (
        "other year",
        every_hour_as("price.csv", lambda t: t.replace("2024", "2023")),
        [r"price\.csv: column time_utc, row 2: 2023-07-01T00:00:00Z, but 2024-07-01T00:00:00Z stands there in demand\.csv"],
    ),
    (
        "unreadable time",
        cell("price.csv", 4, "time_utc", "yesterday"),
        [r"price\.csv: column time_utc, row 4: 'yesterday' is not a time; write UTC like 2024-07-01T13:00Z"],
    ),
    (
        "local time",
        cell("price.csv", 4, "time_utc", "2024-07-01T02:00+02:00"),
        [r"price\.csv: column time_utc, row 4: '2024-07-01T02:00\+02:00' is not UTC; write it with Z or without an offset"],
    ),
    (
        "fraction of a second",
        cell("price.csv", 4, "time_utc", "2024-07-01T02:00:00.5"),
        [r"price\.csv: column time_utc, row 4: '2024-07-01T02:00:00\.5' is not a whole second"],
    ),
    (
        "unknown region in reach",
        cell("reach.csv", 4, "region", "virgina"),
        [r"reach\.csv: column region, row 4: 'virgina' is not in regions\.csv; did you mean virginia\?"],
    ),
    (
        "unknown gateway in reach",
        cell("reach.csv", 4, "gateway", "north"),
        [r"reach\.csv: column gateway, row 4: 'north' is not in gateways\.csv"],
    ),
    (
        "duplicate pair",
        insert("reach.csv", 8, "west,texas,10"),
        [r"reach\.csv: columns gateway, region, row 8: 'west', 'texas' is already in row 4"],
    ),
    ("negative rtt", cell("reach.csv", 2, "rtt_ms", "-1"), [r"reach\.csv: column rtt_ms, row 2: -1\.0 is negative"]),
    (
        "gateway that reaches nobody",
        drop_rows("reach.csv", "west,"),
        [r"reach\.csv: column gateway: 'west' reaches no region"],
    ),
    (
        "gateway too far from all",
        settings("max_rtt_ms = 120.0", "max_rtt_ms = 10.0"),
        [r"reach\.csv: column gateway: 'west' reaches no region within max_rtt_ms = 10"],
    ),
    (
        "unknown reach column",
        add_column("reach.csv", "speed", "1"),
        [r"reach\.csv: column speed: unknown"],
    ),
    (
        "unknown key",
        settings("slot_hours", "slot_hour"),
        [r"scenario\.toml: key slot_hour, row 18: unknown; did you mean slot_hours\?"],
    ),
    (
        "unknown equity key",
        settings('unit = "t"', 'units = "t"'),
        [r"scenario\.toml: key equity\.carbon\.units, row 33: unknown; did you mean unit\?"],
    ),
    (
        "negative weight",
        settings("weight = 60.0", "weight = -60.0"),
        [r"scenario\.toml: key equity\.water\.weight, row 25: -60\.0 is negative"],
    ),
    (
        "weight as text",
        settings("weight = 60.0", 'weight = "60"'),
        [r"scenario\.toml: key equity\.water\.weight, row 25: '60' must be a number"],
    ),
    (
        "infinite weight",
        settings("weight = 60.0", "weight = inf"),
        [r"scenario\.toml: key equity\.water\.weight, row 25: inf must be finite"],
    ),
    (
        "no weight",
        settings("weight = 60.0", ""),
        [r"scenario\.toml: key equity\.water\.weight, row 24: missing; USD per unit of the worst region"],
    ),
    (
        "new kind without unit and table",
        settings("[equity.carbon]", "[equity.health]\nweight = 1\n[equity.carbon]"),
        [r"scenario\.toml: key equity\.health\.unit, row 31: missing", r"health\.csv: no such file for \[equity\.health\].*"],
    ),
    (
        "per what",
        settings('per = "facility"', 'per = "rack"'),
        [r"scenario\.toml: key equity\.carbon\.per, row 34: 'rack' must be \"it\" or \"facility\""],
    ),
    (
        "kind named like a table",
        settings("[equity.carbon]", "[equity.price]"),
        [r"scenario\.toml: key equity\.price, row 31: 'price' cannot name a footprint kind .*"],
    ),
    (
        "slot of no length",
        settings("slot_hours = 1.0", "slot_hours = 0"),
        [r"scenario\.toml: key slot_hours, row 18: 0\.0 must be a positive whole number of seconds"],
    ),
    (
        "max_rtt of nothing",
        settings("max_rtt_ms = 120.0", "max_rtt_ms = -5"),
        [r"scenario\.toml: key max_rtt_ms, row 19: -5\.0 must be positive", r"reach.*", r"reach.*"],
    ),
    ("broken TOML", settings("slot_hours = 1.0", "slot_hours ="), [r"scenario\.toml: is not valid TOML: .*at line 18.*"]),
    (
        "unknown table override",
        settings("[equity.water]", '[tables]\nprices = "x.csv"\n[equity.water]'),
        [r"scenario\.toml: key tables\.prices, row 25: unknown; did you mean price\?"],
    ),
    (
        "override of another format",
        settings("[equity.water]", '[tables]\nprice = "price.xlsx"\n[equity.water]'),
        [r"scenario\.toml: key tables\.price, row 25: 'price\.xlsx' must end in \.csv, \.csv\.gz, \.parquet"],
    ),
    (
        "override that does not exist",
        settings("[equity.water]", '[tables]\nprice = "other.csv"\n[equity.water]'),
        [r"other\.csv: no such file for \[tables\] price .*"],
    ),
    (
        "two files of one table",
        lambda f: (f / "price.csv.gz").write_bytes(gzip.compress((f / "price.csv").read_bytes())) and None,
        [r"price\.csv: price\.csv and price\.csv\.gz both exist; name one under \[tables\]"],
    ),
    (
        "bars",
        lambda f: (f / "price.csv").write_text((f / "price.csv").read_text().replace(",", "|")) and None,
        [r"price\.csv: row 1: cells are separated by '\|'; write commas, semicolons or tabs"],
    ),
    ("empty time", cell("price.csv", 4, "time_utc", ""), [r"price\.csv: column time_utc, row 4: empty cell"]),
    (
        "seconds since 1970",
        cell("price.csv", 4, "time_utc", "1719799200"),
        [r"price\.csv: column time_utc, row 4: '1719799200' is not a time; .*"],
    ),
    ("empty file", write("price.csv", b""), [r"price\.csv: is empty"]),
    ("header only", write("price.csv", b"time_utc,oregon,texas,virginia\n"), [r"price\.csv: holds no rows"]),
    (
        "row of wrong length",
        insert("price.csv", 5, "2024-07-01T03:30Z,1,2"),
        [r"price\.csv: row 5: has 3 cells, the header has 4"],
    ),
    (
        "not text",
        write("price.csv", b"time_utc,\xff\xfe\n"),
        [r"price\.csv: is not UTF-8 text \(byte 9\); save it as CSV UTF-8"],
    ),
    (
        "broken gzip",
        both(delete("price.csv"), write("price.csv.gz", b"not gzip at all")),
        [r"price\.csv\.gz: cannot be read: Not a gzipped file.*"],
    ),
    (
        "cut-off gzip",
        lambda f: both(write("price.csv.gz", gzip.compress((f / "price.csv").read_bytes())[:-20]), delete("price.csv"))(f),
        [r"price\.csv\.gz: cannot be read: .*"],
    ),
    (
        "broken parquet",
        both(delete("price.csv"), write("price.parquet", b"PAR1 this is no parquet file PAR1")),
        [r"price\.parquet: cannot be read: .*"],
    ),
    (
        "shape of no kind",
        settings('shape = "max"  ', 'shape = "lq:3"  '),
        [r"scenario\.toml: key equity\.water\.shape, row 28: 'lq:3' is none of max, lq:2, lq:4, lq:8, worst:M"],
    ),
    (
        "signal that is no text",
        settings('signal = ""  ', "signal = 7  "),
        [r"scenario\.toml: key equity\.water\.signal, row 29: 7 must be a text in quotes"],
    ),
    (
        "sources that are no list",
        settings("sources = []", 'sources = "me"'),
        [r"scenario\.toml: key sources, row 22: 'me' must be a list of texts"],
    ),
    (
        "water stress above its scale",
        cell("regions.csv", 2, "water_stress", "5"),
        [r"regions\.csv: column water_stress, row 2: 5\.0 must lie between 0 and 4"],
    ),
    (
        "negative people",
        cell("regions.csv", 3, "people_m", "-1"),
        [r"regions\.csv: column people_m, row 3: -1\.0 is negative"],
    ),
    (
        "low end above the estimate",
        both(copy("water.csv", "water_low.csv"), cell("water_low.csv", 5, "texas", "9")),
        [r"water_low\.csv: column texas, row 5: 9\.0 is above the estimate in water\.csv"],
    ),
    (
        "high end below the estimate",
        both(copy("carbon.csv", "carbon_high.csv"), cell("carbon_high.csv", 5, "oregon", "0.01")),
        [r"carbon_high\.csv: column oregon, row 5: 0\.01 is below the estimate in carbon\.csv"],
    ),
    (
        "range of other hours",
        both(copy("carbon.csv", "carbon_high.csv"), drop_lines("carbon_high.csv", 49, 49)),
        [r"carbon_high\.csv: has 47 rows, demand\.csv has 48"],
    ),
    (
        "range of no kind",
        settings("# [tables]  ", '[tables]\nwatr_low = "x.csv"\n#'),
        [r"scenario\.toml: key tables\.watr_low, row 66: unknown; did you mean water_low\?"],
    ),
    (
        "region weight of no name",
        settings('shape = "max"  ', 'region_weight = "gdp" #'),
        [r"scenario\.toml: key equity\.water\.region_weight, row 28: 'gdp' is none of stress, per-capita"],
    ),
    (
        "region weight said twice",
        both(settings('shape = "max"  ', 'region_weight = "stress" #'), add_column("regions.csv", "water_weight", "2")),
        [
            r'regions\.csv: column water_weight and \[equity\.water\] region_weight = "stress" both say who counts how '
            r"much; keep one"
        ],
    ),
    (
        "region weight of facts that are not there",
        both(settings('shape = "max"  ', 'region_weight = "stress" #'), drop_column("regions.csv", "water_stress")),
        [
            r"regions\.csv: column water_stress of the regions is not known; \[equity\.water\] region_weight = "
            r'"stress" needs it'
        ],
    ),
    (
        "region weight of a fact that one region lacks",
        both(
            settings('shape = "max"  ', 'region_weight = "per-capita" #'),
            cell("regions.csv", 3, "people_m", ""),
            cell("regions.csv", 4, "people_m", "0"),
        ),
        [
            r"regions\.csv: column people_m of texas is not known; \[equity\.water\] region_weight = \"per-capita\" .*",
            r"regions\.csv: column people_m of virginia is 0, and a footprint per person needs people; .*",
        ],
    ),
    (
        "decimal mark of no kind",
        settings("# [csv]  ", '[csv]\ndecimal = ";"\n#'),
        [r"scenario\.toml: key csv\.decimal, row 62: ';' must be \"\.\" or \",\""],
    ),
    (
        "day first or not",
        settings("# [csv]  ", '[csv]\ndayfirst = "yes"\n#'),
        [r"scenario\.toml: key csv\.dayfirst, row 62: 'yes' must be true or false"],
    ),
    (
        "unknown csv key",
        settings("# [csv]  ", '[csv]\ndecimals = ","\n#'),
        [r"scenario\.toml: key csv\.decimals, row 62: unknown; did you mean decimal\?"],
    ),
    (
        "a workbook by another name",
        write("price.csv", b"PK\x03\x04 and so on"),
        [r"price\.csv: cannot be read: it is a workbook; save it as CSV UTF-8"],
    ),
    (
        "a workbook beside",
        lambda f: (f / "price.csv").rename(f / "price.xlsx") and None,
        [r"price\.csv: no such file \(.*\); there is price\.xlsx: save it as CSV UTF-8"],
    ),
    (
        "Windows-1252",
        lambda f: (f / "gateways.csv").write_bytes((f / "gateways.csv").read_bytes() + "Zürich;1".encode("cp1252")) and None,
        [r"gateways\.csv: is not UTF-8 text \(byte \d+\); save it as CSV UTF-8"],
    ),
    (
        "day or month",
        every_hour_as("price.csv", lambda t: f"{t[8:10]}/{t[5:7]}/{t[:4]} {t[11:16]}"),
        [
            r"price\.csv: column time_utc, row 2: '01/07/2024 00:00' may have its day or its month first; write it like "
            r"2024-07-01 13:00, or say dayfirst = true or false under \[csv\]"
        ],
    ),
    (
        "thousands or not",
        write("reach.csv", b"gateway;region;rtt_ms\neast;texas;1.234\nwest;texas;2.345\n"),
        [
            r"reach\.csv: cannot be read: column rtt_ms, row 2: '1\.234' may be in thousands or not; say decimal = "
            r'"\." or "," under \[csv\] in scenario\.toml'
        ],
    ),
    (
        "two decimal marks",
        write("reach.csv", b"gateway;region;rtt_ms\neast;texas;12,5\nwest;texas;2.5\n"),
        [
            r"reach\.csv: cannot be read: column rtt_ms, row 3: '2\.5' has a decimal point, unlike column rtt_ms, row 2: "
            r"'12,5'"
        ],
    ),
    (
        "another decimal mark than said",
        both(
            settings("# [csv]  ", '[csv]\ndecimal = ","\n#'),
            write("reach.csv", b"gateway;region;rtt_ms\neast;texas;12.5\nwest;texas;2\n"),
        ),
        [
            rf"{t}\.csv: cannot be read: column \w+, row \d: '\d+\.\d+' has a decimal point, but \[csv\] says decimal = \",\""
            for t in ("regions", "gateways", "demand", "price", "water", "carbon", "reach")
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "expected"), [c[1:] for c in CASES], ids=[c[0].replace(" ", "-") for c in CASES]
)
def test_bad_input_is_refused_with_its_message(fleet: Path, edit: Edit, expected: list[str]) -> None:
    edit(fleet)
    found = problems_of(fleet)
    unmatched = list(found)
    for pattern in expected:
        hit = next((p for p in unmatched if re.fullmatch(pattern, p)), None)
        assert hit is not None, f"no message like {pattern!r} in {found}"
        unmatched.remove(hit)
    assert not unmatched


def test_the_unedited_example_is_fine(fleet: Path) -> None:
    assert read(fleet).regions == ("oregon", "texas", "virginia")


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read(tmp_path / "absent")


def test_all_problems_of_all_files_come_at_once(fleet: Path) -> None:
    cell("price.csv", 3, "texas", "abc")(fleet)
    cell("price.csv", 5, "oregon", "")(fleet)
    cell("regions.csv", 2, "pue", "0.5")(fleet)
    cell("demand.csv", 2, "east", "-1")(fleet)
    settings("weight = 60.0", "weight = -1")(fleet)
    found = problems_of(fleet)
    assert [p.split(":")[0] for p in found] == [
        "scenario.toml",
        "regions.csv",
        "demand.csv",
        "price.csv",
        "price.csv",
    ]


def test_endless_lists_are_cut(fleet: Path) -> None:
    for row in range(2, 50):
        cell("demand.csv", row, "east", "-1")(fleet)
        cell("price.csv", row, "texas", "n/a")(fleet)
    found = problems_of(fleet)
    assert len(found) == 12
    assert "demand.csv: ... and 43 more of the same kind (negative)" in found
    assert "price.csv: ... and 43 more of the same kind (not a number)" in found


def test_lines_are_counted_as_an_editor_does(fleet: Path) -> None:
    text = (fleet / "price.csv").read_text().replace("\n", "\r\n")
    lines = text.split("\r\n")
    lines.insert(3, "")
    lines[5] = lines[5].replace(lines[5].split(",")[2], "oops")
    (fleet / "price.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert problems_of(fleet) == ["price.csv: column texas, row 6: 'oops' is not a number"]


def test_parquet_cells_are_named_by_row(fleet: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    table = pc.read_csv(fleet / "price.csv")
    texas = table["texas"].to_pylist()
    texas[4] = None
    texas[6] = float("nan")
    pq.write_table(table.set_column(2, "texas", pa.array(texas)), fleet / "price.parquet")
    (fleet / "price.csv").unlink()
    assert problems_of(fleet) == [
        "price.parquet: column texas, row 5: empty cell",
        "price.parquet: column texas, row 7: nan is not a finite number",
    ]


def test_demand_above_all_reachable_capacity(fleet: Path) -> None:
    cell("demand.csv", 6, "east", "140")(fleet)
    with pytest.raises(InfeasibleError) as caught:
        read(fleet)
    assert caught.value.exit_code == 3
    (message,) = caught.value.problems
    scenario_west = float((fleet / "demand.csv").read_text().splitlines()[5].split(",")[1])
    assert "slot 4 (2024-07-01T04:00:00Z)" in message
    assert "gateways west, east ask" in message
    assert f"hold 135 MW: {140 + scenario_west - 135:.6g} MW short" in message


def test_one_overloaded_gateway_is_named_alone(fleet: Path) -> None:
    drop_rows("reach.csv", "west,oregon")(fleet)
    drop_rows("reach.csv", "west,texas")(fleet)
    cell("demand.csv", 30, "west", "60")(fleet)
    with pytest.raises(InfeasibleError) as caught:
        read(fleet)
    (message,) = caught.value.problems
    assert "slot 28 (2024-07-02T04:00:00Z): gateway west ask" in message
    assert "region virginia, hold 50 MW: 10 MW short" in message


def test_negative_prices_are_fine(fleet: Path) -> None:
    cell("price.csv", 6, "texas", "-40.5")(fleet)
    assert read(fleet).price[1, 4] == -40.5


def test_capacity_by_slot_overrides_only_the_regions_it_names(fleet: Path) -> None:
    hours = [x.split(",")[0] for x in (fleet / "demand.csv").read_text().splitlines()]
    rows = ["time_utc,texas", *(f"{h},{30 + n}" for n, h in enumerate(hours[1:]))]
    (fleet / "capacity.csv").write_text("\n".join(rows))
    scenario = read(fleet)
    np.testing.assert_array_equal(scenario.capacity[1], 30.0 + np.arange(48))
    assert (scenario.capacity[0] == 40).all() and (scenario.capacity[2] == 50).all()


def test_a_new_kind_needs_no_code(fleet: Path) -> None:
    (fleet / "health.csv").write_bytes((fleet / "carbon.csv").read_bytes())
    add_column("regions.csv", "health_weight", "2.5")(fleet)
    settings("[equity.carbon]", '[equity.health]\nweight = 3\nunit = "USD"\n[equity.carbon]')(fleet)
    kind = next(k for k in read(fleet).footprints if k.name == "health")
    assert (kind.unit, kind.weight, kind.per, kind.region_weight.tolist()) == (
        "USD",
        3.0,
        "facility",
        [2.5] * 3,
    )


def test_defaults_of_the_known_kinds(fleet: Path) -> None:
    settings('unit = "m3"\n', "")(fleet)
    per = {k.name: (k.per, k.unit) for k in read(fleet).footprints}
    assert per == {"water": ("it", "m3"), "carbon": ("facility", "t")}


def test_a_table_without_a_section_is_no_footprint(fleet: Path) -> None:
    text = (fleet / "scenario.toml").read_text()
    start, end = text.index("[equity.carbon]"), text.index("# A further kind")
    (fleet / "scenario.toml").write_text(text[:start] + text[end:])
    add_column("regions.csv", "carbon_weight", "2")(fleet)
    assert [k.name for k in read(fleet).footprints] == ["water"]


def test_slow_pairs_are_dropped(fleet: Path) -> None:
    settings("max_rtt_ms = 120.0", "max_rtt_ms = 50")(fleet)
    scenario = read(fleet)
    assert scenario.reach_rtt_ms.max() == 41.0 and len(scenario.reach_region) == 4


def test_absent_reach_is_everyone(fleet: Path) -> None:
    delete("reach.csv")(fleet)
    settings("max_rtt_ms = 120.0", "")(fleet)
    scenario = read(fleet)
    assert scenario.reach_region.tolist() == [0, 0, 1, 1, 2, 2]
    assert scenario.reach_gateway.tolist() == [0, 1, 0, 1, 0, 1]
    assert np.isnan(scenario.reach_rtt_ms).all()


def test_tables_may_stand_elsewhere(fleet: Path) -> None:
    (fleet / "price.csv").rename(fleet.parent / "market.csv")
    settings("[equity.water]", '[tables]\nprice = "../market.csv"\n[equity.water]')(fleet)
    assert read(fleet).price.shape == (3, 48)


def test_damaged_files_never_end_in_a_traceback(fleet: Path) -> None:
    """A thousand random bytes changed, cut or inserted: refused with messages, or still a valid fleet."""
    random = np.random.default_rng(1)
    files = sorted(p for p in fleet.iterdir())
    refused = 0
    for _ in range(300):
        file = files[random.integers(len(files))]
        intact = file.read_bytes()
        damaged = bytearray(intact)
        for _ in range(random.integers(1, 5)):
            at = int(random.integers(len(damaged)))
            action = random.integers(3)
            if action == 0:
                damaged[at] = int(random.choice(list(b'",\n-.0n=[\xff\x00 ;')))
            elif action == 1:
                del damaged[at : at + int(random.integers(1, 40))]
            else:
                damaged[at:at] = bytes(random.choice(list(b'",\n-.9e=[]#'), size=3).tolist())
            if not damaged:
                break
        file.write_bytes(bytes(damaged))
        try:
            read(fleet)
        except (InputError, InfeasibleError) as error:
            refused += 1
            assert error.problems and all(error.problems)
        finally:
            file.write_bytes(intact)
    assert refused > 100

"""What an operator knows of regions, weather and electricity: the tables that footprints are estimated from.

``regions`` says how each region is cooled. ``weather`` is a table by hour with columns ``<region>.temp_c``
and ``<region>.rh_pct``, or by region and hour with columns ``region``, ``temp_c`` and ``rh_pct``.
``fuel_mix`` has a column for every fuel, by region and, if it changes, by hour; ``carbon_intensity`` one for
every region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.folder.settings import read_settings
from eglb.scenarios.folder.tables import Findings, Table, locate_table, open_table, suggest
from eglb.scenarios.physics.cooling import CYCLES
from eglb.scenarios.physics.electricity import FUEL_NAMES, FUELS

COOLING = ("tower", "dry", "constant")
WEATHER = ("temp_c", "rh_pct")


@dataclass(frozen=True, eq=False)
class Regions:
    """N regions; NaN where ``wue_l_kwh`` or ``ewif_l_kwh`` is not given, ``""`` where the country is not."""

    names: tuple[str, ...]
    pue: Array
    cooling: tuple[str, ...]
    cycles: Array
    wue_l_kwh: Array
    elevation_m: Array
    ewif_l_kwh: Array
    country: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Hourly:
    """Columns by name, each (N, M), at M hours; `times` is None, and M one, if they hold for every hour."""

    file: str
    times: Array | None
    columns: dict[str, Array]

    def at(self, times: Array, findings: Findings) -> dict[str, Array] | None:
        """The columns at `times` (T,), (N, T) or (N, 1); None and a finding if hours are missing."""
        if self.times is None:
            return self.columns
        place = np.minimum(np.searchsorted(self.times, times), len(self.times) - 1)
        lacking = times[self.times[place] != times]
        if len(lacking):
            message = f"column time_utc: {len(lacking)} of the hours are missing, first {lacking[0]}Z"
            findings.add(self.file, "hours", message)
            return None
        return {name: values[:, place] for name, values in self.columns.items()}


class FactsReader:
    """Reads the tables of one folder, each at most once; what is wrong is a finding and None."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.findings = Findings()
        self._tables: dict[str, Table | None] = {}
        # What is wrong with the settings themselves is said by `scenario check`.
        self._csv = read_settings(folder, Findings()).csv

    def exists(self, name: str) -> bool:
        """Whether there is a file of the table."""
        return locate_table(self.folder, name, None, Findings()) is not None

    def table(self, name: str, required: Sequence[str] = ()) -> Table | None:
        """A table of the folder; None where it is absent."""
        if name not in self._tables:
            path = locate_table(self.folder, name, None, self.findings)
            self._tables[name] = None
            if path is not None:
                self._tables[name] = open_table(path, required, self.findings, self._csv)
        return self._tables[name]

    def regions(self) -> Regions | None:
        """``regions``: of the columns of the scenario format, PUE; and all of the estimate's own."""
        table = self.table("regions", ("region", "pue"))
        if table is None:
            if not self.exists("regions"):
                self.findings.add("regions.csv", "missing file", "no such file")
            return None
        names = table.names("region", self.findings)
        if len(set(names)) < len(names):
            self.findings.add(table.file, "duplicate", "column region: a name stands twice")

        def number(column: str, default: float, least: float, reason: str) -> Array:
            if column not in table.columns:
                return np.full(len(table), default)
            values = table.numbers([column], self.findings, blank=column != "pue")
            table.check(values, [column], values < least, column, reason, self.findings)
            return np.where(np.isnan(values), default, values)[:, 0]

        def text(column: str, default: str) -> list[str]:
            cells = table.values(column) if column in table.columns else [""] * len(table)
            return [("" if cell is None else str(cell).strip()) or default for cell in cells]

        found = Regions(
            names=tuple(names),
            pue=number("pue", np.nan, 1.0, "must be at least 1"),
            cooling=tuple(word.lower() for word in text("cooling", "tower")),
            cycles=number("cycles", CYCLES, 1.1, "must be at least 1.1"),
            wue_l_kwh=number("wue_l_kwh", np.nan, 0.0, "is negative"),
            elevation_m=number("elevation_m", 0.0, -500.0, "must be at least -500"),
            ewif_l_kwh=number("ewif_l_kwh", np.nan, 0.0, "is negative"),
            country=tuple(code.upper() for code in text("country", "")),
        )
        for row, how, wue in zip(table.rows, found.cooling, found.wue_l_kwh, strict=True):
            where = f"column cooling, row {row}: {how!r}"
            if how not in COOLING:
                self.findings.add(table.file, "cooling", f"{where} is none of {', '.join(COOLING)}")
            elif how == "constant" and np.isnan(wue):
                self.findings.add(table.file, "cooling", f"{where} needs a published mean in wue_l_kwh")
            elif how == "dry" and not np.isnan(wue):
                self.findings.add(table.file, "cooling", f"{where} takes no wue_l_kwh; write constant")
        return None if self.findings.messages() else found

    def hours(self) -> Array | None:
        """The hours to estimate: those of the demand, or else of the first other table that has any."""
        for name in ("demand", "weather", "carbon_intensity", "fuel_mix"):
            table = self.table(name)
            if table is not None and "time_utc" in table.columns:
                times = table.times(self.findings)
                return None if times is None else np.unique(times)
        if not self.findings.messages():
            message = "no such file, nor demand.csv: nothing says which hours to estimate"
            self.findings.add("weather.csv", "missing file", message)
        return None

    def weather(self, regions: Regions) -> Hourly | None:
        """``weather``: temperature in Celsius and relative humidity in percent."""
        found = self._by_region("weather", regions, WEATHER, timed=True)
        if found is None:
            return None
        temp, humidity = (found.columns[name] for name in WEATHER)
        table = self._tables["weather"]
        assert table is not None
        for what, bad in (
            ("temp_c must lie between -90 and 60", (temp < -90.0) | (temp > 60.0)),
            ("rh_pct must lie between 0 and 100", (humidity < 0.0) | (humidity > 100.0)),
        ):
            if bad.any():
                region, hour = np.argwhere(bad)[0]
                assert found.times is not None
                where = f"{regions.names[region]}, {found.times[hour]}Z"
                self.findings.add(table.file, what, f"{where}: {what}", count=int(bad.sum()))
        return found

    def fuel_mix(self, regions: Regions) -> Hourly | None:
        """``fuel_mix``: shares or MW by fuel, the columns named as in `FUELS`."""
        table = self.table("fuel_mix", ("region",))
        if table is None:
            return None
        names = [column for column in table.columns if column not in ("time_utc", "region")]
        for column in names:
            if column.lower() not in FUEL_NAMES:
                hint = suggest(column, FUELS) or f"; fuels are {', '.join(FUELS)}"
                self.findings.add(table.file, "fuel", f"column {column or '(no name)'}: not a fuel{hint}")
        names = [column for column in names if column.lower() in FUEL_NAMES]
        found = self._by_region("fuel_mix", regions, names)
        if found is None:
            return None
        mix: dict[str, Array] = {}
        for column, values in found.columns.items():
            fuel = FUEL_NAMES[column.lower()]
            mix[fuel] = mix[fuel] + values if fuel in mix else values
        empty = sum(mix.values(), np.zeros(())) == 0.0
        if empty.any():
            region, hour = np.argwhere(empty)[0]
            when = "" if found.times is None else f", {found.times[hour]}Z"
            message = f"{regions.names[region]}{when}: all fuels are zero"
            self.findings.add(table.file, "no fuel", message, count=int(empty.sum()))
        return Hourly(found.file, found.times, mix)

    def carbon_intensity(self, regions: Regions) -> Hourly | None:
        """``carbon_intensity``: g/kWh, a column for every region."""
        table = self.table("carbon_intensity", ("time_utc", *regions.names))
        if table is None:
            return None
        before = len(self.findings.messages())
        times = table.times(self.findings)
        values = self._amounts(table, regions.names)
        if times is None or len(self.findings.messages()) > before:
            return None
        hours, first = np.unique(times, return_index=True)
        if len(hours) < len(times):
            self.findings.add(table.file, "hours", "column time_utc: an hour stands twice")
        return Hourly(table.file, hours, {"carbon": values[first].T})

    def _amounts(self, table: Table, columns: Sequence[str]) -> Array:
        values = table.numbers(columns, self.findings)
        table.check(values, columns, values < 0.0, "negative", "is negative", self.findings)
        return values

    def _by_region(
        self, name: str, regions: Regions, columns: Sequence[str], *, timed: bool = False
    ) -> Hourly | None:
        """Columns by region of a long or, if `timed`, a wide table; every region needs every hour once."""
        table = self.table(name)
        if table is None:
            return None
        before = len(self.findings.messages())
        names, count = regions.names, len(regions.names)
        if "region" in table.columns or not timed:
            wanted, wide = list(columns), False
        else:
            wanted, wide = [f"{region}.{column}" for region in names for column in columns], True
        required = [*wanted, *(["time_utc"] if timed else [])]
        for column in required:
            if column not in table.columns:
                hint = suggest(column, table.columns)
                self.findings.add(table.file, "missing column", f"column {column} is missing{hint}")
        if len(self.findings.messages()) > before:
            return None
        times = np.zeros(len(table), "datetime64[s]")
        if "time_utc" in table.columns:
            read = table.times(self.findings)
            times = times if read is None else read
        values = table.numbers(wanted, self.findings) if timed else self._amounts(table, wanted)
        if wide:
            values = values.reshape(len(table) * count, len(columns))
            place = np.tile(np.arange(count), len(table))
            times = np.repeat(times, count)
        else:
            position = {region: i for i, region in enumerate(names)}
            cells = table.names("region", self.findings)
            place = np.array([position.get(cell, -1) for cell in cells])
            for r in np.flatnonzero(place < 0):
                message = f"column region, row {table.rows[r]}: {cells[r]!r} is not in regions.csv"
                self.findings.add(table.file, "unknown region", message + suggest(cells[r], names))
        if len(self.findings.messages()) > before:
            return None
        hours, slot = np.unique(times, return_inverse=True)
        rows = np.zeros((count, len(hours)), int)
        np.add.at(rows, (place, slot), 1)
        uneven = np.argwhere(rows != 1)
        has_times = "time_utc" in table.columns
        for region, hour in uneven[:1]:
            when = f" at {hours[hour]}Z" if has_times else ""
            message = f"region {names[region]} has {rows[region, hour]} rows{when}; one is needed"
            self.findings.add(table.file, "hours", message, count=len(uneven))
        if len(uneven):
            return None
        series = np.empty((len(columns), count, len(hours)))
        series[:, place, slot] = values.T
        by_name = dict(zip(columns, series, strict=True))
        return Hourly(table.file, hours if has_times else None, by_name)

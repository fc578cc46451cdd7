"""A scenario as a folder that anyone can write by hand: reading it, with every problem said at once.

``scenario.toml`` beside ``regions``, ``gateways``, ``demand``, ``price`` and one table per footprint kind,
and optionally ``reach``, ``capacity`` and ``jobs``, each ``.csv``, ``.csv.gz`` or ``.parquet``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.scenarios.feasibility import require_served
from eglb.scenarios.folder.jobs import REQUIRED as JOB_NEEDS
from eglb.scenarios.folder.jobs import JobsReader
from eglb.scenarios.folder.settings import KNOWN_UNIT, RANGE_ENDS, Settings, read_settings
from eglb.scenarios.folder.tables import (
    AS_CSV,
    SUFFIXES,
    Findings,
    Table,
    locate_table,
    open_table,
    suggest,
)
from eglb.scenarios.jobs import Jobs
from eglb.scenarios.region_weights import READY, ready_weight, what_is_lacking
from eglb.scenarios.scenario import FootprintKind, Scenario

FACTS = ("water_stress", "people_m")
"""Columns of regions.csv that region weights can be made of; a cell may be empty."""

ESTIMATED_FROM = ("cooling", "wue_l_kwh", "cycles", "elevation_m", "ewif_l_kwh", "country")
"""Columns of regions.csv that `eglb scenario estimate` reads; here they are passed over."""

TAGS = "tags"
"""Column of regions.csv with words that stand for several regions in jobs.csv."""


def read(folder: Path) -> Scenario:
    """The scenario in `folder`.

    Raises
    ------
    InputError : every problem of every file, each with file, column, row and value.
    InfeasibleError : the data are well formed, but in some slot demand exceeds all the capacity it reaches.
    Whether jobs can be done beside it, whoever plans them has to say.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    findings = Findings()
    settings = read_settings(folder, findings)
    reader = _FolderReader(folder, settings, findings)
    scenario = reader.assemble()
    problems = findings.messages()
    if problems or scenario is None:
        raise InputError(f"{folder / problem}" for problem in problems)
    require_served(scenario)
    return scenario


@dataclass(frozen=True)
class _Places:
    """Regions or gateways: names, coordinates, the remaining numeric columns and the cells of `TAGS`."""

    names: tuple[str, ...]
    lat: Array
    lon: Array
    extra: dict[str, Array]
    tags: tuple[str, ...]


class _FolderReader:
    """Reads the tables one by one; what cannot be read is a finding and None, and the rest goes on."""

    def __init__(self, folder: Path, settings: Settings, findings: Findings) -> None:
        self.folder, self.settings, self.findings = folder, settings, findings
        self._files: dict[str, str] = {}

    def assemble(self) -> Scenario | None:
        regions = self._regions()
        gateways = self._gateways()
        region_names = regions.names if regions else None
        times, demand = self._series("demand", gateways.names if gateways else None, "gateway")
        _, price = self._series("price", region_names, "region", like=times, negative=True)
        intensities = {
            kind: self._series(kind, region_names, "region", like=times)[1] for kind in self.settings.kinds
        }
        ends = {
            (kind, end): self._series(
                f"{kind}_{end}", region_names, "region", like=times, end_of=(kind, end, intensities[kind])
            )[1]
            for kind in self.settings.kinds
            for end in RANGE_ENDS
            if self._exists(f"{kind}_{end}")
        }
        if self._exists("capacity"):
            by_slot = self._series("capacity", region_names, "region", like=times, some=True)[1]
        else:
            by_slot = np.full((len(region_names or ()), 0 if times is None else len(times)), np.nan)
        pairs = self._reach(regions, gateways)
        jobs = self._jobs(regions, times) if self._exists("jobs") else None
        if regions is not None:
            self._check_weights(regions)
        if regions is None or gateways is None or pairs is None or times is None or self.findings.messages():
            return None
        assert demand is not None and price is not None and by_slot is not None
        ones = np.ones(len(regions.names))
        capacity = np.where(np.isnan(by_slot), regions.extra["capacity_mw"][:, None], by_slot)
        footprints = []
        for name, kind in self.settings.kinds.items():
            intensity = intensities[name]
            assert intensity is not None
            if kind.region_weight:
                weight = ready_weight(kind.region_weight, regions.extra[READY[kind.region_weight].fact])
            else:
                weight = regions.extra.get(f"{name}_weight", ones)
            footprints.append(
                FootprintKind(
                    name,
                    kind.unit,
                    kind.weight,
                    intensity,
                    kind.per,
                    weight,
                    kind.shape,
                    kind.signal,
                    ends.get((name, "low")),
                    ends.get((name, "high")),
                )
            )
        return Scenario(
            name=self.settings.name,
            times=times,
            slot_hours=self.settings.slot_hours,
            regions=regions.names,
            region_lat=regions.lat,
            region_lon=regions.lon,
            pue=regions.extra["pue"],
            capacity=capacity,
            gateways=gateways.names,
            gateway_lat=gateways.lat,
            gateway_lon=gateways.lon,
            gateway_utc_offset_h=gateways.extra.get("utc_offset_h", np.round(gateways.lon / 15.0)),
            demand=demand * self.settings.demand.mw,
            price=price,
            footprints=tuple(footprints),
            reach_gateway=pairs[0],
            reach_region=pairs[1],
            reach_rtt_ms=pairs[2],
            note=self.settings.note,
            sources=(*self.settings.sources, *filter(None, [self.settings.demand.source])),
            water_stress=regions.extra.get("water_stress"),
            people_m=regions.extra.get("people_m"),
            jobs=jobs,
        )

    def _open(self, table: str, required: Sequence[str]) -> Table | None:
        path = locate_table(self.folder, table, self.settings.tables.get(table), self.findings)
        if path is None:
            section = f" for [equity.{table}]" if table in self.settings.kinds else ""
            section = f" for [tables] {table}" if table in self.settings.tables else section
            message = f"no such file{section} ({', '.join(SUFFIXES)} are read)"
            file = self.settings.tables.get(table, f"{table}.csv")
            books = [
                n for n in (f"{table}.xlsx", f"{table}.xls", f"{table}.ods") if (self.folder / n).is_file()
            ]
            message += f"; there is {books[0]}: {AS_CSV}" if books else ""
            self.findings.add(file, "missing file", message)
            return None
        self._files[table] = path.name
        return open_table(path, required, self.findings, self.settings.csv)

    def _exists(self, table: str) -> bool:
        return table in self.settings.tables or any((self.folder / f"{table}{s}").is_file() for s in SUFFIXES)

    def _places(
        self, table: str, key: str, required: Sequence[str], optional: Sequence[str]
    ) -> _Places | None:
        opened = self._open(table, (key, "lat", "lon", *required))
        if opened is None:
            return None
        known = (key, "lat", "lon", *required, *optional)
        passed_over = (*ESTIMATED_FROM, TAGS) if table == "regions" else ()
        for column in opened.columns:
            if column not in (*known, *passed_over) and not self._is_weight(table, column):
                hint = suggest(column, (*known, *passed_over)) or f"; known are {', '.join(known)}"
                self.findings.add(opened.file, "column", f"column {column or '(no name)'}: unknown{hint}")
        names = opened.names(key, self.findings)
        first: dict[str, int] = {}
        for row, name in zip(opened.rows, names, strict=True):
            if name == "time_utc":
                self.findings.add(opened.file, "name", f"column {key}, row {row}: 'time_utc' is reserved")
            if name and first.setdefault(name, row) != row:
                message = f"column {key}, row {row}: {name!r} is already in row {first[name]}"
                self.findings.add(opened.file, "duplicate", message)
        numeric = [c for c in known if c != key and c in opened.columns]
        by_column: dict[str, Array] = {}
        for columns, blank in (
            ([c for c in numeric if c not in FACTS], False),
            ([c for c in numeric if c in FACTS], True),
        ):
            values = opened.numbers(columns, self.findings, blank=blank)
            by_column |= dict(zip(columns, np.ascontiguousarray(values.T), strict=True))
        limits = [("lat", -90.0, 90.0), ("lon", -180.0, 180.0), ("utc_offset_h", -12.0, 14.0)]
        limits += [("pue", 1.0, np.inf), ("water_stress", 0.0, 4.0), ("people_m", 0.0, np.inf)]
        limits += [(c, 0.0, np.inf) for c in numeric if c == "capacity_mw" or c.endswith("_weight")]
        for column, low, high in limits:
            if column in by_column:
                cells = by_column[column][:, None]
                bad = (cells < low) | (cells > high)
                if np.isfinite(high):
                    reason = f"must lie between {low:g} and {high:g}"
                else:
                    reason = "is negative" if low == 0 else f"must be at least {low:g}"
                opened.check(cells, [column], bad, column, reason, self.findings)
        if "" in names or len(first) < len(names):
            return None  # other tables cannot be held against names that are in doubt
        lat, lon = by_column.pop("lat"), by_column.pop("lon")
        said = opened.values(TAGS) if table == "regions" and TAGS in opened.columns else [""] * len(names)
        tags = tuple("" if cell is None else str(cell) for cell in said)
        return _Places(tuple(names), lat, lon, by_column, tags)

    def _is_weight(self, table: str, column: str) -> bool:
        """Whether a column is a region weight of a kind that is known but not priced here."""
        kind = column.removesuffix("_weight")
        known = kind in KNOWN_UNIT or self._exists(kind)
        return table == "regions" and column.endswith("_weight") and bool(kind) and known

    def _regions(self) -> _Places | None:
        weights = [f"{kind}_weight" for kind in self.settings.kinds]
        return self._places("regions", "region", ("capacity_mw", "pue"), [*weights, *FACTS])

    def _check_weights(self, regions: _Places) -> None:
        """Whether the region weights that the settings name can be made."""
        for kind, settings in self.settings.kinds.items():
            asked = f'[equity.{kind}] region_weight = "{settings.region_weight}"'
            file = self._files["regions"]
            if settings.region_weight and f"{kind}_weight" in regions.extra:
                message = f"column {kind}_weight and {asked} both say who counts how much; keep one"
                self.findings.add(file, "weights", message)
            elif settings.region_weight:
                fact = regions.extra.get(READY[settings.region_weight].fact)
                for what in what_is_lacking(settings.region_weight, fact, regions.names):
                    self.findings.add(file, "weights", f"column {what}; {asked} needs it")

    def _gateways(self) -> _Places | None:
        return self._places("gateways", "gateway", (), ("utc_offset_h",))

    def _series(
        self,
        table: str,
        names: tuple[str, ...] | None,
        noun: str,
        *,
        like: Array | None = None,
        negative: bool = False,
        some: bool = False,
        end_of: tuple[str, str, Array | None] | None = None,
    ) -> tuple[Array | None, Array | None]:
        """Times (T,) and values (len(names), T) of an hourly table, one column per name.

        `like` is the time axis to agree with; with `some`, absent columns are NaN and no problem. `end_of` is
        the kind that these are the low or high end of, which end, and its central estimate.
        """
        opened = self._open(table, ("time_utc",))
        if opened is None:
            return None, None
        times = self._times(opened, like)
        if names is None:
            return times, None
        position = {name: i for i, name in enumerate(names)}
        present = {c: None for c in opened.columns if c != "time_utc"}
        for column in present:
            if column not in position:
                home = self._files.get(f"{noun}s", f"{noun}s.csv")
                kind = f"not a {noun}"
                hint = suggest(column, names) if self.findings.has_room(opened.file, kind) else ""
                message = f"column {column or '(no name)'}: not a {noun} of {home}{hint}"
                self.findings.add(opened.file, kind, message)
        for name in names if not some else ():
            if name not in present:
                message = f"column {name} is missing (a {noun} of this fleet)"
                self.findings.add(opened.file, "missing column", message)
        columns = [c for c in position if c in present]
        values = opened.numbers(columns, self.findings)
        if not negative:
            opened.check(values, columns, values < 0, "negative", "is negative", self.findings)
        if end_of is not None and end_of[2] is not None and end_of[2].shape[1] == len(values):
            kind, end, central = end_of[0], end_of[1], end_of[2].T[:, [position[c] for c in columns]]
            bad = values > central if end == "low" else values < central
            reason = f"is {'above' if end == 'low' else 'below'} the estimate in {self._files[kind]}"
            opened.check(values, columns, bad, "range", reason, self.findings)
        series = np.full((len(names), len(opened)), np.nan)
        series[[position[c] for c in columns]] = values.T
        return times, series

    def _times(self, opened: Table, like: Array | None) -> Array | None:
        times = opened.times(self.findings)
        if times is None or not opened.whole:
            return None
        step = round(self.settings.slot_hours * 3600)
        gaps = np.diff(times).astype(np.int64)
        hours = f"slot_hours = {self.settings.slot_hours:g}"
        if len(gaps) and (gaps == gaps[0]).all() and gaps[0] > 0 and gaps[0] != step:
            message = f"column time_utc: rows are {gaps[0] / 3600:g} h apart, but {hours}"
            self.findings.add(opened.file, "spacing", message)
        else:
            for r in np.flatnonzero(gaps != step):
                where = f"column time_utc, row {opened.rows[r + 1]}: {times[r + 1]}Z"
                if gaps[r] == 0:
                    self.findings.add(opened.file, "duplicate time", f"{where} is the same as the row before")
                elif gaps[r] < 0:
                    self.findings.add(
                        opened.file, "time order", f"{where} is before the row above ({times[r]}Z)"
                    )
                else:
                    message = f"{where} is {gaps[r] / 3600:g} h after the row above, but {hours}"
                    self.findings.add(opened.file, "time gap", message)
        if like is not None and len(like) != len(times):
            message = f"has {len(times)} rows, {self._files['demand']} has {len(like)}"
            self.findings.add(opened.file, "length", message)
        elif like is not None and (like != times).any():
            first = int(np.flatnonzero(like != times)[0])
            message = f"{times[first]}Z, but {like[first]}Z stands there in {self._files['demand']}"
            where = f"column time_utc, row {opened.rows[first]}"
            self.findings.add(opened.file, "other times", f"{where}: {message}")
        return times

    def _reach(self, regions: _Places | None, gateways: _Places | None) -> tuple[Array, Array, Array] | None:
        """Allowed pairs (gateway, region, RTT in ms), sorted by region, then gateway."""
        limit = self.settings.max_rtt_ms
        if not self._exists("reach"):
            if limit is not None:
                message = "no such file, but max_rtt_ms in scenario.toml needs its rtt_ms column"
                self.findings.add("reach.csv", "missing file", message)
            if regions is None or gateways is None:
                return None
            n, j = len(regions.names), len(gateways.names)
            region, gateway = np.divmod(np.arange(n * j), j)
            return gateway, region, np.full(n * j, np.nan)
        needed = ("gateway", "region") + (("rtt_ms",) if limit is not None else ())
        opened = self._open("reach", needed)
        if opened is None or regions is None or gateways is None:
            return None
        for column in opened.columns:
            if column not in ("gateway", "region", "rtt_ms"):
                self.findings.add(opened.file, "column", f"column {column or '(no name)'}: unknown")
        rtt = np.full((len(opened), 1), np.nan)
        if "rtt_ms" in opened.columns:
            rtt = opened.numbers(["rtt_ms"], self.findings, blank=limit is None)
            opened.check(rtt, ["rtt_ms"], rtt < 0, "negative", "is negative", self.findings)
        gateway = self._indices(opened, "gateway", gateways.names)
        region = self._indices(opened, "region", regions.names)
        known = (gateway >= 0) & (region >= 0)
        key = np.where(known, region * len(gateways.names) + gateway, -1)
        order = np.argsort(key, kind="stable")
        repeated = np.zeros(len(key), dtype=bool)
        repeated[order[1:]] = (key[order[1:]] == key[order[:-1]]) & known[order[1:]]
        for again in np.flatnonzero(repeated):
            first = opened.rows[np.flatnonzero(key == key[again])[0]]
            pair = f"{gateways.names[gateway[again]]!r}, {regions.names[region[again]]!r}"
            message = f"columns gateway, region, row {opened.rows[again]}: {pair} is already in row {first}"
            self.findings.add(opened.file, "duplicate", message)
        kept = order[known[order] & ~repeated[order]]
        listed = np.isin(np.arange(len(gateways.names)), gateway[kept])
        if limit is not None:
            kept = kept[~(rtt[kept, 0] > limit)]
        left = np.isin(np.arange(len(gateways.names)), gateway[kept])
        # A misspelt name is said once, as unknown, not again as the true one's lack of reach.
        for alone in np.flatnonzero(~left) if known.all() else ():
            why = f" within max_rtt_ms = {limit:g}" if listed[alone] and limit is not None else ""
            message = f"column gateway: {gateways.names[alone]!r} reaches no region{why}"
            self.findings.add(opened.file, "no reach", message)
        return gateway[kept], region[kept], rtt[kept, 0]

    def _jobs(self, regions: _Places | None, times: Array | None) -> Jobs | None:
        """The jobs, if there is one and all of them can be read."""
        opened = self._open("jobs", JOB_NEEDS)
        if opened is None or regions is None or times is None:
            return None
        home = self._files["regions"]
        reader = JobsReader(opened, regions.names, regions.tags, home, self.settings.gpu_kw, self.findings)
        return reader.read(times, self.settings.slot_hours)

    def _indices(self, opened: Table, noun: str, names: tuple[str, ...]) -> Array:
        """Position of each cell of column `noun` among `names`, -1 (and a finding) where unknown."""
        position = {name: i for i, name in enumerate(names)}
        cells = opened.names(noun, self.findings)
        home = self._files.get(f"{noun}s", f"{noun}s.csv")
        for row, cell in zip(opened.rows, cells, strict=True):
            if cell and cell not in position:
                kind = f"unknown {noun}"
                hint = suggest(cell, names) if self.findings.has_room(opened.file, kind) else ""
                message = f"column {noun}, row {row}: {cell!r} is not in {home}{hint}"
                self.findings.add(opened.file, kind, message)
        return np.array([position.get(cell, -1) for cell in cells], dtype=np.int64)

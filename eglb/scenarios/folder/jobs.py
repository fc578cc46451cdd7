"""``jobs.csv`` of a scenario folder: reading it, with every problem said at once, and writing it.

A row is a job: ``job, energy_mwh`` or ``gpu_hours``, ``release_utc, deadline_utc, max_mw``, and optionally
``min_mw, regions, checkpoint_cost_mwh, home_region, data_gb``, as in `eglb.scenarios.jobs`. `regions` holds
names of regions, or words of the column ``tags`` of the regions, separated by ``|``; empty is all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.folder.tables import Findings, Table, suggest
from eglb.scenarios.jobs import Jobs, build_jobs, job_problems

REQUIRED = ("job", "release_utc", "deadline_utc", "max_mw")
ENERGY = ("energy_mwh", "gpu_hours")
OPTIONAL = ("min_mw", "regions", "checkpoint_cost_mwh", "home_region", "data_gb")
BETWEEN = "|"


class JobsReader:
    """Reads an opened table of jobs; what cannot be read is a finding.

    Parameters
    ----------
    regions : their names. tags : words of each region, as its cell has them. home : the regions' file.
    gpu_kw : IT power of a GPU at work, NaN where the settings do not say.
    """

    def __init__(
        self,
        table: Table,
        regions: tuple[str, ...],
        tags: Sequence[str],
        home: str,
        gpu_kw: float,
        findings: Findings,
    ) -> None:
        self.table, self.regions, self.home, self.gpu_kw = table, regions, home, gpu_kw
        self.findings = findings
        self._stands_for = {name: [i] for i, name in enumerate(regions)}
        for i, cell in enumerate(tags):
            for tag in _words(cell):
                if tag not in regions:
                    self._stands_for.setdefault(tag, []).append(i)

    def read(self, times: Array, slot_hours: float) -> Jobs | None:
        """The jobs over slots that start at `times`; None where a cell is in doubt."""
        table, findings = self.table, self.findings
        before = len(findings.messages())
        for column in table.columns:
            if column not in (known := (*REQUIRED, *ENERGY, *OPTIONAL)):
                hint = suggest(column, known) or f"; known are {', '.join(known)}"
                findings.add(table.file, "column", f"column {column or '(no name)'}: unknown{hint}")
        names = table.names("job", findings)
        first: dict[str, int] = {}
        for row, name in zip(table.rows, names, strict=True):
            if name and first.setdefault(name, row) != row:
                message = f"column job, row {row}: {name!r} is already in row {first[name]}"
                findings.add(table.file, "duplicate", message)
        energy = self._energy()
        release, deadline = (table.times(findings, column) for column in ("release_utc", "deadline_utc"))
        most = self._numbers("max_mw", "must be above 0", lambda cells: cells <= 0.0, blank=False)
        least, cost, data = (
            np.nan_to_num(self._numbers(column, "is negative", lambda cells: cells < 0.0))
            for column in ("min_mw", "checkpoint_cost_mwh", "data_gb")
        )
        allowed, home = self._allowed(), self._home()
        if release is None or deadline is None or not table.whole or len(findings.messages()) > before:
            return None
        jobs = build_jobs(
            names,
            energy,
            release,
            deadline,
            most,
            allowed,
            min_mw=least,
            home=home,
            checkpoint_cost_mwh=cost,
            data_gb=data,
        )
        for m, problem in job_problems(jobs, times, slot_hours):
            findings.add(table.file, "job", f"row {table.rows[m]}: job {names[m]}: {problem}")
        return jobs

    def _numbers(self, column: str, reason: str, wrong: Any, blank: bool = True) -> Array:
        """(M,), NaN where a cell is empty or there is no such column."""
        if column not in self.table.columns:
            return np.full(len(self.table), np.nan)
        cells = self.table.numbers([column], self.findings, blank=blank)
        self.table.check(cells, [column], wrong(cells), column, reason, self.findings)
        return cells[:, 0]

    def _energy(self) -> Array:
        """(M,) MWh, from whichever of both columns a row has."""
        table, findings = self.table, self.findings
        mwh, hours = (self._numbers(c, "must be above 0", lambda cells: cells <= 0.0) for c in ENERGY)
        said = [column for column in ENERGY if column in table.columns]
        if not said:
            findings.add(table.file, "column", f"column {' or '.join(ENERGY)} is missing")
            return mwh
        texts = [["" if c is None else str(c).strip() for c in table.values(column)] for column in said]
        for row, *cells in zip(table.rows, *texts, strict=True):
            if (count := sum(map(bool, cells))) != 1:
                what = "both are given; keep one" if count else "empty cell"
                findings.add(table.file, "energy", f"column {' or '.join(said)}, row {row}: {what}")
        if math.isnan(self.gpu_kw) and (asked := np.flatnonzero(~np.isnan(hours))).size:
            message = f"column gpu_hours, row {table.rows[asked[0]]}: scenario.toml must say [jobs] gpu_kw"
            findings.add(table.file, "gpu_kw", message)
        return np.where(np.isnan(mwh), hours * self.gpu_kw / 1000.0, mwh)

    def _allowed(self) -> Array:
        """(M, N) where each job may run."""
        table = self.table
        allowed = np.ones((len(table), len(self.regions)), bool)
        for m, cell in enumerate(table.values("regions") if "regions" in table.columns else ()):
            if words := _words(cell):
                allowed[m] = False
            for word in words:
                if word in self._stands_for:
                    allowed[m, self._stands_for[word]] = True
                    continue
                hint = suggest(word, self._stands_for)
                where = f"column regions, row {table.rows[m]}: {word!r} is neither a region nor a tag"
                self.findings.add(table.file, "unknown region", f"{where} of {self.home}{hint}")
        return allowed

    def _home(self) -> Array:
        """(M,) index of the home region, -1 where there is none."""
        table = self.table
        home = np.full(len(table), -1)
        for m, cell in enumerate(table.values("home_region") if "home_region" in table.columns else ()):
            name = "" if cell is None else str(cell).strip()
            if name in self.regions:
                home[m] = self.regions.index(name)
            elif name:
                where = f"column home_region, row {table.rows[m]}: {name!r} is not in {self.home}"
                hint = suggest(name, self.regions)
                self.findings.add(table.file, "unknown region", f"{where}{hint}")
        return home


def job_columns(jobs: Jobs, regions: tuple[str, ...]) -> dict[str, Sequence[Any]]:
    """Columns of a table that :class:`JobsReader` reads back to the same arrays, bit for bit."""
    allowed: list[list[str]] = [[] for _ in jobs.names]
    for m, i in zip(jobs.pair_job, jobs.pair_region, strict=True):
        allowed[m].append(regions[i])
    return {
        "job": jobs.names,
        "energy_mwh": jobs.energy_mwh.tolist(),
        "release_utc": jobs.release,
        "deadline_utc": jobs.deadline,
        "max_mw": jobs.max_mw.tolist(),
        "min_mw": jobs.min_mw.tolist(),
        "regions": ["" if len(names) == len(regions) else BETWEEN.join(names) for names in allowed],
        "checkpoint_cost_mwh": jobs.checkpoint_cost_mwh.tolist(),
        "home_region": ["" if i < 0 else regions[i] for i in jobs.home],
        "data_gb": jobs.data_gb.tolist(),
    }


def _words(cell: object) -> list[str]:
    return [] if cell is None else [word.strip() for word in str(cell).split(BETWEEN) if word.strip()]

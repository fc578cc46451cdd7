"""``scenario.toml``: what a fleet's settings say, read strictly."""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eglb.foundation.equity_shape import EquityShape
from eglb.scenarios.folder.demand_units import DemandUnit, read_demand_unit
from eglb.scenarios.folder.spreadsheets import CsvHabits
from eglb.scenarios.folder.tables import SUFFIXES, Findings, suggest
from eglb.scenarios.region_weights import READY

FILE = "scenario.toml"
FIXED_TABLES = ("regions", "gateways", "reach", "demand", "price", "capacity", "jobs")
TOP_KEYS = (
    "name",
    "slot_hours",
    "max_rtt_ms",
    "note",
    "sources",
    "equity",
    "demand",
    "jobs",
    "tables",
    "csv",
)
EQUITY_KEYS = ("weight", "unit", "per", "shape", "signal", "region_weight")
CSV_KEYS = ("decimal", "dayfirst")
JOBS_KEYS = ("gpu_kw",)
RANGE_ENDS = ("low", "high")
# Kinds that the format knows by name; any other one states its unit, and counts per facility MWh by default.
KNOWN_UNIT = {"water": "m3", "carbon": "t"}
KNOWN_PER = {"water": "it"}


@dataclass(frozen=True)
class KindSettings:
    """One ``[equity.<kind>]`` section: USD per unit, unit, ``"it"`` or ``"facility"``, shape, signal, and the
    name of ready region weights or "".
    """

    weight: float
    unit: str
    per: str
    shape: EquityShape
    signal: str
    region_weight: str


@dataclass(frozen=True)
class Settings:
    """The whole of ``scenario.toml``; `tables` holds file names that replace the usual ones, `gpu_kw` is IT
    power of a GPU at work, NaN where not said.
    """

    name: str
    slot_hours: float
    max_rtt_ms: float | None
    kinds: dict[str, KindSettings]
    tables: dict[str, str]
    note: str
    sources: tuple[str, ...]
    demand: DemandUnit
    gpu_kw: float
    csv: CsvHabits


def read_settings(folder: Path, findings: Findings) -> Settings:
    """Read ``scenario.toml``; every problem goes to `findings` and the default stands in its place."""
    reader = SettingsReader(findings)
    path = folder / FILE
    try:
        reader.text = path.read_bytes().decode("utf-8-sig")
        document = tomllib.loads(reader.text)
    except FileNotFoundError:
        findings.add(FILE, "missing file", "no such file; `eglb scenario new` writes an example")
        document = {}
    except tomllib.TOMLDecodeError as error:
        findings.add(FILE, "syntax", f"is not valid TOML: {error}")
        document = {}
    except UnicodeDecodeError as error:
        findings.add(FILE, "syntax", f"is not UTF-8 text (byte {error.start})")
        document = {}
    except OSError as error:
        findings.add(FILE, "syntax", f"cannot be read: {error.strerror}")
        document = {}
    reader.refuse_unknown(document, "", TOP_KEYS)
    slot_hours = reader.number(document, "slot_hours", 1.0)
    if not slot_hours > 0 or abs(slot_hours * 3600 - round(slot_hours * 3600)) > 1e-6:
        reader.problem("slot_hours", slot_hours, "must be a positive whole number of seconds")
        slot_hours = 1.0
    max_rtt_ms = reader.number(document, "max_rtt_ms", math.nan)
    if max_rtt_ms <= 0:
        reader.problem("max_rtt_ms", max_rtt_ms, "must be positive")
    sources = document.get("sources", [])
    if not isinstance(sources, list) or not all(isinstance(s, str) for s in sources):
        reader.problem("sources", sources, "must be a list of texts")
        sources = []
    return Settings(
        name=reader.text_of(document, "name", folder.resolve().name),
        slot_hours=slot_hours,
        max_rtt_ms=None if math.isnan(max_rtt_ms) else max_rtt_ms,
        kinds=reader.kinds(document),
        tables=reader.tables(document),
        note=reader.text_of(document, "note", ""),
        sources=tuple(sources),
        demand=read_demand_unit(document, reader),
        gpu_kw=reader.gpu_kw(document),
        csv=reader.csv_habits(document),
    )


class SettingsReader:
    """Typed look-ups in the document that report what is wrong, with the line where a key stands."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.text = ""

    def row(self, dotted: str) -> str:
        """``, row N`` of a key's line, or nothing where it is written in a form this scan does not see."""
        section = ""
        for number, line in enumerate(self.text.splitlines(), start=1):
            header = re.match(r"\s*\[([^\[\]]+)\]", line)
            key = re.match(r"\s*([\w\".-]+)\s*=", line)
            if header:
                section = header[1].replace(" ", "") + "."
            here = section + key[1] if key else section[:-1]
            if (header or key) and here.replace('"', "") == dotted:
                return f", row {number}"
        return ""

    def problem(self, dotted: str, value: object, reason: str) -> None:
        """Report a key's value."""
        self.findings.add(FILE, "setting", f"key {dotted}{self.row(dotted)}: {value!r} {reason}")

    def refuse_unknown(self, section: dict[str, Any], prefix: str, known: tuple[str, ...]) -> None:
        """Report the keys of `section` that nothing reads."""
        for key in section:
            if key not in known:
                where = f"key {prefix}{key}{self.row(prefix + key)}"
                hint = suggest(key, known) or f"; known here are {', '.join(known)}"
                self.findings.add(FILE, "unknown key", f"{where}: unknown{hint}")

    def section(self, document: dict[str, Any], key: str, prefix: str = "") -> dict[str, Any]:
        """A sub-table, empty where absent or wrong."""
        value = document.get(key, {})
        if isinstance(value, dict):
            return value
        self.problem(prefix + key, value, f"must be a section, [{prefix}{key}]")
        return {}

    def number(self, section: dict[str, Any], key: str, default: float, prefix: str = "") -> float:
        """A finite number, `default` where absent or wrong."""
        value = section.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.problem(prefix + key, value, "must be a number")
            return default
        if key in section and not math.isfinite(value):
            self.problem(prefix + key, value, "must be finite")
            return default
        return float(value)

    def text_of(self, section: dict[str, Any], key: str, default: str, prefix: str = "") -> str:
        """A text, `default` where absent or wrong."""
        value = section.get(key, default)
        if isinstance(value, str):
            return value
        self.problem(prefix + key, value, "must be a text in quotes")
        return default

    def kinds(self, document: dict[str, Any]) -> dict[str, KindSettings]:
        """The ``[equity.<kind>]`` sections."""
        kinds: dict[str, KindSettings] = {}
        sections = self.section(document, "equity")
        for kind in sections:
            prefix = f"equity.{kind}."
            section = self.section(sections, kind, "equity.")
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", kind) or kind in FIXED_TABLES:
                self.problem(f"equity.{kind}", kind, "cannot name a footprint kind (its table's file name)")
                continue
            self.refuse_unknown(section, prefix, EQUITY_KEYS)
            if "weight" not in section:
                where = f"key {prefix}weight{self.row(f'equity.{kind}')}"
                self.findings.add(FILE, "missing key", f"{where}: missing; USD per unit of the worst region")
            weight = self.number(section, "weight", 0.0, prefix)
            if weight < 0:
                self.problem(f"{prefix}weight", weight, "is negative")
            if "unit" not in section and kind not in KNOWN_UNIT:
                where = f"key {prefix}unit{self.row(f'equity.{kind}')}"
                self.findings.add(FILE, "missing key", f"{where}: missing")
            per = self.text_of(section, "per", KNOWN_PER.get(kind, "facility"), prefix)
            if per not in ("it", "facility"):
                self.problem(f"{prefix}per", per, 'must be "it" or "facility"')
            unit = self.text_of(section, "unit", KNOWN_UNIT.get(kind, ""), prefix)
            try:
                shape = EquityShape.parse(self.text_of(section, "shape", "max", prefix))
            except ValueError:
                self.problem(f"{prefix}shape", section["shape"], "is none of max, lq:2, lq:4, lq:8, worst:M")
                shape = EquityShape()
            signal = self.text_of(section, "signal", "", prefix)
            named = self.text_of(section, "region_weight", "", prefix)
            if "region_weight" in section and named not in READY:
                self.problem(f"{prefix}region_weight", named, f"is none of {', '.join(READY)}")
                named = ""
            kinds[kind] = KindSettings(weight, unit, per, shape, signal, named)
        return kinds

    def gpu_kw(self, document: dict[str, Any]) -> float:
        """The ``[jobs]`` section: IT power of a GPU at work and its part of the server; NaN if absent."""
        section = self.section(document, "jobs")
        self.refuse_unknown(section, "jobs.", JOBS_KEYS)
        kw = self.number(section, "gpu_kw", math.nan, "jobs.")
        if kw <= 0:
            self.problem("jobs.gpu_kw", kw, "must be above 0")
        return kw

    def csv_habits(self, document: dict[str, Any]) -> CsvHabits:
        """The ``[csv]`` section: what spreadsheets leave open."""
        section = self.section(document, "csv")
        self.refuse_unknown(section, "csv.", CSV_KEYS)
        decimal, dayfirst = section.get("decimal"), section.get("dayfirst")
        if decimal not in (None, ".", ","):
            self.problem("csv.decimal", decimal, 'must be "." or ","')
            decimal = None
        if dayfirst not in (None, True, False):
            self.problem("csv.dayfirst", dayfirst, "must be true or false")
            dayfirst = None
        return CsvHabits(decimal, dayfirst)

    def tables(self, document: dict[str, Any]) -> dict[str, str]:
        """The ``[tables]`` section: other file names."""
        section = self.section(document, "tables")
        kinds = document.get("equity", {})
        named = tuple(kinds) if isinstance(kinds, dict) else ()
        known = FIXED_TABLES + named + tuple(f"{kind}_{end}" for kind in named for end in RANGE_ENDS)
        self.refuse_unknown(section, "tables.", known)
        files = {key: self.text_of(section, key, f"{key}.csv", "tables.") for key in section if key in known}
        for key, file in files.items():
            if not file.endswith(SUFFIXES):
                self.problem(f"tables.{key}", file, f"must end in {', '.join(SUFFIXES)}")
        return {key: file for key, file in files.items() if file.endswith(SUFFIXES)}

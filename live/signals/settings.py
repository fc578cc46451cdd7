"""Signal settings: the file of ``--signals``, read strictly."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from eglb.foundation.errors import InputError
from eglb.live.signals.electricity_maps import ElectricityMaps
from eglb.live.signals.estimated import FuelMix, Weather
from eglb.live.signals.memory import Memory
from eglb.live.signals.plain import PlainCsv, PlainJson
from eglb.live.signals.recorded import File, Recorded
from eglb.live.signals.signals import Signals, Wired
from eglb.live.signals.source import Place, Source
from eglb.live.signals.watttime import WattTime
from eglb.scenarios.folder.tables import suggest
from eglb.scenarios.scenario import Scenario

AnySource = Annotated[
    ElectricityMaps | WattTime | Weather | FuelMix | PlainJson | PlainCsv | File | Recorded,
    Field(discriminator="source"),
]
_SOURCE: TypeAdapter[Source] = TypeAdapter(AnySource)
_DEFAULTS, _REGIONS = "defaults", "regions"
_FOR_ALL = ("timeout_s", "retries", "backoff_s", "max_age_s", "hold_s", "fallback")
_ASKING = ("timeout_s", "retries", "backoff_s")
_SILENT = ("scenario", "file", "fuel_mix")


def open_signals(path: Path | None, scenario: Scenario) -> Signals:
    """The signals of every kind and region of `scenario`.

    ``[KIND]`` and ``[KIND.regions.REGION]`` of the file say where they come from; what it does not name is
    played back from the scenario's own series. Environment variables that it names must hold their keys.

    Raises
    ------
    InputError : every problem of the file, each with its table and key.
    """
    reader = _Reader(path, scenario)
    wired = reader.wired()
    if reader.problems:
        raise InputError(dict.fromkeys(reader.problems))
    return Signals(wired)


class _Reader:
    """One reading of the file; what is wrong goes to `problems`."""

    def __init__(self, path: Path | None, scenario: Scenario) -> None:
        self.path, self.scenario = path, scenario
        self.problems: list[str] = []
        self.document = {} if path is None else self._load(path)
        self.defaults = self._table(self.document, _DEFAULTS, "")

    def _load(self, path: Path) -> dict[str, Any]:
        try:
            return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        except FileNotFoundError:
            self.problems.append(f"{path}: no such file")
        except tomllib.TOMLDecodeError as error:
            self.problems.append(f"{path}: is not valid TOML: {error}")
        except UnicodeDecodeError as error:
            self.problems.append(f"{path}: is not UTF-8 text (byte {error.start})")
        except OSError as error:
            self.problems.append(f"{path}: cannot be read: {error.strerror}")
        return {}

    def wired(self) -> list[Wired]:
        scenario = self.scenario
        kinds = ("price", *(kind.name for kind in scenario.footprints))
        for name in self.document:
            if name not in (_DEFAULTS, *kinds):
                hint = suggest(name, kinds) or f"; there are {', '.join(kinds)}"
                self._wrong(name, "", f"is no signal of {scenario.name}{hint}")
        for key in self.defaults:
            if key not in _FOR_ALL:
                self._wrong(_DEFAULTS, key, f"is not read here; known are {', '.join(_FOR_ALL)}")
        found = []
        for kind in kinds:
            table = self._table(self.document, kind, "")
            regions = self._table(table, _REGIONS, f"{kind}.")
            for region in regions:
                if region not in scenario.regions:
                    hint = suggest(region, scenario.regions)
                    self._wrong(f"{kind}.{_REGIONS}.{region}", "", f"is no region of {scenario.name}{hint}")
            general = {key: value for key, value in table.items() if key != _REGIONS}
            for i, region in enumerate(scenario.regions):
                own = self._table(regions, region, f"{kind}.{_REGIONS}.")
                one = self._one(self._place(kind, i), general, own)
                if one is not None:
                    found.append(one)
        return found

    def _one(self, place: Place, general: dict[str, Any], own: dict[str, Any]) -> Wired | None:
        """One signal: what the region says goes before what the kind says, and that before the defaults."""
        if "source" in own and own["source"] != general.get("source", own["source"]):
            # What a kind says of its own source is no matter of a region that has another one.
            general = {key: value for key, value in general.items() if key in _FOR_ALL}
        given = {**general, **own}
        if not own and set(general) <= set(_FOR_ALL):
            given = {"source": "scenario", "max_age_s": place.slot_s} | general
        unheard = _ASKING if given.get("source") in _SILENT else ()
        defaults = {
            key: self.defaults[key] for key in _FOR_ALL if key in self.defaults and key not in unheard
        }
        given = {key: value for key, value in given.items() if key in own or key not in unheard}
        table = f"{place.kind}.{_REGIONS}.{place.region}"
        where = dict.fromkeys(defaults, _DEFAULTS) | dict.fromkeys(general, place.kind)
        where |= dict.fromkeys(own, table)
        named = table if own or not general else place.kind

        def wrong(key: str, problem: str) -> None:
            self._wrong(where.get(key.split(".")[0], named), key, problem)

        source, good = self._source({**defaults, **given}, wrong)
        if source is None:
            return None
        problems = source.check(place)
        for key, problem in problems:
            wrong(key, problem)
        scale = source.scale(place)
        if problems or scale is None or not good:
            return None
        mean = source.annual_mean
        return Wired(place, source, scale, Memory(_mean(place) if mean is None else mean))

    @staticmethod
    def _source(settings: dict[str, Any], wrong: Callable[[str, str], None]) -> tuple[Source | None, bool]:
        """The source, and whether nothing is wrong with its settings by themselves.

        If there is, it is that without the wrong ones, so that the rest can be looked at too; or None.
        """
        try:
            return _SOURCE.validate_python(settings), True
        except ValidationError as error:
            found = error.errors(include_url=False)
        bad = set()
        for each in found:
            keys = [str(part) for part in each["loc"]][1:] or ["source"]
            bad.add(keys[0])
            wrong(".".join(keys), _in_words(each))
        try:
            return _SOURCE.validate_python({k: v for k, v in settings.items() if k not in bad}), False
        except ValidationError:
            return None, False

    def _place(self, kind: str, i: int) -> Place:
        scenario = self.scenario
        if kind == "price":
            unit, per, recorded = "USD/MWh", "facility", scenario.price
        else:
            footprint = next(each for each in scenario.footprints if each.name == kind)
            unit, per, recorded = f"{footprint.unit}/MWh", footprint.per, footprint.intensity
        return Place(
            kind=kind,
            region=scenario.regions[i],
            unit=unit,
            per=per,
            lat=float(scenario.region_lat[i]),
            lon=float(scenario.region_lon[i]),
            pue=float(scenario.pue[i]),
            times=scenario.times.astype("datetime64[s]"),
            recorded=recorded[i],
            slot_s=scenario.slot_hours * 3600.0,
            folder=Path() if self.path is None else self.path.parent,
        )

    def _table(self, within: Mapping[str, Any], key: str, prefix: str) -> dict[str, Any]:
        value = within.get(key, {})
        if isinstance(value, dict):
            return value
        self._wrong(f"{prefix}{key}", "", f"must be a table, [{prefix}{key}]")
        return {}

    def _wrong(self, table: str, key: str, problem: str) -> None:
        about = f", key {key}" if key else ""
        self.problems.append(f"{self.path}: [{table}]{about}: {problem}")


def _mean(place: Place) -> float:
    finite = place.recorded[np.isfinite(place.recorded)]
    return float(finite.mean()) if len(finite) else float("nan")


def _in_words(error: Any) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not read here"
    if kind == "union_tag_not_found":
        return "is missing: electricity_maps, watttime, weather, fuel_mix, json, csv, file or scenario"
    if kind == "union_tag_invalid":
        return f"{context['tag']!r} is none of {context['expected_tags']}"
    message = str(error["msg"])
    return f"{error['input']!r}: {message[0].lower()}{message[1:]}"

"""Footprint tables of a scenario folder, estimated from the facts that an operator knows."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.scenarios.estimation.facts import WEATHER, FactsReader, Hourly, Regions
from eglb.scenarios.folder.tables import SUFFIXES
from eglb.scenarios.folder.writing import hourly_columns, write_table
from eglb.scenarios.physics import cooling, electricity
from eglb.scenarios.physics.countries import WRI_WATER
from eglb.scenarios.physics.figure import Estimate, Figure
from eglb.scenarios.physics.weather import wet_bulb_c

WATER_FACTORS = {"macknick": electricity.MACKNICK_WATER, "ren": electricity.AUTHORS_WATER, "wri": WRI_WATER}
CARBON_FACTORS = {"ipcc": electricity.IPCC_CARBON, "ren": electricity.AUTHORS_CARBON}
WRITTEN = tuple(f"{kind}{end}" for kind in ("water", "carbon") for end in ("", "_low", "_high"))
WATER_SIGNAL, CARBON_SIGNAL, GIVEN_SIGNAL = "average, operational", "average, lifecycle", "as given"
_DIGITS = 6


@dataclass(frozen=True)
class Method:
    """What the estimate goes by: names in `WATER_FACTORS` and `CARBON_FACTORS`, and whether reservoirs count.

    `hydro` None leaves it to the factors: those by fuel leave reservoirs out, those by country have them.
    """

    water: str = "macknick"
    carbon: str = "ipcc"
    hydro: bool | None = None


@dataclass(frozen=True)
class Used:
    """One figure that went into the estimate, and its source."""

    what: str
    value: str
    source: str


@dataclass(frozen=True, eq=False)
class FootprintTables:
    """Estimates of N regions over T hours, and what they are made of.

    Parameters
    ----------
    onsite : (N, T) L/kWh of IT energy. offsite : (N, T) or (N, 1) L/kWh of electricity.
    water : (N, T) m3/MWh of IT energy. carbon : (N, T) t/MWh at the meter.
    cooling : (N,) how each region is cooled, in words. signals : what kind of signal each table is.
    """

    times: Array
    regions: tuple[str, ...]
    cooling: tuple[str, ...]
    onsite: Estimate
    offsite: Estimate
    water: Estimate
    carbon: Estimate
    signals: Mapping[str, str]
    used: tuple[Used, ...]


def estimate(folder: Path, method: Method) -> FootprintTables:
    """Water and carbon of the regions in `folder`, for the hours of its demand, or else of its weather.

    Raises
    ------
    InputError : every problem of every file, each with file, column, row and value.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if method.hydro is False and method.water == "wri":
        raise InputError("--no-hydro: the factors of wri have the evaporation of reservoirs in them")
    if method.hydro and method.water == "ren":
        raise InputError("--hydro: the factors of ren know no evaporation of reservoirs; macknick's do")
    reader = FactsReader(folder)
    found = _Estimation(reader, method).tables()
    if found is None:
        raise InputError(f"{folder / problem}" for problem in reader.findings.messages())
    return found


def write(tables: FootprintTables, folder: Path, *, force: bool = False) -> list[str]:
    """Write the tables of `WRITTEN` to `folder` as CSV, and to its ``scenario.toml`` the signals it lacks.

    Returns the names of the files written.

    Raises
    ------
    InputError : tables are there already and `force` is not, or they cannot be written.
    """
    problems = []
    for path in (folder / f"{name}{suffix}" for name in WRITTEN for suffix in SUFFIXES):
        if path.exists() and path.suffix != ".csv":
            problems.append(f"{path}: would stand beside the .csv to be written; remove it")
        elif path.exists() and not force:
            problems.append(f"{path}: exists; --force writes over it")
    if problems:
        raise InputError(problems)
    series = {
        f"{kind}{suffix}": getattr(found, end)
        for kind, found in (("water", tables.water), ("carbon", tables.carbon))
        for suffix, end in (("", "central"), ("_low", "low"), ("_high", "high"))
    }
    written = [f"{name}.csv" for name in series]
    try:
        for name, values in series.items():
            aside = folder / f".{name}.part.csv"
            write_table(aside, hourly_columns(tables.times, tables.regions, values.round(_DIGITS)))
            os.replace(aside, folder / f"{name}.csv")
        if _write_signals(folder / "scenario.toml", tables.signals):
            written.append("scenario.toml")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from error
    return written


def _write_signals(path: Path, signals: Mapping[str, str]) -> bool:
    """Give ``[equity.<kind>]`` its ``signal`` where it has none or an empty one; whether anything changed."""
    try:
        before = path.read_text("utf-8-sig")
        equity = tomllib.loads(before).get("equity", {})
    except (OSError, ValueError):  # no scenario yet, or one that `scenario check` will speak about
        return False
    text = before
    for kind, signal in signals.items():
        section = equity.get(kind) if isinstance(equity, dict) else None
        header = re.search(rf"^[ \t]*\[[ \t]*equity\.{kind}[ \t]*\].*$", text, re.M)
        if not isinstance(section, dict) or section.get("signal", "") or header is None:
            continue
        head, rest = text[: header.end()], text[header.end() :]
        if "signal" in section:
            rest = re.sub(
                r"^([ \t]*signal[ \t]*=[ \t]*)(\"\"|'')", rf'\g<1>"{signal}"', rest, count=1, flags=re.M
            )
        else:
            rest = f'\nsignal = "{signal}"{rest}'
        text = head + rest
    if text != before:
        path.write_text(text, encoding="utf-8")
    return text != before


class _Estimation:
    """One estimate: what goes wrong is a finding of the reader and None, what goes in is noted in `used`."""

    def __init__(self, reader: FactsReader, method: Method) -> None:
        self.reader, self.method = reader, method
        self.used: list[Used] = []

    def tables(self) -> FootprintTables | None:
        """The tables, or None if there are findings."""
        reader = self.reader
        regions = reader.regions()
        times = reader.hours()
        if regions is None or times is None:
            return None
        towers = "tower" in regions.cooling
        weather = reader.weather(regions) if towers else None
        mix = reader.fuel_mix(regions)
        given = reader.carbon_intensity(regions)
        if towers and not reader.exists("weather"):
            self._missing("weather.csv", "cooling towers need temp_c and rh_pct by region and hour")
        if reader.findings.messages():
            return None
        shares = None if mix is None else mix.at(times, reader.findings)
        level = None if given is None else given.at(times, reader.findings)
        onsite = self._onsite(regions, weather, times)
        offsite = self._offsite(regions, shares)
        carbon = self._carbon(shares, level)
        if reader.findings.messages() or onsite is None or offsite is None or carbon is None:
            return None
        every_hour = np.zeros((len(regions.names), len(times)))
        nothing = Estimate(every_hour, every_hour, every_hour)
        return FootprintTables(
            times=times,
            regions=regions.names,
            cooling=tuple(_cooling(regions, i) for i in range(len(regions.names))),
            onsite=onsite,
            offsite=offsite,
            water=onsite + offsite.times(regions.pue[:, None]),
            carbon=carbon + nothing,
            signals={"water": WATER_SIGNAL, "carbon": CARBON_SIGNAL if level is None else GIVEN_SIGNAL},
            used=tuple(self.used),
        )

    def _missing(self, file: str, why: str) -> None:
        self.reader.findings.add(file, "missing file", f"no such file; {why}")

    def _onsite(self, regions: Regions, weather: Hourly | None, times: Array) -> Estimate | None:
        """L/kWh of IT energy, (N, T)."""
        here = None if weather is None else weather.at(times, self.reader.findings)
        if weather is not None and here is None:
            return None
        parts = []
        for i, how in enumerate(regions.cooling):
            if how == "dry":
                found = cooling.constant_range(cooling.DRY, times)
            elif how == "constant":
                found = cooling.constant_range(_published(regions, i), times)
            else:
                assert weather is not None and here is not None
                found = _tower(regions, i, weather.columns, here)
            parts.append((found.low, found.central, found.high))
        if "tower" in regions.cooling:
            self.used.append(Used("on site, tower", "by wet bulb", cooling.TOWER))
        if "dry" in regions.cooling:
            self._use("on site, dry", cooling.DRY)
        if not np.isnan(regions.wue_l_kwh).all():
            self.used.append(Used("on site", "column wue_l_kwh", "published, as given; no range"))
        low, central, high = np.stack(parts, axis=1)
        return Estimate(low, central, high)

    def _offsite(self, regions: Regions, shares: dict[str, Array] | None) -> Estimate | None:
        """L/kWh of electricity, (N, T) or (N, 1); what regions.csv says of a region comes first."""
        own = ~np.isnan(regions.ewif_l_kwh)
        parts = np.repeat(regions.ewif_l_kwh[None, :, None], 3, axis=0)
        if own.any():
            self.used.append(Used("off site", "column ewif_l_kwh", "as given; no range"))
        if own.all():
            pass
        elif self.method.water == "wri":
            known = f"has no WRI factor; known are {', '.join(WRI_WATER)}"
            for i in np.flatnonzero(~own):
                code = regions.country[i]
                if code in WRI_WATER:
                    figure = WRI_WATER[code]
                    parts[:, i, 0] = figure.low, figure.central, figure.high
                    self._use(f"off site, {code}", figure)
                else:
                    message = f"column country: {code!r} of region {regions.names[i]} {known}"
                    self.reader.findings.add("regions.csv", "country", message)
        elif shares is None:
            if not self.reader.exists("fuel_mix"):
                other = "columns ewif_l_kwh or, with --factors wri, country in regions.csv"
                self._missing("fuel_mix.csv", f"water off site needs it, or {other}")
            return None
        else:
            factors, hydro = WATER_FACTORS[self.method.water], bool(self.method.hydro)
            found = electricity.water_intensity(shares, factors, hydro=hydro)
            parts = np.where(own[None, :, None], parts, [found.low, found.central, found.high])
            self._use_factors("water", shares, factors if hydro else electricity.without_reservoirs(factors))
        low, central, high = parts
        return Estimate(low, central, high)

    def _carbon(self, shares: dict[str, Array] | None, level: dict[str, Array] | None) -> Estimate | None:
        """t/MWh at the meter, (N, T) or (N, 1); a given intensity comes first, in the range of the mix."""
        factors, hydro = CARBON_FACTORS[self.method.carbon], bool(self.method.hydro)
        found = None
        if shares is not None:
            found = electricity.carbon_intensity(shares, factors, hydro=hydro).times(1e-3)
            self._use_factors("carbon", shares, factors if hydro else electricity.without_reservoirs(factors))
        if level is not None:
            central = level["carbon"] * 1e-3
            spread = "no range without a fuel mix" if found is None else "range of the factors below"
            self.used.append(Used("carbon", "carbon_intensity", f"as given; {spread}"))
            return Estimate(central, central, central) if found is None else found.around(central)
        if found is None and not self.reader.exists("fuel_mix"):
            self._missing("fuel_mix.csv", "carbon needs it, or carbon_intensity.csv")
        return found

    def _use(self, what: str, figure: Figure) -> None:
        self.used.append(Used(what, f"{span(figure)} {figure.unit}", figure.source))

    def _use_factors(self, what: str, shares: Mapping[str, Array], factors: Mapping[str, Figure]) -> None:
        for fuel, share in shares.items():
            if (share > 0.0).any():
                self._use(f"{what}, {fuel}", factors[fuel])


def _published(regions: Regions, i: int) -> Figure:
    mean = float(regions.wue_l_kwh[i])
    return Figure(mean, mean, mean, "L/kWh", "regions.csv")


def _tower(regions: Regions, i: int, given: dict[str, Array], here: dict[str, Array]) -> Estimate:
    """L/kWh of IT energy of region `i` at the hours `here`, from all the weather that is `given`."""

    def wet_bulb(weather: dict[str, Array]) -> Array:
        temp_c, rh_pct = (weather[name][i] for name in WEATHER)
        return wet_bulb_c(temp_c, rh_pct, regions.elevation_m[i])

    found = cooling.tower_range(wet_bulb(here), regions.cycles[i])
    if np.isnan(regions.wue_l_kwh[i]):
        return found
    # A published mean is the level of a whole year: only the shape is the curve's, and its range goes.
    whole = cooling.tower_wue(wet_bulb(given), regions.cycles[i])
    level = found.central * (regions.wue_l_kwh[i] / whole.mean())
    return Estimate(level, level, level)


def _cooling(regions: Regions, i: int) -> str:
    how = regions.cooling[i]
    if how != "tower":
        return how
    scaled = "" if np.isnan(regions.wue_l_kwh[i]) else f", mean {regions.wue_l_kwh[i]:g}"
    high = f", {regions.elevation_m[i]:g} m" if regions.elevation_m[i] else ""
    return f"tower, {regions.cycles[i]:g} cycles{high}{scaled}"


def span(figure: Figure) -> str:
    """``2.6 (1.82 to 4.16)``."""
    if figure.low == figure.high:
        return f"{figure.central:.3g}"
    return f"{figure.central:.3g} ({figure.low:.3g} to {figure.high:.3g})"

"""Estimated footprints: water from weather and fuels, carbon from fuels, where nobody publishes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from eglb.live.signals.electricity_maps import GridMix
from eglb.live.signals.reading import Point, RefusedError
from eglb.live.signals.source import (
    Access,
    Number,
    Place,
    Source,
    When,
    at_meter,
    instant,
    json_of,
    secret,
    shaped,
)
from eglb.live.signals.transport import Transport
from eglb.scenarios.estimation.estimating import CARBON_FACTORS, WATER_FACTORS
from eglb.scenarios.physics import electricity
from eglb.scenarios.physics.cooling import CYCLES, DRY, tower_wue
from eglb.scenarios.physics.countries import WRI_WATER
from eglb.scenarios.physics.weather import wet_bulb_c

API = "https://api.open-meteo.com"
_WHO = "Open-Meteo"
_NEAR_DEG = 0.5
_HUMIDITY, _TEMPERATURE = (0.0, 100.0), (-90.0, 60.0)
_UNITS = {"temperature_2m": "°C", "relative_humidity_2m": "%"}
Shares = dict[str, Annotated[float, Field(ge=0.0, allow_inf_nan=False)]]


class Weather(Access, Source):
    """Water of a region: of its cooling, in the weather of Open-Meteo, and of its electricity.

    ``GET /v1/forecast?current=temperature_2m,relative_humidity_2m``, documented at open-meteo.com/en/docs;
    formulas and factors in docs/footprints.md.

    Parameters
    ----------
    latitude, longitude : None for those of the scenario. elevation_m : None for Open-Meteo's.
    cooling : ``"tower"`` with so many `cycles` of concentration, or ``"dry"``.
    grid : a zone of Electricity Maps whose mix is asked for; or `mix`, shares by fuel; or `ewif_l_kwh`; or
    `country`, of the factors of WRI. factors, hydro : for a mix, as for ``eglb scenario estimate``.
    """

    source: Literal["weather"]
    base_url: str = API
    latitude: float | None = Field(None, ge=-90.0, le=90.0)
    longitude: float | None = Field(None, ge=-180.0, le=180.0)
    elevation_m: float | None = Field(None, ge=-500.0, le=6000.0)
    cooling: Literal["tower", "dry"] = "tower"
    cycles: float = Field(CYCLES, ge=1.1, le=100.0)
    grid: GridMix | None = None
    mix: Shares | None = None
    ewif_l_kwh: float | None = Field(None, ge=0.0, allow_inf_nan=False)
    country: str | None = None
    factors: Literal["macknick", "ren"] = "macknick"
    hydro: bool = False

    @property
    def name(self) -> str:
        return f"estimate from {_WHO}, {self.cooling}"

    @property
    def address(self) -> tuple[str, str]:
        return "base_url", self.base_url

    def check(self, place: Place) -> list[tuple[str, str]]:
        if place.unit != "m3/MWh":
            return [("source", f"gives water, nothing in {place.unit}")]
        problems = [*super().check(place), *self.access_problems(), *_mix_problems(self.mix, self.grid)]
        ways = (self.grid, self.mix, self.ewif_l_kwh, self.country)
        if sum(way is not None for way in ways) != 1:
            problems.append(("grid", "give one of grid, mix, ewif_l_kwh and country: water of electricity"))
        if self.country is not None and self.country not in WRI_WATER:
            problems.append(
                ("country", f"{self.country!r} has no WRI factor; known are {', '.join(WRI_WATER)}")
            )
        return problems

    async def points(self, place: Place, now: np.datetime64, transport: Transport) -> list[Point]:
        at, temp_c, rh_pct, elevation_m = await self._weather(place, transport)
        since, offsite, note = await self._offsite(now, transport)
        if self.cooling == "dry":
            onsite = DRY.central
        else:
            wet_bulb = wet_bulb_c(np.array(temp_c), np.array(rh_pct), elevation_m)
            onsite = float(tower_wue(wet_bulb, self.cycles))
        water = onsite + place.pue * offsite
        value = water if place.per == "it" else water / place.pue
        return [Point(min(at, since), value, f"{temp_c:g} C, {rh_pct:g} %, {note}")]

    async def _weather(self, place: Place, transport: Transport) -> tuple[np.datetime64, float, float, float]:
        lat = place.lat if self.latitude is None else self.latitude
        lon = place.lon if self.longitude is None else self.longitude
        query = self.query(
            f"{self.base_url.rstrip('/')}/v1/forecast",
            params=(
                ("latitude", f"{lat:.4f}"),
                ("longitude", f"{lon:.4f}"),
                ("current", ",".join(_UNITS)),
                ("timezone", "GMT"),
            ),
            secret_params=() if self.key_env is None else (("apikey", secret(self.key_env)),),
        )
        answer: _Estimate = shaped(_Estimate, json_of(await transport.get(query), _WHO), _WHO)
        far = max(abs(answer.latitude - lat), abs((answer.longitude - lon + 180.0) % 360.0 - 180.0))
        if far > _NEAR_DEG:
            raise RefusedError(f"{_WHO}: the answer is of {answer.latitude:g}, {answer.longitude:g}")
        if answer.utc_offset_seconds != 0 or any(answer.current_units.get(k) != u for k, u in _UNITS.items()):
            raise RefusedError(f"{_WHO}: the answer is not in UTC, C and %")
        temp_c, rh_pct = answer.current.temperature_2m, answer.current.relative_humidity_2m
        if not (_within(temp_c, _TEMPERATURE) and _within(rh_pct, _HUMIDITY)):
            raise RefusedError(f"{_WHO}: {temp_c:g} C and {rh_pct:g} % are no weather")
        elevation_m = answer.elevation if self.elevation_m is None else self.elevation_m
        return instant(answer.current.time), temp_c, rh_pct, elevation_m

    async def _offsite(self, now: np.datetime64, transport: Transport) -> tuple[np.datetime64, float, str]:
        """Since when, L/kWh of electricity, and who says so."""
        if self.ewif_l_kwh is not None:
            return now, self.ewif_l_kwh, f"{self.ewif_l_kwh:g} L/kWh off site as given"
        if self.country is not None:
            return now, WRI_WATER[self.country].central, f"WRI {self.country}"
        at, fuels, note = await _fuels(self.mix, self.grid, now, transport)
        found = electricity.water_intensity(fuels, WATER_FACTORS[self.factors], hydro=self.hydro)
        return at, float(found.central), f"{note}, {self.factors}"


class FuelMix(Source):
    """Carbon of electricity by the fuels it is made from.

    Parameters
    ----------
    grid, mix : as of `Weather`. factors, hydro : as for ``eglb scenario estimate``.
    """

    source: Literal["fuel_mix"]
    grid: GridMix | None = None
    mix: Shares | None = None
    factors: Literal["ipcc", "ren"] = "ipcc"
    hydro: bool = False

    @property
    def name(self) -> str:
        return "estimate from fuels"

    def usual_unit(self, place: Place) -> str:
        return "g/kWh"

    def check(self, place: Place) -> list[tuple[str, str]]:
        if place.unit != "t/MWh":
            return [("source", f"gives carbon, nothing in {place.unit}")]
        problems = [*super().check(place), *_mix_problems(self.mix, self.grid)]
        if (self.grid is None) == (self.mix is None):
            problems.append(("grid", "give one of grid and mix"))
        return problems

    async def points(self, place: Place, now: np.datetime64, transport: Transport) -> list[Point]:
        at, fuels, note = await _fuels(self.mix, self.grid, now, transport)
        found = electricity.carbon_intensity(fuels, CARBON_FACTORS[self.factors], hydro=self.hydro)
        return [Point(at, at_meter(float(found.central), place), f"{note}, {self.factors}")]


async def _fuels(
    mix: Shares | None, grid: GridMix | None, now: np.datetime64, transport: Transport
) -> tuple[np.datetime64, dict[str, Any], str]:
    """Since when, what share or MW of every fuel, and who says so."""
    if grid is not None:
        at, fuels = await grid.mix(transport)
        return at, fuels, f"mix of Electricity Maps {grid.zone}"
    assert mix is not None
    given: dict[str, float] = {}
    for name, share in mix.items():
        fuel = electricity.FUEL_NAMES[name.lower()]
        given[fuel] = given.get(fuel, 0.0) + share
    return now, given, "mix as given"


def _mix_problems(mix: Shares | None, grid: GridMix | None) -> list[tuple[str, str]]:
    """What is wrong with a mix, or with how it is asked for."""
    problems = [] if grid is None else [(f"grid.{key}", problem) for key, problem in grid.access_problems()]
    if mix is not None:
        unknown = [fuel for fuel in mix if fuel.lower() not in electricity.FUEL_NAMES]
        problems += [
            ("mix", f"{fuel!r} is no fuel; there are {', '.join(electricity.FUELS)}") for fuel in unknown
        ]
        if not sum(mix.values()) > 0.0:
            problems.append(("mix", "adds up to nothing"))
    return problems


def _within(value: float, ends: tuple[float, float]) -> bool:
    return ends[0] <= value <= ends[1]


class _Current(BaseModel):
    time: When
    temperature_2m: Number
    relative_humidity_2m: Number


class _Estimate(BaseModel):
    latitude: Number
    longitude: Number
    elevation: Number
    utc_offset_seconds: int
    current_units: dict[str, str]
    current: _Current

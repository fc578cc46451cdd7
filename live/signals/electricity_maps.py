"""Electricity Maps: grid carbon, day-ahead prices and fuel mix by zone."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

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
from eglb.live.signals.units import same
from eglb.scenarios.physics.electricity import FUEL_NAMES

API = "https://api.electricitymaps.com"
_WHO = "Electricity Maps"
_LISTS = ("history", "forecast", "data")


class Zone(Access):
    """A zone of Electricity Maps, such as ``"DE"``; the key goes in the header ``auth-token``.

    Documented at portal.electricitymaps.com/developer-hub/api/reference for v3.
    """

    zone: str
    key_env: str
    base_url: str = API
    version: Literal["v3", "v4"] = "v3"

    @property
    def address(self) -> tuple[str, str]:
        return "base_url", self.base_url

    async def ask(self, path: str, transport: Transport, *params: tuple[str, str]) -> list[Any]:
        """The points of an answer, one or many.

        Raises
        ------
        RefusedError : it is of another zone, or of another shape.
        """
        query = self.query(
            f"{self.base_url.rstrip('/')}/{self.version}/{path}",
            params=(("zone", self.zone), *params),
            secret_headers=(("auth-token", secret(self.key_env)),),
        )
        answer = shaped(dict[str, Any], json_of(await transport.get(query), _WHO), _WHO)
        if answer.get("zone") != self.zone:
            raise RefusedError(f"{_WHO}: the answer is not of zone {self.zone}")
        return next((answer[key] for key in _LISTS if isinstance(answer.get(key), list)), [answer])


class ElectricityMaps(Zone, Source):
    """``GET /v3/carbon-intensity/latest?zone=`` and its like, or ``price-day-ahead`` for prices.

    Parameters
    ----------
    endpoint : ``"latest"`` has the hour that is known last; ``"history"`` 24 of them; ``"forecast"`` those
    from now on.
    emission_factor_type : of carbon: over the life cycle, or of the plant alone.
    disable_estimations : take measured values only.
    """

    source: Literal["electricity_maps"]
    endpoint: Literal["latest", "history", "forecast"] = "latest"
    emission_factor_type: Literal["lifecycle", "direct"] = "lifecycle"
    disable_estimations: bool = False

    @property
    def name(self) -> str:
        return f"{_WHO} {self.version} {self.endpoint} {self.zone}"

    def usual_unit(self, place: Place) -> str:
        return "EUR/MWh" if place.kind == "price" else "gCO2eq/kWh"

    def check(self, place: Place) -> list[tuple[str, str]]:
        if place.unit not in ("USD/MWh", "t/MWh"):
            return [("source", f"has prices and carbon, nothing in {place.unit}")]
        return [*super().check(place), *self.access_problems()]

    async def points(self, place: Place, now: np.datetime64, transport: Transport) -> list[Point]:
        if place.kind == "price":
            rows = await self.ask(f"price-day-ahead/{self.endpoint}", transport)
            return [self._price(row, place) for row in _read(rows) if row.value is not None]
        measured = (("disableEstimations", "true"),) if self.disable_estimations else ()
        factors = ("emissionFactorType", self.emission_factor_type)
        rows = await self.ask(f"carbon-intensity/{self.endpoint}", transport, factors, *measured)
        return [self._carbon(row, place) for row in _read(rows) if row.carbonIntensity is not None]

    def _price(self, row: _MapsRow, place: Place) -> Point:
        expected = self.unit or self.usual_unit(place)
        if row.unit is None or not same(row.unit, expected):
            raise RefusedError(f"{_WHO}: the price is not in {expected}")
        assert row.value is not None
        return Point(instant(row.datetime), row.value)

    def _carbon(self, row: _MapsRow, place: Place) -> Point:
        if row.emissionFactorType not in (None, self.emission_factor_type):
            raise RefusedError(f"{_WHO}: emission factors are not {self.emission_factor_type}")
        assert row.carbonIntensity is not None
        note = f"{self.emission_factor_type}, estimated" if row.isEstimated else self.emission_factor_type
        return Point(instant(row.datetime), at_meter(row.carbonIntensity, place), note)


class GridMix(Zone):
    """The fuels of the electricity that is consumed in a zone.

    ``power-breakdown/latest`` of v3; v4 has ``electricity-mix/latest`` in its place.
    """

    async def mix(self, transport: Transport) -> tuple[np.datetime64, dict[str, float]]:
        """When, and MW by the fuels of `electricity.FUELS`.

        Raises
        ------
        RefusedError, UnreachableError : there is none that can be believed.
        """
        topic = "power-breakdown" if self.version == "v3" else "electricity-mix"
        rows = shaped(list[_MixRow], await self.ask(f"{topic}/latest", transport), _WHO)
        if not rows:
            raise RefusedError(f"{_WHO}: the answer holds no mix")
        last = max(rows, key=lambda row: row.datetime)
        fuels: dict[str, float] = {}
        for name, mw in (last.powerConsumptionBreakdown or last.mix or {}).items():
            fuel = FUEL_NAMES.get(name.replace(" ", "_").lower())
            if fuel is None:
                raise RefusedError(f"{_WHO}: the mix has a fuel that is not known")
            fuels[fuel] = fuels.get(fuel, 0.0) + (mw or 0.0)
        if any(mw < 0.0 for mw in fuels.values()) or not sum(fuels.values()) > 0.0:
            raise RefusedError(f"{_WHO}: the mix has nothing in it, or less")
        return instant(last.datetime), fuels


def _read(rows: list[Any]) -> list[_MapsRow]:
    found: list[_MapsRow] = shaped(list[_MapsRow], rows, _WHO)
    return found


class _MapsRow(BaseModel):
    datetime: When
    carbonIntensity: Number | None = None
    value: Number | None = None
    unit: str | None = None
    emissionFactorType: str | None = None
    isEstimated: bool | None = None


class _MixRow(BaseModel):
    datetime: When
    powerConsumptionBreakdown: dict[str, Number | None] | None = None
    mix: dict[str, Number | None] | None = None

"""WattTime: marginal and average emissions of grids by region."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, SecretStr

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
    key_problems,
    secret,
    shaped,
)
from eglb.live.signals.transport import Transport
from eglb.live.signals.units import same

API = "https://api.watttime.org"
_WHO = "WattTime"
_LOOK_BACK_H = 3


class WattTime(Access, Source):
    """``GET /v3/forecast`` or ``/v3/historical`` with the token that ``GET /login`` gives for half an hour.

    Documented at docs.watttime.org (V3). `/v3/signal-index` has no intensity but a percentile of the
    region's own, so it is no source. A token is fetched once a slot for all regions.

    Parameters
    ----------
    region : such as ``"CAISO_NORTH"``. user_env, key_env : environment variables of user and password.
    endpoint : ``"forecast"`` starts at most five minutes ago; ``"historical"`` is more exact and older.
    signal_type : marginal (``co2_moer``) or average (``co2_aoer``, historical only) emissions.
    """

    source: Literal["watttime"]
    region: str
    user_env: str
    key_env: str
    base_url: str = API
    endpoint: Literal["forecast", "historical"] = "forecast"
    signal_type: Literal["co2_moer", "co2_aoer"] = "co2_moer"

    @property
    def name(self) -> str:
        return f"{_WHO} v3 {self.endpoint} {self.region} {self.signal_type}"

    @property
    def address(self) -> tuple[str, str]:
        return "base_url", self.base_url

    def usual_unit(self, place: Place) -> str:
        return "lbs_co2_per_mwh"

    def check(self, place: Place) -> list[tuple[str, str]]:
        if place.unit != "t/MWh":
            return [("source", f"has carbon, nothing in {place.unit}")]
        problems = [*super().check(place), *self.access_problems()]
        if self.endpoint == "forecast" and self.signal_type == "co2_aoer":
            problems.append(("signal_type", "'co2_aoer' is historical only"))
        return problems + [("user_env", problem) for problem in key_problems(self.user_env)]

    async def points(self, place: Place, now: np.datetime64, transport: Transport) -> list[Point]:
        params = [("region", self.region), ("signal_type", self.signal_type)]
        if self.endpoint == "forecast":
            params.append(("horizon_hours", "0"))
        else:
            start = now - np.timedelta64(_LOOK_BACK_H, "h")
            params += [("start", f"{start}+00:00"), ("end", f"{now}+00:00")]
        token = await self._token(transport)
        body = await transport.get(
            self.query(
                f"{self.base_url.rstrip('/')}/v3/{self.endpoint}",
                params=tuple(params),
                secret_headers=(("Authorization", SecretStr(f"Bearer {token}")),),
            )
        )
        answer: _WattTimeAnswer = shaped(_WattTimeAnswer, json_of(body, _WHO), _WHO)
        meta = answer.meta
        if meta.region != self.region or meta.signal_type != self.signal_type:
            raise RefusedError(f"{_WHO}: the answer is not {self.signal_type} of {self.region}")
        expected = self.unit or self.usual_unit(place)
        if not same(meta.units, expected):
            raise RefusedError(f"{_WHO}: the answer is not in {expected}")
        return [Point(instant(row.point_time), at_meter(row.value, place)) for row in answer.data]

    async def _token(self, transport: Transport) -> str:
        login = self.query(
            f"{self.base_url.rstrip('/')}/login", login=(secret(self.user_env), secret(self.key_env))
        )
        answer = shaped(dict[str, Any], json_of(await transport.get(login), _WHO), _WHO)
        token = answer.get("token")
        if not (isinstance(token, str) and token and token.isascii() and token.isprintable()):
            raise RefusedError(f"{_WHO}: the login gives no token")
        return token


class _WattTimeRow(BaseModel):
    point_time: When
    value: Number


class _Meta(BaseModel):
    region: str
    signal_type: str
    units: str


class _WattTimeAnswer(BaseModel):
    data: list[_WattTimeRow]
    meta: _Meta

"""Signal source, the interface: settings that are checked when read, and one question."""

from __future__ import annotations

import ipaddress
import json
import os
from abc import abstractmethod
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, urlsplit

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    Strict,
    TypeAdapter,
    ValidationError,
)

from eglb.foundation.arrays import Array
from eglb.live.signals.reading import FALLBACKS, Fallback, Point, RefusedError
from eglb.live.signals.transport import Query, Transport
from eglb.live.signals.units import KNOWN, factor

Model = TypeVar("Model")

SETTINGS = ConfigDict(extra="forbid", frozen=True, strict=True)
DAY_S = 86_400


@dataclass(frozen=True, eq=False)
class Place:
    """One region's signal as the scenario has it.

    Parameters
    ----------
    kind : ``"price"`` or the name of a footprint kind. unit : what it is counted in, such as ``"t/MWh"``.
    per : ``"facility"`` if it counts MWh at the meter, ``"it"`` if IT energy.
    times, recorded : (T,) the scenario's own series; slot_s : length of its slots.
    folder : that paths of files are relative to.
    """

    kind: str
    region: str
    unit: str
    per: str
    lat: float
    lon: float
    pue: float
    times: Array = field(repr=False)
    recorded: Array = field(repr=False)
    slot_s: float
    folder: Path


def _utc(when: datetime) -> datetime:
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


When = Annotated[datetime, Strict(False), AfterValidator(_utc)]
"""A time of an answer, ISO 8601 or seconds since 1970; UTC where no offset is given."""
Number = Annotated[float, Field(allow_inf_nan=False), Strict()]
Seconds = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class Source(BaseModel):
    """Settings of one kind and region, whatever the source.

    Parameters
    ----------
    unit : of the source's values, None for what is usual there. factor : what they are multiplied by, for
    units that are not known. max_age_s : older values are refused. hold_s : how long a last value stands in.
    fallback : what stands in for an answer, in this order. annual_mean : None for the scenario's own mean.
    at_most : larger values are refused.
    """

    model_config = SETTINGS

    unit: str | None = None
    factor: float | None = Field(None, gt=0.0, allow_inf_nan=False)
    max_age_s: Seconds = 10_800.0
    hold_s: Seconds = 21_600.0
    fallback: Annotated[tuple[Fallback, ...], Strict(False)] = FALLBACKS
    annual_mean: float | None = Field(None, allow_inf_nan=False)
    at_most: float | None = Field(None, allow_inf_nan=False)

    @property
    @abstractmethod
    def name(self) -> str:
        """How the source is named where its values are shown."""

    @abstractmethod
    async def points(self, place: Place, now: np.datetime64, transport: Transport) -> list[Point]:
        """Values in the source's unit, in any order, some of them of about `now`.

        Raises
        ------
        RefusedError, UnreachableError : there are none, or they are not to be believed.
        """

    def usual_unit(self, place: Place) -> str:
        """The unit of the source's values where the settings do not say."""
        return place.unit

    def scale(self, place: Place) -> float | None:
        """What makes the source's values those of `place`; None if that is not known."""
        given = self.unit or self.usual_unit(place)
        return self.factor if self.factor is not None else factor(given, place.unit)

    def check(self, place: Place) -> list[tuple[str, str]]:
        """Keys, and what is wrong with them for `place`."""
        if self.scale(place) is not None:
            return []
        known = ", ".join(KNOWN.get(place.unit, {place.unit: 1.0}))
        given = self.unit or self.usual_unit(place)
        return [("unit", f"{given!r} is not known for {place.unit}; known are {known}; or give factor")]


class Access(BaseModel):
    """How a service is asked over HTTP.

    Parameters
    ----------
    key_env : name of the environment variable that holds the key.
    timeout_s, retries, backoff_s : see `Query`.
    """

    model_config = SETTINGS

    key_env: str | None = None
    timeout_s: Seconds = 5.0
    retries: int = Field(2, ge=0, le=10)
    backoff_s: float = Field(0.5, ge=0.0, le=30.0)

    @property
    @abstractmethod
    def address(self) -> tuple[str, str]:
        """The key that holds the address, and the address."""

    def query(self, url: str, **more: Any) -> Query:
        """A question with the patience of the settings."""
        return Query(url, timeout_s=self.timeout_s, retries=self.retries, backoff_s=self.backoff_s, **more)

    def access_problems(self) -> list[tuple[str, str]]:
        """Keys, and what is wrong with them."""
        key, address = self.address
        problems = [(key, problem) for problem in _address_problems(address, self.key_env is not None)]
        if self.key_env is not None:
            problems += [("key_env", problem) for problem in key_problems(self.key_env)]
        return problems


def secret(variable: str) -> SecretStr:
    """The key in an environment variable; `key_problems` has been asked."""
    return SecretStr(os.environ[variable].strip())


def key_problems(variable: str) -> list[str]:
    """What is wrong with the key in an environment variable; shows neither, as they get mixed up."""
    value = os.environ.get(variable, "").strip()
    if not value:
        return ["names an environment variable that is not set, or empty"]
    if not (value.isascii() and value.isprintable()) or " " in value:
        return ["names an environment variable that holds characters no key has"]
    return []


def _address_problems(address: str, has_key: bool) -> list[str]:
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        return ["is no address such as https://host/path"]
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ["is no address such as https://host/path"]
    if parts.username is not None or parts.password is not None:
        return ["has a user in it; keys come from the environment, see key_env"]
    if has_key and parts.scheme == "http" and not _is_loopback(parts.hostname):
        return ["would send the key in the clear; write https"]
    return []


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def filled(template: str, zone: str, now: np.datetime64) -> str:
    """`template` with its ``{zone}``, ``{date}`` and ``{hour}`` filled in."""
    fill = {
        "{zone}": quote(zone, safe=""),
        "{date}": str(now.astype("datetime64[D]")),
        "{hour}": quote(f"{now.astype('datetime64[h]')}:00Z"),
    }
    for word, value in fill.items():
        template = template.replace(word, value)
    return template


def json_of(body: bytes, host: str) -> Any:
    """The answer's JSON, strictly.

    Raises
    ------
    RefusedError : it is none, or has NaN or infinity in it.
    """
    try:
        return json.loads(body, parse_constant=_no_number)
    except _NoNumberError as error:
        raise RefusedError(f"{host}: the answer holds {error}") from None
    except (ValueError, RecursionError):
        raise RefusedError(f"{host}: the answer is not JSON") from None


def shaped(shape: type[Model] | Any, value: object, host: str) -> Any:
    """`value` as the documented shape.

    Raises
    ------
    RefusedError : it has another one; the message says where.
    """
    try:
        return TypeAdapter(shape).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise RefusedError(f"{host}: the answer is not as expected: {where}: {first['msg']}") from None


class _NoNumberError(ValueError):
    """NaN or infinity, which JSON does not have."""


def _no_number(text: str) -> None:
    raise _NoNumberError(text)


def at_meter(intensity: float, place: Place) -> float:
    """An intensity of electricity, per MWh of what `place` counts."""
    return intensity * place.pue if place.per == "it" else intensity


def instant(when: datetime) -> np.datetime64:
    """datetime64[s] of an aware time."""
    return np.datetime64(int(when.timestamp()), "s")

"""Data plane settings: listeners of gateways, addresses of regions, and the proxies, from one file."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError, ValidationInfo

from eglb.foundation.errors import InputError
from eglb.scenarios.folder.tables import suggest

_HOST = r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])"
_LONGEST_SOCKET = 90
"""Characters of a socket's path, so that HAProxy can still put an ending of its own behind it."""


def _host(text: str) -> str:
    if re.fullmatch(_HOST, text):
        return text
    raise ValueError("must be a host name or an address, IPv6 in brackets")


def _address(text: str) -> str:
    found = re.fullmatch(_HOST + r":(\d{1,5})", text)
    if found and 0 < int(found[2]) < 65536:
        return text
    raise ValueError('must be "host:port"')


def _place(text: object, info: ValidationInfo) -> Path:
    """A path, from the folder of the file on; one that proxies would have to be quoted is refused."""
    if not isinstance(text, str):
        raise ValueError("must be a path")
    path = Path(info.context["here"] if info.context else "", text)
    if re.fullmatch(r"[\w./~+@:=,-]+", str(path)):
        return path
    raise ValueError(f"leads to {str(path)!r}: only letters, digits and ./~+@:=,-_ may be in a path")


def _socket(text: str, info: ValidationInfo) -> str:
    if re.fullmatch(_HOST + r":\d+", text):
        return _address(text)
    path = str(_place(text, info))
    if len(path) > _LONGEST_SOCKET:
        raise ValueError(f"is {len(path)} characters long as a path; a socket's may have {_LONGEST_SOCKET}")
    return path


def _url_path(text: str) -> str:
    if re.fullmatch(r"/[\w./~%-]*", text):
        return text
    raise ValueError("must be the path of a URL, such as /healthz")


def _key(text: str) -> str:
    if re.fullmatch(r"(\$\w+|[\w.:-])+", text):
        return text
    raise ValueError("must be of NGINX's variables, such as $request_id or $remote_addr$http_user_agent")


_Place = Annotated[Path, BeforeValidator(_place)]
_Host = Annotated[str, AfterValidator(_host)]
_Address = Annotated[str, AfterValidator(_address)]
_Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
_CLOSED: dict[str, Any] = {"extra": "forbid"}


@dataclass(frozen=True)
class HaProxySettings:
    """``[haproxy]``: the folder of its files; its runtime socket, a path or ``host:port``; the path of a URL
    that a region answers with 2xx or 3xx while it is well, else it need only take connections.
    """

    __pydantic_config__: ClassVar = _CLOSED

    folder: _Place
    socket: Annotated[str, AfterValidator(_socket)]
    check: Annotated[str, AfterValidator(_url_path)] | None = None


@dataclass(frozen=True)
class NginxSettings:
    """``[nginx]``: the folder of its files; where it says what it routes by; what of a request is hashed."""

    __pydantic_config__: ClassVar = _CLOSED

    folder: _Place
    status: _Address
    key: Annotated[str, AfterValidator(_key)] = "$request_id"


@dataclass(frozen=True)
class EnvoySettings:
    """``[envoy]``: the folder of its files, and its administration address."""

    __pydantic_config__: ClassVar = _CLOSED

    folder: _Place
    admin: _Address


@dataclass(frozen=True)
class DataPlaneSettings:
    """The whole file.

    Parameters
    ----------
    regions : ``host:port`` of each region's service. gateways : the port that each one's requests come in on.
    listen : the host that those ports are opened on.
    """

    __pydantic_config__: ClassVar = _CLOSED

    regions: dict[str, _Address]
    gateways: dict[str, _Port]
    listen: _Host = "127.0.0.1"
    haproxy: HaProxySettings | None = None
    nginx: NginxSettings | None = None
    envoy: EnvoySettings | None = None


_KEYS: dict[str, tuple[str, ...]] = {
    table: tuple(field.name for field in fields(form))
    for table, form in (
        ("", DataPlaneSettings),
        ("haproxy", HaProxySettings),
        ("nginx", NginxSettings),
        ("envoy", EnvoySettings),
    )
}


def label(name: str) -> str:
    """A name as proxies take it: letters, digits and ``_``."""
    return re.sub(r"\W", "_", name, flags=re.ASCII)


def host_port(address: str) -> tuple[str, int]:
    """Host and port of ``host:port``; an IPv6 host loses its brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def read_settings(path: Path, gateways: Sequence[str], regions: Sequence[str]) -> DataPlaneSettings:
    """Read the file that declares a data plane for the gateways and regions of a scenario.

    Paths in it start from its folder.

    Raises
    ------
    InputError : with every problem: the file, the table and the key.
    """
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        settings = TypeAdapter(DataPlaneSettings).validate_python(
            document, context={"here": path.resolve().parent}
        )
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: is not valid TOML: {error}") from None
    except ValidationError as error:
        found = [_said(each) for each in error.errors()]
        given = {name: document.get(name, {}) for name in ("regions", "gateways")}
        found += _unnamed(given["regions"], "regions", regions)
        found += _unnamed(given["gateways"], "gateways", gateways)
        raise InputError(f"{path}: {problem}" for problem in found) from None
    found = [
        *_unnamed(settings.regions, "regions", regions),
        *_unnamed(settings.gateways, "gateways", gateways),
        *_clashes(settings),
    ]
    if found:
        raise InputError(f"{path}: {problem}" for problem in found)
    return settings


def _said(error: Any) -> str:
    """A finding of pydantic in plain words, with its key."""
    where, kind = [str(part) for part in error["loc"]], error["type"]
    key = ".".join(where)
    if kind == "missing":
        return f"{key}: missing"
    if kind == "unexpected_keyword_argument":
        known = _KEYS.get(".".join(where[:-1]), ())
        return f"{key}: unknown" + (suggest(where[-1], known) or f"; known here are {', '.join(known)}")
    said = error["msg"].removeprefix("Value error, ").replace("Input should", "must")
    return f"{key}: {error['input']!r} {said}"


def _unnamed(given: object, table: str, known: Sequence[str]) -> list[str]:
    """Names of the scenario that are left out, and names that it does not have."""
    if not isinstance(given, Mapping):
        return []
    unknown = [name for name in given if name not in known]
    found = [f"{table}.{name}: the scenario has no such name{suggest(name, known)}" for name in unknown]
    return found + [f"{table}.{name}: missing" for name in known if name not in given]


def _clashes(settings: DataPlaneSettings) -> Iterator[str]:
    """What is right by itself, but not beside the rest."""
    if not (settings.haproxy or settings.nginx or settings.envoy):
        yield "there is none of the tables haproxy, nginx, envoy"
    for table, names in (("regions", settings.regions), ("gateways", settings.gateways)):
        labels = Counter(label(name).lower() for name in names)
        for name in names:
            if labels[label(name).lower()] > 1:
                yield f"{table}.{name}: proxies would call it {label(name)!r}, as they would another one"
    uses = Counter(settings.gateways.values())
    for name, port in settings.gateways.items():
        if uses[port] > 1:
            yield f"gateways.{name}: port {port} is another gateway's too"

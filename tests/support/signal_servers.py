"""Answers of the services that signals come from, as their documentation has them, and a fleet."""

from __future__ import annotations

import json
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
from support.http_shelf import Answer, Shelf, send

from eglb.live.signals import Signals, open_signals
from eglb.scenarios import catalog
from eglb.scenarios.scenario import Scenario

NOW = np.datetime64("2023-07-05T12:00:00")
SECRET = "k3y-That/nobody+may=see"


@cache
def fleet() -> Scenario:
    """Ten regions, hours from 2023-07-03 on; water in m3 per IT MWh, carbon in t per MWh."""
    return catalog.load("world10")


def answer(value: object) -> bytes:
    return json.dumps(value).encode()


def carbon(
    zone: str = "DE", g_per_kwh: Any = 302, at: str = "2023-07-05T12:00:00.000Z", **more: Any
) -> bytes:
    """As in the reference of Electricity Maps, /v3/carbon-intensity/latest."""
    return answer(
        {
            "zone": zone,
            "carbonIntensity": g_per_kwh,
            "datetime": at,
            "updatedAt": "2023-07-05T11:32:21.002Z",
            "createdAt": "2023-07-02T06:20:31.772Z",
            "emissionFactorType": "lifecycle",
            "isEstimated": True,
            "estimationMethod": "TIME_SLICER_AVERAGE",
            **more,
        }
    )


CARBON_PATH = "v3/carbon-intensity/latest?zone=DE&emissionFactorType=lifecycle"


def open_meteo(
    lat: float, lon: float, temp_c: Any = 27.5, rh_pct: Any = 40, elevation: float = 60.0, **more: Any
) -> bytes:
    """As /v1/forecast?current=... of Open-Meteo answers; coordinates are those of its grid cell."""
    return answer(
        {
            "latitude": round(lat, 1),
            "longitude": round(lon, 1),
            "generationtime_ms": 0.1,
            "utc_offset_seconds": 0,
            "timezone": "GMT",
            "timezone_abbreviation": "GMT",
            "elevation": elevation,
            "current_units": {
                "time": "iso8601",
                "interval": "seconds",
                "temperature_2m": "°C",
                "relative_humidity_2m": "%",
            },
            "current": {
                "time": "2023-07-05T11:45",
                "interval": 900,
                "temperature_2m": temp_c,
                "relative_humidity_2m": rh_pct,
            },
            **more,
        }
    )


def watttime(
    region: str, lbs: float, units: str = "lbs_co2_per_mwh", at: str = "2023-07-05T12:00:00+00:00"
) -> bytes:
    """As /v3/forecast of WattTime answers with horizon_hours=0."""
    return answer(
        {
            "data": [{"point_time": at, "value": lbs}],
            "meta": {
                "data_point_period_seconds": 300,
                "region": region,
                "warnings": [],
                "signal_type": "co2_moer",
                "units": units,
                "model": {"date": "2023-03-01"},
                "generated_at": at,
            },
        }
    )


def only_with(header: str, value: str, body: bytes) -> Answer:
    """The body for those who have the key, 401 for others."""

    def give(handler: BaseHTTPRequestHandler, attempt: int) -> None:
        if handler.headers.get(header) == value:
            send(handler, body)
        else:
            handler.send_error(401)

    return give


def of_type(content_type: str, body: bytes, status: int = 200, **headers: str) -> Answer:
    """Any answer at all."""

    def give(handler: BaseHTTPRequestHandler, attempt: int) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return give


def opened(folder: Path, toml: str, shelf: Shelf | None = None, scenario: Scenario | None = None) -> Signals:
    """The signals of settings in which ``BASE`` is the server."""
    path = folder / "signals.toml"
    path.write_text(toml.replace("BASE", "" if shelf is None else shelf.address), encoding="utf-8")
    return open_signals(path, scenario or fleet())

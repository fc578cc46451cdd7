"""Dashboard: its static files, and the map that it draws on."""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from eglb.foundation.world_map import land_dots
from eglb.scenarios.scenario import Scenario

_TYPES = {"css": "text/css", "js": "text/javascript", "html": "text/html", "svg": "image/svg+xml"}
_MAP_COLUMNS = 180


def pages(fleet: Scenario) -> APIRouter:
    """The dashboard: the files that are there when the service starts, by their names, and no others; and the
    land on the map of the fleet.
    """
    api = APIRouter(include_in_schema=False)
    folder = resources.files("eglb.live").joinpath("dashboard")
    found = {
        path.name: (path.read_bytes(), _TYPES[path.name.rpartition(".")[2]])
        for path in folder.iterdir()
        if path.name.rpartition(".")[2] in _TYPES
    }
    found["map.json"] = _map(fleet), "application/json"

    @api.get("/")
    @api.get("/{name}")
    async def page(name: str = "index.html") -> Response:
        if name not in found:
            raise HTTPException(404, "there is no such page")
        body, kind = found[name]
        return Response(body, media_type=kind)

    return api


def _map(fleet: Scenario) -> bytes:
    """West, east, south and north of it in degrees, and longitude and latitude of its dots of land."""
    lat = np.concatenate([fleet.region_lat, fleet.gateway_lat])
    lon = np.concatenate([fleet.region_lon, fleet.gateway_lon])
    view, dots = land_dots(lat, lon, _MAP_COLUMNS)
    return json.dumps({"view": view, "columns": _MAP_COLUMNS, "land": dots.round(2).tolist()}).encode()

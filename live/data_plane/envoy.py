"""Envoy: shares as weighted clusters, in a file of routes that Envoy watches.

Each region is a cluster, and the listener of each gateway finds its route in a file of its own, one a file as
Envoy wants it. It takes what was moved there, whole or not at all, and draws a region for each request at
random.

Documentation: envoyproxy.io, "Dynamic from filesystem"; config.route.v3.WeightedCluster, whose field
``total_weight`` is deprecated: the weights' own sum counts, here always `UNITS`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from eglb.live.data_plane.plane import (
    PATIENCE_S,
    DataPlane,
    PlaneError,
    ask,
    even_parts,
    fingerprint,
    parts,
    seen,
    write_aside,
)
from eglb.live.data_plane.settings import DataPlaneSettings, EnvoySettings, host_port, label
from eglb.live.routing.weights import WeightTable

UNITS = 10_000
_TYPES = "type.googleapis.com/envoy."
_HTTP = "extensions.filters.http.router.v3.Router"
_CONNECTIONS = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


class Envoy(DataPlane):
    """An Envoy that watches a file of this machine."""

    name = "Envoy"

    def __init__(self, settings: DataPlaneSettings, own: EnvoySettings) -> None:
        self._settings, self._own = settings, own

    def starting_files(self) -> dict[Path, str]:
        even = even_parts(self._settings.gateways, self._settings.regions, UNITS)
        return {
            self._own.folder / "envoy.yaml": yaml.safe_dump(self._configuration(), sort_keys=False),
            **self._routes(even)[0],
        }

    def enforce(self, table: WeightTable) -> bool:
        files, wanted = self._routes(parts(table, UNITS))
        if self._in_force() == wanted:
            return False
        try:
            for path, text in files.items():
                write_aside(path, text)
        except OSError as error:
            raise PlaneError(f"{error.filename}: {error.strerror}") from None
        if ask(self._own.admin, "/ready") is None:
            raise PlaneError(f"is to start with the weights, but does not answer at {self._own.admin} now")
        if not seen(lambda: self._in_force() == wanted):
            raise PlaneError(f"does not take the weights within {PATIENCE_S:g} s; its log says why")
        return True

    def _in_force(self) -> list[str]:
        """Versions of the routes in use, of all gateways, sorted."""
        answer = ask(self._own.admin, "/config_dump?resource=dynamic_route_configs&mask=version_info")
        try:
            return sorted(config["version_info"] for config in json.loads(answer or b"{}")["configs"])
        except (ValueError, KeyError):
            return []

    def _file(self, gateway: str) -> Path:
        return self._own.folder / f"routes-{label(gateway)}.json"

    def _routes(self, shares: Mapping[str, Mapping[str, int]]) -> tuple[dict[Path, str], list[str]]:
        """The files of routes, and the versions that Envoy tells them by: it counts only what has changed."""
        files, versions = {}, []
        for gateway, row in shares.items():
            resource = _resource(gateway, row)
            versions.append(fingerprint(json.dumps(resource)))
            document = {"version_info": versions[-1], "resources": [resource]}
            files[self._file(gateway)] = json.dumps(document, indent=1) + "\n"
        return files, sorted(versions)

    def _configuration(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "node": {"id": "eglb", "cluster": "eglb"},
            "admin": {"address": _address(*host_port(self._own.admin))},
            "static_resources": {
                "listeners": [self._listener(name, port) for name, port in settings.gateways.items()],
                "clusters": [self._cluster(name, address) for name, address in settings.regions.items()],
            },
        }

    def _listener(self, name: str, port: int) -> dict[str, Any]:
        watched = {"resource_api_version": "V3", "path_config_source": {"path": str(self._file(name))}}
        manager = {
            "@type": _TYPES + _CONNECTIONS,
            "stat_prefix": label(name),
            "rds": {"route_config_name": label(name), "config_source": watched},
            "http_filters": [
                {"name": "envoy.filters.http.router", "typed_config": {"@type": _TYPES + _HTTP}},
            ],
        }
        filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
        return {
            "name": label(name),
            "address": _address(self._settings.listen.strip("[]"), port),
            "filter_chains": [{"filters": filters}],
        }

    def _cluster(self, name: str, address: str) -> dict[str, Any]:
        endpoint = {"endpoint": {"address": _address(*host_port(address))}}
        return {
            "name": label(name),
            "type": "STRICT_DNS",
            "connect_timeout": "2s",
            "load_assignment": {"cluster_name": label(name), "endpoints": [{"lb_endpoints": [endpoint]}]},
        }


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _resource(gateway: str, row: Mapping[str, int]) -> dict[str, Any]:
    clusters = [{"name": label(region), "weight": part} for region, part in row.items()]
    route = {
        "weighted_clusters": {"clusters": clusters},
        "timeout": "60s",
        "retry_policy": {"retry_on": "connect-failure,refused-stream", "num_retries": 2},
    }
    return {
        "@type": _TYPES + "config.route.v3.RouteConfiguration",
        "name": label(gateway),
        "virtual_hosts": [
            {
                "name": label(gateway),
                "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": route}],
            }
        ],
    }

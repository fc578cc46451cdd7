"""NGINX: shares as ``split_clients`` in a file of their own, then a reload.

A hash of a key decides where a request goes: by default of a number that NGINX draws for each one, so that
shares come out as those of independent draws do, or of something of the client, who then stays with a region
while shares last. A reload loses no request: workers that go end what they have begun.

Documentation: nginx.org, ngx_http_split_clients_module; "Controlling nginx" (signals).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

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
from eglb.live.data_plane.settings import DataPlaneSettings, NginxSettings, label
from eglb.live.routing.weights import WeightTable

UNITS = 10_000
"""Percentages have two decimals."""
_CHANGE_OF_GUARD_S = 0.2
"""After a reload new workers serve beside the old ones for 100 ms, before those are told to go."""


class Nginx(DataPlane):
    """An NGINX of this machine, by its configuration."""

    name = "NGINX"

    def __init__(self, settings: DataPlaneSettings, own: NginxSettings) -> None:
        self._settings, self._own = settings, own
        self._config, self._weights = own.folder / "nginx.conf", own.folder / "weights.conf"

    def starting_files(self) -> dict[Path, str]:
        even = even_parts(self._settings.gateways, self._settings.regions, UNITS)
        return {
            self._config: "\n".join(self._configuration()) + "\n",
            self._weights: _weights(even, self._own.key)[0],
        }

    def enforce(self, table: WeightTable) -> bool:
        text, mark = _weights(parts(table, UNITS), self._own.key)
        if self._in_force() == mark:
            return False
        try:
            before = self._weights.read_text("utf-8") if self._weights.exists() else None
            write_aside(self._weights, text)
        except OSError as error:
            raise PlaneError(f"{self._weights}: {error.strerror}") from None
        if said := self._run("-t"):
            if before is None:
                self._weights.unlink()
            else:
                write_aside(self._weights, before)
            raise PlaneError(f"does not take the weights, and keeps those before: {said}")
        if said := self._run("-s", "reload"):
            raise PlaneError(f"is to start with the weights, but cannot be told now: {said}")
        if not seen(lambda: self._in_force() == mark, _CHANGE_OF_GUARD_S):
            raise PlaneError(f"does not have the weights within {PATIENCE_S:g} s, says {self._own.status}")
        return True

    def _in_force(self) -> str | None:
        """The mark of the weights that it routes by."""
        answer = ask(self._own.status, "/weights")
        return None if answer is None else answer.decode(errors="replace").strip()

    def _run(self, *arguments: str) -> str:
        """What is wrong, as NGINX says it; nothing if all is well."""
        try:
            done = subprocess.run(
                ["nginx", "-q", "-c", str(self._config), *arguments],
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if not done.returncode:
            return ""
        errors = re.findall(r"\[(?:error|crit|alert|emerg)\] (?:\d+#\d+: )?(.*)", done.stderr)
        return "; ".join(errors) or f"exit code {done.returncode}"

    def _configuration(self) -> Iterator[str]:
        settings, folder = self._settings, self._own.folder
        yield from (
            "worker_processes auto;",
            f"pid {folder}/nginx.pid;",
            "error_log stderr;",
            "events { worker_connections 4096; }",
            "http {",
            "    access_log off;",
            "    variables_hash_max_size 8192;",
            "    variables_hash_bucket_size 128;",
        )
        for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
            yield f"    {what}_temp_path {folder}/{what};"
        yield from (
            "    proxy_http_version 1.1;",
            '    proxy_set_header Connection "";',
            "    proxy_set_header Host $host;",
            "    proxy_connect_timeout 2s;",
            f"    include {self._weights};",
            f"    server {{ listen {self._own.status};",
            "        location = /weights { return 200 $eglb_weights; } }",
        )
        for name, address in settings.regions.items():
            yield f"    upstream {label(name)} {{ server {address} max_fails=0; keepalive 64; }}"
        for name, port in settings.gateways.items():
            yield (
                f"    server {{ listen {settings.listen}:{port}; "
                f"location / {{ proxy_pass http://$eglb_to_{label(name)}; }} }}"
            )
        yield "}"


def _weights(shares: Mapping[str, Mapping[str, int]], key: str) -> tuple[str, str]:
    """The file of weights, and the mark that NGINX tells it by."""
    lines = []
    for gateway, row in shares.items():
        *others, last = row
        lines.append(f'split_clients "{key}" $eglb_to_{label(gateway)} {{')
        lines += [f"    {row[region] / 100:.2f}% {label(region)};" for region in others]
        lines += [f"    * {label(last)};", "}"]
    text = "\n".join(lines)
    mark = fingerprint(text)
    return f'{text}\nmap "" $eglb_weights {{ default {mark}; }}\n', mark

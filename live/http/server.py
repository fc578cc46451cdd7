"""HTTP server (uvicorn): serves an application on an address, in a thread of its own."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
from asyncio import TimerHandle, Transport
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from eglb.foundation.errors import InputError
from eglb.live.http.middleware import LOOPBACK, App, AuthMiddleware

MOST_CONNECTIONS = 2000
_HEAD_BYTES, _HEAD_S, _LOOK_EVERY_S = 1 << 16, 10.0, 2.0
_START_S, _LINGER_S = 30.0, 2
_BACKLOG = 2048


class BoundedHttpProtocol(HttpToolsProtocol):
    """Hangs up on who sends the head of a request too slowly, or without end."""

    _look: TimerHandle | None = None
    _since: float | None = None
    _head = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._look = self.loop.call_later(_LOOK_EVERY_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._since, self._head = self.loop.time(), 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._since = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._since is not None:
            self._head += len(data)
            if self._head > _HEAD_BYTES:
                self.transport.close()

    def _too_slow(self) -> None:
        if self._since is not None and self.loop.time() - self._since > _HEAD_S:
            self.transport.close()
        else:
            self._look = self.loop.call_later(_LOOK_EVERY_S, self._too_slow)


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``, ``[IPV6]:PORT`` or ``PORT`` of loopback; port 0 takes a free one.

    Raises
    ------
    InputError : it is none of them.
    """
    host, _, port = text.rpartition(":")
    host = (host or "127.0.0.1").removeprefix("[").removesuffix("]")
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise InputError(f"--listen {text}: is not HOST:PORT, such as 127.0.0.1:8080")
    return host, int(port)


def names_of(host: str) -> tuple[str, ...] | None:
    """The names by which a service that listens there may be asked; None for any, if others can reach it."""
    with suppress(ValueError):
        return LOOPBACK if ipaddress.ip_address(host).is_loopback else None
    return LOOPBACK if host == "localhost" else None


@contextmanager
def serving(app: App, host: str, port: int) -> Iterator[str]:
    """An application answers while this lasts; its URL.

    Raises
    ------
    InputError : the address cannot be listened on.
    """
    with _listener(host, port) as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=BoundedHttpProtocol,
                loop="uvloop",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                log_level=logging.WARNING,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=MOST_CONNECTIONS,
                backlog=_BACKLOG,
                timeout_graceful_shutdown=_LINGER_S,
            )
        )
        thread = threading.Thread(target=server.run, args=([listener],), name="eglb-http", daemon=True)
        thread.start()
        try:
            yield _url(listener.getsockname())
        finally:
            if isinstance(app, AuthMiddleware):
                app.let_go()
            server.should_exit = True
            thread.join(_START_S)


def _listener(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            # From here on connections wait for the server, and none is refused.
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise InputError(f"--listen {host}:{port}: {error.strerror}") from None
    return listener


def _url(address: Any) -> str:
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"http://{host}:{address[1]}"

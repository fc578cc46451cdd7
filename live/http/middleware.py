"""ASGI middleware: who may write, how much and how slowly, and the security headers of every response."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Answer = tuple[Message, Message]

SAFE = ("GET", "HEAD", "OPTIONS")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""Names under which a browser may ask a service that listens on loopback only."""

HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""Of every answer, unless it says otherwise itself."""


def json_answer(status: int, body: bytes, more: Iterable[tuple[bytes, bytes]] = ()) -> Answer:
    """An answer as ASGI messages, with all headers."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        *more,
        *HEADERS,
    ]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    return start, {"type": "http.response.body", "body": body}


class AuthMiddleware:
    """An ASGI application that lets through what may pass.

    Whatever writes needs the bearer token, and is read whole before the application hears of it, up to a size
    and for a time. A page of another origin cannot read a service on loopback by pointing its own name
    there: the host asked for must be one of `hosts`.

    Parameters
    ----------
    app : behind it. token : None refuses all writing.
    hosts : names the service goes by, without port; None allows any.
    quick : gives the whole answer to a GET that is nothing special, or None.
    let_go : ends the waiting of requests that wait for something, when the server is about to end.
    most_body : bytes. body_within : seconds.
    """

    def __init__(
        self,
        app: App,
        token: str | None,
        hosts: Iterable[str] | None,
        quick: Callable[[Scope], Answer | None] = lambda scope: None,
        let_go: Callable[[], None] = lambda: None,
        most_body: int = 1 << 20,
        body_within: float = 10.0,
    ) -> None:
        if token is not None and not token:
            raise ValueError("the token is empty: anybody could write")
        self._app, self._quick, self.let_go = app, quick, let_go
        self._token = None if token is None else token.encode()
        self._hosts = None if hosts is None else frozenset(name.lower().encode() for name in hosts)
        self._most_body, self._body_within = most_body, body_within

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._hosts is not None and _host(scope) not in self._hosts:
            await _refuse(send, 421, "this service does not go by that name")
            return
        method = scope["method"]
        if method == "GET":
            answer = self._quick(scope)
            if answer is not None:
                await send(answer[0])
                await send(answer[1])
                return
        elif method == "HEAD":
            scope = {**scope, "method": "GET"}
        elif method not in SAFE:
            refused = self._who(scope)
            if refused is not None:
                await _refuse(send, *refused)
                return
            try:
                receive = await asyncio.wait_for(self._whole(scope, receive), self._body_within)
            except TimeoutError:
                await _refuse(send, 408, f"the body took longer than {self._body_within:g} s")
                return
            except OverflowError:
                await _refuse(send, 413, f"the body is longer than {self._most_body:,} bytes")
                return
            except ConnectionError:
                return
        await self._app(scope, receive, _with_headers(send, bodiless=method == "HEAD"))

    def _who(self, scope: Scope) -> tuple[int, str] | None:
        """What to refuse a writer with."""
        if self._token is None:
            return 403, "nothing may be written: start the service with a token (--token-env) to allow it"
        scheme, _, given = _header(scope, b"authorization").partition(b" ")
        if scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token):
            return None
        return 401, "the bearer token is missing or wrong"

    async def _whole(self, scope: Scope, receive: Receive) -> Receive:
        """Reads the body; what the application receives instead."""
        declared = _header(scope, b"content-length")
        if declared.isdigit() and int(declared) > self._most_body:
            raise OverflowError
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError
            body += message.get("body", b"")
            if len(body) > self._most_body:
                raise OverflowError
            more = message.get("more_body", False)
        waiting = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return waiting.pop() if waiting else await receive()

        return replay


def problem(detail: str, problems: Iterable[str] = ()) -> bytes:
    """What every refusal says, as JSON; names that are no text are escaped."""
    return json.dumps({"detail": detail, "problems": list(problems)}).encode()


async def _refuse(send: Send, status: int, detail: str) -> None:
    """Answer and hang up: what else may still be coming is not read."""
    more = [(b"connection", b"close")]
    if status == 401:
        more.append((b"www-authenticate", b"Bearer"))
    for message in json_answer(status, problem(detail), more):
        await send(message)


def _with_headers(send: Send, bodiless: bool) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = list(message.get("headers", ()))
            said = {name.lower() for name, _ in own}
            message = {**message, "headers": own + [each for each in HEADERS if each[0] not in said]}
        elif bodiless:
            message = {**message, "body": b""}
        await send(message)

    return sending


def _header(scope: Scope, wanted: bytes) -> bytes:
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return b""


def _host(scope: Scope) -> bytes:
    """The name asked for, without port, in small letters."""
    host = _header(scope, b"host").lower()
    name, colon, port = host.rpartition(b":")
    return name if colon and port.isdigit() else host

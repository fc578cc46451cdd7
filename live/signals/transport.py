"""HTTP client of signals: timeout, retries, bounded size, and no key in any message."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from urllib.parse import quote, quote_plus, urlsplit

import httpx
from pydantic import SecretStr

from eglb.live.signals.reading import RefusedError, UnreachableError

MAX_BYTES = 4 << 20
"""Of one answer: a year of hours for a hundred regions as text is smaller."""
LONGEST_PAUSE_S = 30.0
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_UNWANTED = ("text/html", "application/xhtml+xml")
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy")
_HIDDEN = "***"
_PARAMETERS = re.compile(r"\?[^\s\"']+")


@dataclass(frozen=True)
class Query:
    """One question: the same one is asked once a slot, whoever wants its answer.

    Parameters
    ----------
    secret_headers, secret_params : what carries a key; masked wherever this is shown.
    login : user and password, of HTTP's own scheme.
    timeout_s : for one try, from connecting to the last byte. retries : further tries.
    backoff_s : pause before the first of them; it doubles each time.
    """

    url: str
    params: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    secret_headers: tuple[tuple[str, SecretStr], ...] = ()
    secret_params: tuple[tuple[str, SecretStr], ...] = ()
    login: tuple[SecretStr, SecretStr] | None = None
    timeout_s: float = 5.0
    retries: int = 2
    backoff_s: float = 0.5

    @property
    def host(self) -> str:
        """Where it goes, as it is shown: without path, user or parameters."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


class Transport:
    """Asks, and keeps the answers of one slot. For one event loop."""

    def __init__(self) -> None:
        self._asked: dict[Query, asyncio.Task[bytes]] = {}
        self._secrets = _Secrets()
        # They log every address and the headings of every answer; some services take their key in the
        # address, and any may send back what it was sent.
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self._secrets)

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(follow_redirects=False, timeout=None, verify=_certificates())

    async def aclose(self) -> None:
        """Hang up."""
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._secrets)
        if "_client" in self.__dict__:
            await self._client.aclose()

    def begin_slot(self) -> None:
        """Forget the answers of the slot before."""
        self._asked.clear()

    async def end_slot(self) -> None:
        """Leave no question open."""
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    def scrub(self, text: str) -> str:
        """`text` without any key that was sent so far."""
        return self._secrets.scrub(text)

    async def get(self, query: Query) -> bytes:
        """The body of the answer.

        Raises
        ------
        UnreachableError : no whole answer came, or none but an error, however often it was asked for.
        RefusedError : the answer is an error that lasts, a redirect, a web page, or too large.
        """
        if query not in self._asked:
            self._asked[query] = asyncio.create_task(self._insist(query))
        return await self._asked[query]

    async def _insist(self, query: Query) -> bytes:
        pause = query.backoff_s
        for again in range(query.retries, -1, -1):
            try:
                async with asyncio.timeout(query.timeout_s):
                    return await self._once(query)
            except _Passing as passing:
                problem, wait = str(passing), passing.wait_s
            except TimeoutError:
                problem, wait = f"{query.host}: no whole answer within {query.timeout_s:g} s", 0.0
            except httpx.TransportError as error:
                problem, wait = f"{query.host}: {_said(error)}", 0.0
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                # What the library says may quote what was sent.
                raise RefusedError(f"{query.host}: cannot be asked ({type(error).__name__})") from None
            if again:
                await asyncio.sleep(min(max(pause, wait), LONGEST_PAUSE_S))
                pause *= 2.0
        raise UnreachableError(
            self.scrub(f"{problem}, {query.retries + 1} {'try' if query.retries == 0 else 'tries'}")
        )

    async def _once(self, query: Query) -> bytes:
        secrets = [secret for _, secret in query.secret_headers + query.secret_params]
        self._secrets.learn(secret.get_secret_value() for secret in (*secrets, *(query.login or ())))
        auth = None if query.login is None else httpx.BasicAuth(*(s.get_secret_value() for s in query.login))
        # Packed answers are not asked for: their size would be known only when unpacked.
        headers = {"Accept-Encoding": "identity", "User-Agent": "eglb", **dict(query.headers)}
        headers |= {name: secret.get_secret_value() for name, secret in query.secret_headers}
        params = dict(query.params) | {name: key.get_secret_value() for name, key in query.secret_params}
        url = httpx.URL(query.url)
        if params:
            url = url.copy_merge_params(params)
        async with self._client.stream("GET", url, headers=headers, auth=auth) as answer:
            _look_at(answer, query.host)
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise RefusedError(f"{query.host}: the answer is larger than {MAX_BYTES >> 20} MiB")
            return bytes(body)


@cache
def _certificates() -> ssl.SSLContext:
    """Reading them takes longer than all else."""
    return httpx.create_ssl_context()


class _Passing(Exception):
    """An error that may be over soon; `wait_s` is what the server asks for."""

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


def _look_at(answer: httpx.Response, host: str) -> None:
    """Raises if there is no use in reading the body."""
    status = answer.status_code
    if status in _PASSING:
        asked = answer.headers.get("Retry-After", "")
        raise _Passing(f"{host}: the answer is {status}", float(asked) if asked.isdecimal() else 0.0)
    if answer.is_redirect:
        raise RefusedError(f"{host}: the answer is {status}, to ask elsewhere; redirects are not followed")
    if status in (401, 403):
        raise RefusedError(f"{host}: the answer is {status}: the key is not accepted")
    if status != 200:
        raise RefusedError(f"{host}: the answer is {status}")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise RefusedError(f"{host}: the answer is packed, which was not asked for")
    if answer.headers.get("Content-Type", "").split(";")[0].strip().lower() in _UNWANTED:
        raise RefusedError(f"{host}: the answer is a web page")


def _said(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ConnectError):
        return "nobody answers there"
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return "the answer broke off"
    return f"cannot be asked ({type(error).__name__})"


class _Secrets(logging.Filter):
    """Keys that were sent, taken out of whatever text they turn up in."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[str] = set()

    def learn(self, secrets: Iterable[str]) -> None:
        for secret in (part for whole in secrets for part in whole.split()):
            self._known |= {secret, quote(secret, safe=""), quote_plus(secret), quote(secret)}

    def scrub(self, text: str) -> str:
        # The longest first: one spelling may be part of another.
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _PARAMETERS.sub("?" + _HIDDEN, self.scrub(record.getMessage())), ()
        return True

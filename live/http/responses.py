"""HTTP responses that endpoints share: documented refusals, entity tags and long polls."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from eglb.live.http import schemas as m
from eglb.live.state.service_state import ServiceState

Responses = dict[int | str, dict[str, Any]]

_TAG = {"ETag": {"schema": {"type": "string"}, "description": "Of this answer."}}


def errors(*statuses: int) -> Responses:
    """Refusals of an operation, for its document; what is asked of another name is always one."""
    said = {
        400: "The body is no JSON.",
        401: "The bearer token is missing or wrong.",
        403: "The service has no token, so nothing may be written.",
        404: "There is nothing by that name.",
        408: "The body took too long.",
        409: "Not as things stand; `detail` says why.",
        413: "The body is too long.",
        421: "The service does not go by that name.",
        422: "Not understood; `problems` says why.",
        503: "Not at present.",
    }
    return {status: {"model": m.Problem, "description": said[status]} for status in (*statuses, 421)}


def tagged(model: type[BaseModel]) -> Responses:
    """An answer that has a tag, and none to who has it already."""
    return {
        200: {"model": model, "headers": _TAG},
        304: {"description": "It is that of If-None-Match, and was all the `wait`.", "headers": _TAG},
    }


class Polls:
    """Requests that wait for another answer than they know, `most` of them at a time."""

    def __init__(self, service_state: ServiceState, most: int) -> None:
        self._service_state, self._most, self._waiting = service_state, most, 0

    async def answer(
        self,
        request: Request,
        if_none_match: str | None,
        wait: float,
        body: Callable[[], Awaitable[tuple[bytes, str]]],
    ) -> Response:
        """What `body` gives with its tag, after `wait` seconds at most if the client has that one."""
        known = [each.strip().removeprefix("W/") for each in (if_none_match or "").split(",")]

        async def fresh() -> bool:
            return not ("*" in known or (await body())[1] in known)

        if wait and not await fresh():
            await self._until(fresh, wait, request)
        told, tag = await body()
        headers = {"etag": tag, "cache-control": "no-cache"}
        if "*" in known or tag in known:
            return Response(status_code=304, headers=headers)
        return Response(told, media_type="application/json", headers=headers)

    async def _until(self, changed: Callable[[], Awaitable[bool]], seconds: float, request: Request) -> None:
        """Returns when `changed`, when the time is over, or when the client has gone."""
        if self._waiting >= self._most:
            raise HTTPException(503, "too many requests wait already", {"retry-after": "1"})
        loop, news, router = asyncio.get_running_loop(), asyncio.Event(), self._service_state.router

        def tell() -> None:
            with suppress(RuntimeError):  # the loop has ended, and with it the request
                loop.call_soon_threadsafe(news.set)

        async def until() -> None:
            while not (router.closed or await changed()):
                await news.wait()
                news.clear()

        self._waiting += 1
        with router.watched(tell), self._service_state.watched(tell):
            tasks = [asyncio.ensure_future(until()), asyncio.ensure_future(_gone(request))]
            try:
                done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._waiting -= 1
                for task in tasks:
                    task.cancel()
        for task in done:
            task.result()


def with_tag(body: bytes) -> tuple[bytes, str]:
    """A body and its entity tag."""
    return body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue

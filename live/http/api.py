"""ASGI application (FastAPI): routing, weights, explanations, meters and jobs; see ``/openapi.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any
from urllib.parse import unquote_plus, urlencode

import numpy as np
from fastapi import APIRouter, Body, Depends, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from prometheus_client import exposition
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from eglb.foundation.version import __version__
from eglb.live.http import schemas as m
from eglb.live.http.dashboard import pages
from eglb.live.http.jobs import jobs
from eglb.live.http.middleware import (
    SAFE,
    Answer,
    App,
    AuthMiddleware,
    Receive,
    Scope,
    Send,
    json_answer,
    problem,
)
from eglb.live.http.responses import Polls, Responses, errors, tagged, with_tag
from eglb.live.jobs.intake import JobsRefused
from eglb.live.routing.router import Decision, Router, UnknownName, Unroutable, View
from eglb.live.state.service_state import ServiceState
from eglb.live.storage.store import NoBooks, StoreError

_PROBLEMS_SHOWN = 20
_LONGEST_SESSION = 256
_STATUS = {UnknownName: 404, Unroutable: 503, NoBooks: 503, StoreError: 503}


def make_app(
    service_state: ServiceState,
    *,
    token: str | None = None,
    hosts: Iterable[str] | None = None,
    read_only: bool = False,
    weights_origins: Sequence[str] = (),
    most_polls: int = 64,
) -> AuthMiddleware:
    """The ASGI application of a service.

    Parameters
    ----------
    token : that writers must bear; None refuses all writing.
    hosts : names the service goes by, `middleware.LOOPBACK` if it listens there; None allows any.
    read_only : only what may be shown to the world: routes and weights, health without details.
    weights_origins : of web pages that may read ``/v1/weights``, such as ``https://ops.example``, or ``*``.
    most_polls : requests that may wait for another answer at the same time.
    """
    app = FastAPI(
        title="eglb live",
        summary="Where to send requests, so that energy is cheap and no region bears too much.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    polls = Polls(service_state, most_polls)
    app.include_router(_routing(service_state, polls))
    app.include_router(_process(service_state))
    if not read_only:
        app.include_router(_writing(service_state))
        app.include_router(_reading(service_state))
        app.include_router(jobs(service_state, polls))
        app.include_router(pages(service_state.scenario))
    for kind in _STATUS:
        app.add_exception_handler(kind, _failed)
    app.add_exception_handler(JobsRefused, _jobs_refused)
    app.add_exception_handler(HTTPException, _http_failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _broken)
    return AuthMiddleware(
        _allowing(app, weights_origins),
        token,
        hosts,
        QuickRoute(service_state.router),
        let_go=service_state.router.close,
    )


class QuickRoute:
    """Answers ``/v1/route`` without the framework where nothing is wrong; whatever is, goes the long way."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._gateway = {urlencode({"gateway": name}).encode(): name for name in router.gateways}
        self._view: View | None = None
        self._answers: dict[Decision, Answer] = {}

    def __call__(self, scope: Scope) -> Answer | None:
        if scope["path"] != "/v1/route":
            return None
        query, and_session, given = scope["query_string"].partition(b"&session=")
        gateway = self._gateway.get(query)
        if gateway is None:
            return None
        session = None
        if and_session:
            if not given or b"&" in given:
                return None
            session = unquote_plus(given.decode("latin-1"))
            if len(session) > _LONGEST_SESSION:
                return None
        try:
            decision = self._router.route(gateway, session)
        except Unroutable:
            return None
        if self._view is not self._router.view:
            self._view, self._answers = self._router.view, {}
        answer = self._answers.get(decision)
        if answer is None:
            answer = self._answers[decision] = json_answer(200, decision.body)
        return answer


class _Bodies:
    """The weights as they are sent, with their tag; made once for each view."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._view: View | None = None
        self._made: dict[str | None, tuple[bytes, str]] = {}

    def of(self, gateway: str | None) -> tuple[bytes, str]:
        view = self._router.view
        if view is None:
            raise Unroutable("there is no table of weights yet")
        if view is not self._view:
            self._view, self._made = view, {}
        made = self._made.get(gateway)
        if made is None:
            made = self._made[gateway] = with_tag(json.dumps(_weights(view, gateway)).encode())
        return made


def _weights(view: View, gateway: str | None) -> dict[str, Any]:
    table = view.table
    if gateway is not None and gateway not in table.gateways:
        raise UnknownName(f"no gateway is called {gateway!a}")
    return {
        "version": table.version,
        "slot_utc": f"{table.start}Z",
        "seconds": table.seconds,
        "source": table.source,
        "note": table.note,
        "down": list(view.down),
        "gateways": {
            name: {table.regions[i]: float(row[i]) for i in np.flatnonzero(row)}
            for name, row in zip(table.gateways, view.share, strict=True)
            if gateway in (None, name)
        },
    }


def _routing(service_state: ServiceState, polls: Polls) -> APIRouter:
    api, bodies = APIRouter(tags=["routing"]), _Bodies(service_state.router)

    @api.get("/v1/route", responses={200: {"model": m.Route}, **errors(404, 422, 503)})
    async def route(query: Annotated[m.RouteQuery, Query()]) -> Response:
        """One decision: where the next request of a gateway goes, or all those of a session."""
        decision = service_state.router.route(query.gateway, query.session)
        return Response(decision.body, media_type="application/json")

    @api.get("/v1/weights", responses={**tagged(m.Weights), **errors(404, 422, 503)})
    async def weights(
        request: Request,
        query: Annotated[m.WeightsQuery, Query()],
        if_none_match: Annotated[str | None, Header(description="An ETag had before.")] = None,
    ) -> Response:
        """The weights in force, without regions that are down. With `wait`, waits for newer ones."""

        async def body() -> tuple[bytes, str]:
            return bodies.of(query.gateway)

        return await polls.answer(request, if_none_match, query.wait, body)

    return api


def _process(service_state: ServiceState) -> APIRouter:
    api = APIRouter(tags=["process"])

    @api.get("/healthz", responses={200: {"model": m.Alive}, **errors()})
    async def healthz() -> Response:
        """Whether the process answers."""
        return JSONResponse({"status": "ok"})

    unready: Responses = {503: {"model": m.Ready, "description": "Not at present."}}

    @api.get("/readyz", responses={200: {"model": m.Ready}, **errors(), **unready})
    async def readyz() -> Response:
        """Whether requests are routed by a feasible table for the current time."""
        ready, problems = service_state.ready()
        return JSONResponse({"ready": ready, "problems": problems}, 200 if ready else 503)

    return api


def _writing(service_state: ServiceState) -> APIRouter:
    # The guard has looked at the token before; this only says so in the document.
    api = APIRouter(tags=["meters"], dependencies=[Depends(HTTPBearer(auto_error=False))])
    refusals = errors(400, 401, 403, 404, 408, 413, 422, 503)

    @api.post("/v1/meter", responses={200: {"model": m.Metered}, **refusals, **errors(409)})
    def meter(rows: Annotated[m.Meters, Body()]) -> Response:
        """Meter readings, one row or a list. Posting the same slot and place again replaces the value."""
        plain = []
        for row in rows if isinstance(rows, list) else [rows]:
            slot = np.datetime64(int(row.slot.timestamp()), "s")
            why_not = "" if row.slot.microsecond == 0 else "it is not a whole second"
            why_not = why_not or service_state.no_slot(slot)
            if why_not:
                raise HTTPException(409, f"slot {row.slot.isoformat()}: {why_not}")
            plain.append(row.model_dump(exclude={"slot"}) | {"slot": slot})
        return JSONResponse({"values": service_state.meter(plain)})

    @api.post("/v1/health", responses={200: {"model": m.Reported}, **refusals})
    def health(report: m.HealthReport) -> Response:
        """Reports a region as up or down. A region that is down gets no more requests at once."""
        changed = service_state.health(report.region, report.healthy, report.why)
        down = service_state.router.down()
        return JSONResponse(
            {
                "region": report.region,
                "healthy": report.region not in down,
                "why": down.get(report.region, ""),
                "changed": changed,
            }
        )

    return api


def _reading(service_state: ServiceState) -> APIRouter:
    api = APIRouter(tags=["state"])

    @api.get("/v1/plan", responses={200: {"model": m.Plan}, **errors(503)})
    def plan() -> Response:
        """The table in force, in MW."""
        found = service_state.plan()
        if found is None:
            raise Unroutable("there is no table of weights yet")
        return JSONResponse(found)

    @api.get("/v1/explain", responses={200: {"model": m.Explanation}, **errors(404, 422, 503)})
    def explain(query: Annotated[m.ExplainQuery, Query()]) -> Response:
        """Why requests of one gateway, or to one region, go where they go; or how a job stands."""
        named = query.model_dump(exclude_none=True)
        if len(named) != 1:
            raise HTTPException(404, "name a region, a gateway or a job, one of them")
        return JSONResponse(service_state.explain(**named))

    @api.get("/v1/state", responses={200: {"model": m.State}, **errors()})
    def state() -> Response:
        """All that the dashboard shows."""
        return JSONResponse(service_state.state())

    @api.get("/v1/events", responses={200: {"model": list[m.EventState]}, **errors(422, 503)})
    def events(query: Annotated[m.EventsQuery, Query()]) -> Response:
        """Events, the newest first."""
        return JSONResponse(service_state.events(query.limit))

    text: Responses = {
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Figures."}
    }

    @api.get("/metrics", response_class=Response, responses={**text, **errors(404)})
    def metrics() -> Response:
        """For Prometheus."""
        if service_state.metrics is None:
            raise HTTPException(404, "this service keeps no books, and has no metrics")
        return Response(
            exposition.generate_latest(service_state.metrics.registry),
            media_type=exposition.CONTENT_TYPE_PLAIN_0_0_4,
        )

    return api


def _allowing(app: App, origins: Sequence[str]) -> App:
    """Lets web pages of these origins read the weights, and nothing else."""
    if not origins:
        return app
    allowing = CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET"],
        allow_headers=["If-None-Match"],
        expose_headers=["ETag"],
    )

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["type"] == "http" and scope["path"] == "/v1/weights" and scope["method"] in SAFE
        await (allowing if asked else app)(scope, receive, send)

    return either


def _refusal(status: int, detail: str, problems: Iterable[str] = (), **headers: str) -> Response:
    return Response(problem(detail, problems), status, headers, "application/json")


async def _failed(request: Request, error: Exception) -> Response:
    return _refusal(_STATUS[type(error)], str(error))


async def _jobs_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, JobsRefused)
    return _refusal(error.status, str(error), error.problems)


async def _http_failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    documented = request.app.openapi()["paths"].get(request.url.path)
    if error.status_code == 405 and documented:  # else it names the methods of one operation alone
        headers["allow"] = ", ".join(sorted(documented)).upper()
    return _refusal(error.status_code, str(error.detail), **headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [
        f"{'.'.join(str(part)[:40] for part in each['loc'])}: {each['msg']}"
        for each in error.errors()[:_PROBLEMS_SHOWN]
    ]
    return _refusal(422, "not understood", found)


async def _broken(request: Request, error: Exception) -> Response:
    return _refusal(500, "the service failed; its log says how")

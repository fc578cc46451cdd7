"""Endpoints for jobs: submit, withdraw, and the state that a scheduler needs."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer

from eglb.live.http import schemas as m
from eglb.live.http.responses import Polls, errors, tagged, with_tag
from eglb.live.state.service_state import ServiceState
from eglb.live.storage.job_store import OPEN, STATES

_ASKED_FOR = {"open": OPEN, "all": STATES}


def jobs(service_state: ServiceState, polls: Polls) -> APIRouter:
    """What is done with jobs, and asked about them."""
    api = APIRouter(tags=["jobs"])
    # The guard has looked at the token before; this only says so in the document.
    writing = [Depends(HTTPBearer(auto_error=False))]
    refusals = errors(400, 401, 403, 404, 408, 409, 413, 422, 503)

    @api.post("/v1/jobs", dependencies=writing, responses={200: {"model": m.Submitted}, **refusals})
    def submit(rows: Annotated[m.AskedJobs, Body()]) -> Response:
        """Submits jobs, one or a list. If one is wrong, none is accepted. The same job again changes nothing.

        Before its first slot a job is admitted, and then done by its deadline, or refused. Whoever wants the
        work of a job that was refused asks again by another name.
        """
        asked = [row.model_dump() for row in (rows if isinstance(rows, list) else [rows])]
        submitted, known = service_state.jobs.submit(asked)
        return JSONResponse({"submitted": submitted, "known": known})

    @api.delete("/v1/jobs", dependencies=writing, responses={200: {"model": m.Withdrawn}, **refusals})
    def withdraw(query: Annotated[m.JobQuery, Query()]) -> Response:
        """Withdraws a job. No more of it is done from the next slot on."""
        return JSONResponse(service_state.jobs.withdraw(query.job))

    @api.get("/v1/jobs", responses={**tagged(m.Jobs), **errors(422, 503)})
    async def jobs(
        request: Request,
        query: Annotated[m.JobsQuery, Query()],
        if_none_match: Annotated[str | None, Header(description="An ETag had before.")] = None,
    ) -> Response:
        """Jobs, and the power that each has now. With `wait`, waits for a change after If-None-Match."""
        states = _ASKED_FOR.get(query.state, (query.state,))

        def made() -> tuple[bytes, str]:
            return with_tag(json.dumps(service_state.jobs.answer(states, query.limit)).encode())

        return await polls.answer(request, if_none_match, query.wait, lambda: run_in_threadpool(made))

    return api

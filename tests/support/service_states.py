"""A desk with tables on it, for tests of what serves it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpx
import numpy as np

import eglb
from eglb.live.http.api import make_app
from eglb.live.http.server import names_of, serving
from eglb.live.routing.router import Router
from eglb.live.routing.weights import WeightTable
from eglb.live.state.service_state import ServiceState
from eglb.live.storage.store import Store

START = np.datetime64("2023-07-01T00:00:00", "s")
TOKEN = "correct horse battery staple"
WRITER = {"authorization": f"Bearer {TOKEN}"}

# Reading certificates, which nothing here needs, takes longer than most tests; and the next server may have
# the port of the last.
HTTP = httpx.Client(verify=False, limits=httpx.Limits(max_keepalive_connections=0))


class Stopped:
    """A clock that shows one time."""

    speed = 1.0

    def __init__(self, now: np.datetime64) -> None:
        self.time = now

    def now(self) -> np.datetime64:
        return self.time


def table(share: Any, version: int = 1, **changes: Any) -> WeightTable:
    """Of gateways g0, g1... and regions r0, r1...; everything is in reach and has room."""
    share = np.array(share, float)
    j, n = share.shape
    given: dict[str, Any] = {
        "version": version,
        "start": START,
        "seconds": 3600.0,
        "gateways": tuple(f"g{each}" for each in range(j)),
        "regions": tuple(f"r{each}" for each in range(n)),
        "share": share,
        "demand": np.ones(j),
        "capacity": np.full(n, float(j)),
        "reach": np.ones((j, n), bool),
    }
    return WeightTable(**{**given, **changes})


def router(*tables: WeightTable, distance: Any = None) -> Router:
    """That has published these; regions are the nearer the smaller their number."""
    first = tables[0]
    if distance is None:
        distance = np.broadcast_to(np.arange(len(first.regions), dtype=float), first.share.shape)
    made = Router(first.gateways, first.regions, distance)
    for each in tables:
        made.publish(each)
    return made


@cache
def world10() -> eglb.Scenario:
    """Read once."""
    return eglb.load("world10")


def world10_table(version: int = 1) -> WeightTable:
    """Every gateway of world10 in equal parts to what it reaches."""
    fleet = world10()
    reach = np.zeros((len(fleet.gateways), len(fleet.regions)), bool)
    reach[fleet.reach_gateway, fleet.reach_region] = True
    return WeightTable(
        version=version,
        start=fleet.times[0],
        seconds=3600.0,
        gateways=fleet.gateways,
        regions=fleet.regions,
        share=reach / reach.sum(1, keepdims=True),
        demand=fleet.demand[:, 0],
        capacity=np.full(len(fleet.regions), fleet.demand[:, 0].sum()),
        reach=reach,
    )


def world10_desk(**options: Any) -> ServiceState:
    """Ten minutes into the first slot of world10, with a table."""
    fleet = world10()
    service_state = ServiceState(
        fleet, Router.of(fleet), Stopped(fleet.times[0] + np.timedelta64(600, "s")), **options
    )
    service_state.router.publish(world10_table())
    return service_state


class Service:
    """A desk, served, and a client of it."""

    def __init__(self, service_state: ServiceState, client: httpx.Client) -> None:
        self.service_state, self.client = service_state, client

    def get(self, path: str, status: int = 200, **options: Any) -> Any:
        return self._told(self.client.get(path, **options), status)

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        return self._told(self.client.post(path, json=body, headers=WRITER), status)

    def delete(self, path: str, status: int = 200) -> Any:
        return self._told(self.client.delete(path, headers=WRITER), status)

    def _told(self, answer: httpx.Response, status: int) -> Any:
        assert answer.status_code == status, answer.text
        return answer.json()


@contextmanager
def served(store: Store, **options: Any) -> Iterator[Service]:
    """The desk of world10 with these books, which are closed at the end."""
    service_state = world10_desk(store=store, **options)
    app = make_app(service_state, token=TOKEN, hosts=names_of("127.0.0.1"), most_polls=2)
    with serving(app, "127.0.0.1", 0) as url, httpx.Client(base_url=url, verify=False) as client:
        yield Service(service_state, client)
    store.close()


def wait_for(condition: Any, seconds: float = 5.0) -> None:
    """Until it holds; fails if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)

"""IPC between the supervisor, which answers HTTP, and the coordinator, which plans: JSON lines on a socket.

Whatever must outlive either of them is in the store; a message says what to read there, or how things stand.
So messages that were not sent yet are made one, and none is missed by who starts again.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from eglb.foundation.numbers import plain
from eglb.live.accounting.alerts import Monitor
from eglb.live.state.clock import Clock
from eglb.live.state.service_state import ServiceState
from eglb.live.storage.store import StoreError

Message = dict[str, Any]

_JOIN_S = 5.0


class Connection:
    """One end of it.

    Parameters
    ----------
    compose : makes the next message, in a thread of the link, after `tell`.
    hear : takes one, in another. lost : is called there when the other end has gone.
    """

    def __init__(
        self,
        end: socket.socket,
        compose: Callable[[], Message],
        hear: Callable[[Message], None],
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._end, self._compose, self._hear, self._lost = end, compose, hear, lost
        self._news, self._closing = threading.Event(), False
        self._threads = [
            threading.Thread(target=work, name=f"link-{work.__name__}", daemon=True)
            for work in (self._send, self._receive)
        ]
        for thread in self._threads:
            thread.start()

    def tell(self) -> None:
        """There is something new to be said; any thread may call it."""
        self._news.set()

    def close(self) -> None:
        """Say what is left to be said, and hang up."""
        self._closing = True
        self._news.set()
        self._threads[0].join(_JOIN_S)
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        self._threads[1].join(_JOIN_S)
        self._end.close()

    def _send(self) -> None:
        last = False
        while not last:
            self._news.wait()
            self._news.clear()
            last = self._closing
            try:
                self._end.sendall(json.dumps(self._compose(), allow_nan=False).encode() + b"\n")
            except OSError:  # who reads there has gone: `_receive` says so
                return

    def _receive(self) -> None:
        with suppress(OSError), self._end.makefile("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    self._hear(json.loads(line))
        if not self._closing:
            self._lost()


@contextmanager
def connected(service_state: ServiceState, end: socket.socket) -> Iterator[None]:
    """The coordinator's end: the supervisor is told the state, and tells what was posted.

    A coordinator without a supervisor ends at once, as if it was killed: another may be about to start.
    """
    monitor, store, clock = service_state.monitor, service_state.store, service_state.clock
    assert isinstance(monitor, Monitor) and store is not None and isinstance(clock, Clock)
    unread: list[str] = []

    def compose() -> Message:
        table = service_state.router.table
        return {
            "clock": clock.told(),
            "table": None if table is None else table.version,
            "down": service_state.router.down(besides="report"),
            "shown": plain(service_state.shown),
            "watched": plain(monitor.summary()),
            "solves": [monitor.solves_by_outcome, monitor.solve_seconds],
        }

    def hear(message: Message) -> None:
        unread.extend(message["meters"])
        if message["jobs"] != service_state.jobs.changes:
            service_state.jobs.changes = message["jobs"]
            service_state.tell()
        with suppress(StoreError):  # read with the next message
            service_state.recall()
            if unread:
                until = np.datetime64(max(unread)) + np.timedelta64(1, "s")
                monitor.ledger.heard(store.read("meter", np.datetime64(min(unread)), until))
                unread.clear()
                service_state.tell()

    link = Connection(end, compose, hear, lambda: os.kill(os.getpid(), signal.SIGKILL))
    with service_state.router.watched(link.tell), service_state.watched(link.tell):
        link.tell()
        try:
            yield
        finally:
            link.close()

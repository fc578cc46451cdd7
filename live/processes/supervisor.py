"""Supervisor process: answers by what the coordinator published last, and restarts the coordinator."""

from __future__ import annotations

import json
import math
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

from eglb.live.accounting.alerts import Alert
from eglb.live.processes.ipc import Connection, Message
from eglb.live.routing.router import Router
from eglb.live.state.clock import Clock
from eglb.live.state.service_state import ServiceState
from eglb.live.storage.store import NOTE, Entry, Event, Store, StoreError
from eglb.scenarios.scenario import Scenario

FIRST_WAIT_S, _LONGEST_WAIT_S, _WELL_S = 0.2, 30.0, 60.0
"""Until a coordinator that died is started again: doubled for each that lived no minute."""
_ENDS_WITHIN_S = 60.0


class Told:
    """What the coordinator's monitor said last, and that the coordinator is away; see
    `eglb.live.state.metrics.Watch`.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._said: Mapping[str, Any] = {"alerts": []}
        self._meters: list[str] = []
        self._lock = threading.Lock()
        self.away: Alert | None = None
        self.solves_by_outcome: dict[str, int] = {}
        self.solve_seconds = 0.0

    @property
    def alerts(self) -> list[Alert]:
        """Those that hold."""
        said = [
            Alert(**{**each, "value": math.inf if each["value"] is None else each["value"]})
            for each in self._said["alerts"]
        ]
        return said if self.away is None else [self.away, *said]

    def footprints(self) -> dict[str, dict[str, Any]]:
        """By kind, see `Monitor.footprints`."""
        return dict(self._said.get("footprints", {}))

    def regions(self) -> list[dict[str, Any]]:
        """By region, see `Monitor.regions`."""
        return list(self._said.get("regions", ()))

    def summary(self) -> dict[str, Any]:
        """What a dashboard shows of this."""
        return {**self._said, "alerts": [asdict(each) for each in self.alerts]}

    def meter(self, entries: Sequence[Entry]) -> None:
        """Keep what meters say; the coordinator reads it there.

        Raises
        ------
        StoreError : it could not be kept.
        """
        self._store.write("meter", entries)
        with self._lock:
            self._meters += sorted({f"{each.slot}" for each in entries})

    def hear(self, watched: Mapping[str, Any], solves: tuple[dict[str, int], float]) -> None:
        """The coordinator's monitor has spoken."""
        self._said = watched
        self.solves_by_outcome, self.solve_seconds = solves

    def unsaid(self) -> list[str]:
        """Slots with meters that the coordinator has not been told of."""
        with self._lock:
            said, self._meters = self._meters, []
        return said


class Supervisor:
    """ServiceState, and the coordinator's process.

    Parameters
    ----------
    store : of the service. speed : of its clock, until the coordinator or the store says so.
    """

    def __init__(self, scenario: Scenario, store: Store, speed: float) -> None:
        self._store = store
        self._told = Told(store)
        kept = store.note(NOTE)
        clock = Clock(scenario.times[0], speed) if kept is None else Clock.of(json.loads(kept))
        self.service_state = ServiceState(scenario, Router.of(scenario), clock, store, self._told)
        self._restarts, self._up = 0, False
        self._was_up = False
        self._number: int | None = None
        self._away("the coordinator is starting")
        self._read_table()

    def run(self, command: Callable[[int], Sequence[str]]) -> int:
        """Until the coordinator ends by itself; its exit code.

        One that dies is started again, unless it gave up before it had ever planned.

        Parameters
        ----------
        command : starts one that is given the number of its end of the link.

        Raises
        ------
        KeyboardInterrupt, SystemExit : as they come, after the coordinator has ended; but an interrupted one
        that ended well ends well.
        """
        wait_s = FIRST_WAIT_S
        while True:
            began = time.monotonic()
            code = self._once(command)
            if code == 0 or (code > 0 and not self._was_up):
                return code
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            self._restarts += 1
            self._away(f"the coordinator ended by {how}; the last table is served until it is back")
            wait_s = FIRST_WAIT_S if time.monotonic() - began > _WELL_S else wait_s
            time.sleep(wait_s)
            wait_s = min(2.0 * wait_s, _LONGEST_WAIT_S)

    def _once(self, command: Callable[[int], Sequence[str]]) -> int:
        """Start one; its exit code."""
        self._up = False
        with self._linked() as end:
            # Ctrl-C is for the front alone, which passes it on.
            process = subprocess.Popen(
                command(end.fileno()),
                stdin=subprocess.DEVNULL,
                pass_fds=[end.fileno()],
                start_new_session=True,
            )
            end.close()
            try:
                return process.wait()
            except KeyboardInterrupt:
                # Before it plans there is nothing to be told of.
                process.send_signal(signal.SIGINT if self._up else signal.SIGTERM)
                if process.wait(_ENDS_WITHIN_S) != 0:
                    raise
                return 0
            except BaseException:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_ENDS_WITHIN_S)
                raise
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()

    @contextmanager
    def _linked(self) -> Iterator[socket.socket]:
        """The front's end of a new link works; the other end."""
        ours, theirs = socket.socketpair()
        link = Connection(ours, self._say, self._hear)
        try:
            with theirs, self.service_state.watched(link.tell):
                yield theirs
        finally:
            link.close()

    def _say(self) -> Message:
        return {"meters": self._told.unsaid(), "jobs": self.service_state.jobs.changes}

    def _hear(self, message: Message) -> None:
        service_state, down = self.service_state, message["down"]
        clock = Clock.of(message["clock"])
        service_state.clock = clock
        for region in service_state.router.regions:
            service_state.router.mark(region, region not in down, down.get(region, ""), by="coordinator")
        table = service_state.router.table
        if message["table"] is not None and (table is None or table.version != message["table"]):
            self._read_table()
        self._told.hear(message["watched"], message["solves"])
        if not self._up and "slot" in message["shown"]:
            self._back()
        service_state.show(**message["shown"])

    def _read_table(self) -> None:
        """Route by the newest one in the store, if it is of this fleet."""
        with suppress(StoreError, ValueError):  # the last one stays in force, and its age tells
            if (last := self._store.last_table()) is not None:
                self.service_state.router.publish(last)

    def _away(self, why: str) -> None:
        self._up = False
        now = self.service_state.clock.now()
        if self._number is None and self._restarts:
            with suppress(StoreError):
                self._number = self._store.save_event(Event(now, "critical", "coordinator", why))
        self._told.away = Alert(f"{now.astype('datetime64[s]')}Z", "critical", "coordinator", why, 1.0, 0.5)
        self.service_state.show(coordinator={"up": False, "restarts": self._restarts, "why": why})

    def _back(self) -> None:
        self._up = self._was_up = True
        self._told.away = None
        if self._number is not None:
            with suppress(StoreError):
                self._store.end_event(self._number, self.service_state.clock.now())
            self._number = None
        self.service_state.show(coordinator={"up": True, "restarts": self._restarts, "why": ""})
